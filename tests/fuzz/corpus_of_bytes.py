"""Recipes of inputs that are not text: pickles, zip archives, llama2.c, DCP."""

import base64
import io
import os
import pickle
import struct
import zipfile

import torch_files
from torch_files import chunk, dcp_tensor, index, metadata, pairs, place, stored, tensor, text

# --- pickles -----------------------------------------------------------------
PICKLE = b"\x80\x02"
CANARY = "touch sinkwatch-canary"
SIZE = b"ctorch\nSize\n"
PICKLES = {
    "good-protocol-5": pickle.dumps({"a": [1, -2, 2.5, None, True], "b": ("x", b"y")}, 5),
    "good-protocol-4": pickle.dumps({"a": [1, 300, 70000, 2**40, -2**63], 7: "\u00e9"}, 4),
    "good-protocol-3": pickle.dumps([{"k" * 300: (1, 2, 3, 4)}, [], {}, ()], 3),
    "good-protocol-2": pickle.dumps({"a": (1,), "b": (1, 2)}, 2),
    "good-size": PICKLE + SIZE + b"K\x02K\x03\x86\x85R.",
    "good-ordered-dict": PICKLE + b"ccollections\nOrderedDict\n)R(" + text("a") + b"K\x01u}b.",
    "good-new-and-build": PICKLE + b"cm\nNew\n)\x81}" + text("a") + b"Nsb.",
    "good-call-and-build": PICKLE + b"cm\nBoth\nK\x01\x85RNb.",
    "good-stack-global": b"\x80\x04\x8c\x05torch\x94\x8c\x07float32\x94\x93\x94.",
    "good-persistent-id": PICKLE + b"(" + text("storage") + b"K\x01tQ.",
    "good-shared": PICKLE + b"]q\x00h\x00h\x00\x86\x86.",
    "good-pop": PICKLE + b"NN0(K\x01K\x021.",
    "good-long-forms": PICKLE + b"\x8a\x00\x8a\x01\xff\x8b\x02\x00\x00\x00\x00\x80\x87.",
    "incomplete-empty": b"",
    "incomplete-no-stop": PICKLE + b"N",
    "incomplete-half": pickle.dumps({"a": [1] * 100}, 4)[:40],
    "incomplete-text": PICKLE + b"X\xff\x00\x00\x00abc",
    "incomplete-frame": b"\x80\x04\x95\xff\x00\x00\x00\x00\x00\x00\x00N.",
    "corrupt-no-proto": pickle.dumps({}, 0),
    "corrupt-empty-stack": PICKLE + b"R.",
    "corrupt-no-mark": PICKLE + b"t.",
    "corrupt-two-left": PICKLE + b"NN.",
    "corrupt-mark-left": PICKLE + b"N(.",
    "corrupt-trailing": PICKLE + b"N.N",
    "corrupt-memo": PICKLE + b"h\x07.",
    "corrupt-key-twice": PICKLE + b"}(" + text("a") + b"N" + text("a") + b"Nu.",
    "corrupt-odd-dict": PICKLE + b"}(" + text("a") + b"u.",
    "corrupt-not-utf8": PICKLE + b"X\x02\x00\x00\x00\xc3\x28.",
    "corrupt-contains-itself": PICKLE + b"]q\x00h\x00a.",
    "corrupt-contains-itself-deeply": PICKLE + b"}q\x00" + text("a") + b"]h\x00as.",
    "unsupported-os-system": PICKLE + b"cos\nsystem\n" + text(CANARY) + b"\x85R.",
    "unsupported-posix-stack-global": pickle.dumps(os.system, 4)[:-1] + text(CANARY) + b"\x85R.",
    "unsupported-eval": PICKLE + b"c__builtin__\neval\n" + text("1") + b"\x85R.",
    "unsupported-getattr": PICKLE + b"c__builtin__\ngetattr\n" + SIZE + text("x") + b"\x86R.",
    "unsupported-inst": PICKLE + b"(" + text(CANARY) + b"ios\nsystem\n.",
    "unsupported-obj": PICKLE + b"(cos\nsystem\n" + text(CANARY) + b"o.",
    "unsupported-ext": PICKLE + b"\x82\x01.",
    "unsupported-newobj-ex": b"\x80\x04" + SIZE + b")}\x92.",
    "unsupported-call-of-a-name": PICKLE + b"ctorch\nfloat32\n)R.",
    "unsupported-call-of-a-string": PICKLE + text("os.system") + b")R.",
    "unsupported-build-of-a-name": PICKLE + SIZE + b"}b.",
    "unsupported-build-of-a-dict": PICKLE + b"}}b.",
    "unsupported-protocol-0-opcodes": PICKLE + b"I1\n.",
    "unsupported-protocol-6": b"\x80\x06N.",
    "unsupported-deep": PICKLE + b"]" * 60 + b"a" * 59 + b".",
    "unsupported-billion-laughs": PICKLE + b"(]q\x00" + b"".join(
        b"]q%c(%se" % (i, b"h%c" % (i - 1) * 9) for i in range(1, 7)) + b"t.",
    "unsupported-memo-index": PICKLE + b"Nr\xff\xff\xff\x7f.",
    "unsupported-big-integer": PICKLE + b"\x8a\x10" + b"\x01" * 16 + b".",
    "unsupported-huge-text": PICKLE + b"X\xff\xff\xff\xff.",
    "unsupported-set": b"\x80\x04\x8f.",
    "unsupported-append-to-a-tuple": PICKLE + b")Na.",
}


def legacy_name(value, protocol=4):
    return base64.urlsafe_b64encode(pickle.dumps(value, protocol))


LEGACY_NAMES = {
    "good-weight": legacy_name((("transformer", "wte", "weight"), False)),
    "good-number": legacy_name((("blocks", 0, "w"), True), 5),
    "good-raw-pickle": pickle.dumps((("a", "b"), False), 4),
    "good-protocol-2": legacy_name((("a",), False), 2),
    "corrupt-plain": b"transformer.wte.weight",
    "corrupt-padding": legacy_name((("a",), False)) + b"=",
    "corrupt-cut": legacy_name((("transformer", "wte"), False))[:-8],
    "corrupt-empty": b"",
    "corrupt-list": legacy_name([["a"], False]),
    "corrupt-key": legacy_name(((None,), False)),
    "corrupt-no-keys": legacy_name(((), False)),
    "unsupported-os-system": base64.urlsafe_b64encode(PICKLES["unsupported-os-system"] + b"."),
    "unsupported-deep": legacy_name((((((("a",),),),),), False)),
}


# --- zip ---------------------------------------------------------------------
def zipped(members, zip64=False, method=0, local_flags=0x0808, central_flags=0x0808,
           overlap=False, entries=None, size_lie=0, comment=b""):
    """As torch writes it: stored, sizes in the directory and after the bytes."""
    out, directory, first = b"", b"", 0
    for name, data in members:
        name = name if isinstance(name, bytes) else name.encode()
        sizes = struct.pack("<III", 0, len(data) + size_lie, len(data) + size_lie)
        at = first if overlap else len(out)
        directory += (b"PK\1\2" + struct.pack("<HHHHHH", 0, 0, central_flags, method, 0, 0) + sizes
                      + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, at) + name)
        out += (b"PK\3\4" + struct.pack("<HHHHH", 0, local_flags, method, 0, 0) + bytes(12)
                + struct.pack("<HH", len(name), 6) + name + b"FB\2\0ZZ" + data
                + b"PK\7\x08" + sizes)
    at, count = len(out), len(members) if entries is None else entries
    out += directory
    if zip64:
        end64 = len(out)
        out += (b"PK\6\6" + struct.pack("<Q", 44) + bytes(12)
                + struct.pack("<QQQQ", count, count, len(directory), at))
        out += b"PK\6\7" + struct.pack("<IQI", 0, end64, 1)
    return out + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), at,
                                        len(comment)) + comment


TWO = [("a/data.pkl", b"pickle"), ("a/data/0", b"01234567")]


def sized_in_64_bits():
    extra = struct.pack("<HHQQQ", 1, 24, 4, 4, 0)
    local = (b"PK\3\4" + struct.pack("<H", 45) + bytes(12) + b"\xff" * 8
             + struct.pack("<HH", 1, 0) + b"a" + b"data")
    central = (b"PK\1\2" + bytes(4 + 12) + b"\xff" * 8 + struct.pack("<HH", 1, len(extra))
               + bytes(10) + b"\xff" * 4 + b"a" + extra)
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central),
                                                    len(local), 0)


def deflated():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("a/data.pkl"), bytes(100000), zipfile.ZIP_DEFLATED)
    return out.getvalue()


ZIPS = {
    "good-two": zipped(TWO),
    "good-two-zip64": zipped(TWO, zip64=True),
    "good-nothing": zipped([]),
    "good-empty-members": zipped([("a", b""), ("b", b"")]),
    "good-64-bits": sized_in_64_bits(),
    "good-zip-in-a-zip": zipped([("a", zipped(TWO))]),
    "incomplete-empty": b"",
    "incomplete-cut": zipped(TWO)[:-1],
    "incomplete-no-directory": zipped(TWO)[:80],
    "corrupt-twice": zipped([("a", b"x"), ("a", b"y")]),
    "corrupt-parent": zipped([("../a", b"x")]),
    "corrupt-absolute": zipped([("/etc/passwd", b"x")]),
    "corrupt-backslash": zipped([("..\\a", b"x")]),
    "corrupt-not-utf8": zipped([(b"\xc3\x28", b"x")]),
    "corrupt-overlap": zipped([("a", b"x"), ("a", b"x"), ("a", b"x")], overlap=True),
    "corrupt-size-above-the-file": zipped(TWO, size_lie=1000),
    "corrupt-size-into-the-next": zipped(TWO, size_lie=20),
    "corrupt-flags": zipped(TWO, local_flags=0),
    "corrupt-fewer-members": zipped(TWO, entries=3),
    "corrupt-more-members": zipped(TWO, entries=1),
    "corrupt-comment": zipped(TWO, comment=b"hello"),
    "unsupported-deflated": deflated(),
    "unsupported-encrypted": zipped(TWO, local_flags=1, central_flags=1),
    "unsupported-members": zipped(TWO, zip64=True).replace(
        struct.pack("<Q", 2), struct.pack("<Q", 2**60)).replace(
            struct.pack("<HH", 2, 2), b"\xff" * 4),
}


# --- llama2.c ----------------------------------------------------------------
def llama2c(dim=4, hidden=3, layers=2, heads=2, kv_heads=1, vocabulary=5, positions=3, extra=0):
    head = dim // heads if heads > 0 else 0
    floats = (abs(vocabulary) * dim * (2 if vocabulary < 0 else 1) + dim + positions * head
              + layers * (2 * dim + 2 * dim * dim + 2 * dim * kv_heads * head + 3 * dim * hidden))
    data = struct.pack("<7i", dim, hidden, layers, heads, kv_heads, vocabulary, positions)
    return data + b"".join(struct.pack("<f", i / 7) for i in range(floats + extra))


LLAMA2CS = {
    "good-shared": llama2c(),
    "good-own-classifier": llama2c(vocabulary=-5),
    "incomplete-empty": b"",
    "incomplete-zeros": bytes(500),
    "incomplete-data": llama2c()[:-1],
    "incomplete-header-only": llama2c()[:28],
    "incomplete-half-a-header": llama2c()[:13],
    "corrupt-longer": llama2c(extra=1),
    "corrupt-negative": struct.pack("<7i", -4, 3, 2, 2, 1, 5, 3),
    "corrupt-heads": struct.pack("<7i", 5, 3, 2, 2, 1, 5, 3),
    "corrupt-groups": struct.pack("<7i", 12, 3, 2, 6, 4, 5, 3),
    "corrupt-odd-head": struct.pack("<7i", 6, 3, 2, 2, 1, 5, 3),
    "incomplete-largest": struct.pack("<7i", 1 << 17, 1 << 20, 1 << 10, 1 << 10, 1, 1 << 22,
                                      1 << 24),
    "unsupported-huge": struct.pack("<7i", *[2**31 - 1] * 7),
    "unsupported-vocabulary": struct.pack("<7i", 4, 3, 2, 2, 1, -2**31, 3),
    "unsupported-version-1": b"24ka" + bytes(252),
}


# --- torch.save --------------------------------------------------------------
def one(shape=(2, 3), strides=None, key="0", count=24, **lies):
    value = tensor(key, list(shape), strides and list(strides), count, **lies)
    return PICKLE + pairs([(text("w"), value)]) + b"."


TORCH = {  # data.pkl; storages: 96 bytes, 16 bytes
    "good-pickle": one(),
    "good-view": one(offset=3, shape=(4, 5), strides=(5, 1)),
    "good-transposed": one(shape=(3, 2), strides=(1, 3)),
    "good-bf16": one(kind="BFloat16Storage", count=48),
    "good-shared": PICKLE + b"}(" + text("a") + tensor("0", [2, 3], count=24) + text("b")
                   + tensor("0", [2, 3], count=24, offset=2) + text("c") + tensor("1", [4])
                   + b"u.",
    "good-scalar": one(shape=(), strides=()),
    "good-empty": one(shape=(0, 5), strides=(5, 1)),
    "corrupt-beyond-the-storage": one(offset=19),
    "corrupt-overflow": one(shape=(2**62, 4), strides=(0, 0)),
    "corrupt-reach-overflows": one(shape=(2, 2), strides=(2**63 - 3, 2**63 - 3)),
    "corrupt-negative": one(shape=(-2,), strides=(1,)),
    "corrupt-count": one(count=25),
    "corrupt-key": one(key="../data.pkl"),
    "unsupported-repeats": one(shape=(1 << 40,), strides=(0,)),
    "unsupported-call": PICKLE + b"cos\nsystem\n" + text(CANARY) + b"\x85R.",
    "unsupported-no-dict": PICKLE + b"].",
    "incomplete-cut": zipped([("archive/data.pkl", one()), ("archive/data/0", bytes(96))])[:-30],
    "corrupt-pickle-cut": one()[:-10],
    "unsupported-deflated": ZIPS["unsupported-deflated"],
}


# --- DCP ---------------------------------------------------------------------
def dcp_place(**lies):
    return dcp_tensor(places=[place(**lies)])


def dcp_key(key, planner=b"N"):
    return metadata([(text(key), stored((2, 3), [chunk((0, 0), (2, 3))]))],
                    [(index(key, 0, 0), place())], planner)


DCPS = {
    "good-one": dcp_tensor(),
    "good-two-chunks": dcp_tensor((4, 3), [((0, 0), (1, 3)), ((1, 0), (3, 3))]),
    "good-four-chunks": dcp_tensor((4, 4), [((i, j), (2, 2)) for i in (0, 2) for j in (0, 2)]),
    "good-empty-chunk": dcp_tensor((2,), [((0,), (2,)), ((2,), (0,))]),
    "good-scalar": dcp_tensor((), [((), ())]),
    "incomplete-cut": dcp_tensor()[:-20],
    "incomplete-empty": b"",
    "corrupt-a-dict": PICKLE + b"}.",
    "corrupt-above-the-folder": dcp_place(path="../x.distcp"),
    "corrupt-negative-offset": dcp_place(offset=-8),
    "corrupt-length-overflows": dcp_place(offset=2**62, length=2**62),
    "corrupt-length-too-small": dcp_place(length=8),
    "corrupt-overlap": dcp_tensor((4,), [((0,), (3,)), ((2,), (2,))]),
    "corrupt-hole": dcp_tensor((4,), [((0,), (1,)), ((2,), (2,))]),
    "corrupt-cross": dcp_tensor((4, 4), [((0, 0), (2, 3)), ((0, 3), (3, 1)), ((3, 1), (1, 3)),
                                         ((1, 0), (3, 1)), ((1, 1), (2, 2))]),
    "corrupt-out-of-the-tensor": dcp_tensor((4,), [((0,), (8,))]),
    "corrupt-overflow": dcp_tensor((2**40, 2**40)),
    "unsupported-transforms": dcp_place(transforms=b"](" + text("zstd") + b"e"),
    "unsupported-os-system": PICKLE + torch_files.os_system() + b".",
    "found-other-part": dcp_key("optim.state"),
    "found-hugging-face": dcp_key("model.norm.weight", pairs(
        [(text("model.norm.weight"), b"(" + text("model.norm.weight") + b"t")])),
}


TARGETS = {
    "pickle": PICKLES,
    "legacy_name": LEGACY_NAMES,
    "zip_directory": ZIPS,
    "llama2c": LLAMA2CS,
    "torch_archive": TORCH,
    "dcp_metadata": DCPS,
}
