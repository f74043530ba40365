"""Pickles that would do something, and zip archives that would be something."""

import base64
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from case import Case
from files import entry, good, weights, write_config
from limited import CORRUPT, INCOMPLETE, OK, STORIES, UNSUPPORTED
from torch_files import (CANARY, PROTO, call, name, number, one_tensor, os_system, pairs,
                         stories_bin, text, torch_bin, write_archive)

MILLION = 1000 * 1000


def check_that_the_canary_sings():
    """CPython runs the pickle that we refuse: else the test would show nothing."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", "import pickle, sys; pickle.load(sys.stdin.buffer)"],
                       input=PROTO + os_system() + b".", cwd=folder, check=True)
        assert (Path(folder) / CANARY).exists()


def in_dict(value):
    return torch_bin(PROTO + pairs([(text("w"), value)]) + b".")


def compressed(folder):
    """200 MB of zeros in 200 kB."""
    write_config(folder)
    write_archive(folder / "pytorch_model.bin", PROTO + b"}.", [("0", bytes(200 * MILLION))],
                  zipfile.ZIP_DEFLATED)


def overlapping(folder):
    """Many entries of the directory on one record, as of better zip bombs."""
    torch_bin(PROTO + b"}.", [(str(i), b"") for i in range(1000)])(folder)
    path = folder / "pytorch_model.bin"
    content = bytearray(path.read_bytes())
    at = content.find(b"PK\1\2")
    while at >= 0:
        content[at + 42:at + 46] = bytes(4)
        at = content.find(b"PK\1\2", at + 1)
    path.write_bytes(content)


def huge_pickle(folder):
    """data.pkl of 100 MB that is a hole."""
    torch_bin(b"", [])(folder)
    path = folder / "pytorch_model.bin"
    content = path.read_bytes()
    central = content.index(b"PK\1\2")
    local, rest = bytearray(content[:central]), bytearray(content[central:])
    size = (100 * MILLION).to_bytes(4, "little")
    local[18:26] = size * 2
    rest[20:28] = size * 2
    end = rest.index(b"PK\5\6")
    rest[end + 16:end + 20] = (central + 100 * MILLION).to_bytes(4, "little")
    with open(path, "wb") as file:
        file.write(local)
        file.seek(central + 100 * MILLION)
        file.write(rest)


def tar(folder):
    write_config(folder)
    with tarfile.open(folder / "pytorch_model.bin", "w") as archive:
        archive.add(folder / "config.json", "pickle")


def bare(pickle):
    def build(folder):
        write_config(folder)
        (folder / "pytorch_model.bin").write_bytes(pickle)
    return build


def shard_above(folder):
    write_config(folder)
    (folder / "pytorch_model.bin.index.json").write_text(
        json.dumps({"weight_map": {"a": "../pytorch_model.bin"}}))


def secret_bin(folder):
    write_config(folder)
    (folder / "pytorch_model.bin").symlink_to(STORIES / "model.safetensors")


def legacy_name(pickle):
    key = base64.urlsafe_b64encode(pickle).decode()
    return lambda folder: weights(folder, {key: entry(0, 4, [1])}, size=4)


def yaml(content):
    def build(folder):
        good(folder)
        (folder / "config.json").unlink()
        (folder / "config.yaml").write_bytes(
            content if isinstance(content, bytes) else content.encode())
    return build


ALIAS_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n"
    for old, new in zip("abcdefghijklm", "bcdefghijklmn")) + "model: *n\n"
LAUGHS = (PROTO + b"(]q\x00" + b"".join(
    b"]q%c(%se" % (i, b"h%c" % (i - 1) * 9) for i in range(1, 20)) + b"t.")
FRAME = b"\x80\x04\x95" + (40).to_bytes(8, "little")

CASES = [
    Case("pickle: os.system", torch_bin(PROTO + os_system() + b"."), UNSUPPORTED,
         "pytorch_model.bin", "os.system"),
    Case("pickle: os.system in a dict", in_dict(os_system()), UNSUPPORTED, "os.system"),
    Case("pickle: os.system by STACK_GLOBAL", torch_bin(
        b"\x80\x04" + text("posix") + text("system") + b"\x93" + text("touch " + CANARY) + b"\x85R."),
         UNSUPPORTED, "posix.system"),
    Case("pickle: os.system by INST", torch_bin(
        PROTO + b"(" + text("touch " + CANARY) + b"ios\nsystem\n."), UNSUPPORTED, "INST"),
    Case("pickle: os.system by OBJ", torch_bin(
        PROTO + b"(" + name("os", "system") + text("touch " + CANARY) + b"o."), UNSUPPORTED),
    Case("pickle: os.system as __setstate__", in_dict(
        call(name("collections", "OrderedDict")) + pairs([(text("__setstate__"), name(
            "os", "system"))]) + b"b"), UNSUPPORTED, "os.system"),
    Case("pickle: eval", in_dict(call(name("builtins", "eval"), text("1"))), UNSUPPORTED,
         "builtins.eval"),
    Case("pickle: getattr", in_dict(call(name("builtins", "getattr"), name(
        "torch", "Size"), text("__init__"))), UNSUPPORTED, "getattr"),
    Case("pickle: torch.load in a pickle", in_dict(call(name("torch.storage", "_load_from_bytes"),
                                                        text("x"))), UNSUPPORTED,
         "_load_from_bytes"),
    Case("pickle: numpy", in_dict(call(name("numpy.core.multiarray", "_reconstruct"))), UNSUPPORTED,
         "numpy"),
    Case("pickle: a name of a terminal", in_dict(name("\x1b[2J", "x")), UNSUPPORTED, "\\033[2J"),
    Case("pickle: billion laughs", torch_bin(LAUGHS), UNSUPPORTED, "values"),
    Case("pickle: a million levels", torch_bin(PROTO + b"]" * MILLION + b"a" * (MILLION - 1) + b"."),
         UNSUPPORTED, "deeper"),
    Case("pickle: contains itself", torch_bin(PROTO + b"}q\x00" + text("a") + b"h\x00s."), CORRUPT,
         "contains itself"),
    Case("pickle: memo at two billion", torch_bin(PROTO + b"}r\xff\xff\xff\x7f."), UNSUPPORTED,
         "memo"),
    Case("pickle: a string of four gigabytes", torch_bin(PROTO + b"X\xff\xff\xff\xff."),
         UNSUPPORTED),
    Case("pickle: a frame beyond its end", torch_bin(FRAME + b"}."), CORRUPT),
    Case("pickle: ten million marks", torch_bin(PROTO + b"(" * (10 * MILLION)), UNSUPPORTED),
    Case("pickle: ten million nothings", torch_bin(PROTO + b"N" * (10 * MILLION)), UNSUPPORTED),
    Case("pickle: a list ten million times", torch_bin(
        PROTO + b"]q\x00(" + b"h\x00" * (10 * MILLION) + b"t."), CORRUPT, memory_kb=700 << 10),
    Case("pickle: 100 MB of it", huge_pickle, UNSUPPORTED, "100000000 bytes"),
    Case("zip: a bomb", compressed, UNSUPPORTED, "compressed"),
    Case("zip: overlapping records", overlapping, CORRUPT, "pytorch_model.bin"),
    Case("zip: a member above the archive", torch_bin(PROTO + b"}.", more=[("../../etc/x", b"x")]),
         CORRUPT, "../../etc/x"),
    Case("zip: a hundred thousand members and more", torch_bin(
        PROTO + b"}.", [(str(i), b"") for i in range(101 * 1000)]), UNSUPPORTED, "members"),
    Case("zip: half of it", bare(b"PK\3\4" + bytes(1000)), INCOMPLETE, "incomplete"),
    Case("tensor: more than its storage", one_tensor(17, count=16), CORRUPT, "storage of 16"),
    Case("tensor: an offset beyond its storage", one_tensor(4, count=16, offset=13), CORRUPT),
    Case("tensor: a shape that overflows", one_tensor(2**40, 2**40, strides=[0, 0], count=16),
         CORRUPT, "overflow"),
    Case("tensor: one element a trillion times", one_tensor(2**40, strides=[0], count=16),
         UNSUPPORTED, "repeats"),
    Case("tensor: a stride that overflows", one_tensor(3, strides=[2**62], count=16), CORRUPT,
         "overflow"),
    Case("tensor: a storage of another size", one_tensor(4, count=2**60), CORRUPT),
    Case("torch: 100,000 tensors", stories_bin(99900), OK),
    Case("torch: 100,001 tensors", stories_bin(100001), UNSUPPORTED, "100000"),
    Case("torch: a tar", tar, UNSUPPORTED, "tar"),
    Case("torch: a bare pickle", bare(PROTO + os_system() + b"."), UNSUPPORTED, "pickle"),
    Case("torch: a shard above the folder", shard_above, CORRUPT, "bare name"),
    Case("torch: a link out of the folder", secret_bin, UNSUPPORTED, "outside of"),
    Case("names: os.system", legacy_name(b"\x80\x04\x95\0\0\0\0\0\0\0\0" + os_system() + b"."),
         UNSUPPORTED, "model.safetensors", "os.system"),
    Case("names: no pair", legacy_name(b"\x80\x04\x95\0\0\0\0\0\0\0\0" + number(7) + b"."), CORRUPT,
         "pickled name"),
    Case("yaml: a bomb of aliases", yaml(ALIAS_BOMB), CORRUPT, "config.yaml", "an a"),
    Case("yaml: a call of Python", yaml("model: !!python/object/apply:os.system ['touch "
                                        + CANARY + "']\nseed: 1\n"), CORRUPT, "a tag"),
    Case("yaml: half a megabyte of levels", yaml("model: " + "[" * 500000 + "\n"), CORRUPT),
    Case("yaml: half a megabyte of levels, by indent", yaml(
        "".join(" " * i + "a:\n" for i in range(1000))), UNSUPPORTED),
    Case("yaml: a megabyte of one line", yaml("model: {" + "a, " * 300000 + "}\n"), CORRUPT),
    Case("yaml: a megabyte of values", yaml("model: [" + "a, " * 300000 + "]\nseed: 1\n"),
         UNSUPPORTED, "values"),
    Case("yaml: five megabytes", yaml("a: b\n" * 1000000), UNSUPPORTED, "4194304"),
    Case("yaml: not UTF-8", yaml(b"model:\n  d_model: \xc3\x28\nseed: 1\n"), UNSUPPORTED),
]
