"""Every metric once more, from whole T x T attention matrices.

Independent of the C++: numpy in float64, written from the written definitions
(worker/metrics/README.md). N sequences, H heads, G key/value heads, T tokens,
E head width, D width.
"""
import numpy as np

MIN_ROWS, MIN_MASS, MOST_SINKS = 8, 0.2, 4


def norm(x):
    return np.linalg.norm(x, axis=-1)


def log_sum_exp(x, axis=-1):
    top = x.max(axis, keepdims=True)
    return np.squeeze(top + np.log(np.exp(x - top).sum(axis, keepdims=True)), axis)


def sink_sets(a, visible):
    """Mass on the detected sinks [N, H, T] and how many there are [N, H]."""
    count, heads, tokens = a.shape[:3]
    fewest = max(MIN_ROWS, visible[1:].sum(0).max() / 2)
    mass, sizes = np.zeros((count, heads, tokens)), np.zeros((count, heads))
    for n in range(count):
        for h in range(heads):
            means = {}
            for column in range(tokens):
                rows = [t for t in range(1, tokens) if visible[t, column]]
                if len(rows) >= fewest:
                    means[column] = a[n, h, rows, column].mean()
            best = sorted(means, key=lambda c: -means[c])[:MOST_SINKS]
            chosen = [c for c in best if means[c] > MIN_MASS]
            sizes[n, h] = len(chosen)
            mass[n, h] = a[n, h][:, chosen].sum(-1) if chosen else 0
    return mass, sizes


def head_metrics(layer):
    """Of one layer {name: [H] or [G]}.

    `layer` has q [N,H,T,E], k and v [N,G,T,E], A and s [N,H,T,T], z [N,H,T,E],
    W [H,D,E], x [N,T,D] (the block's input), visible [T,T], sinks [H] or None,
    and behind an output gate also gate [N,H,T,1 or E] and ungated, z before it.
    """
    a, s, z, visible = layer["A"], layer["s"], layer["z"], layer["visible"]
    heads, tokens = a.shape[1:3]
    groups = heads // layer["k"].shape[1]
    k, v = (np.repeat(layer[name], groups, 1) for name in "kv")
    wrote_v = norm(np.einsum("nhte,hde->nhtd", v, layer["W"]))
    wrote_z = norm(np.einsum("nhte,hde->nhtd", z, layer["W"]))
    sees = [t for t in range(1, tokens) if visible[t, 0]]
    rest = range(1, tokens)
    learned = layer["sinks"] is not None  # one more outcome, with what is lost
    lost = 1 - a.sum(-1) if learned else np.zeros(a.shape[:3])
    entropy = -(a * np.log(np.where(a > 0, a, 1))).sum(-1)
    entropy -= lost * np.log(np.where(lost > 0, lost, 1))
    margin = np.stack([s[:, :, t, 0] - log_sum_exp(s[:, :, t, 1:t + 1]) for t in sees], -1)
    delta = np.stack([s[:, :, t, 0] - s[:, :, t, 1:t].mean(-1) for t in sees if t >= 2], -1)
    cosine = np.einsum("nhte,nhe->nht", layer["q"], k[:, :, 0]) / (
        norm(layer["q"]) * norm(k[:, :, :1]))
    mass, sizes = sink_sets(a, visible)
    mean_z = norm(z)[:, :, 1:].mean(-1)

    def mean(rows):
        return rows.mean((0, 2))

    values = {
        "sink_attention": mean(a[:, :, sees, 0]),
        "dormant_query_frac": mean(a[:, :, sees, 0] > 0.5),
        "sink_attention_set": mean(mass[:, :, 1:]),
        "sink_count": sizes.mean(0),
        "sink_logit_margin": mean(margin),
        "sink_delta_logit": mean(delta),
        "sink_qk_cosine": mean(cosine[:, :, sees]),
        "value_norm_sink": mean(wrote_v[:, :, :1]),
        "value_norm_rest": mean(wrote_v[:, :, 1:]),
        "value_norm_ratio": mean(wrote_v[:, :, :1]) / mean(wrote_v[:, :, 1:]),
        "head_output_norm": mean(norm(z)[:, :, 1:]),
        "head_output_norm_ln": (mean_z / mean_z.mean(1, keepdims=True)).mean(0),
        "head_write_frac": mean(wrote_z[:, :, 1:] / norm(layer["x"])[:, None, 1:]),
        "sink_write_share": mean(a[:, :, sees, 0] * wrote_v[:, :, :1]) / mean(wrote_z[:, :, sees]),
        "attention_entropy": mean(entropy[:, :, 1:]),
        "attention_entropy_norm": mean(
            entropy[:, :, 1:] / np.log(visible.sum(1) + learned)[1:]),
        "prev_token_attention": mean(np.stack([a[:, :, t, t - 1] for t in rest], -1)),
        "attention_logit_max": np.abs(np.where(visible, s, 0)).max((0, 2, 3)),
    }
    if "gate" in layer:  # [N,H,T,1] or [N,H,T,E]; z is behind it
        gate = layer["gate"]
        values["gate_mean"] = gate[:, :, 1:].mean((0, 2, 3))
        values["gate_sink"] = gate[:, :, 0].mean((0, 2))
        values["gate_closed_frac"] = (gate[:, :, 1:] < 0.1).mean((0, 2, 3))
        values["gate_std"] = gate[:, :, 1:].std((2, 3)).mean(0)
        values["head_output_norm_ungated"] = mean(norm(layer["ungated"])[:, :, 1:])
    if learned:
        values["lost_mass"] = mean(lost[:, :, 1:])
    for name, source in [("value_norm_ratio_raw", "v"), ("key_norm_ratio", "k")]:
        norms = norm(layer[source])
        values[name] = mean(norms[:, :, :1]) / mean(norms[:, :, 1:])
    if len(sees) == tokens - 1:  # every row sees key 0
        gu = a[:, :, :, 0].mean(-1)
        values["sink_attention_gu"] = gu.mean(0)
        for name, bound in [("020", 0.2), ("030", 0.3), ("080", 0.8)]:
            values[f"sink_indicator_{name}"] = (gu > bound).mean(0)
    return values


def layer_metrics(x):
    """Of one residual stream [N,T,D]: {name: value}."""
    norms, signed = norm(x), x.reshape(len(x), -1)
    flat = np.abs(signed)
    centred = signed - signed.mean(1, keepdims=True)
    median = np.median(norms[:, 1:], axis=1).mean()
    big, middle = flat.max(1).mean(), np.median(flat, axis=1).mean()
    return {
        "residual_norm_sink": norms[:, 0].mean(),
        "residual_norm_rest_mean": norms[:, 1:].mean(),
        "residual_norm_rest_median": median,
        "residual_norm_rest_max": norms[:, 1:].max(1).mean(),
        "residual_norm_ratio": norms[:, 0].mean() / median,
        "massive_max": big, "massive_median": middle, "massive_ratio": big / middle,
        "residual_kurtosis":
            ((centred ** 4).mean(1) / (centred.var(1) ** 2 + 1e-6)).mean(),
    }


def model_metrics(tokens, logits, by_layer):
    """`by_layer`: the head metrics of each layer."""
    picked = np.take_along_axis(logits[:, :-1], tokens[:, 1:, None], -1)[..., 0]
    values = {"probe_loss": (log_sum_exp(logits[:, :-1]) - picked).mean()}
    indicators = [values["sink_indicator_030"] for values in by_layer
                  if "sink_indicator_030" in values]
    if indicators:
        values["sink_rate_030"] = np.mean(indicators)
    values["dormant_head_frac"] = np.mean([
        (values["dormant_query_frac"] >= 0.9) & (values["value_norm_ratio"] <= 0.5)
        for values in by_layer])
    return values
