"""One fuzz target: its library, its replay test, its fuzzer."""

def fuzz_target(name, deps):
    """Declares what is built of NAME_fuzz.cc.

    NAME_replay is a test of every run: it gives each file of corpus/NAME to the
    target and compares the outcome with the one that the file's name promises.
    NAME_fuzzer is the libFuzzer binary, which run.sh builds and runs.
    """
    native.cc_library(
        name = name + "_fuzz",
        testonly = True,
        srcs = [name + "_fuzz.cc"],
        deps = deps + [":fuzz"],
        linkstatic = True,
        alwayslink = True,
    )
    native.cc_test(
        name = name + "_replay",
        size = "small",
        args = ["tests/fuzz/corpus/" + name],
        data = native.glob(["corpus/" + name + "/*"]),
        deps = [
            ":" + name + "_fuzz",
            ":replay_main",
        ],
    )
    native.cc_binary(
        name = name + "_fuzzer",
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [
            ":" + name + "_fuzz",
            ":fuzzer_main",
        ],
    )
