"""The published abuse of safetensors (huggingface/safetensors, attacks/), and
what its specification and other readers' bugs suggest."""

import hashlib

from case import Case
from files import (entry, good, read_safetensors, safetensors, weights, write_config, write_probe,
                   write_safetensors)
import limited
from limited import CORRUPT, INCOMPLETE, OK, RETRY, STORIES, UNSUPPORTED

MILLION = 1000 * 1000


def one(begin, end, shape, size, **more):
    return lambda folder: weights(folder, {"x": entry(begin, end, shape), **more}, size=size)


def text(header, size=0, **more):
    return lambda folder: weights(folder, header, size=size, **more)


def ten_million_keys(folder):
    """Legal by its length, which is all that is looked at."""
    weights(folder, "{" + '"k":{},' * 16, length=99 * MILLION, size=99 * MILLION)


def keys_up_to_our_limit(folder):
    keys = ",".join(f'"{i}":{{}}' for i in range(1200 * 1000))
    weights(folder, "{" + keys[:16 * MILLION].rpartition(",")[0] + "}")


def metadata_up_to_our_limit(folder):
    keys = ",".join(f'"{i:x}":""' for i in range(1200 * 1000))
    weights(folder, '{"__metadata__":{' + keys[:16 * MILLION].rpartition(",")[0] + "}}")


def all_in_one_place(folder):
    weights(folder, {f"t{i}": entry(0, 1 << 20, [1 << 18]) for i in range(1000)}, size=1 << 20)


def with_more_tensors(count):
    """A good checkpoint with empty tensors up to `count`."""
    def build(folder):
        write_config(folder)
        tensors = read_safetensors(STORIES / "model.safetensors")
        for i in range(count - len(tensors)):
            tensors[f"more.{i}"] = ("F32", [0], b"")
        write_safetensors(folder / "model.safetensors", tensors)
    return build


def huge_hole(folder):
    """A terabyte that is not there, and a tensor of all of it."""
    weights(folder, {"model.embed_tokens.weight": entry(0, 1 << 40, [1 << 32, 64])}, size=1 << 40)


def model_above_memory(folder):
    """Config and header agree on a layer of 64 GiB, in a file that is a hole."""
    width = 1 << 17
    write_config(folder, hidden_size=width, num_hidden_layers=1, intermediate_size=8,
                 head_dim=width // 8, num_key_value_heads=8)
    header, at = {}, 0
    for name, shape in {
            "embed_tokens": [512, width], "norm": [width],
            "layers.0.input_layernorm": [width], "layers.0.post_attention_layernorm": [width],
            "layers.0.self_attn.q_proj": [width, width],
            "layers.0.self_attn.k_proj": [width, width],
            "layers.0.self_attn.v_proj": [width, width],
            "layers.0.self_attn.o_proj": [width, width],
            "layers.0.mlp.gate_proj": [8, width], "layers.0.mlp.up_proj": [8, width],
            "layers.0.mlp.down_proj": [width, 8]}.items():
        size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[f"model.{name}.weight"] = entry(at, at + size, shape)
        at += size
    safetensors(folder / "model.safetensors", header, size=at)


def on_eight_tokens(folder):
    """Few enough tokens that their stream fits."""
    text = b"\1\0" * 8
    probe = folder.parent / "probe"
    write_probe(probe, {
        "name": "short", "version": "1", "tokenizer": {"name": "tok512", "vocab_size": 512},
        "dtype": "uint16", "sequence_length": 8, "bos_policy": "none",
        "domains": [{"label": "text", "files": [
            {"path": "text.npy", "tokens": 8, "sha256": hashlib.sha256(text).hexdigest()}]}]})
    (probe / "text.npy").write_bytes(text)
    return limited.measure(folder, probe)


def not_finite(folder):
    good(folder)
    tensors = read_safetensors(STORIES / "model.safetensors")
    name = "model.layers.4.mlp.up_proj.weight"
    dtype, shape, data = tensors[name]
    tensors[name] = (dtype, shape, data[:-4] + b"\x00\x00\xc0\x7f")
    write_safetensors(folder / "model.safetensors", tensors)


CASES = [
    Case("header-size lie", text("{}", length=1 << 20), INCOMPLETE, "model.safetensors",
         "header has 1048576 bytes"),
    Case("header size that overflows", text("{}", length=2**64 - 1), CORRUPT, "18446744073709551615"),
    Case("header size of the file's", text("{}", length=2**63), CORRUPT, "9223372036854775808"),
    Case("ten million keys", ten_million_keys, UNSUPPORTED, "header length 99000000"),
    Case("a million keys", keys_up_to_our_limit, CORRUPT, "has no dtype"),
    Case("a million keys of metadata", metadata_up_to_our_limit, UNSUPPORTED, "__metadata__"),
    Case("a thousand tensors in one place", all_in_one_place, CORRUPT, "overlap"),
    Case("overlap", one(0, 8, [2], 12, y=entry(4, 12, [2])), CORRUPT, "'y'", "overlap"),
    Case("hole", one(0, 8, [2], 24, y=entry(16, 24, [2])), CORRUPT, "'y'", "a hole"),
    Case("offsets out of the file", one(0, 1 << 40, [1 << 38], 16), INCOMPLETE, "1099511627776"),
    Case("end before begin", one(16, 0, [4], 16), CORRUPT, "end before"),
    Case("offsets above the format", one(2**64 - 16, 2**64 - 1, [4], 16), CORRUPT, "'x'"),
    Case("shape that overflows", one(0, 16, [2, 2**64 - 2], 16), CORRUPT, "overflows"),
    Case("shape that wraps to its size", one(0, 16, [4194305, 4194305, 211106198978564], 16),
         CORRUPT, "overflows"),
    Case("shape that wraps to nothing", one(0, 0, [2**32, 2**30], 0), CORRUPT, "overflows"),
    Case("rank 1000", one(0, 4, [1] * 1000, 4), UNSUPPORTED, "rank above"),
    Case("key twice", text('{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                           '"\\u0078":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', size=4),
         CORRUPT, "'x'", "twice"),
    Case("trailing bytes", text("{}", size=5), CORRUPT, "5 trailing bytes"),
    Case("fractions", text('{"x":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}', size=4),
         CORRUPT, "fraction"),
    Case("deep header", text('{"x":' + "[" * MILLION), CORRUPT, "an object"),
    Case("deep field of a header", text('{"x":{"y":' + "[" * MILLION), UNSUPPORTED, "deeper"),
    Case("name that is a terminal's", text('{"\\u001b[2J\\n":{"dtype":"F32"}}'), CORRUPT,
         "\\033[2J\\n"),
    Case("name of a megabyte", text('{"' + "n" * MILLION + '":{}}'), UNSUPPORTED, "nnn..."),
    Case("100,000 tensors", with_more_tensors(100 * 1000), OK),
    Case("100,001 tensors", with_more_tensors(100 * 1000 + 1), UNSUPPORTED, "100000"),
    Case("a tensor of a terabyte", huge_hole, CORRUPT),
    Case("activations above memory", model_above_memory, RETRY, "step7: no memory on cpu",
         "--tokens_per_batch"),
    Case("a layer above memory", model_above_memory, RETRY, "model.safetensors: tensor",
         "no memory for [131072,131072] of F32", run=on_eight_tokens),
    Case("weights that are not finite", not_finite, CORRUPT, "layers.4.mlp.up_proj", "finite"),
]
