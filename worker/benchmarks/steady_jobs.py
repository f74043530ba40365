#!/usr/bin/env python3
"""What a job costs a steady GPU worker: one server, one worker, many jobs.

    worker/benchmarks/steady_jobs.py --server=SERVER --worker=WORKER \
        --folder=/dev/shm/bench --models=1b,7b [--dtypes=bfloat16] [--jobs=5]

Writes random OLMo 2 checkpoints (bfloat16, one file; a second step is a hard
link) and probes of random tokens into the folder, once, then lets a server give
out every (model, dtype, probe) as a run of `--jobs` steps and prints, per run,
the median of the worker's own milliseconds from lease to commit, without the
first job. Needs torch; the folder should be in memory, so that
the figures are of the worker and not of a disk.
"""
import argparse
import hashlib
import json
import math
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

VOCABULARY = 100352
MODELS = {  # heads, of keys, width, feed-forward width, layers
    "tiny": (2, 2, 128, 256, 2),
    "1b": (16, 16, 2048, 8192, 16),
    "7b": (32, 32, 4096, 11008, 32),
    "32b": (40, 8, 5120, 27648, 64),
    "32b16": (40, 8, 5120, 27648, 16),  # a quarter of its layers
}
PROBES = {"512": (32, 512), "2048": (8, 2048), "4096": (4, 4096),
          "64": (100, 64), "32k": (16, 2048), "load": (2, 64)}


def shapes(model):
    heads, kv_heads, width, wide, layers = MODELS[model]
    narrow = width // heads * kv_heads
    yield "lm_head.weight", (VOCABULARY, width)
    yield "model.embed_tokens.weight", (VOCABULARY, width)
    yield "model.norm.weight", (width,)
    for layer in range(layers):
        at = f"model.layers.{layer}."
        for name, rows in zip("qkvo", (width, narrow, narrow, width)):
            yield f"{at}self_attn.{name}_proj.weight", (rows, width)
        for name, rows in zip("qk", (width, narrow)):
            yield f"{at}self_attn.{name}_norm.weight", (rows,)
        yield f"{at}mlp.gate_proj.weight", (wide, width)
        yield f"{at}mlp.up_proj.weight", (wide, width)
        yield f"{at}mlp.down_proj.weight", (width, wide)
        for name in "attention", "feedforward":
            yield f"{at}post_{name}_layernorm.weight", (width,)


def write_weights(path, model):
    """Random bfloat16, one tensor at a time: the file may be most of memory."""
    import torch
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    header, end = {}, 0
    for name, shape in shapes(model):
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape,
                        "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, shape in shapes(model):
            x = torch.randn(shape, device=device) * 0.02 + (len(shape) == 1)
            file.write(x.to(torch.bfloat16).cpu().view(torch.int16).numpy())


def write_checkpoint(folder, model):
    heads, kv_heads, width, wide, layers = MODELS[model]
    folder.mkdir(parents=True)
    write_weights(folder / "model.safetensors", model)
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2",
        "hidden_size": width, "intermediate_size": wide,
        "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "vocab_size": VOCABULARY,
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-6,
        "rope_theta": 500000, "tie_word_embeddings": False,
        "attention_bias": False, "hidden_act": "silu"}))


def write_steps(root, model, steps):
    first = root / "step1"
    if not first.exists():
        write_checkpoint(first, model)
    for step in range(2, steps + 1):
        folder = root / f"step{step}"
        if folder.exists():
            continue
        folder.mkdir()
        for name in "model.safetensors", "config.json":
            os.link(first / name, folder / name)


def write_probe(folder, sequences, length):
    if folder.exists():
        return
    import random
    random.seed(length)
    tokens = b"".join(random.randrange(VOCABULARY).to_bytes(4, "little")
                      for _ in range(sequences * length))
    folder.mkdir(parents=True)
    (folder / "text.npy").write_bytes(tokens)
    (folder / "probe.json").write_text(json.dumps({
        "name": folder.name, "version": "1",
        "tokenizer": {"name": "none", "vocab_size": VOCABULARY},
        "dtype": "uint32", "sequence_length": length, "bos_policy": "none",
        "domains": [{"label": "random", "files": [{
            "path": "text.npy", "tokens": sequences * length,
            "sha256": hashlib.sha256(tokens).hexdigest()}]}]}))


def write_config(folder, runs, jobs):
    lines = ['grpc_address: "127.0.0.1:17561"', 'http_address: "127.0.0.1:17560"',
             f'data_dir: "{folder}/data-{os.getpid()}"', "poll_seconds: 0.5"]
    steps = " ".join(f"steps: {step}" for step in range(1, jobs + 1))
    for name, root, probe, dtype, metrics in runs:
        lines.append(f'runs {{ name: "{name}" root: "{root}" probe: "{probe}" '
                     f'dtype: "{dtype}" quiescence_seconds: 0.1 '
                     f'steps {{ listed {{ {steps} }} }} '
                     + "".join(f'metrics: "{m}" ' for m in metrics) + "}")
    path = folder / "server.textproto"
    path.write_text("\n".join(lines) + "\n")
    return path


def card_megabytes():
    return int(subprocess.run(
        ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"],
        stdout=subprocess.PIPE, text=True, check=True).stdout.split()[0])


def run_jobs(arguments, folder, runs):
    """The worker's log, once all jobs of all runs are done."""
    config = write_config(folder, runs, arguments.jobs)
    server = subprocess.Popen([arguments.server, f"--config={config}"],
                              stderr=open(folder / "server.log", "w"))
    before, used = card_megabytes(), []
    try:
        worker = subprocess.Popen(
            [arguments.worker, "run", "--server=127.0.0.1:17561",
             "--device=cuda", f"--exit_when_idle={arguments.idle}",
             *arguments.flags],
            stderr=open(folder / "worker.log", "w"))
        while worker.poll() is None:
            used.append(card_megabytes() - before)
            time.sleep(0.2)
    finally:
        server.terminate()
        server.wait()
    # The last samples may be of a worker that is ending.
    print(f"GPU memory: {max(used)} MB at most, idle {used[-5:]}", flush=True)
    return (folder / "worker.log").read_text()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--models", default="1b")
    parser.add_argument("--dtypes", default="bfloat16")
    parser.add_argument("--probes", default="512,2048,4096,64,load")
    parser.add_argument("--metrics", default="all", help="all, or probe_loss")
    parser.add_argument("--jobs", type=int, default=5)
    parser.add_argument("--idle", default="4s")
    parser.add_argument("--prepare_only", action="store_true")
    parser.add_argument("flags", nargs="*", help="of the worker, after --")
    arguments = parser.parse_args()
    folder, runs = arguments.folder, []
    for probe in arguments.probes.split(","):
        write_probe(folder / "probes" / probe, *PROBES[probe])
    for model in arguments.models.split(","):
        write_steps(folder / model, model, arguments.jobs)
        for dtype in arguments.dtypes.split(","):
            for probe in arguments.probes.split(","):
                loss = probe == "load" or arguments.metrics == "probe_loss"
                runs.append((f"{model}-{dtype}-{probe}", folder / model,
                             folder / "probes" / probe, dtype,
                             ["probe_loss"] if loss else []))
    if arguments.prepare_only:
        return
    start = time.monotonic()
    log = run_jobs(arguments, folder, runs)
    done = re.findall(r"job done job=\d+ run=(\S+) step=\d+ milliseconds=(\d+)", log)
    for name, *_ in runs:
        times = [int(ms) for run, ms in done if run == name]
        if len(times) < 2:
            print(f"{name}: {len(times)} jobs done, see worker.log", flush=True)
            continue
        print(f"{name}: median {statistics.median(times[1:]):.0f} ms, min "
              f"{min(times[1:])}, max {max(times[1:])}, first {times[0]}, n "
              f"{len(times) - 1}", flush=True)
    print(f"{len(done)} of {len(runs) * arguments.jobs} jobs in "
          f"{time.monotonic() - start:.1f} s", flush=True)
    sys.exit(len(done) != len(runs) * arguments.jobs)


if __name__ == "__main__":
    main()
