#!/usr/bin/env python3
"""Measures checkpoints on the CPU and on a GPU and compares every value.

    tests/gpu/compare_devices.py --worker=bazel-bin/worker/sinkwatch_worker \
        CHECKPOINT[:PROBE] ...

Without a probe, one of random tokens is made: 6 sequences of as many tokens as
the checkpoint has positions for, 100 at most.

In float32, with heads ablated and with every metric that the worker knows, side
runs, values of single sequences and the tables of sinks and massive dimensions
among them. A value agrees if it is within relative 1e-5 of the CPU's, or within
what its unit allows: 2e-5 nats, 1e-6 of anything else (shares, cosines), and,
where it counts events over a threshold, one event. A difference of two lengths
is held to 1e-5 of the lengths, a ratio of two shares of attention to twice what
a logit may be off, relative. A slope of the loss (head_attribution) that is off
by more is held to what moving every weight by its last bit does to the slopes of
its layer on the CPU: seen to be 1e-2 of them in a model with delta nets, of
random weights, 1e-6 in a plain one. Both devices sum in float32 in an order of their
own, which was seen to be worth 2e-6; a product in bfloat16 or TF32 is off by
1e-3.

With --protocol=NAME the metrics are that protocol's, in float32 alone, and the
probe is one that it accepts.

Then in bfloat16 on the card, against float32 on the CPU. A rounding is off by
2^-8 at most; on its way through a layer the stream is rounded some eight times,
so after l layers its elements are off by a random walk of those,
e = 3 sqrt(8 (l + 2)) 2^-8 of their size (three standard deviations of what is
uniform). From that, by metric:

    lengths, ratios of lengths    relative 2 e (medians and maxima too), and
                                  what is a fourth power 4 times that
    logits s, in nats             s_max e, where s_max is the layer's largest
    shares p of attention         s_max e / 2: p (1 - p) 2 s_max e at most
    entropy                       s_max e (1 + ln T)
    cosines                       2 e
    loss                          2 e (1 + loss)

What counts events may be off by every row near the threshold: those are shown
and held to nothing. A line per metric says how much of its bound was used.

Prints a line per checkpoint and exits 1 if a value is off, NaN or missing.
"""
import argparse
import array
import collections
import concurrent.futures
import hashlib
import json
import math
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

RELATIVE, ABSOLUTE, NATS = 1e-5, 1e-6, 2e-5
SEQUENCES, TOKENS = 6, 100
OF_NATS = {"attention_entropy", "sink_logit_margin", "sink_delta_logit",
           "attention_logit_max", "probe_loss"}
ATTRIBUTIONS = ("head_attribution", "head_attribution_size")
BF16, ROUNDINGS = 2.0 ** -8, 8
OF_EVENTS = {"dormant_query_frac", "sink_count", "sink_indicator_020",
             "sink_indicator_030", "sink_indicator_080", "sink_rate_030",
             "dormant_head_frac", "gate_closed_frac"}
# On request: what compares rows, entries or experts with a threshold.
EVENTS_BEGIN = ("sink_attention_above_", "channels_above_", "massive_c",
                "outlier_ratio", "residual_sink_dims", "postnorm_sparsity",
                "dead_experts", "logit_over_100", "sink_floor")
NATS_BEGIN = ("probe_loss", "lens_", "in_context", "lse_mean", "matrix_entropy",
              "layer_skip_attn_delta", "layer_skip_mlp_delta", "head_attribution")
PROBE_OF = {  # tokens, bos_policy
    "paper": (64, "stored"), "paper-olmo": (8, "none"), "gu": (64, "none")}


def find(config, name):
    """The first value of that name in a config or in one inside it; None."""
    inner = [find(part, name) for part in config.values() if isinstance(part, dict)]
    return config.get(name, next((value for value in inner if value), None))


def every_metric(worker, checkpoint, probe):
    """Names of all metrics, those on request too: what the worker says it knows."""
    done = subprocess.run(
        [worker, "measure", f"--checkpoint={checkpoint}", f"--probe={probe}",
         "--device=cpu", "--metrics=?"], stderr=subprocess.PIPE, text=True)
    return done.stderr.split("known are: ")[1].split("\n")[0].replace(
        "default and ", "default,").replace(" ", "")


def random_probe(checkpoint, folder, protocol=""):
    config = json.loads(pathlib.Path(checkpoint, "config.json").read_text())
    wanted, policy = PROBE_OF.get(protocol, (TOKENS, "none"))
    length = min(wanted, find(config, "max_position_embeddings") or wanted,
                 find(config, "n_positions") or wanted)
    vocabulary = find(config, "vocab_size")
    random.seed(0)
    tokens = b"".join(random.randrange(vocabulary).to_bytes(4, "little")
                      for _ in range(SEQUENCES * length))
    pathlib.Path(folder, "text.npy").write_bytes(tokens)
    pathlib.Path(folder, "probe.json").write_text(json.dumps({
        "name": "random", "version": "1",
        "tokenizer": {"name": "none", "vocab_size": vocabulary},
        "dtype": "uint32", "sequence_length": length, "bos_policy": policy,
        "domains": [{"label": "random", "files": [{
            "path": "text.npy", "tokens": SEQUENCES * length,
            "sha256": hashlib.sha256(tokens).hexdigest()}]}]}))
    return folder


def measure(worker, checkpoint, probe, device, dtype="float32", *flags):
    done = subprocess.run(
        [worker, "measure", f"--checkpoint={checkpoint}", f"--probe={probe}",
         f"--device={device}", f"--dtype={dtype}", "--format=json",
         "--threads=2", *flags], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, check=True)
    values, told = {}, json.loads(done.stdout)
    for vector in told["measurements"]:
        for index, value in enumerate(vector["values"]):
            key = (vector["domain"], vector["metric"], vector["layer"], index)
            values[key] = (math.nan if value is None else value, vector["count"])
        for index, of_head in enumerate(vector.get("sequence_values", [])):
            for sequence, value in enumerate(of_head):
                key = (vector["domain"], vector["metric"], vector["layer"],
                       (index, sequence))
                values[key] = (math.nan if value is None else value,
                               vector["count"] / len(of_head))
    for row in told.get("sinks", []):
        key = (row["domain"], "sinks", row["layer"], (row["token"], row["at_zero"]))
        values[key] = (row["mass"], 1)
    for row in told.get("massive_dimensions", []):
        key = (row["domain"], "massive_dimensions", row["layer"],
               (row["dimension"], row["position"]))
        values[key] = (row["value"], 1)
    return values


def allowed(metric, value, count, lengths):
    nats = metric in OF_NATS or metric.startswith(NATS_BEGIN) or "ablation" in metric
    absolute = NATS if nats else ABSOLUTE
    if metric in OF_EVENTS or metric.startswith(EVENTS_BEGIN):
        absolute = max(absolute, 1.001 / max(count, 1))
    if metric.endswith("_residual_norm_sink") and metric.startswith("layer_skip"):
        return max(absolute, RELATIVE * lengths)
    ratio_of_shares = metric.startswith("selectivity_") and "mass" not in metric
    return max(absolute, (2 * NATS if ratio_of_shares else RELATIVE) * abs(value))


def agree(want, got, bound):
    """A head that was not changed has no ablation on either device."""
    return abs(got - want) <= bound or (math.isnan(want) and math.isnan(got))


def shaken(checkpoint, folder):
    """A copy whose float32 weights are moved by their last bit, up or down."""
    copy = pathlib.Path(folder, "shaken")
    shutil.copytree(checkpoint, copy)
    random.seed(1)
    for path in copy.glob("*.safetensors"):
        data = bytearray(path.read_bytes())
        begin = 8 + int.from_bytes(data[:8], "little")
        for name, tensor in json.loads(data[8:begin]).items():
            if name == "__metadata__" or tensor["dtype"] != "F32":
                continue
            first, end = (begin + at for at in tensor["data_offsets"])
            words = array.array("I", bytes(data[first:end]))
            for i, word in enumerate(words):
                if word & 0x7FFFFFFF:
                    words[i] = word + random.choice((-1, 1))
            data[first:end] = words.tobytes()
        path.write_bytes(data)
    return copy


def moved_by_last_bits(worker, checkpoint, probe, folder):
    """By domain and layer, how far attributions move with the weights' last bits."""
    asked = "--metrics=" + ",".join(ATTRIBUTIONS)
    plain, other = (measure(worker, path, probe, "cpu", "float32", asked)
                    for path in (checkpoint, shaken(checkpoint, folder)))
    moved = collections.defaultdict(float)
    for (domain, metric, layer, index), (value, _) in plain.items():
        if metric in ATTRIBUTIONS:
            change = abs(other[domain, metric, layer, index][0] - value)
            moved[domain, layer] = max(moved[domain, layer], change)
    return moved


def forgive(bad, moved):
    """What is off and no slope, or further off than last bits make it."""
    return [entry for entry in bad
            if len(entry) != 3 or entry[0][1] not in ATTRIBUTIONS
            or not abs(entry[1] - entry[2]) <= moved[entry[0][0], entry[0][2]]]


def compare(expected, actual):
    """The worst relative difference, and the keys that do not agree."""
    worst, bad = 0.0, sorted(set(expected) ^ set(actual), key=str)
    lengths = max((value for (_, metric, _, _), (value, _) in expected.items()
                   if metric == "residual_norm_sink"), default=0.0)
    for key in expected.keys() & actual.keys():
        (want, count), (got, _) = expected[key], actual[key]
        if not agree(want, got, allowed(key[1], want, count, lengths)):
            bad.append((key, want, got))
        elif abs(got - want) > NATS:
            worst = max(worst, abs(got - want) / abs(want))
    return worst, bad


def largest_logits(values):
    """By domain and layer; 0 where there is no attention."""
    largest = collections.defaultdict(float)
    for (domain, metric, layer, _), (value, _) in values.items():
        if metric == "attention_logit_max":
            at = domain, layer
            largest[at] = max(largest[at], value)
    return largest


def bfloat16_bound(metric, value, error, logit, tokens):
    """None where there is none."""
    if metric in OF_EVENTS or metric.startswith("sink_position"):
        return None
    if metric == "sink_attention_set":  # whose columns pass a threshold
        return None
    if metric == "probe_loss":
        return 2 * error * (1 + abs(value))
    if metric in ("attention_entropy", "attention_entropy_norm"):
        return logit * error * (1 + math.log(tokens))
    if metric in OF_NATS:
        return logit * error + 2 * error * abs(value)
    if metric in ("sink_attention", "sink_attention_gu", "prev_token_attention",
                  "lost_mass"):
        return logit * error / 2
    if metric == "sink_qk_cosine":
        return 2 * error
    if metric == "sink_write_share":
        return logit * error / 2 + 4 * error * abs(value)
    return (8 if "kurtosis" in metric else 2) * error * abs(value)


def is_table_or_sequence(key):
    return isinstance(key[3], tuple)


def compare_bfloat16(exact, rounded, layers, tokens):
    """By metric the largest share of its bound, and what is beyond it."""
    logits, used, bad = largest_logits(exact), {}, []
    exact, rounded = ({key: value for key, value in values.items()
                       if not is_table_or_sequence(key)} for values in (exact, rounded))
    for key in sorted(exact.keys() & rounded.keys(), key=str):
        domain, metric, layer, _ = key
        depth = layers if layer is None else layer
        error = 3 * math.sqrt(ROUNDINGS * (depth + 2)) * BF16
        logit = logits[domain, layer] if layer is not None else 0.0
        (want, _), (got, _) = exact[key], rounded[key]
        bound = bfloat16_bound(metric, want, error, logit, tokens)
        if bound is None:
            continue
        share = abs(got - want) / bound if bound else float(got != want)
        used[metric] = max(used.get(metric, 0.0), share)
        if not share <= 1:
            bad.append((key, want, got, bound))
    return used, bad + sorted(set(exact) ^ set(rounded), key=str)


def check(arguments, pair):
    """The line of a checkpoint, what is off, and the shares of bfloat16's bounds."""
    checkpoint, _, probe = pair.partition(":")
    with tempfile.TemporaryDirectory() as folder:
        probe = probe or random_probe(checkpoint, folder, arguments.protocol)
        tokens = json.loads(pathlib.Path(probe, "probe.json").read_text())["sequence_length"]
        def on(device, dtype, *flags):
            return measure(arguments.worker, checkpoint, probe, device, dtype, *flags)
        asked = ([f"--protocol={arguments.protocol}"] if arguments.protocol else
                 ["--metrics=" + every_metric(arguments.worker, checkpoint, probe)])
        asked.append(f"--ablate={arguments.ablate}")
        cpu = on("cpu", "float32", *asked)
        gpu = on(arguments.device, "float32", *asked)
        half = {} if arguments.protocol else on(arguments.device, "bfloat16")
        by_default = {key[1] for key in half}
        plain = {key: value for key, value in cpu.items() if key[1] in by_default}
        worst, bad = compare(cpu, gpu)
        if any(len(entry) == 3 and entry[0][1] in ATTRIBUTIONS for entry in bad):
            bad = forgive(bad, moved_by_last_bits(arguments.worker, checkpoint,
                                                  probe, folder))
    layers = 1 + max((key[2] for key in plain if key[2] is not None), default=0)
    used, beyond = ({}, []) if arguments.protocol else compare_bfloat16(
        plain, half, layers, tokens)
    line = (f"{checkpoint}: {len(cpu)} values, worst relative difference {worst:.1e}, "
            f"{len(bad)} off; bfloat16 uses {max(used.values(), default=0):.2f} of its "
            f"bound, {len(beyond)} beyond")
    return line, bad + beyond, used


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--worker", required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--ablate", default="all", help="heads: as of measure")
    parser.add_argument("--protocol", default="", help="of measure")
    parser.add_argument("--jobs", type=int, default=4, help="checkpoints at a time")
    parser.add_argument("pairs", nargs="+", metavar="CHECKPOINT[:PROBE]")
    arguments = parser.parse_args()
    failed, values, most = 0, 0, {}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for line, bad, used in pool.map(lambda pair: check(arguments, pair),
                                        arguments.pairs):
            failed += bool(bad)
            print(line, flush=True)
            for entry in bad[:10]:
                print("   ", entry, flush=True)
            for metric, share in used.items():
                most[metric] = max(most.get(metric, 0.0), share)
    print("bfloat16, largest share of its bound by metric:")
    for metric, share in sorted(most.items()):
        print(f"    {metric} {share:.2f}")
    print(f"{len(arguments.pairs)} checkpoints, {failed} with values that are off")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
