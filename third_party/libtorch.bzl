"""LibTorch as an external repository, from the folder that set-up unpacked."""

_HEADERS = ["ATen", "c10", "torch", "caffe2"]

def _libtorch_repository_impl(ctx):
    home = ctx.os.environ.get("HOME", "")
    root = ctx.os.environ.get("SINKWATCH_LIBTORCH", home + "/.cache/sinkwatch/libtorch")
    if not ctx.path(root + "/torch/lib/libtorch_cpu.so").exists:
        fail("no LibTorch in {}: run deploy/setup.sh, or set SINKWATCH_LIBTORCH".format(root))

    # The wheel also ships an old google/protobuf, which would shadow the
    # system's: only these four folders may be seen.
    for folder in _HEADERS:
        ctx.symlink(root + "/torch/include/" + folder, "include/" + folder)

    # Its header, and the compiled form that set-up made of it.
    ctx.symlink(Label("//third_party:torch_prelude.h"), "include/torch_prelude.h")
    if ctx.path(root + "/torch_prelude.h.gch").exists:
        ctx.symlink(root + "/torch_prelude.h.gch", "include/torch_prelude.h.gch")
    ctx.template("BUILD", Label("//third_party:libtorch.BUILD"), {"{LIB}": root + "/torch/lib"})

libtorch_repository = repository_rule(
    implementation = _libtorch_repository_impl,
    environ = ["SINKWATCH_LIBTORCH", "HOME"],
    local = True,
)
