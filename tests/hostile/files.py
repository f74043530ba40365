"""Checkpoint folders that lie, by the few bytes that matter."""

import json
import shutil
import struct
from pathlib import Path

from limited import STORIES

CONFIG = json.loads((STORIES / "config.json").read_text())


def safetensors(path, header, data=b"", size=None, length=None):
    """A file with this header; `size`: of the data, as a hole; `length`: lie."""
    if not isinstance(header, bytes):
        header = (header if isinstance(header, str) else json.dumps(header)).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header) if length is None else length))
        file.write(header)
        file.write(data)
        if size is not None:
            file.truncate(8 + len(header) + size)


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def read_safetensors(path):
    """{name: (dtype, shape, bytes)} of a good file."""
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    tensors = {}
    for name, info in json.loads(content[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = info["data_offsets"]
            tensors[name] = (info["dtype"], info["shape"],
                             content[8 + size + begin:8 + size + end])
    return tensors


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = entry(at, at + len(data), shape, dtype)
        at += len(data)
    safetensors(path, header, b"".join(data for _, _, data in tensors.values()))


def write_config(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))


def good(folder):
    """stories260K, for a test to spoil."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(STORIES / name, folder / name)
    return folder


def weights(folder, header, data=b"", size=None, length=None):
    """Its config, and these weights."""
    write_config(folder)
    safetensors(folder / "model.safetensors", header, data, size, length)


def sharded(folder, shard, **more):
    """Its weights in one shard, and an index that names it so."""
    write_config(folder)
    tensors = read_safetensors(STORIES / "model.safetensors")
    weight_map = {**{name: shard for name in tensors}, **more}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return tensors


def deep_model(folder, layers):
    """stories260K with its first layer many times."""
    write_config(folder, num_hidden_layers=layers)
    tensors = read_safetensors(STORIES / "model.safetensors")
    first = {name: tensor for name, tensor in tensors.items() if ".layers.0." in name}
    rest = {name: tensor for name, tensor in tensors.items() if ".layers." not in name}
    for layer in range(layers):
        for name, tensor in first.items():
            rest[name.replace(".layers.0.", f".layers.{layer}.")] = tensor
    write_safetensors(folder / "model.safetensors", rest)
    return folder / "model.safetensors"


def write_probe(folder, probe):
    Path(folder).mkdir()
    (Path(folder) / "probe.json").write_text(probe if isinstance(probe, str) else json.dumps(probe))
