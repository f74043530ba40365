#!/usr/bin/env python3
"""What people run instead, on one GPU: Hugging Face transformers.

    worker/benchmarks/peer.py limits CHECKPOINT    the bus, and load_file
    worker/benchmarks/peer.py forward CHECKPOINT [--dtype=float32]

`limits` measures the copy from pinned memory and safetensors' load_file to the
card, the file in memory. `forward` runs 16,384 random tokens at T = 512, 2048
and 4096 through the model: sdpa, sdpa with the loss, and eager with attentions
from which the usual statistics are taken on the card, timed by events; median
of five after two.
"""
import argparse
import glob
import statistics
import time

import torch
import torch.nn.functional as F


def seconds(work, repeats=5, warm=2):
    times = []
    for i in range(warm + repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        if i >= warm:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def limits(checkpoint):
    from safetensors.torch import load_file
    host = torch.empty(1 << 30, dtype=torch.uint8).pin_memory()
    card = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    took = seconds(lambda: card.copy_(host, non_blocking=True))
    print(f"pinned host to device: {(1 << 30) / took / 1e9:.1f} GB/s", flush=True)
    size = sum(map(len, [open(f, "rb").read() for f in glob.glob(f"{checkpoint}/*.safetensors")]))
    took = seconds(lambda: [load_file(f, device="cuda") for f in
                            glob.glob(f"{checkpoint}/*.safetensors")], repeats=3, warm=1)
    print(f"load_file(device=cuda): {took:.2f} s, {size / took / 1e9:.2f} GB/s",
          flush=True)


@torch.no_grad()
def bare(model, tokens):
    return model.model(tokens, use_cache=False).last_hidden_state


@torch.no_grad()
def with_loss(model, tokens):
    states = bare(model, tokens)[:, :-1].flatten(0, 1)
    targets = tokens[:, 1:].flatten()
    return torch.cat([
        F.cross_entropy(model.lm_head(states[i:i + 2048]).float(),
                        targets[i:i + 2048], reduction="none")
        for i in range(0, len(targets), 2048)]).mean()


@torch.no_grad()
def with_statistics(model, tokens):
    out = model.model(tokens, use_cache=False, output_attentions=True,
                      output_hidden_states=True)
    values = []
    for attention, states in zip(out.attentions, out.hidden_states):
        mass = attention.float()
        values += [mass.mean(dim=2).mean(0), states.float().norm(dim=-1).mean(0),
                   -(mass * (mass + 1e-9).log()).sum(-1).mean(-1).mean(0)]
    return values


def forward(checkpoint, dtype):
    from transformers import AutoModelForCausalLM
    for attention, kinds in (
            ("sdpa", (("bare", bare), ("loss", with_loss))),
            ("eager", (("with statistics", with_statistics),))):
        model = AutoModelForCausalLM.from_pretrained(
            checkpoint, dtype=getattr(torch, dtype),
            attn_implementation=attention).cuda().eval()
        for sequences, length in (32, 512), (8, 2048), (4, 4096):
            tokens = torch.randint(0, model.config.vocab_size,
                                   (sequences, length), device="cuda")
            for name, work in kinds:
                try:
                    took = seconds(lambda: work(model, tokens))
                    print(f"{dtype} {attention} {name} T={length}: "
                          f"{1e3 * took:.1f} ms", flush=True)
                except torch.OutOfMemoryError:
                    print(f"{dtype} {attention} {name} T={length}: out of memory",
                          flush=True)
                    torch.cuda.empty_cache()
        del model
        torch.cuda.empty_cache()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["limits", "forward"])
    parser.add_argument("checkpoint")
    parser.add_argument("--dtype", default="bfloat16")
    arguments = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    if arguments.what == "limits":
        limits(arguments.checkpoint)
    else:
        forward(arguments.checkpoint, arguments.dtype)


if __name__ == "__main__":
    main()
