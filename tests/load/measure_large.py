#!/usr/bin/env python3
"""Peak memory and time of `sinkwatch_worker measure` on a large checkpoint.

    bazel build //worker:sinkwatch_worker
    tests/load/measure_large.py --folder=/tmp/large [--peer=PYTHON]

Writes a synthetic OLMo 2 checkpoint of 2 GB in float32 and a probe of 1,024
tokens into the folder (once; delete it by hand), measures it twice so that the
second time finds the files in the page cache, and compares the peak resident
memory with

    two layers + the embedding rows that the probe uses + activations + 200 MB

where activations are the stream of the whole probe and, for one batch, ten
tensors of the stream's width and three of the feed-forward width. With --peer,
a Python that has torch and safetensors: also the time and memory of
`safetensors.torch.load_file` on the same file, warm. Exit code 1 beyond the
bound. Needs nothing but the standard library here.
"""
import argparse
import array
import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import time

WIDTH, WIDE, LAYERS, HEADS, VOCABULARY = 1024, 4096, 18, 16, 100352
TOKENS_PER_SEQUENCE, SEQUENCES = 128, 8
SPARE = 200e6

CONFIG = {
    "architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2",
    "hidden_size": WIDTH, "intermediate_size": WIDE,
    "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS, "vocab_size": VOCABULARY,
    "max_position_embeddings": 4096, "rms_norm_eps": 1e-6,
    "rope_theta": 500000, "tie_word_embeddings": False,
    "attention_bias": False, "hidden_act": "silu",
}


def tensors():
    """(name, shape) of every weight, in the file's order."""
    yield "lm_head.weight", (VOCABULARY, WIDTH)
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    for layer in range(LAYERS):
        name = f"model.layers.{layer}."
        for projection in "qkvo":
            yield f"{name}self_attn.{projection}_proj.weight", (WIDTH, WIDTH)
        for norm in "self_attn.q_norm", "self_attn.k_norm":
            yield f"{name}{norm}.weight", (WIDTH,)
        for norm in "attention", "feedforward":
            yield f"{name}post_{norm}_layernorm.weight", (WIDTH,)
        yield f"{name}mlp.gate_proj.weight", (WIDE, WIDTH)
        yield f"{name}mlp.up_proj.weight", (WIDE, WIDTH)
        yield f"{name}mlp.down_proj.weight", (WIDTH, WIDE)
    yield "model.norm.weight", (WIDTH,)


def elements(shape):
    count = 1
    for size in shape:
        count *= size
    return count


def write_checkpoint(folder):
    os.makedirs(folder)
    with open(f"{folder}/config.json", "w") as config:
        json.dump(CONFIG, config)
    header, end = {}, 0
    for name, shape in tensors():
        begin, end = end, end + 4 * elements(shape)
        header[name] = {"dtype": "F32", "shape": shape,
                        "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    source = random.Random(1)
    # 2^20 numbers, cut at a place of its own for each tensor.
    numbers = array.array("f", (source.gauss(0, 0.03) for _ in range(1 << 20)))
    block = numbers.tobytes()
    with open(f"{folder}/model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors():
            left = 4 * elements(shape)
            if "norm" in name:
                file.write(array.array("f", [1.0]) * elements(shape))
                continue
            at = 4 * source.randrange(1 << 20)
            while left > 0:
                part = block[at:at + left]
                file.write(part)
                left -= len(part)
                at = 0


def write_probe(folder):
    os.makedirs(folder)
    source = random.Random(2)
    count = TOKENS_PER_SEQUENCE * SEQUENCES
    ids = array.array("I", (source.randrange(VOCABULARY) for _ in range(count)))
    data = ids.tobytes()
    with open(f"{folder}/text.npy", "wb") as file:
        file.write(data)
    probe = {
        "name": "large", "version": "1",
        "tokenizer": {"name": "none", "vocab_size": VOCABULARY},
        "dtype": "uint32", "sequence_length": TOKENS_PER_SEQUENCE,
        "bos_policy": "none",
        "domains": [{"label": "text", "files": [
            {"path": "text.npy", "tokens": count,
             "sha256": hashlib.sha256(data).hexdigest()}]}],
    }
    with open(f"{folder}/probe.json", "w") as file:
        json.dump(probe, file)
    return len(set(ids))


def used_rows(folder):
    ids = array.array("I")
    with open(f"{folder}/text.npy", "rb") as file:
        ids.frombytes(file.read())
    return len(set(ids))


def run(command):
    """Seconds and peak resident bytes of a command that must succeed."""
    start = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{command[0]} ended with {child.returncode}")
    return time.monotonic() - start, usage.ru_maxrss * 1024


def bound(rows, tokens_per_batch):
    layer = 4 * sum(elements(shape) for name, shape in tensors()
                    if name.startswith("model.layers.0."))
    tokens = min(tokens_per_batch, TOKENS_PER_SEQUENCE * SEQUENCES)
    batch = 4 * tokens * (10 * WIDTH + 3 * WIDE)
    stream = 4 * TOKENS_PER_SEQUENCE * SEQUENCES * WIDTH
    return {"two layers": 2 * layer, "embedding rows": 4 * rows * WIDTH,
            "activations": batch + stream, "spare": SPARE}


LOAD = """
import time
from safetensors.torch import load_file
start = time.monotonic()
tensors = load_file("{path}")
total = sum(float(t.view(-1)[::1024].sum()) for t in tensors.values())
print(time.monotonic() - start)
"""


def peer_seconds(python, path):
    for _ in range(2):
        answer = subprocess.run([python, "-c", LOAD.format(path=path)],
                                check=True, capture_output=True, text=True)
    return float(answer.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", default="/tmp/sinkwatch-large")
    parser.add_argument("--worker", default="bazel-bin/worker/sinkwatch_worker")
    parser.add_argument("--tokens_per_batch", type=int, default=128)
    parser.add_argument("--peer", help="a Python with torch and safetensors")
    arguments = parser.parse_args()
    checkpoint = f"{arguments.folder}/step1"
    probe = f"{arguments.folder}/probe"
    if not os.path.exists(probe):
        write_probe(probe)
    if not os.path.exists(checkpoint):
        print("writing the checkpoint", file=sys.stderr)
        write_checkpoint(checkpoint + "-tmp")
        os.rename(checkpoint + "-tmp", checkpoint)
    command = [arguments.worker, "measure", f"--checkpoint={checkpoint}",
               f"--probe={probe}", "--format=json",
               f"--tokens_per_batch={arguments.tokens_per_batch}"]
    load_only = command + ["--metrics=probe_loss"]
    for name, which in ("all metrics", command), ("probe_loss", load_only):
        run(which)
        seconds, peak = run(which)
        print(f"{name}: {seconds:.1f} s, peak {peak / 1e6:.0f} MB")
        if which is command:
            peak_of_all = peak
    parts = bound(used_rows(probe), arguments.tokens_per_batch)
    for name, size in parts.items():
        print(f"  {name}: {size / 1e6:.0f} MB")
    limit = sum(parts.values())
    print(f"bound {limit / 1e6:.0f} MB, peak {peak_of_all / 1e6:.0f} MB")
    if arguments.peer:
        path = f"{checkpoint}/model.safetensors"
        print(f"safetensors.torch.load_file, warm: "
              f"{peer_seconds(arguments.peer, path):.2f} s")
    return 0 if peak_of_all <= limit else 1


if __name__ == "__main__":
    sys.exit(main())
