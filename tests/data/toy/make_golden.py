#!/usr/bin/env python3
"""The metrics of the trained toy checkpoints, computed a second time.

Independent of the C++: numpy in float64, whole T x T attention matrices, written
from the written definitions (worker/metrics/README.md). Writes golden.json
beside itself. Needs numpy only:  python3 tests/data/toy/make_golden.py
"""
import json
import struct
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "hf"))
from reference import layer_metrics, log_sum_exp, norm  # noqa: E402

EPS = 1e-5
# Several heads; of another preset than their folder's name; another probe; its
# golden values are those on request.
WITHOUT_GOLDEN = {"adam4", "broadcast", "nobos", "moe"}


def read_safetensors(path):
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32"
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(data[8 + size + begin:8 + size + end], "<f4")
        tensors[name] = flat.reshape(entry["shape"]).astype(np.float64)
    return tensors


def layer_norm(x, weight=None, bias=None):
    centred = x - x.mean(-1, keepdims=True)
    normed = centred / np.sqrt((centred ** 2).mean(-1, keepdims=True) + EPS)
    return normed if weight is None else normed * weight + bias


def rms_norm(x, weight):
    return x / np.sqrt((x ** 2).mean(-1, keepdims=True) + EPS) * weight


def rotate(x, theta=10000.0):
    """Rotary positions by halves; x [N, T, E]."""
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[1])[:, None] * theta ** (-np.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle),
                           b * np.cos(angle) + a * np.sin(angle)], -1)


def attend(q, k, kind):
    """Logits and weights [N, T, T] of one head; -inf and 0 above the diagonal."""
    tokens = q.shape[1]
    seen = np.tril(np.ones((tokens, tokens), bool))
    logits = np.where(seen, q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]), -np.inf)
    if kind == "relu":
        return logits, np.where(seen, np.maximum(logits, 0), 0) / np.arange(1, tokens + 1)[:, None]
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return logits, weights / weights.sum(-1, keepdims=True)


def swiglu(x, gate, up, down):
    hidden = x @ gate.T
    return (hidden / (1 + np.exp(-hidden)) * (x @ up.T)) @ down.T


def mixture(w, x, chosen):
    """What the experts add, the router's scores [N, T, X], whom it chose [N, T, K]."""
    logits = x @ w["mlp.gate.weight"].T
    scores = np.exp(logits - logits.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    experts = np.argsort(-scores, axis=-1, kind="stable")[..., :chosen]
    added = np.zeros_like(x)
    for expert in range(scores.shape[-1]):
        share = scores[..., expert, None] * (experts == expert).any(-1)[..., None]
        added += share * swiglu(x, *(w[f"mlp.experts.{expert}.{name}_proj.weight"]
                                     for name in ["gate", "up", "down"]))
    return added, scores, experts


def final_logits(config, weights, x):
    if config["model_type"] == "olmoe":
        final = rms_norm(x, weights["model.norm.weight"])
    elif config["model_type"] == "olmo":
        final = layer_norm(x)
    else:
        final = layer_norm(x, weights["model.norm.weight"], weights["model.norm.bias"])
    return final @ weights["lm_head.weight"].T


def forward(config, weights, tokens, edit=None, skip=None):
    """Yields what each layer shows; ends with the logits. One head a layer.

    `edit`, if given, makes the head's output of a layer from its number and what
    it has shown. `skip`: (layer, "attn" or "mlp") adds nothing."""
    olmo, olmoe = config["model_type"] == "olmo", config["model_type"] == "olmoe"
    x = weights["model.embed_tokens.weight"][tokens]
    if not (olmo or olmoe):
        x = x + weights["model.embed_positions.weight"][:tokens.shape[1]]
    yield {"post": x}
    kind = config.get("attention_kind", "softmax")
    for layer in range(config["num_hidden_layers"]):
        w = {name[len(f"model.layers.{layer}."):]: value for name, value in weights.items()
             if name.startswith(f"model.layers.{layer}.")}
        shown = {"pre": x, "kind": kind}
        attention = "self_attn" if olmo or olmoe else "attention"
        if f"{attention}.q_proj.weight" in w:
            if olmoe:
                h = rms_norm(x, w["input_layernorm.weight"])
            else:
                h = layer_norm(x) if olmo else layer_norm(
                    x, w["attention_norm.weight"], w["attention_norm.bias"])
            q, k, v = (h @ w[f"{attention}.{name}_proj.weight"].T for name in "qkv")
            if olmoe:
                q = rms_norm(q, w["self_attn.q_norm.weight"])
                k = rms_norm(k, w["self_attn.k_norm.weight"])
            if olmo or olmoe:
                q, k = rotate(q), rotate(k)
            shown["s"], shown["A"] = attend(q, k, kind)
            shown["q"], shown["k"], shown["v"] = q, k, v
            shown["z"] = shown["A"] @ v
            shown["W"] = w[f"{attention}.o_proj.weight"]
            if edit is not None:
                shown["z"] = edit(layer, shown)
            shown["attn"] = shown["z"] @ shown["W"].T * (skip != (layer, "attn"))
            x = x + shown["attn"]
        shown["mid"] = x
        if olmoe:
            shown["mlp"], shown["router"], shown["experts"] = mixture(
                w, rms_norm(x, w["post_attention_layernorm.weight"]),
                config["num_experts_per_tok"])
        elif olmo:
            shown["mlp"] = swiglu(layer_norm(x), *(w[f"mlp.{name}_proj.weight"]
                                                   for name in ["gate", "up", "down"]))
        elif "mlp.up_proj.weight" in w:
            h = layer_norm(x, w["mlp_norm.weight"], w["mlp_norm.bias"])
            shown["mlp"] = np.maximum(h @ w["mlp.up_proj.weight"].T, 0) @ w["mlp.down_proj.weight"].T
        if "mlp" in shown:
            shown["mlp"] = shown["mlp"] * (skip != (layer, "mlp"))
        x = x + shown.get("mlp", 0)
        shown["post"] = x
        yield shown
    yield {"logits": final_logits(config, weights, x)}


def row_metrics(shown):
    """Means over query rows: {name: ([N, T] values, first row that counts)}."""
    s, a, z, v, k, q = (shown[name] for name in "sAzvkq")
    tokens = s.shape[1]
    rows = {}
    total = a.sum(-1)
    if shown["kind"] == "relu":
        rows["sink_attention"] = (np.where(total > 0, a[:, :, 0] / np.where(total > 0, total, 1), 0), 1)
        rows["lost_mass"] = (1 - total, 1)
    else:
        rows["sink_attention"] = (a[:, :, 0], 1)
        margin = np.zeros(s.shape[:2])
        for t in range(1, tokens):
            margin[:, t] = s[:, t, 0] - log_sum_exp(s[:, t, 1:t + 1])
        rows["sink_logit_margin"] = (margin, 1)
        entropy = -(a * np.log(np.where(a > 0, a, 1))).sum(-1)
        rows["attention_entropy"] = (entropy, 1)
        rows["attention_entropy_norm"] = (
            entropy / np.log(np.maximum(np.arange(1, tokens + 1), 2)), 1)
    rows["dormant_query_frac"] = ((a[:, :, 0] > 0.5).astype(float), 1)
    delta = np.zeros(s.shape[:2])
    for t in range(2, tokens):
        delta[:, t] = s[:, t, 0] - s[:, t, 1:t].mean(-1)
    rows["sink_delta_logit"] = (delta, 2)
    rows["sink_qk_cosine"] = (
        np.einsum("nte,ne->nt", q, k[:, 0]) / (norm(q) * norm(k[:, :1])), 1)
    rows["head_output_norm"] = (norm(z), 1)
    rows["head_write_frac"] = (norm(z @ shown["W"].T) / norm(shown["pre"]), 1)
    previous = np.zeros(s.shape[:2])
    for t in range(1, tokens):
        previous[:, t] = a[:, t, t - 1]
    rows["prev_token_attention"] = (previous, 1)
    return rows


def sink_columns(a):
    """Per sequence the detected sinks, as {column: mean mass}."""
    count, tokens = a.shape[:2]
    fewest = max(8, (tokens - 1) / 2)  # columns 0 and 1 are seen by tokens - 1 rows
    for n in range(count):
        means = {}
        for column in range(tokens):
            first = max(1, column)  # row 0 is left out
            if tokens - first >= fewest:
                means[column] = a[n, first:, column].mean()
        best = sorted(means, key=lambda c: -means[c])[:4]
        yield {c: means[c] for c in best if means[c] > 0.2}


def sink_sets(a):
    """Mass of the detected sinks per row, and their number per sequence."""
    mass, sizes = np.zeros(a.shape[:2]), np.zeros(len(a))
    for n, chosen in enumerate(sink_columns(a)):
        sizes[n] = len(chosen)
        mass[n] = a[n][:, list(chosen)].sum(-1) if chosen else 0
    return mass, sizes


def head_metrics(shown):
    """Metrics of whole domains: {name: value}."""
    s, a, v, k = (shown[name] for name in "sAvk")
    wrote_v = norm(v @ shown["W"].T)
    wrote_z = norm(shown["z"] @ shown["W"].T)[:, 1:]
    gu = a[:, :, 0].mean(1)
    mass, sizes = sink_sets(a)
    visible = np.isfinite(s)
    values = {
        "sink_attention_gu": gu.mean(), "sink_attention_set": mass[:, 1:].mean(),
        "sink_count": sizes.mean(),
        "value_norm_sink": wrote_v[:, 0].mean(), "value_norm_rest": wrote_v[:, 1:].mean(),
        "value_norm_ratio": wrote_v[:, 0].mean() / wrote_v[:, 1:].mean(),
        "value_norm_ratio_raw": norm(v)[:, 0].mean() / norm(v)[:, 1:].mean(),
        "key_norm_ratio": norm(k)[:, 0].mean() / norm(k)[:, 1:].mean(),
        # One head is its own mean; 0 where it writes nothing in a sequence.
        "head_output_norm_ln": (norm(shown["z"])[:, 1:].mean(1) > 0).mean(),
        "sink_write_share":
            (a[:, 1:, 0] * wrote_v[:, :1]).mean() / wrote_z.mean(),
        "attention_logit_max": np.abs(s[visible]).max(),
    }
    for name, bound in [("020", 0.2), ("030", 0.3), ("080", 0.8)]:
        values[f"sink_indicator_{name}"] = (gu > bound).mean()
    return values


def measure_domain(config, weights, domain, tokens, classes, class_names):
    found = []

    def add(label, metric, layer, value):
        found.append({"domain": label, "metric": metric, "layer": layer,
                      "values": [float(f"{value:.9g}")]})

    indicators, dormant = [], []
    for layer, shown in enumerate(forward(config, weights, tokens), start=-1):
        if "logits" in shown:
            logits = shown["logits"][:, :-1]
            picked = np.take_along_axis(logits, tokens[:, 1:, None], -1)[..., 0]
            losses = log_sum_exp(logits) - picked
            add(domain, "probe_loss", None, losses.mean())
            for index, name in enumerate(class_names):
                mask = classes[:, :-1] == index
                if mask.any():
                    add(f"{domain}/{name}", "probe_loss", None, losses[mask].mean())
            continue
        for metric, value in layer_metrics(shown["post"]).items():
            add(domain, metric, layer, value)
        if "A" not in shown:
            continue
        values = head_metrics(shown)
        for metric, value in values.items():
            add(domain, metric, layer, value)
        rows = row_metrics(shown)
        rows["sink_attention_set"] = (sink_sets(shown["A"])[0], 1)
        rows["sink_attention_gu"] = (shown["A"][:, :, 0], 0)
        wrote_sink = shown["A"][:, :, 0] * norm(shown["v"][:, :1] @ shown["W"].T)
        wrote = norm(shown["z"] @ shown["W"].T)
        for index, name in enumerate(class_names):
            mask = classes == index
            mask[:, 0] = False
            if mask.any():
                add(f"{domain}/{name}", "sink_write_share", layer,
                    wrote_sink[mask].mean() / wrote[mask].mean())
        for metric, (per_row, first) in rows.items():
            counted = np.zeros(per_row.shape, bool)
            counted[:, first:] = True
            if metric not in values:
                add(domain, metric, layer, per_row[counted].mean())
            for index, name in enumerate(class_names):
                mask = counted & (classes == index)
                if mask.any():
                    add(f"{domain}/{name}", metric, layer, per_row[mask].mean())
        indicators.append(values["sink_indicator_030"])
        dormant.append(rows["dormant_query_frac"][0][:, 1:].mean() >= 0.9
                       and values["value_norm_ratio"] <= 0.5)
    add(domain, "sink_rate_030", None, np.mean(indicators))
    add(domain, "dormant_head_frac", None, np.mean(dormant))
    return found


def read_probe(folder):
    """(label, tokens, classes, names of classes) of each domain."""
    probe = json.loads((folder / "probe.json").read_text())
    for domain in probe["domains"]:
        shape = (-1, probe["sequence_length"])
        ids = np.concatenate([np.fromfile(folder / file["path"], "<u2")
                              for file in domain["files"]]).astype(int)
        classes = np.fromfile(folder / domain["row_classes"]["path"], "u1")
        yield (domain["label"], ids.reshape(shape), classes.reshape(shape),
               domain["row_classes"]["names"])


def write_golden(path, checkpoints):
    lines = [f' "{name}": [\n  ' + ",\n  ".join(json.dumps(entry) for entry in entries) + "\n ]"
             for name, entries in checkpoints.items()]
    path.write_text('{"spec_version": 2, "checkpoints": {\n' + ",\n".join(lines) + "\n}}\n")


def main():
    golden = {}
    for folder in sorted(HERE.glob("*/step*"), key=lambda p: (p.parent.name, int(p.name[4:]))):
        if folder.parent.name in WITHOUT_GOLDEN:
            continue
        config = json.loads((folder / "config.json").read_text())
        weights = read_safetensors(folder / "model.safetensors")
        found = []
        for domain, tokens, classes, names in read_probe(HERE / "probe"):
            found += measure_domain(config, weights, domain, tokens, classes, names)
        golden[f"{folder.parent.name}/{folder.name}"] = found
        print(folder.parent.name, folder.name, len(found), "values")
    write_golden(HERE / "golden.json", golden)


if __name__ == "__main__":
    main()
