"""Archives of torch.save and metadata of torch.distributed.checkpoint, made by
hand so that any part can lie. Opcodes are strung together; nothing here runs
one, and nothing needs torch."""

import struct
import zipfile

from files import read_safetensors, write_config
from limited import STORIES

CANARY = "sinkwatch-canary"
PROTO = b"\x80\x02"


# --- pickles -----------------------------------------------------------------
def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def call(function, *arguments):
    return function + b"(" + b"".join(arguments) + b"tR"


def pairs(items):
    return b"}(" + b"".join(key + value for key, value in items) + b"u"


def made(kind, fields):
    """NEWOBJ and BUILD, as of a dataclass."""
    return kind + b")\x81" + pairs((text(key), value) for key, value in fields.items()) + b"b"


def os_system():
    return call(name("os", "system"), text("touch " + CANARY))


def tensor(key, shape, strides=None, count=None, offset=0, kind="FloatStorage"):
    if strides is None:
        strides, step = [], 1
        for size in reversed(shape):
            strides.insert(0, step)
            step *= size
    if count is None:
        count = 1
        for size in shape:
            count *= size
    storage = (b"(" + text("storage") + name("torch", kind) + text(key) + text("cpu")
               + number(count) + b"tQ")
    return call(name("torch._utils", "_rebuild_tensor_v2"), storage, number(offset),
                numbers(shape), numbers(strides), b"\x89",
                call(name("collections", "OrderedDict")))


# --- archives ----------------------------------------------------------------
def write_archive(path, pickle, storages=(), compression=zipfile.ZIP_STORED, more=()):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickle)
        for key, data in storages:
            archive.writestr(f"archive/data/{key}", data)
        for member, data in more:
            archive.writestr(member, data)


def torch_bin(pickle, storages=(), **more):
    """A folder of config.json and pytorch_model.bin."""
    def build(folder):
        write_config(folder)
        write_archive(folder / "pytorch_model.bin", pickle, storages, **more)
    return build


def one_tensor(*shape, storage=bytes(64), **lies):
    pickle = PROTO + pairs([(text("model.norm.weight"), tensor("0", list(shape), **lies))]) + b"."
    return torch_bin(pickle, [("0", storage)])


def stories_bin(extra):
    """stories260K as torch.save would write it, and `extra` more tensors that
    are all one storage."""
    def build(folder):
        tensors = read_safetensors(STORIES / "model.safetensors")
        items, storages = [], [("extra", bytes(4))]
        for key, (weight, (_, shape, data)) in enumerate(tensors.items()):
            items.append((text(weight), tensor(str(key), shape)))
            storages.append((str(key), data))
        items += [(text(f"extra.{i}"), tensor("extra", [1])) for i in range(extra)]
        torch_bin(PROTO + pairs(items) + b".", storages)(folder)
    return build


# --- DCP ---------------------------------------------------------------------
METADATA = "torch.distributed.checkpoint.metadata"


def size(*values):
    return call(name("torch", "Size"), numbers(values))


def chunk(offsets, sizes):
    return made(name(METADATA, "ChunkStorageMetadata"),
                {"offsets": size(*offsets), "sizes": size(*sizes)})


def stored(shape, chunks, layout="torch.strided"):
    properties = (name(METADATA, "TensorProperties") + b")\x81("
                  + name("torch", "float32")
                  + call(name("torch.serialization", "_get_layout"), text(layout)) + b"\x89"
                  + call(name(METADATA, "_MEM_FORMAT_ENCODING"), number(0)) + b"\x89tb")
    return made(name(METADATA, "TensorStorageMetadata"),
                {"properties": properties, "size": size(*shape),
                 "chunks": b"](" + b"".join(chunks) + b"e"})


def place(path="__0_0.distcp", offset=0, length=1024, transforms=b"N"):
    return made(name("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
                {"relative_path": text(path), "offset": number(offset), "length": number(length),
                 "transform_descriptors": transforms})


def index(key, *offset):
    return made(name(METADATA, "MetadataIndex"),
                {"fqn": text(key), "offset": size(*offset), "index": b"N"})


def metadata(tensors, storage, planner=b"N"):
    return PROTO + made(name(METADATA, "Metadata"), {
        "state_dict_metadata": pairs(tensors), "planner_data": planner,
        "storage_data": pairs(storage), "storage_meta": b"N", "version": b"N"}) + b"."


def dcp(pickle, data=bytes(2048)):
    """A folder of OLMo-core's layout with this .metadata."""
    def build(folder):
        write_config(folder)
        inside = folder / "model_and_optim"
        inside.mkdir()
        (inside / ".metadata").write_bytes(pickle)
        (inside / "__0_0.distcp").write_bytes(data)
    return build


def dcp_tensor(shape=(2, 3), chunks=None, places=None):
    key = "model.norm.weight"
    chunks = [((0,) * len(shape), shape)] if chunks is None else chunks
    places = [place()] * len(chunks) if places is None else places
    return metadata([(text(key), stored(shape, [chunk(*c) for c in chunks]))],
                    [(index(key, *c[0]), p) for c, p in zip(chunks, places)])
