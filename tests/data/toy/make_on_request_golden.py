#!/usr/bin/env python3
"""The metrics on request of the trained toy checkpoints, and what changing their
heads does to the loss, computed a second time as make_golden.py does it: numpy
in float64 from the written definitions. Writes golden_on_request.json beside
itself:  python3 tests/data/toy/make_on_request_golden.py
"""
import json

import numpy as np

from make_golden import (HERE, attend, forward, log_sum_exp, norm, read_probe, read_safetensors,
                         row_metrics, sink_columns, sink_sets, write_golden)
from side_metrics import (attribution, lens, losses_of, quant_delta, selectivity, skips,
                          synthetic)

CHECKPOINTS = ["adam/step800", "adam3/step1500", "moe/step600", "olmo/step600", "relu/step800"]


def spectral_entropy(matrices):
    """Of each matrix [T, D], from its singular values."""
    power = np.linalg.svd(matrices, compute_uv=False) ** 2
    total = power.sum(-1, keepdims=True)
    p = power / np.where(total > 0, total, 1)
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)


def channels(x):
    """Of the largest entries of the channels; also those of x's outliers' rows."""
    maxima = np.abs(x).max(1)
    return {
        "channel_median": np.median(maxima, axis=1).mean(),
        "channel_p95": np.quantile(maxima, .95, axis=1).mean(),
        "channel_p99": np.quantile(maxima, .99, axis=1).mean(),
        "channel_ratio": maxima.max(1).mean() / np.median(maxima, axis=1).mean(),
        "massive_channels": (maxima > 100 * np.median(maxima, axis=1)[:, None]).sum(1).mean(),
        "channels_above_10": (maxima > 10).sum(1).mean(),
        "channels_above_20": (maxima > 20).sum(1).mean(),
        "channels_above_30": (maxima > 30).sum(1).mean(),
    }


def outliers(x):
    """[N, T]: the share of a token's entries that stand out of it."""
    return (np.abs(x) > 10 * np.sqrt((x ** 2).mean(-1, keepdims=True))).mean(-1)


def places(shown):
    """What a block is looked at in, by the ending of the metrics' names."""
    named = {"": shown["post"]}
    if "attn" in shown:
        named["_attn"] = shown["attn"]
    if "mlp" in shown:
        named["_mid"], named["_ffn"] = shown["mid"], shown["mlp"]
    return named


def stream(x):
    size = np.abs(x)
    flat = size.reshape(len(x), -1)
    middle = np.median(flat, axis=1)[:, None]
    sigma = x.reshape(len(x), -1).std(axis=1)[:, None]
    rms = np.sqrt((x ** 2).mean(-1, keepdims=True))
    power = (x ** 2).mean(1)
    rest = x[:, 1:] / norm(x)[:, 1:, None]
    cosines = rest @ rest.swapaxes(1, 2)
    upper = np.triu_indices(rest.shape[1], 1)
    return {
        "massive_count": ((flat > 100) & (flat > 1000 * middle)).sum(1).mean(),
        "massive_count_relaxed": ((flat > 100 * middle) & (flat > 6 * sigma)).sum(1).mean(),
        "residual_sink_dims": ((size > 6 * rms).mean(1) >= 0.5).sum(1).mean(),
        "kurtosis_first_token": np.maximum(
            0, (x[:, 0] ** 4).mean(-1) / x[:, 0].std(-1, ddof=1) ** 4 - 3).mean(),
        "neuron_kurtosis": ((power ** 2).mean(1) / power.mean(1) ** 2).mean(),
        "matrix_entropy": spectral_entropy(x).mean(),
        "matrix_entropy_rest": spectral_entropy(x[:, 1:]).mean(),
        "postnorm_cosine": cosines[:, upper[0], upper[1]].mean(),
    }


def stream_rows(x):
    """[N, T] values whose mean is over all tokens."""
    centred = x - x.mean(-1, keepdims=True)
    rms = np.sqrt((x ** 2).mean(-1, keepdims=True))
    return {
        "kurtosis_token": (centred ** 4).mean(-1) / (centred ** 2).mean(-1) ** 2 - 3,
        "postnorm_sparsity": (np.abs(x) < 0.01 * rms).mean(-1),
    }


def layer_rows(shown):
    """[N, T] values whose mean is over t >= 1."""
    rows = {}
    if "attn" in shown:
        rows["write_rms_ratio_attn"] = norm(shown["attn"]) / norm(shown["pre"])
    if "mlp" in shown:
        rows["write_rms_ratio_ffn"] = norm(shown["mlp"]) / norm(shown["mid"])
    if "s" in shown and shown["kind"] != "relu":
        rows["lse_mean"] = log_sum_exp(shown["s"])
    return rows


ABOVE = {"001": .01, "005": .05, "010": .1, "020": .2, "030": .3, "040": .4, "050": .5,
         "060": .6, "070": .7, "080": .8, "090": .9, "095": .95, "099": .99}


# What float32 leaves of a weight after a forward pass: rows so near to a bound
# may be counted either way.
NEAR = 1e-5


def sink_rows(shown):
    """The same of the distribution of A[t,0], and which rows are at the bound."""
    return {f"sink_attention_above_{name}": (
        (shown["A"][:, :, 0] > bound).astype(float),
        (np.abs(shown["A"][:, :, 0] - bound) < NEAR).astype(float))
            for name, bound in ABOVE.items()}


def routing(scores, experts):
    """Of tokens' scores [R, X], which add up to 1, and their choice [R, K]."""
    mean = scores.mean(0)
    entropy = -(mean * np.log(mean)).sum()
    count = scores.shape[-1]
    load = np.bincount(experts.ravel(), minlength=count) / experts.size
    most = -np.sort(-scores, axis=-1)
    chosen = experts.shape[-1]
    return {
        "router_entropy_norm": entropy / np.log(count),
        "effective_experts": np.exp(entropy),
        "expert_load_cv": load.std() / load.mean(),
        "expert_max_share": load.max(),
        "dead_experts": (load < .1 / count).sum(),
        "router_margin": (most[:, 0] - most[:, 1]).mean(),
        "router_margin_cut": (most[:, chosen - 1] - most[:, chosen]).mean(),
    }


def of_heads(masses, largest_logits):
    """Metrics of the model; one head a layer."""
    load = 1 - np.array(masses)
    sinks = [i for i, mass in enumerate(masses) if mass >= 0.3]
    return {
        "logit_over_100_heads": sum(logit >= 100 for logit in largest_logits),
        "sink_floor_layers": sinks[0] if sinks else len(masses),
        "head_load_cv": load.std() / load.mean(),
    }


def of_peak(lengths):
    """Where the residual peak stands, of each layer's lengths [N, T]."""
    layers = [layer for layer, _ in lengths]
    sinks = np.array([x[:, 0].mean() for _, x in lengths])
    ratios = sinks / [np.median(x[:, 1:], axis=1).mean() for _, x in lengths]
    values = {"residual_peak_layer": layers[sinks.argmax()],
              "residual_peak_excess": max(x[:, 0].mean() - x[:, 1:].mean() for _, x in lengths)}
    peaked = [layer for layer, ratio in zip(layers, ratios) if ratio >= 3]
    if peaked:
        values["residual_rise_layer"], values["residual_fall_layer"] = peaked[0], peaked[-1]
    return values


def sink_logits(shown):
    """How the sink logits of a sequence's queries lie."""
    s = shown["s"]
    rows = np.arange(s.shape[1])
    between = np.where(np.tril(np.ones(s.shape[1:], bool), -1), s, 0)
    between[:, :, 0] = 0
    delta = (s[:, :, 0] - between.sum(-1) / np.maximum(rows - 1, 1))[:, 2:]
    values = {"sink_delta_logit_sd": delta.std(axis=1).mean()}
    if shown["kind"] != "relu":
        margin = s[:, 1:, 0] - log_sum_exp(s[:, 1:, 1:])
        for percent in [10, 90]:
            values[f"sink_logit_margin_q{percent}"] = np.quantile(
                margin, percent / 100, axis=1).mean()
    return values


def layer_values(shown):
    values = {}
    if "attn" in shown:
        values["residual_step_attn"] = norm(shown["attn"])[:, 0].mean()
    if "mlp" in shown:
        values["residual_step_ffn"] = norm(shown["mlp"])[:, 0].mean()
    if "s" in shown:
        values.update(sink_logits(shown))
    if "z" in shown:
        z = shown["z"][:, 1:]
        values["output_projection_norm"] = np.sqrt((shown["W"] ** 2).sum())
        values["head_participation"] = (np.exp(spectral_entropy(z)) * (z != 0).any((1, 2))).mean()
    return values


def losses(config, weights, tokens, edit=None):
    *_, last = forward(config, weights, tokens, edit)
    return losses_of(last["logits"], tokens)


def ablation(layer, mode):
    def edit(at, shown):
        if at != layer:
            return shown["z"]
        if mode == "zero":
            return 0 * shown["z"]
        if mode == "to_sink":
            return np.broadcast_to(shown["v"][:, :1], shown["z"].shape)
        if shown["kind"] == "relu":
            weights = shown["A"].copy()
        else:
            weights = attend(shown["q"], shown["k"], shown["kind"])[0]
            weights[:, 1:, 0] = -np.inf
            weights = np.exp(weights - weights.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
        weights[:, 1:, 0] = 0
        return weights @ shown["v"]
    return edit


def groups_of(domain, tokens, classes, names):
    """All rows of a domain and those of each class that has some."""
    groups = [(domain, tokens >= 0)] + [
        (f"{domain}/{name}", classes == index) for index, name in enumerate(names)]
    return [(label, mask) for label, mask in groups if mask.any()]


def measure(config, weights, probe):
    found = []

    def add(label, metric, layer, value):
        found.append({"domain": label, "metric": metric, "layer": layer,
                      "values": [float(f"{value:.9g}")]})

    def add_rows(domain, metric, layer, values, first, classes, names, near=None):
        counted = np.zeros(values.shape, bool)
        counted[:, first:] = True
        groups = [(domain, counted)] + [
            (f"{domain}/{name}", counted & (classes[:, :values.shape[1]] == index))
            for index, name in enumerate(names)]
        for label, mask in groups:
            if not mask.any():
                continue
            add(label, metric, layer, values[mask].mean())
            if near is not None and near[mask].any():
                found[-1]["either_way"] = float(f"{near[mask].mean():.9g}")

    for domain, tokens, classes, names in probe:
        heads, masses, largest, peak = [], [], [], []
        for layer, shown in enumerate(forward(config, weights, tokens), start=-1):
            if "logits" in shown:
                continue
            for metric, value in {**stream(shown["post"]), **layer_values(shown)}.items():
                add(domain, metric, layer, value)
            for suffix, x in places(shown).items():
                for metric, value in channels(x).items():
                    add(domain, metric + suffix, layer, value)
                add_rows(domain, f"outlier_ratio{suffix}", layer, outliers(x), 0, classes, names)
            peak.append((layer, norm(shown["post"])))
            for metric, values in stream_rows(shown["post"]).items():
                add_rows(domain, metric, layer, values, 0, classes, names)
            for metric, values in layer_rows(shown).items():
                add_rows(domain, metric, layer, values, 1, classes, names)
            if "router" in shown:
                for label, mask in groups_of(domain, tokens, classes, names):
                    for metric, value in routing(shown["router"][mask],
                                                 shown["experts"][mask]).items():
                        add(label, metric, layer, value)
            if "A" in shown:
                heads.append(layer)
                by_row = row_metrics(shown)["sink_attention"][0][:, 1:]
                masses.append(by_row.mean())
                largest.append(np.abs(shown["s"][np.isfinite(shown["s"])]).max())
                for metric, (values, near) in sink_rows(shown).items():
                    add_rows(domain, metric, layer, values, 1, classes, names, near)
                on_zero = np.zeros(shown["A"].shape[:2])
                for n, sinks in enumerate(sink_columns(shown["A"])):
                    on_zero[n] = shown["A"][n, :, 0] if 0 in sinks else 0
                on_set = sink_sets(shown["A"])[0]
                counted = np.arange(tokens.shape[1]) >= 1
                for label, mask in [(domain, counted & (tokens >= 0))] + [
                        (f"{domain}/{name}", counted & (classes == index))
                        for index, name in enumerate(names)]:
                    if mask.any() and on_set[mask].mean() > 0:
                        add(label, "sink_position_zero_share", layer,
                            on_zero[mask].mean() / on_set[mask].mean())
        for metric, value in {**of_heads(masses, largest), **of_peak(peak)}.items():
            add(domain, metric, None, value)
        plain = losses(config, weights, tokens)
        for label, mask in groups_of(domain, tokens, classes, names):
            if mask[:, :-1].any():
                add(label, "perplexity", None, np.exp(plain[mask[:, :-1]].mean()))
        # Row t predicts token t + 1.
        first = 1
        while first <= plain.shape[1]:
            some = slice(first - 1, 2 * first - 1)
            add_rows(domain, f"probe_loss_from_{first}", None, plain[:, some], 0,
                     classes[:, first - 1:], names)
            first *= 2
        for metric, layer, value in (
                skips(config, weights, tokens) + quant_delta(config, weights, tokens)
                + lens(config, weights, tokens) + attribution(config, weights, tokens, heads)):
            add(domain, metric, layer, value)
        for layer in heads:
            for mode in ["zero", "to_sink", "no_sink"]:
                changed = losses(config, weights, tokens, ablation(layer, mode))
                add_rows(domain, f"head_ablation_delta_loss_{mode}", layer, changed - plain, 0,
                         classes, names)
    sequences = synthetic(500, 48, config["vocab_size"])
    for layer, shown in enumerate(forward(config, weights, sequences[0]), start=-1):
        if "A" in shown:
            for metric, value in selectivity(shown["A"][:, -1], sequences).items():
                add("synthetic", metric, layer, value)
    return found


def by_sequence(config, weights, probe):
    """What each sequence gives of two metrics of the default set; null: it has no
    such rows."""
    found = []
    for domain, tokens, classes, names in probe:
        for layer, shown in enumerate(forward(config, weights, tokens), start=-1):
            if "A" not in shown:
                continue
            rows = row_metrics(shown)
            counted = np.arange(tokens.shape[1]) >= 1
            for metric in ["sink_attention", "dormant_query_frac"]:
                for label, mask in [(domain, counted & (tokens >= 0))] + [
                        (f"{domain}/{name}", counted & (classes == index))
                        for index, name in enumerate(names)]:
                    if not mask.any():
                        continue
                    values = [float(f"{row[some].mean():.9g}") if some.any() else None
                              for row, some in zip(rows[metric][0], mask)]
                    found.append({"domain": label, "metric": metric, "layer": layer,
                                  "sequence_values": values})
    return found


def main():
    golden = {}
    for name in CHECKPOINTS:
        config = json.loads((HERE / name / "config.json").read_text())
        weights = read_safetensors(HERE / name / "model.safetensors")
        golden[name] = (measure(config, weights, read_probe(HERE / "probe"))
                        + by_sequence(config, weights, read_probe(HERE / "probe")))
        print(name, len(golden[name]), "values")
    write_golden(HERE / "golden_on_request.json", golden)


if __name__ == "__main__":
    main()
