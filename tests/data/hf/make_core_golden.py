#!/usr/bin/env python3
"""Tiny random models of OLMo-core with what Hugging Face's classes do not have:
learned sinks, gates on attention's output, and hybrids with gated delta networks as
its own configs make them.

As make_golden.py, with OLMo-core's own forward pass in float64 instead of
transformers': a folder per case beside the others, under OLMo-core's names. The
kernels of flash-linear-attention need a GPU; here are their formulas instead.
Needs torch, ai2-olmo-core 3.0.0, safetensors and numpy, and transformers for
make_golden.py's parts:

  python3 tests/data/hf/make_core_golden.py [case ...]
"""
import json
import shutil
import sys
import types
import zlib

import numpy as np
import torch

import make_golden
import reference


class FusedRMSNormGated(torch.nn.Module):
    def __init__(self, width, eps, device=None):
        super().__init__()
        self.weight, self.eps = torch.nn.Parameter(torch.ones(width, device=device)), eps

    def forward(self, x, gate):
        x = x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.eps)
        return x * self.weight * torch.nn.functional.silu(gate)


def causal_conv1d(x, weight, activation, **_):
    """x [B,T,C], weight [C,K]."""
    taps = weight.shape[-1]
    padded = torch.nn.functional.pad(x.transpose(1, 2), (taps - 1, 0))
    out = torch.nn.functional.conv1d(padded, weight[:, None], groups=weight.shape[0])
    assert activation == "silu"
    return torch.nn.functional.silu(out).transpose(1, 2), None


def chunk_gated_delta_rule(q, k, v, g, beta, use_qk_l2norm_in_kernel, scale, cu_seqlens, **_):
    assert use_qk_l2norm_in_kernel and scale is None and cu_seqlens is None
    return make_golden.delta_rule(q, k, v, g, beta)


for name, parts in {"fla": {}, "fla.modules": {"FusedRMSNormGated": FusedRMSNormGated},
                    "fla.modules.convolution": {"causal_conv1d": causal_conv1d}, "fla.ops": {},
                    "fla.ops.gated_delta_rule": {
                        "chunk_gated_delta_rule": chunk_gated_delta_rule}}.items():
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(parts)

from olmo_core.nn.attention import AttentionConfig, GateConfig
from olmo_core.nn.attention.recurrent import GatedDeltaNetConfig
from olmo_core.nn.feed_forward import FeedForwardConfig
from olmo_core.nn.layer_norm import LayerNormConfig
from olmo_core.nn.lm_head import LMHeadConfig
from olmo_core.nn.rope import RoPEConfig
from olmo_core.nn.transformer import TransformerBlockConfig, TransformerConfig
from safetensors.torch import save_file

# Folder: (what Hugging Face would call it, block, options of attention).
CASES = {
    "core_sinks": ("Olmo2ForCausalLM", "reordered_norm", dict(attention_sinks=True)),
    "core_gate_heads": ("Olmo2ForCausalLM", "reordered_norm", dict(
        gate=GateConfig(granularity="headwise"), n_kv_heads=4)),
    "core_gate_sinks": ("LlamaForCausalLM", "default", dict(
        gate=GateConfig(granularity="elementwise"), attention_sinks=True, bias=True)),
}
# Folder: (the delta networks' block, their options, options of attention).
HYBRIDS = {
    "core_hybrid": ("reordered_norm", dict(n_heads=4, head_dim=4), {}),
    "core_hybrid_before": ("default", dict(
        n_heads=2, n_v_heads=4, head_dim=6, expand_v=1.5, allow_neg_eigval=False, conv_size=3),
        dict(rope=None, n_kv_heads=4)),
}


def config_of(block, options):
    norm = LayerNormConfig(name="rms", eps=1e-5, bias=False)
    attention = dict(n_heads=4, n_kv_heads=2, bias=False, backend="torch",
                     rope=RoPEConfig(theta=1000),
                     qk_norm=norm if block == "reordered_norm" else None)
    return TransformerConfig(
        d_model=24, vocab_size=make_golden.VOCABULARY, n_layers=2,
        block=TransformerBlockConfig(
            name=block, sequence_mixer=AttentionConfig(**{**attention, **options}),
            layer_norm=norm, feed_forward=FeedForwardConfig(hidden_size=20, bias=False)),
        lm_head=LMHeadConfig(layer_norm=norm, bias=False))


def hybrid_of(delta_block, delta, options):
    config = config_of("reordered_norm", options)
    attention = config.block
    config.block = {"attn": attention, "gdn": attention.replace(
        name=delta_block, sequence_mixer=GatedDeltaNetConfig(**delta))}
    config.block_pattern, config.n_layers = ["gdn", "attn"], 4
    return config


class Watch:
    """What attention of each block sees and gives, and the stream around it."""

    def __init__(self, model):
        self.seen = [{} for _ in model.blocks]
        for seen, block in zip(self.seen, model.blocks.values()):
            self.watch(seen, block, block.attention)

    @staticmethod
    def watch(seen, block, attention):
        block.register_forward_hook(
            lambda _, args, out: seen.update(x=args[0].numpy(), y=out.numpy()))
        if not hasattr(attention, "sdpa"):
            return
        inner = attention.sdpa

        def sdpa(q, k, v, **kwargs):
            out = inner(q, k, v, **kwargs)
            heads = [x.transpose(1, 2).double().numpy() for x in (q, k, v, out)]
            seen.update(zip("qkv", heads), attended=heads[3])
            return out

        attention.sdpa = sdpa
        attention.w_out.register_forward_pre_hook(
            lambda _, args: seen.update(left=args[0].double().numpy()))

    def layers(self, model):
        for seen, block in zip(self.seen, model.blocks.values()):
            yield self.completed(seen, block.attention) if "q" in seen else seen

    @staticmethod
    def completed(seen, attention):
        heads, tokens, width = seen["q"].shape[1:]
        seen["visible"] = np.tril(np.ones((tokens, tokens), bool))
        keys = np.repeat(seen["k"], heads // seen["k"].shape[1], 1)
        values = np.repeat(seen["v"], heads // seen["v"].shape[1], 1)
        logits = seen["q"] @ keys.swapaxes(-1, -2) * width ** -0.5
        seen["s"] = all_logits = np.where(seen["visible"], logits, -np.inf)
        seen["sinks"] = None
        if attention.sinks is not None:
            seen["sinks"] = attention.sinks.detach().double().numpy()
            sinks = np.broadcast_to(seen["sinks"][:, None, None], logits[..., :1].shape)
            all_logits = np.concatenate([all_logits, sinks], -1)
        seen["A"] = np.exp(seen["s"] - reference.log_sum_exp(all_logits)[..., None])
        assert np.abs(seen["A"] @ values - seen["attended"]).max() < 1e-6
        left = seen["left"]
        seen["z"] = left.reshape(*left.shape[:2], heads, width).transpose(0, 2, 1, 3)
        if attention.gate is not None:
            seen["ungated"] = seen["attended"]
            seen["gate"] = seen["z"] / seen["attended"]
        weight = attention.w_out.weight.detach().double().numpy()
        seen["W"] = weight.reshape(-1, heads, width).transpose(1, 0, 2)
        return seen


def measure(model, domain, tokens):
    watch = Watch(model)
    with torch.no_grad():
        logits = model(torch.from_numpy(tokens)).numpy()
    found = []

    def add(values, layer):
        for metric, value in sorted(values.items()):
            found.append([domain, metric, layer,
                          [float(f"{number:.8g}") for number in np.atleast_1d(value)]])

    shown = list(watch.layers(model))
    add(reference.layer_metrics(shown[0]["x"]), -1)
    by_layer = [reference.head_metrics(layer) if "q" in layer else {} for layer in shown]
    for layer, values in enumerate(by_layer):
        add({**values, **reference.layer_metrics(shown[layer]["y"])}, layer)
    add(reference.model_metrics(tokens, logits, [layer for layer in by_layer if layer]), None)
    return logits, found


def randomize(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            drawn = torch.randn(parameter.shape, generator=generator)
            if "norm" in name:
                parameter.copy_((2.0 if "q_norm" in name else 1.0) + 0.4 * drawn)
            elif parameter.dim() == 1:
                parameter.copy_(0.4 * drawn)
            elif name.startswith("embeddings"):
                parameter.copy_(drawn)
                parameter[make_golden.BOS] *= 4
            else:
                parameter.copy_(1.7 * drawn / parameter.shape[-1] ** 0.5)


def make_case(name, tokens):
    if name in HYBRIDS:
        architecture, config = "OlmoHybridForCausalLM", hybrid_of(*HYBRIDS[name])
    else:
        architecture, block, options = CASES[name]
        config = config_of(block, options)
    folder = make_golden.HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    model = config.build(init_device="cpu")
    randomize(model, zlib.crc32(name.encode()))
    save_file({key: value.contiguous() for key, value in model.state_dict().items()},
              folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(
        {"model": config.as_config_dict(), "train_module": {"max_sequence_length": 64}},
        indent=1) + "\n")
    golden = {"architecture": architecture, "olmo_core": "3.0.0", "logits": {},
              "measurements": []}
    for domain in make_golden.DOMAINS:
        fresh = config.build(init_device="cpu")
        fresh.load_state_dict(model.state_dict())
        logits, found = measure(fresh.double().eval(), domain, tokens[domain])
        golden["logits"][domain] = [float(f"{value:.7g}") for value in logits.flatten()]
        golden["measurements"] += found
    lines = ",\n".join(f" {json.dumps(key)}: {make_golden.compact(value)}"
                       for key, value in golden.items())
    (folder / "golden.json").write_text("{\n" + lines + "\n}\n")
    print(f"{name}: logits of deviation {np.std(golden['logits']['words']):.2f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    probe = make_golden.make_probe()
    for case in sys.argv[1:] or [*CASES, *HYBRIDS]:
        make_case(case, probe)
