#!/usr/bin/env python3
"""A training run and a worker that follows it, on one GPU.

    worker/benchmarks/live_training.py --server=SERVER --worker=WORKER \
        --sinkctl=SINKCTL --folder=/dev/shm/live [--steps=240] [--every=20]

Trains a small Llama (34 million parameters, bfloat16 autocast, random tokens
whose bigrams are learnable) twice: alone, then with a server and a worker that
measure its checkpoints (save_pretrained, float32) on the same card. Prints the
trainer's milliseconds a step in both, how many checkpoints were measured, and
how long after the last save the last value was committed. Exits 1 if a
checkpoint is missing or was not measured at its first attempt. Needs torch and
transformers.
"""
import argparse
import csv
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

VOCABULARY, LENGTH, BATCH = 8192, 512, 64
GRPC, HTTP = 17571, 17570


def make_model():
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=VOCABULARY, hidden_size=512,
                         intermediate_size=1536, num_hidden_layers=8,
                         num_attention_heads=8, num_key_value_heads=8,
                         max_position_embeddings=LENGTH,
                         tie_word_embeddings=False)
    return LlamaForCausalLM(config).cuda()


def batch_of(generator):
    """Each token says half of the next one."""
    noise = torch.randint(0, 64, (BATCH, LENGTH), device="cuda", generator=generator)
    tokens = torch.empty_like(noise)
    tokens[:, 0] = noise[:, 0]
    for t in range(1, LENGTH):
        tokens[:, t] = (tokens[:, t - 1] * 31 % 128) * 64 + noise[:, t]
    return tokens


def train(root, steps, every):
    """Milliseconds of each step, saves left out, and when the last save ended."""
    model = make_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    generator = torch.Generator(device="cuda").manual_seed(1)
    data = [batch_of(generator) for _ in range(8)]
    took, saved = [], time.time()
    for step in range(1, steps + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(data[step % len(data)], labels=data[step % len(data)]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        torch.cuda.synchronize()
        took.append(1e3 * (time.perf_counter() - start))
        if root is not None and step % every == 0:
            model.save_pretrained(root / f"step{step}-tmp")
            os.rename(root / f"step{step}-tmp", root / f"step{step}")
            saved = time.time()
    print(f"loss {loss.item():.3f} after {steps} steps", flush=True)
    return took[10:], saved


def write_probe(folder):
    tokens = batch_of(torch.Generator(device="cuda").manual_seed(2))
    data = tokens.cpu().to(torch.int32).numpy().tobytes()
    folder.mkdir(parents=True)
    (folder / "text.npy").write_bytes(data)
    (folder / "probe.json").write_text(json.dumps({
        "name": "live", "version": "1",
        "tokenizer": {"name": "none", "vocab_size": VOCABULARY},
        "dtype": "uint32", "sequence_length": LENGTH, "bos_policy": "none",
        "domains": [{"label": "text", "files": [{
            "path": "text.npy", "tokens": BATCH * LENGTH,
            "sha256": hashlib.sha256(data).hexdigest()}]}]}))


def checkpoints(arguments):
    text = subprocess.run(
        [arguments.sinkctl, f"--server=127.0.0.1:{GRPC}", "checkpoints", "live",
         "--format=csv"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return list(csv.DictReader(io.StringIO(text)))


def wait_for_all(arguments, wanted, saved):
    """Seconds from the last save until all are done."""
    while True:
        done = sum(row["state"] == "done" for row in checkpoints(arguments))
        if done == wanted:
            return time.time() - saved
        if time.time() - saved > 60:
            return None
        time.sleep(0.1)


def follow(arguments):
    root, probe = arguments.folder / "run", arguments.folder / "probe"
    root.mkdir(parents=True)
    write_probe(probe)
    (arguments.folder / "server.textproto").write_text(
        f'grpc_address: "127.0.0.1:{GRPC}"\nhttp_address: "127.0.0.1:{HTTP}"\n'
        f'data_dir: "{arguments.folder}/data"\npoll_seconds: 0.5\n'
        f'runs {{ name: "live" root: "{root}" probe: "{probe}" '
        'quiescence_seconds: 0.5 }\n')
    log = arguments.folder / "worker.log"
    server = subprocess.Popen(
        [arguments.server, f"--config={arguments.folder}/server.textproto"],
        stderr=open(arguments.folder / "server.log", "w"))
    worker = subprocess.Popen(
        [arguments.worker, "run", f"--server=127.0.0.1:{GRPC}", "--device=cuda"],
        stderr=open(log, "w"))
    try:
        while "working server=" not in log.read_text():
            time.sleep(0.1)
        took, saved = train(root, arguments.steps, arguments.every)
        wanted = arguments.steps // arguments.every
        late = wait_for_all(arguments, wanted, saved)
    finally:
        worker.terminate()
        worker.wait()
        server.terminate()
        server.wait()
    jobs = [int(ms) for ms in re.findall(r"job done .*milliseconds=(\d+)", log.read_text())]
    again = re.findall(r"job failed .*", log.read_text())
    return took, late, wanted, jobs, again


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--sinkctl", required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--every", type=int, default=20)
    arguments = parser.parse_args()
    shutil.rmtree(arguments.folder, ignore_errors=True)
    alone, _ = train(None, arguments.steps, arguments.every)
    beside, late, wanted, jobs, again = follow(arguments)
    median = statistics.median
    print(f"step alone {median(alone):.1f} ms, beside the worker {median(beside):.1f} "
          f"ms (mean {sum(alone) / len(alone):.1f} and {sum(beside) / len(beside):.1f})")
    print(f"{len(jobs)} of {wanted} checkpoints measured, job median "
          f"{median(jobs) if jobs else 0:.0f} ms, max {max(jobs, default=0)}; "
          f"failed attempts {len(again)}; last commit "
          f"{'never' if late is None else f'{late:.2f} s'} after the last save")
    sys.exit(late is None or bool(again) or len(jobs) != wanted)


if __name__ == "__main__":
    main()
