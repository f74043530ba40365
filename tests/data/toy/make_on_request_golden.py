#!/usr/bin/env python3
"""The metrics on request of the trained toy checkpoints, and what changing their
heads does to the loss, computed a second time as make_golden.py does it: numpy
in float64 from the written definitions. Writes golden_on_request.json beside
itself:  python3 tests/data/toy/make_on_request_golden.py
"""
import json

import numpy as np

from make_golden import (HERE, attend, forward, log_sum_exp, norm, read_probe, read_safetensors,
                         sink_columns, sink_sets, write_golden)

CHECKPOINTS = ["adam/step800", "adam3/step1500", "olmo/step600", "relu/step800"]


def spectral_entropy(matrices):
    """Of each matrix [T, D], from its singular values."""
    power = np.linalg.svd(matrices, compute_uv=False) ** 2
    total = power.sum(-1, keepdims=True)
    p = power / np.where(total > 0, total, 1)
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)


def stream(x):
    size = np.abs(x)
    flat = size.reshape(len(x), -1)
    maxima = size.max(1)
    middle = np.median(flat, axis=1)[:, None]
    sigma = x.reshape(len(x), -1).std(axis=1)[:, None]
    rms = np.sqrt((x ** 2).mean(-1, keepdims=True))
    power = (x ** 2).mean(1)
    rest = x[:, 1:] / norm(x)[:, 1:, None]
    cosines = rest @ rest.swapaxes(1, 2)
    upper = np.triu_indices(rest.shape[1], 1)
    return {
        "channel_median": np.median(maxima, axis=1).mean(),
        "channel_ratio": maxima.max(1).mean() / np.median(maxima, axis=1).mean(),
        "massive_channels": (maxima > 100 * np.median(maxima, axis=1)[:, None]).sum(1).mean(),
        "channels_above_10": (maxima > 10).sum(1).mean(),
        "channels_above_20": (maxima > 20).sum(1).mean(),
        "channels_above_30": (maxima > 30).sum(1).mean(),
        "massive_count": ((flat > 100) & (flat > 1000 * middle)).sum(1).mean(),
        "massive_count_relaxed": ((flat > 100 * middle) & (flat > 6 * sigma)).sum(1).mean(),
        "residual_sink_dims": ((size > 6 * rms).mean(1) >= 0.5).sum(1).mean(),
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
        "outlier_ratio": (np.abs(x) > 10 * rms).mean(-1),
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


def layer_values(shown):
    values = {}
    if "attn" in shown:
        values["residual_step_attn"] = norm(shown["attn"])[:, 0].mean()
    if "mlp" in shown:
        values["residual_step_ffn"] = norm(shown["mlp"])[:, 0].mean()
    if "z" in shown:
        z = shown["z"][:, 1:]
        values["head_participation"] = (np.exp(spectral_entropy(z)) * (z != 0).any((1, 2))).mean()
    return values


def losses_of(config, weights, tokens, edit=None):
    *_, last = forward(config, weights, tokens, edit)
    logits = last["logits"][:, :-1]
    return log_sum_exp(logits) - np.take_along_axis(logits, tokens[:, 1:, None], -1)[..., 0]


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


def measure(config, weights, probe):
    found = []

    def add(label, metric, layer, value):
        found.append({"domain": label, "metric": metric, "layer": layer,
                      "values": [float(f"{value:.9g}")]})

    def add_rows(domain, metric, layer, values, first, classes, names):
        counted = np.zeros(values.shape, bool)
        counted[:, first:] = True
        add(domain, metric, layer, values[counted].mean())
        for index, name in enumerate(names):
            mask = counted & (classes[:, :values.shape[1]] == index)
            if mask.any():
                add(f"{domain}/{name}", metric, layer, values[mask].mean())

    for domain, tokens, classes, names in probe:
        heads = []
        for layer, shown in enumerate(forward(config, weights, tokens), start=-1):
            if "logits" in shown:
                continue
            for metric, value in {**stream(shown["post"]), **layer_values(shown)}.items():
                add(domain, metric, layer, value)
            for metric, values in stream_rows(shown["post"]).items():
                add_rows(domain, metric, layer, values, 0, classes, names)
            for metric, values in layer_rows(shown).items():
                add_rows(domain, metric, layer, values, 1, classes, names)
            if "A" in shown:
                heads.append(layer)
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
        plain = losses_of(config, weights, tokens)
        for layer in heads:
            for mode in ["zero", "to_sink", "no_sink"]:
                changed = losses_of(config, weights, tokens, ablation(layer, mode))
                add_rows(domain, f"head_ablation_delta_loss_{mode}", layer, changed - plain, 0,
                         classes, names)
    return found


def main():
    golden = {}
    for name in CHECKPOINTS:
        config = json.loads((HERE / name / "config.json").read_text())
        weights = read_safetensors(HERE / name / "model.safetensors")
        golden[name] = measure(config, weights, read_probe(HERE / "probe"))
        print(name, len(golden[name]), "values")
    write_golden(HERE / "golden_on_request.json", golden)


if __name__ == "__main__":
    main()
