"""The metrics that need streams of their own (the worker's side runs), for
make_on_request_golden.py: numpy in float64 from the written definitions. The
draws of the synthetic sequences are the definition's, so the generator is
written out here: the 64-bit Mersenne Twister of Matsumoto and Nishimura.
"""
import numpy as np

from make_golden import final_logits, forward, head_metrics, log_sum_exp, norm, row_metrics

MASK = (1 << 64) - 1
TARGETS = ["induction", "previous", "duplicate", "first", "self", "local"]


def mt19937_64(seed):
    n, m = 312, 156
    state = [seed & MASK]
    for i in range(1, n):
        state.append((6364136223846793005 * (state[-1] ^ (state[-1] >> 62)) + i) & MASK)
    while True:
        for i in range(n):
            x = (state[i] & 0xFFFFFFFF80000000) | (state[(i + 1) % n] & 0x7FFFFFFF)
            state[i] = state[(i + m) % n] ^ (x >> 1) ^ (0xB5026F5AA96619E9 if x & 1 else 0)
        for x in list(state):
            x ^= (x >> 29) & 0x5555555555555555
            x ^= (x << 17) & 0x71D67FFFEDA60000
            x ^= (x << 37) & 0xFFF7EEE000000000
            yield (x ^ (x >> 43)) & MASK


def synthetic(count, tokens, vocabulary):
    """Sequences [filler] A B [filler] A: ids, the first A's position, 50 (or as
    many as there are) other positions, and one more."""
    random = mt19937_64(20260602)
    end = min(10000, vocabulary)
    first = min(100, end // 100)
    free = tokens - 1 - 8  # the window of 8 and t are behind
    others = min(50, free - 4)
    ids = np.zeros((count, tokens), int)
    places, picks = np.zeros(count, int), np.zeros((count, others + 1), int)
    for n in range(count):
        a = first + next(random) % (end - first)
        p = 1 + next(random) % (free - 2)
        for t in range(tokens):
            while (filler := first + next(random) % (end - first)) == a:
                pass
            ids[n, t] = filler
        ids[n, p] = ids[n, -1] = a
        pool = [k for k in range(1, free) if k not in (p, p + 1)]
        for i in range(others + 1):
            j = i + next(random) % (len(pool) - i)
            pool[i], pool[j] = pool[j], pool[i]
        places[n], picks[n] = p, pool[:others + 1]
    return ids, places, picks[:, 1:], picks[:, 0]


def selectivity(last_row, sequences):
    """Of A[t, :] of the last row of each sequence."""
    _, places, others, null = sequences
    n = np.arange(len(last_row))
    rest = last_row[n[:, None], others].mean()
    at = {
        "induction": last_row[n, places + 1], "previous": last_row[:, -2],
        "duplicate": last_row[n, places], "first": last_row[:, 0], "self": last_row[:, -1],
        "local": last_row[:, -9:-1].mean(1),
    }
    values = {f"selectivity_{name}": at[name].mean() / rest for name in TARGETS if rest > 0}
    if rest > 0:
        values["selectivity_null"] = last_row[n, null].mean() / rest
        best = max(TARGETS, key=lambda name: values[f"selectivity_{name}"])
        in_class = values[f"selectivity_{best}"] >= 30
        values.update({f"selectivity_{name}_share": float(in_class and name == best)
                       for name in TARGETS})  # of one head
    values.update({f"selectivity_mass_{name}": at[name].mean() for name in TARGETS})
    return values


def picked(tokens):
    wanted = min(16, len(tokens))
    return tokens[[(2 * i + 1) * len(tokens) // (2 * wanted) for i in range(wanted)]]


def losses_of(logits, tokens):
    """Of each row that has a next token."""
    logits = logits[:, :-1]
    return log_sum_exp(logits) - np.take_along_axis(logits, tokens[:, 1:, None], -1)[..., 0]


def run(config, weights, tokens, skip=None):
    """Losses of each row, and by layer what is watched of it."""
    watched = {}
    for layer, shown in enumerate(forward(config, weights, tokens, skip=skip), start=-1):
        if "logits" in shown:
            losses = losses_of(shown["logits"], tokens)
            continue
        watched[layer] = {"residual_norm_sink": norm(shown["post"])[:, 0].mean()}
        if "A" in shown:
            watched[layer]["sink_attention"] = row_metrics(shown)["sink_attention"][0][:, 1:].mean()
            watched[layer]["value_norm_ratio"] = head_metrics(shown)["value_norm_ratio"]
    return losses, watched


def skips(config, weights, tokens):
    tokens = picked(tokens)
    plain, watched = run(config, weights, tokens)
    layers = config["num_hidden_layers"]
    has = [set(shown) for shown in forward(config, weights, tokens[:1])][1:-1]
    found = []
    for layer in range(min(4, layers)):
        for part in ["attn", "mlp"]:
            if part not in has[layer]:
                continue
            losses, changed = run(config, weights, tokens, (layer, part))
            found.append((f"layer_skip_{part}_delta_loss", layer, (losses - plain).mean()))
            for metric, first in [("sink_attention", 1), ("value_norm_ratio", 1),
                                  ("residual_norm_sink", 0)]:
                differences = [changed[i][metric] - watched[i][metric]
                               for i in range(layer + first, layers) if metric in watched[i]]
                if differences:
                    found.append((f"layer_skip_{part}_{metric}", layer, np.mean(differences)))
    return found


def rounded(weight, bits):
    levels = 2 ** (bits - 1) - 1
    out = weight.copy()
    for begin in range(0, weight.shape[-1], 128):
        part = weight[..., begin:begin + 128]
        # As the worker: the scale is a float32.
        scale = np.float32(np.abs(part).max(-1, keepdims=True)) / np.float32(levels)
        scale = np.where(scale > 0, scale, 1)
        out[..., begin:begin + 128] = np.round(np.float32(part) / scale) * scale
    return out


def quant_delta(config, weights, tokens):
    tokens = picked(tokens)
    plain = run(config, weights, tokens)[0].mean()
    found = []
    for bits in [4, 8]:
        changed = {name: rounded(value, bits)
                   if name.startswith("model.layers.") and value.ndim > 1 else value
                   for name, value in weights.items()}
        found.append((f"quant_delta_w{bits}", None,
                      run(config, changed, tokens)[0].mean() / plain - 1))
    return found


def lens(config, weights, tokens):
    tokens = picked(tokens)
    all_rows = tokens.shape[1] - 1
    wanted = min(8, all_rows)
    rows = np.array([(2 * i + 1) * all_rows // (2 * wanted) for i in range(wanted)])
    streams = [shown["post"] for shown in forward(config, weights, tokens) if "post" in shown]
    log_p = []
    for x in streams:
        logits = final_logits(config, weights, x[:, rows])
        log_p.append(logits - log_sum_exp(logits)[..., None])
    target = tokens[:, rows + 1, None]
    found = []
    for layer, mine in enumerate(log_p, start=-1):
        p_last = np.exp(log_p[-1])
        found += [
            ("lens_ce", layer, -np.take_along_axis(mine, target, -1).mean()),
            ("lens_entropy", layer, -(np.exp(mine) * mine).sum(-1).mean()),
            ("lens_kl", layer, (p_last * (log_p[-1] - mine)).sum(-1).mean()),
        ]
    return found


def attribution(config, weights, tokens, heads):
    """Minus the slope of the loss in a factor of the head's output, and its mean
    size in single sequences: without a backward pass, from a factor a little
    above and a little below 1. One head a layer: those of the layers `heads`."""
    tokens = picked(tokens)
    step = 1e-6

    def losses(layer, factor):
        *_, last = forward(config, weights, tokens, edit=lambda at, shown: (
            shown["z"] * (factor if at == layer else 1)))
        return losses_of(last["logits"], tokens).mean(-1)

    found = []
    for layer in heads:
        slopes = (losses(layer, 1 + step) - losses(layer, 1 - step)) / (2 * step)
        found += [("head_attribution", layer, -slopes.mean()),
                  ("head_attribution_size", layer, np.abs(slopes).mean())]
    return found
