"""CUDA's compiler as an external repository, where set-up has unpacked it."""

_OFF = """NVCC = False
NVCC_COMMAND = ""
NVCC_LINKOPTS = []
"""

_ON = """NVCC = True
NVCC_COMMAND = "{NVCC}/nvidia/cu13/bin/nvcc -I{NVCC}/nvidia/cu13/include -I{TORCH}/nvidia/cu13/include"
NVCC_LINKOPTS = [
    "-L{TORCH}/nvidia/cu13/lib",
    "-l:libcudart.so.13",
    "-L{TORCH}/torch/lib",
    "-lc10_cuda",
    "-Wl,-rpath,{TORCH}/nvidia/cu13/lib",
]
"""

_BUILD = """cc_library(
    name = "cuda_headers",
    hdrs = glob(
        [
            "include/**",
            "crt/**",
        ],
        allow_empty = True,
    ),
    includes = [
        ".",
        "include",
    ],
    visibility = ["//visibility:public"],
)
"""

def _nvcc_repository_impl(ctx):
    ctx.file("BUILD", _BUILD)
    nvcc = ctx.os.environ.get("SINKWATCH_NVCC", "")
    if nvcc == "":
        ctx.file("nvcc.bzl", _OFF)
        return
    if not ctx.path(nvcc + "/nvidia/cu13/bin/nvcc").exists:
        fail("no nvcc in {}: run deploy/setup.sh --kernels".format(nvcc))
    torch = ctx.os.environ["SINKWATCH_LIBTORCH"]
    ctx.symlink(torch + "/nvidia/cu13/include", "include")
    ctx.symlink(nvcc + "/nvidia/cu13/include/crt", "crt")
    ctx.file("nvcc.bzl", _ON.replace("{NVCC}", nvcc).replace("{TORCH}", torch))

nvcc_repository = repository_rule(
    implementation = _nvcc_repository_impl,
    environ = ["SINKWATCH_NVCC", "SINKWATCH_LIBTORCH"],
    local = True,
)
