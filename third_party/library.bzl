"""The unit that most of the house is built of: a header, its source, its test."""

_TORCH = "@libtorch//:torch"

# Of sources that compute with tensors: half of their compile time is LibTorch's
# headers, whose precompiled form comes first (third_party/torch_prelude.h).
TORCH_COPTS = ["-include", "torch_prelude.h"]

# Of a test without tensors: the same of GoogleTest's (third_party/test_prelude.h).
_TEST_COPTS = ["-include", "test_prelude.h"]

def _copts(deps):
    return TORCH_COPTS if _TORCH in deps else []

def sinkwatch_library(
        name,
        deps = [],
        test_deps = None,
        test_data = [],
        test_size = "small",
        test_srcs = [],
        copts = [],
        **kwargs):
    """A library NAME of NAME.h and, if there is one, NAME.cc; its test NAME_test.

    Args:
      name: of the library, its files and (with _test) its test.
      deps: of the library.
      test_deps: of the test, beside the library and GoogleTest. Without it there
        is no test.
      test_data: files that the test reads.
      test_size: of the test.
      test_srcs: headers of the test's own, beside NAME_test.cc.
      copts: of the library, beside those of a source that computes with tensors.
      **kwargs: visibility, testonly and the like, of the library.
    """
    native.cc_library(
        name = name,
        srcs = native.glob([name + ".cc"]),
        hdrs = [name + ".h"],
        # Else //... links a shared form of it, which nothing uses.
        linkstatic = True,
        copts = _copts(deps) + copts,
        deps = deps,
        **kwargs
    )
    if test_deps != None:
        native.cc_test(
            name = name + "_test",
            size = test_size,
            srcs = [name + "_test.cc"] + test_srcs,
            data = test_data,
            copts = _copts(deps + test_deps) or _TEST_COPTS,
            deps = [
                ":" + name,
                "//third_party:gtest_main",
                "//third_party:test_prelude",
            ] + test_deps,
        )
