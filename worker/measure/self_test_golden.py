#!/usr/bin/env python3
"""Values that the worker's start-up self-test expects, in float64.

Runs the self-test's built-in model (2 layers of Llama shape, weights from a
sine) on its built-in tokens with plain T x T attention, and prints the table of
worker/measure/self_test.cc. Needs numpy only:  python3 worker/measure/self_test_golden.py
"""
import numpy as np

LAYERS, HEADS, KV, HEAD_DIM, WIDTH, FF, VOCAB = 2, 4, 2, 4, 16, 24, 32
SEQUENCES, TOKENS = 4, 24
EPS, THETA = 1e-5, 10000.0


def weight(index, shape):
    n = np.arange(int(np.prod(shape)), dtype=np.float64)
    return (0.4 * np.sin(1.7 * n + index)).astype(np.float32).astype(np.float64).reshape(shape)


def norm_weight(index, shape):
    return (1.0 + weight(index, shape)).astype(np.float32).astype(np.float64)


def rms(x, w):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * w


def rope(x):  # [B, heads, T, E], rotate-half
    half = HEAD_DIM // 2
    inverse = THETA ** (-2.0 * np.arange(half) / HEAD_DIM)
    angle = np.arange(TOKENS)[:, None] * inverse
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def split(x, heads):
    return x.reshape(SEQUENCES, TOKENS, heads, HEAD_DIM).transpose(0, 2, 1, 3)


def main():
    tokens = (np.arange(SEQUENCES)[:, None] * 5 + np.arange(TOKENS) ** 2) % VOCAB
    embed = weight(0, (VOCAB, WIDTH))
    x = embed[tokens]
    rows = []
    for layer in range(LAYERS):
        base = 10 * (layer + 1)
        h = rms(x, norm_weight(base, (WIDTH,)))
        q = rope(split(h @ weight(base + 1, (HEADS * HEAD_DIM, WIDTH)).T, HEADS))
        k = rope(split(h @ weight(base + 2, (KV * HEAD_DIM, WIDTH)).T, KV))
        v = split(h @ weight(base + 3, (KV * HEAD_DIM, WIDTH)).T, KV)
        wo = weight(base + 4, (WIDTH, HEADS * HEAD_DIM))
        k, v = k.repeat(HEADS // KV, 1), v.repeat(HEADS // KV, 1)
        s = q @ k.swapaxes(-1, -2) / np.sqrt(HEAD_DIM)
        s = np.where(np.tril(np.ones((TOKENS, TOKENS), bool)), s, -np.inf)
        a = np.exp(s - s.max(-1, keepdims=True))
        a /= a.sum(-1, keepdims=True)
        z = a @ v
        per_head = wo.reshape(WIDTH, HEADS, HEAD_DIM)
        written = np.einsum("dhe,bhte->bhtd", per_head, v)
        norms = np.linalg.norm(written, axis=-1)
        rows.append(("sink_attention", layer, a[:, :, 1:, 0].mean((0, 2))))
        rows.append(("value_norm_ratio", layer, norms[:, :, 0].mean(0) / norms[:, :, 1:].mean((0, 2))))
        margin = [[[s[b, i, t, 0] - np.log(np.exp(s[b, i, t, 1:t + 1]).sum()) for t in range(1, TOKENS)]
                   for i in range(HEADS)] for b in range(SEQUENCES)]
        rows.append(("sink_logit_margin", layer, np.array(margin).mean((0, 2))))
        x = x + z.transpose(0, 2, 1, 3).reshape(SEQUENCES, TOKENS, -1) @ wo.T
        h = rms(x, norm_weight(base + 5, (WIDTH,)))
        gate = h @ weight(base + 6, (FF, WIDTH)).T
        up = h @ weight(base + 7, (FF, WIDTH)).T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ weight(base + 8, (WIDTH, FF)).T
        rows.append(("residual_norm_sink", layer, [np.linalg.norm(x[:, 0], axis=-1).mean()]))
    logits = rms(x, norm_weight(1, (WIDTH,))) @ embed.T
    top = logits.max(-1, keepdims=True)
    log_p = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    loss = -np.take_along_axis(log_p[:, :-1], tokens[:, 1:, None], -1).mean()
    rows.append(("probe_loss", None, [loss]))
    for metric, layer, values in rows:
        numbers = ", ".join(f"{v:.9g}" for v in np.atleast_1d(values))
        where = "std::nullopt" if layer is None else layer
        print(f'    {{"{metric}", {where}, {{{numbers}}}}},')


if __name__ == "__main__":
    main()
