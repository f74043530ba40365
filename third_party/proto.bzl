"""C++ code from .proto files, made by the system's protoc and gRPC plugin."""

# Imports, includes and the packages of other languages start below it.
IMPORT_ROOT = "proto"

def cc_proto(name, src, deps = [], grpc = False, visibility = None):
    """Compiles one .proto file to a cc_library of the same name.

    Args:
      name: name of the cc_library.
      src: the .proto file, in this package.
      deps: cc_proto targets of the files it imports.
      grpc: whether it declares services.
      visibility: of the library.
    """
    base = src[:-len(".proto")]
    headers = [base + ".pb.h"]
    sources = [base + ".pb.cc"]
    plugin = ""
    if grpc:
        headers.append(base + ".grpc.pb.h")
        sources.append(base + ".grpc.pb.cc")
        plugin = "--plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin --grpc_out=$(GENDIR)/" + IMPORT_ROOT
    native.filegroup(
        name = name + "_src",
        srcs = [src] + [dep + "_src" for dep in deps],
        visibility = visibility,
    )
    native.genrule(
        name = name + "_gen",
        srcs = [":" + name + "_src"],
        outs = headers + sources,
        cmd = "/usr/bin/protoc -I {root} --cpp_out=$(GENDIR)/{root} {plugin} {package}/{src}".format(
            root = IMPORT_ROOT,
            plugin = plugin,
            package = native.package_name(),
            src = src,
        ),
    )
    native.cc_library(
        name = name,
        srcs = sources,
        hdrs = headers,
        copts = ["-w"],
        linkstatic = True,
        strip_include_prefix = "/" + IMPORT_ROOT,
        deps = deps + ["//third_party:grpc" if grpc else "//third_party:protobuf"],
        visibility = visibility,
    )
