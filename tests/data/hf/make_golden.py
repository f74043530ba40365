#!/usr/bin/env python3
"""Tiny random models of Hugging Face transformers, and what they say.

For each case: random weights of a config, written by save_pretrained; then the
logits of a float64 forward pass with eager attention, and every metric from the
tensors that hooks saw in it (reference.py). Writes a folder per case beside
itself, and the probe. Needs torch, transformers 5.24 and numpy:

  python3 tests/data/hf/make_golden.py [case ...]
"""
import hashlib
import json
import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
import transformers

import reference

HERE = Path(__file__).resolve().parent
VOCABULARY, TOKENS, SEQUENCES, BOS = 32, 17, 3, 1
DOMAINS = ["words", "runs"]
# How far transformers' own float32 logits may be from its float64 ones, well within
# what a reader of the case is allowed (1e-4), so that no processor's order of
# summation decides the test.
FLOAT32_BOUND = 6e-5

SMALL = dict(vocab_size=VOCABULARY, hidden_size=24, intermediate_size=20, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
             rms_norm_eps=1e-5, bos_token_id=None, eos_token_id=None, pad_token_id=None)
LLAMA3 = {"rope_type": "llama3", "rope_theta": 1000.0, "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 32}

YARN = {"rope_type": "yarn", "rope_theta": 500.0, "factor": 4.0,
        "original_max_position_embeddings": 16, "beta_fast": 2.0, "beta_slow": 0.5}


def small(**changes):
    return {**SMALL, **changes}


OSS_YARN = {"rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0, "beta_fast": 32.0,
            "beta_slow": 1.0, "truncate": False, "original_max_position_embeddings": 16}


def neox(**changes):
    return {**dict(vocab_size=VOCABULARY, hidden_size=24, intermediate_size=20,
                   num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=64,
                   bos_token_id=None, eos_token_id=None), **changes}


def oss(**changes):
    return small(head_dim=8, num_local_experts=4, num_experts_per_tok=2, swiglu_limit=1.0,
                 sliding_window=5, rope_parameters=OSS_YARN, **changes)


def olmoe(**changes):
    return small(**{**dict(num_experts=5, num_experts_per_tok=2), **changes})


def smol(**changes):
    return small(**{**dict(num_hidden_layers=4), **changes})


def gemma(**changes):
    return small(**{**dict(head_dim=8, query_pre_attn_scalar=12, sliding_window=6,
                           tie_word_embeddings=False), **changes})


def qwen3_moe(**changes):
    return small(**{**dict(head_dim=8, num_experts=4, num_experts_per_tok=2,
                           moe_intermediate_size=12), **changes})


def mla(**changes):
    return small(**{**dict(
        num_hidden_layers=3, num_key_value_heads=4, n_routed_experts=6, num_experts_per_tok=2,
        n_shared_experts=2, moe_intermediate_size=10, first_k_dense_replace=1, kv_lora_rank=10,
        q_lora_rank=12, qk_rope_head_dim=4, qk_nope_head_dim=6, v_head_dim=5), **changes})


def hybrid(**changes):
    # The norm behind the delta rule makes much of outputs that are next to 0: with
    # some seeds float32 itself, transformers' too, is 1e-3 off, and how much differs
    # between processors. The seeds of the cases are ones with which it is within
    # FLOAT32_BOUND.
    return small(**{**dict(
        num_hidden_layers=3, layer_types=["linear_attention", "full_attention",
                                          "linear_attention"],
        linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=6,
        linear_value_head_dim=5), **changes})


MSCALE_YARN = {**YARN, "mscale": 0.8, "mscale_all_dim": 1.1}

# A tower for images beside the text, which nobody looks through.
IMAGES = dict(vision_config=dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                                 num_attention_heads=2, image_size=16, patch_size=8),
              mm_tokens_per_image=4, bos_token_id=None, eos_token_id=None, pad_token_id=None)
SPLIT_DELTA = dict(head_dim=16, rope_parameters={
    "rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.25,
    "mrope_section": [1, 1, 0], "mrope_interleaved": True})

# Folder: (architecture, config), a third entry for what else is special.
CASES = {
    "apertus": ("ApertusForCausalLM", small(
        tie_word_embeddings=True, rope_parameters=LLAMA3), {"q_norm": 2.0}),
    "apertus_bias": ("ApertusForCausalLM", small(
        num_key_value_heads=1, attention_bias=True,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0}),
        {"dtype": torch.bfloat16, "q_norm": 2.0}),
    "deepseek_v2": ("DeepseekV2ForCausalLM", mla(q_lora_rank=None)),
    "deepseek_v2_groups": ("DeepseekV2ForCausalLM", mla(
        topk_method="group_limited_greedy", n_group=3, topk_group=2, routed_scaling_factor=1.5,
        attention_bias=True, rope_parameters=MSCALE_YARN)),
    "deepseek_v3": ("DeepseekV3ForCausalLM", mla(n_group=2, topk_group=1)),
    "deepseek_v3_yarn": ("DeepseekV3ForCausalLM", mla(
        n_group=3, topk_group=2, num_experts_per_tok=3, norm_topk_prob=False,
        rope_interleave=False, q_lora_rank=None, first_k_dense_replace=0, num_hidden_layers=2,
        tie_word_embeddings=True, rope_parameters={**MSCALE_YARN, "mscale": 1.1})),
    "gemma2": ("Gemma2ForCausalLM", gemma(
        attn_logit_softcapping=3.0, final_logit_softcapping=4.0)),
    "gemma2_tied": ("Gemma2ForCausalLM", gemma(
        num_hidden_layers=3, tie_word_embeddings=True, attn_logit_softcapping=None,
        final_logit_softcapping=None, attention_bias=True, num_key_value_heads=1)),
    "gemma3": ("Gemma3ForCausalLM", gemma(
        num_hidden_layers=4, layer_types=["sliding_attention"] * 3 + ["full_attention"],
        rope_parameters={"sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
                         "full_attention": {"rope_type": "linear", "factor": 4.0,
                                            "rope_theta": 5000.0}})),
    "gemma3_tied": ("Gemma3ForCausalLM", gemma(
        tie_word_embeddings=True, final_logit_softcapping=5.0, num_attention_heads=6,
        num_key_value_heads=3)),
    "gemma3_images": ("Gemma3ForConditionalGeneration", dict(
        text_config=gemma(tie_word_embeddings=True, sliding_window_pattern=2),
        tie_word_embeddings=True, **IMAGES), {"text": "Gemma3ForCausalLM"}),
    "gpt2": ("GPT2LMHeadModel", dict(
        vocab_size=VOCABULARY, n_embd=24, n_layer=2, n_head=3, n_positions=20,
        bos_token_id=None, eos_token_id=None)),
    "gpt2_options": ("GPT2LMHeadModel", dict(
        vocab_size=VOCABULARY, n_embd=20, n_layer=3, n_head=4, n_positions=17, n_inner=28,
        activation_function="gelu", scale_attn_weights=False, tie_word_embeddings=False,
        scale_attn_by_inverse_layer_idx=True, bos_token_id=None, eos_token_id=None)),
    "gpt_neox": ("GPTNeoXForCausalLM", neox(rope_parameters={
        "rope_type": "default", "rope_theta": 1000.0, "partial_rotary_factor": 0.25})),
    "gpt_neox_sequential": ("GPTNeoXForCausalLM", neox(
        hidden_size=30, num_attention_heads=5, use_parallel_residual=False, attention_bias=False,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0,
                         "partial_rotary_factor": 0.7})),
    "gpt_oss": ("GptOssForCausalLM", oss()),
    "gpt_oss_bf16": ("GptOssForCausalLM", oss(
        num_attention_heads=3, num_key_value_heads=1, num_hidden_layers=3, attention_bias=False,
        layer_types=["full_attention", "sliding_attention", "full_attention"]),
        {"dtype": torch.bfloat16}),
    "llama": ("LlamaForCausalLM", small()),
    "llama_bias": ("LlamaForCausalLM", small(
        num_key_value_heads=1, head_dim=10, attention_bias=True, mlp_bias=True,
        tie_word_embeddings=True, rope_parameters=LLAMA3)),
    "llama_bf16": ("LlamaForCausalLM", small(
        num_key_value_heads=4, rope_parameters={"rope_type": "linear", "factor": 4.0,
                                                "rope_theta": 10000.0}), {"dtype": torch.bfloat16}),
    "mistral": ("MistralForCausalLM", small(sliding_window=5, head_dim=10)),
    "mistral_full": ("MistralForCausalLM", small(
        num_key_value_heads=4, sliding_window=None, rope_parameters=YARN)),
    "ministral": ("MinistralForCausalLM", small(
        sliding_window=5, head_dim=8, num_key_value_heads=1,
        layer_types=["full_attention", "sliding_attention"])),
    "mixtral": ("MixtralForCausalLM", small(num_local_experts=4, num_experts_per_tok=2)),
    "mixtral_window": ("MixtralForCausalLM", small(
        num_local_experts=5, num_experts_per_tok=3, sliding_window=6, head_dim=8,
        num_key_value_heads=1, tie_word_embeddings=True)),
    "nanochat": ("NanoChatForCausalLM", small()),
    "nanochat_options": ("NanoChatForCausalLM", small(
        num_key_value_heads=1, attention_bias=True, tie_word_embeddings=True,
        final_logit_softcapping=2.0, rope_parameters={
            "rope_type": "default", "rope_theta": 500.0})),
    "olmo": ("OlmoForCausalLM", small(num_key_value_heads=4, clip_qkv=2.5)),
    "olmo_tied": ("OlmoForCausalLM", small(num_attention_heads=6, tie_word_embeddings=True)),
    "olmo_bias": ("OlmoForCausalLM", small(
        num_key_value_heads=1, attention_bias=True, clip_qkv=3.0)),
    "olmo2": ("Olmo2ForCausalLM", small()),
    "olmo2_bias": ("Olmo2ForCausalLM", small(
        num_key_value_heads=4, attention_bias=True, tie_word_embeddings=True,
        rms_norm_eps=1e-2)),
    "olmo3": ("Olmo3ForCausalLM", small(num_hidden_layers=4, sliding_window=6)),
    "olmo3_yarn": ("Olmo3ForCausalLM", small(
        num_attention_heads=3, num_key_value_heads=1, num_hidden_layers=3, sliding_window=9,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters={"full_attention": YARN, "sliding_attention": {
            "rope_type": "default", "rope_theta": 500.0}})),
    "olmo_hybrid": ("OlmoHybridForCausalLM", hybrid(
        linear_allow_neg_eigval=False, attention_bias=True), {"seed": 1}),
    "olmo_hybrid_nope": ("OlmoHybridForCausalLM", hybrid(
        num_hidden_layers=4, layer_types=None, linear_num_value_heads=2, linear_value_head_dim=6,
        rope_parameters={"rope_type": "default", "rope_theta": None}), {"seed": 15}),
    "olmoe": ("OlmoeForCausalLM", olmoe(), {"q_norm": 2.0}),
    "olmoe_options": ("OlmoeForCausalLM", olmoe(
        num_attention_heads=6, num_key_value_heads=3, norm_topk_prob=True, clip_qkv=2.0,
        num_experts_per_tok=3, tie_word_embeddings=True), {"q_norm": 3.0}),
    "qwen2": ("Qwen2ForCausalLM", small(
        use_sliding_window=True, sliding_window=7, max_window_layers=1)),
    "qwen2_tied": ("Qwen2ForCausalLM", small(num_key_value_heads=1, tie_word_embeddings=True)),
    "qwen3": ("Qwen3ForCausalLM", small(head_dim=8)),
    "qwen3_bias": ("Qwen3ForCausalLM", small(
        num_key_value_heads=4, head_dim=10, attention_bias=True, tie_word_embeddings=True,
        use_sliding_window=True, sliding_window=9, layer_types=[
            "sliding_attention", "full_attention"])),
    "qwen3_moe": ("Qwen3MoeForCausalLM", qwen3_moe(), {"q_norm": 2.0}),
    "qwen3_moe_dense": ("Qwen3MoeForCausalLM", qwen3_moe(
        num_hidden_layers=4, decoder_sparse_step=2, mlp_only_layers=[1], norm_topk_prob=True,
        attention_bias=True, use_sliding_window=True, sliding_window=7, num_key_value_heads=1),
        {"q_norm": 2.0}),
    "qwen3_5": ("Qwen3_5ForCausalLM", {**hybrid(), **SPLIT_DELTA}, {"seed": 12}),
    "qwen3_5_moe": ("Qwen3_5MoeForCausalLM", {**hybrid(), **SPLIT_DELTA, **dict(
        num_hidden_layers=2, layer_types=["linear_attention", "full_attention"],
        num_experts=3, num_experts_per_tok=2, moe_intermediate_size=10,
        shared_expert_intermediate_size=6)}, {"seed": 7}),
    "qwen3_next": ("Qwen3NextForCausalLM", {**hybrid(), **dict(
        head_dim=16, num_experts=3, num_experts_per_tok=2, moe_intermediate_size=10,
        shared_expert_intermediate_size=6)}, {"seed": 6}),
    "qwen3_next_dense": ("Qwen3NextForCausalLM", {**hybrid(), **dict(
        head_dim=8, rms_norm_eps=1e-3, num_experts=2, num_experts_per_tok=1,
        moe_intermediate_size=8,
        shared_expert_intermediate_size=6, mlp_only_layers=[1], norm_topk_prob=False,
        attention_bias=True, tie_word_embeddings=True, rope_parameters={
            "rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5})},
        {"seed": 17}),
    "smollm3": ("SmolLM3ForCausalLM", smol()),
    "smollm3_window": ("SmolLM3ForCausalLM", smol(
        no_rope_layer_interval=2, num_hidden_layers=3, use_sliding_window=True, sliding_window=6,
        attention_bias=True, mlp_bias=True, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0})),
}


class Family:
    """Where an architecture keeps what is looked at; `text`: its language model,
    if it is more than one."""

    def __init__(self, layers, output, gated=False, text=lambda model: model):
        self.layers, self.output, self.gated, self.text = layers, output, gated, text


def output_if_any(layer):
    return layer.self_attn.o_proj.weight if hasattr(layer, "self_attn") else None


# Anything else than the usual names.
FAMILIES = {
    # Conv1D: [in, out].
    "GPT2LMHeadModel": Family(lambda model: model.transformer.h,
                              lambda layer: layer.attn.c_proj.weight.T),
    # Some layers have no attention; what leaves the rest goes through a gate.
    "Qwen3NextForCausalLM": Family(lambda model: model.model.layers, output_if_any, gated=True),
    "Qwen3_5ForCausalLM": Family(lambda model: model.model.layers, output_if_any, gated=True),
    "Qwen3_5MoeForCausalLM": Family(lambda model: model.model.layers, output_if_any, gated=True),
    "Gemma3ForConditionalGeneration": Family(
        lambda model: model.model.language_model.layers,
        lambda layer: layer.self_attn.o_proj.weight),
    "OlmoHybridForCausalLM": Family(lambda model: model.model.layers, output_if_any),
    "GPTNeoXForCausalLM": Family(lambda model: model.gpt_neox.layers,
                                 lambda layer: layer.attention.dense.weight),
}
IN_OUT = ["Conv1D", "GptOssExperts"]  # modules whose matrices are [in, out]
USUAL = Family(lambda model: model.model.layers, lambda layer: layer.self_attn.o_proj.weight)


def delta_rule(query, key, value, g, beta, **_):
    """The gated delta rule token by token in float64 (arXiv 2412.06464, equation 10).

    transformers casts to float32 inside, of which the error comes back multiplied.
    query, key [N,T,G,E], value [N,T,H,V], g, beta [N,T,H].
    """
    shared = value.shape[2] // key.shape[2]
    query, key, value, g, beta = (x.double() for x in (query, key, value, g, beta))
    query, key = (x.repeat_interleave(shared, 2) for x in (query, key))
    query, key = (x * torch.rsqrt((x * x).sum(-1, keepdim=True) + 1e-6) for x in (query, key))
    query = query / query.shape[-1] ** 0.5
    state = torch.zeros(*value.shape[:1], *value.shape[2:3], key.shape[-1], value.shape[-1],
                        dtype=torch.float64)
    out = torch.zeros_like(value)
    for t in range(value.shape[1]):
        state = state * g[:, t].exp()[..., None, None]
        said = (state * key[:, t, :, :, None]).sum(-2)
        change = (value[:, t] - said) * beta[:, t, :, None]
        state = state + key[:, t, :, :, None] * change[..., None, :]
        out[:, t] = (state * query[:, t, :, :, None]).sum(-2)
    return out, state


def make_probe():
    """Random ids, and random ids that come in runs, each sequence after a BOS."""
    random = np.random.default_rng(5)
    folder = HERE / "probe"
    folder.mkdir(exist_ok=True)
    domains, tokens = [], {}
    for label in DOMAINS:
        ids = random.integers(2, VOCABULARY, (SEQUENCES, TOKENS))
        if label == "runs":
            ids = np.take_along_axis(ids, np.arange(TOKENS)[None] // 3, 1)
        ids[:, 0] = BOS
        data = ids.astype("<u2").tobytes()
        (folder / f"{label}.npy").write_bytes(data)
        domains.append({"label": label, "files": [{
            "path": f"{label}.npy", "tokens": ids.size,
            "sha256": hashlib.sha256(data).hexdigest()}]})
        tokens[label] = ids
    (folder / "probe.json").write_text(json.dumps({
        "name": "hf", "version": "1", "tokenizer": {"name": "none", "vocab_size": VOCABULARY},
        "dtype": "uint16", "sequence_length": TOKENS, "eos_id": 0, "bos_policy": "stored",
        "domains": domains}, indent=1) + "\n")
    return tokens


def randomize(model, seed, q_norm):
    """Weights under which attention is far from uniform and no norm is 1.

    `q_norm`: about the weights of the queries' norm, which sets how sharp
    attention is where there is one.
    """
    generator = torch.Generator().manual_seed(seed)
    norms = [module for module in model.modules() if "Norm" in type(module).__name__]
    of_norms = {id(parameter) for module in norms for parameter in module.parameters()}
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            drawn = torch.randn(parameter.shape, generator=generator)
            owner = model.get_submodule(name.rpartition(".")[0])
            if name.endswith("bias") or parameter.dim() == 1 and id(parameter) not in of_norms:
                parameter.copy_(0.4 * drawn)
            elif id(parameter) in of_norms:
                parameter.copy_((q_norm if "q_norm" in name else 1.0) + 0.4 * drawn)
            elif isinstance(owner, torch.nn.Embedding):
                parameter.copy_((0.3 if model.config.tie_word_embeddings else 1.0) * drawn)
                parameter[BOS] *= 4  # something like a sink
            else:
                inputs = parameter.shape[-2 if type(owner).__name__ in IN_OUT else -1]
                parameter.copy_(1.7 * drawn / inputs ** 0.5)
        for name, buffer in sorted(model.named_buffers()):
            if name.endswith("e_score_correction_bias"):  # trained, though no parameter
                buffer.copy_(0.2 * torch.randn(buffer.shape, generator=generator))


class Watch:
    """Hooks that keep what one forward pass shows, as float64 arrays."""

    def __init__(self, model, family):
        self.layers, self.inputs, self.outputs, self.removers = {}, [], [], []
        self.module = sys.modules[type(family.text(model)).__module__]
        self.eager = self.module.eager_attention_forward
        self.module.eager_attention_forward = self.attend
        self.rule = getattr(self.module, "torch_chunk_gated_delta_rule", None)
        if model.dtype == torch.float64:  # what float32 loses, it loses in its own rule too
            self.module.torch_chunk_gated_delta_rule = delta_rule
        for layer in family.layers(model):
            self.removers.append(layer.register_forward_hook(self.saw_layer, with_kwargs=True))
            if family.gated and hasattr(layer, "self_attn"):
                self.removers.append(layer.self_attn.o_proj.register_forward_pre_hook(
                    self.leave_gate))
        self.projections = [family.output(layer) for layer in family.layers(model)]

    def close(self):
        self.module.eager_attention_forward = self.eager
        self.module.torch_chunk_gated_delta_rule = self.rule
        for remover in self.removers:
            remover.remove()

    def attend(self, module, query, key, value, attention_mask, scaling, **kwargs):
        out, weights = self.eager(module, query, key, value, attention_mask, scaling=scaling,
                                  **kwargs)
        self.newest = self.layers[module.layer_idx] = {
            "q": query, "k": key, "v": value, "A": weights, "z": out.transpose(1, 2),
            "scale": scaling, "visible": attention_mask[0, 0] == 0,
            "sinks": kwargs.get("s_aux"), "cap": kwargs.get("softcap")}
        return out, weights

    def leave_gate(self, module, args):
        """z is what leaves the gate; the gate is what that is to what came to it."""
        ungated = self.newest["z"]
        heads, width = ungated.shape[1], ungated.shape[3]
        gated = args[0].reshape(*args[0].shape[:2], heads, width).transpose(1, 2)
        self.newest.update(z=gated, ungated=ungated, gate=gated / ungated)

    def saw_layer(self, module, args, kwargs, output):
        self.inputs.append(args[0] if args else kwargs["hidden_states"])
        self.outputs.append(output[0] if isinstance(output, tuple) else output)

    def shown(self):
        """Of each layer, what reference.head_metrics wants; None without attention."""
        for index, (x, weight) in enumerate(zip(self.inputs, self.projections)):
            layer = self.layers.get(index)
            if layer is None:
                yield None
                continue
            found = {name: value.detach().numpy() if torch.is_tensor(value) else value
                     for name, value in layer.items()}
            heads, width = found["q"].shape[1], found["v"].shape[3]
            found["x"] = x.detach().numpy()
            found["W"] = weight.detach().numpy().reshape(-1, heads, width).transpose(1, 0, 2)
            keys = np.repeat(found["k"], heads // found["k"].shape[1], 1)
            logits = found["q"] @ keys.swapaxes(-1, -2) * found["scale"]
            if found["cap"]:
                logits = found["cap"] * np.tanh(logits / found["cap"])
            found["s"] = np.where(found["visible"], logits, -np.inf)
            self.check(found)
            yield found

    @staticmethod
    def check(found):
        """The logits are those of the model's own weights (a float32 softmax)."""
        logits = found["s"]
        if found["sinks"] is not None:
            sinks = np.broadcast_to(found["sinks"][:, None, None], logits[..., :1].shape)
            logits = np.concatenate([logits, sinks], -1)
        weights = np.exp(found["s"] - reference.log_sum_exp(logits)[..., None])
        assert np.abs(weights - found["A"]).max() < 1e-6
        # Uniform attention would have 0.15.
        peak = found["A"][:, :, 1:].max(-1).mean()
        assert peak > 0.3, f"attention is nearly uniform: {peak:.2f}"


def measure(model, family, domain, tokens):
    watch = Watch(model, family)
    with torch.no_grad():
        logits = model(torch.from_numpy(tokens)).logits.numpy()
    watch.close()
    found = []

    def add(values, layer):
        for metric, value in sorted(values.items()):
            found.append([domain, metric, layer,
                          [float(f"{number:.8g}") for number in np.atleast_1d(value)]])

    add(reference.layer_metrics(watch.inputs[0].numpy()), -1)
    by_layer = [reference.head_metrics(layer) if layer else {} for layer in watch.shown()]
    for layer, values in enumerate(by_layer):
        add({**values, **reference.layer_metrics(watch.outputs[layer].numpy())}, layer)
    add(reference.model_metrics(tokens, logits, [values for values in by_layer if values]), None)
    return logits, found


def digests_of(model):
    """SHA-256 of each tensor's float32 bytes: what a reader must end up with."""
    return {name: hashlib.sha256(tensor.float().contiguous().numpy().tobytes()).hexdigest()
            for name, tensor in sorted(model.state_dict().items())
            if torch.is_floating_point(tensor)}


def read_again(model_class, folder, dtype):
    return model_class.from_pretrained(folder, dtype=dtype, attn_implementation="eager",
                                       experts_implementation="eager").eval()


def check_condition(name, golden, model, tokens):
    """Refuses weights with which float32 itself is too far from float64."""
    for domain in DOMAINS:
        with torch.no_grad():
            logits = model(torch.from_numpy(tokens[domain])).logits.flatten().numpy()
        difference = np.abs(logits - golden["logits"][domain]).max()
        assert difference < FLOAT32_BOUND, f"{name}, {domain}: float32 is {difference:.1e} off"


def make_case(name, tokens):
    architecture, config, *special = CASES[name]
    special = special[0] if special else {}
    dtype = special.get("dtype", torch.float32)
    model_class = getattr(transformers, architecture)
    model = model_class(model_class.config_class(**config))
    randomize(model, zlib.crc32(name.encode()) + special.get("seed", 0),
              special.get("q_norm", 1.0))
    model = model.to(dtype)
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    (folder / "model.safetensors").chmod(0o644)
    golden = {"architecture": special.get("text", architecture), "transformers": transformers.__version__}
    if dtype != torch.float32:
        golden["sha256_float32"] = digests_of(model)
    # Read again, not widened: the rotary frequencies would have been rounded.
    model = read_again(model_class, folder, torch.float64)
    family = FAMILIES.get(architecture, USUAL)
    golden["logits"], golden["measurements"] = {}, []
    for domain in DOMAINS:
        logits, found = measure(model, family, domain, tokens[domain])
        golden["logits"][domain] = [float(f"{value:.7g}") for value in logits.flatten()]
        golden["measurements"] += found
    check_condition(name, golden, read_again(model_class, folder, torch.float32), tokens)
    lines = ",\n".join(f" {json.dumps(key)}: {compact(value)}" for key, value in golden.items())
    (folder / "golden.json").write_text("{\n" + lines + "\n}\n")
    size = sum(file.stat().st_size for file in folder.iterdir())
    assert size < 300_000, (name, size)
    spread = np.std(golden["logits"]["words"])
    print(f"{name}: {size} bytes, logits of deviation {spread:.2f}")


def compact(value):
    text = json.dumps(value, separators=(",", ":"))
    return text.replace(",[", ",\n[") if isinstance(value, list) else text


def main():
    assert transformers.__version__.startswith("5.24."), transformers.__version__
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    tokens = make_probe()
    for name in sys.argv[1:] or CASES:
        make_case(name, tokens)


if __name__ == "__main__":
    main()
