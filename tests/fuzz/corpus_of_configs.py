"""Recipes of configs of models: Hugging Face's and those of trainers."""

import json

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
    "vocab_size": 512, "num_hidden_layers": 5, "head_dim": 8, "num_key_value_heads": 4,
    "rms_norm_eps": 1e-05, "hidden_act": "silu", "tie_word_embeddings": True,
    "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
}


def config(**changes):
    return json.dumps({**LLAMA, **changes})


CONFIGS = {
    "good-llama": config(),
    "good-older-keys": config(rope_parameters=None, rope_theta=5e5, rope_scaling=None),
    "good-by-model-type": config(architectures=None),
    "corrupt-fraction": config(hidden_size=64.0),
    "corrupt-negative": config(head_dim=-1),
    "corrupt-huge": config(vocab_size=2**64 - 1),
    "corrupt-string": config(num_hidden_layers="5"),
    "corrupt-eps": config(rms_norm_eps=0),
    "corrupt-rope-is-a-list": config(rope_parameters=[1]),
    "corrupt-twice": '{"hidden_size":1,"hidden_size":2}',
    "unsupported-deep": '{"a":' * 200 + "1" + "}" * 200,
    "good-python-numbers": config()[:-1] + ', "limit": [0.0, Infinity, -Infinity, NaN]}',
    "corrupt-python-number-used": config()[:-1].replace("1e-05", "Infinity") + "}",
    "corrupt-python-number-in-a-word": config()[:-1] + ', "limit": NaNs}',
    "incomplete-python-number": config()[:-1] + ', "limit": -Infin',
    "corrupt-array": "[]",
    "incomplete-half": config()[:100],
    "incomplete-empty": "",
}


MODEL = {**LLAMA, "num_attention_heads": 8, "intermediate_size": 172,
         "max_position_embeddings": 512}


def model(**changes):
    return json.dumps({**MODEL, **changes})


def mixture(model_type, architecture, **changes):
    return model(**{**dict(model_type=model_type, architectures=[architecture], num_experts=4,
                           num_experts_per_tok=2, moe_intermediate_size=8,
                           num_key_value_heads=None), **changes})


ARCHITECTURES = {  # what a config asks of the registry
    "good-llama": model(),
    "good-older-keys": model(rope_parameters=None, rope_theta=5e5, rope_scaling=None),
    "good-olmo": model(architectures=["OlmoForCausalLM"], model_type="olmo", clip_qkv=None),
    "good-by-model-type": model(architectures=None),
    "corrupt-architectures": model(architectures=[7]),
    "corrupt-heads": model(num_key_value_heads=3),
    "corrupt-width": model(hidden_size=65, head_dim=None),
    "corrupt-layers": model(num_hidden_layers=2**31),
    "corrupt-no-layers": model(num_hidden_layers=0),
    "corrupt-no-width": model(hidden_size=None),
    "corrupt-rope-is-a-list": model(rope_parameters=[1]),
    "corrupt-theta": model(rope_parameters={"rope_theta": -1, "rope_type": "default"}),
    "unsupported-architecture": model(architectures=["MambaForCausalLM"]),
    "unsupported-model-type": model(architectures=None, model_type="mamba"),
    "unsupported-nameless": "{}",
    "unsupported-activation": model(hidden_act="si\nlu" * 2000),
    "unsupported-rope": model(rope_parameters={"rope_type": "longrope", "factor": 8}),
    "unsupported-rope-name": model(rope_parameters={"rope_type": "\u001b[31m" * 2000}),
    "unsupported-rope-by-layer": model(
        architectures=["Olmo3ForCausalLM"], model_type="olmo3",
        rope_parameters={"rope_type": "\u001b[31m" * 2000}),
    "unsupported-layer-types": model(
        architectures=["Qwen3ForCausalLM"], model_type="qwen3", layer_types=["\u001b[31m\u00e9" * 1000] * 5),
    "unsupported-attention-kind": model(
        architectures=["BigramBackcopyForCausalLM"], model_type="bigram_backcopy",
        num_key_value_heads=8,
        attention_kind="\u001b[31m\n" * 1000),
    "good-two-known-names": model(architectures=["MistralForCausalLM"]),
    "unsupported-two-names": model(architectures=["\u001b[31mForCausalLM"]),
    "unsupported-two-names-and-code": model(
        architectures=["MistralForCausalLM"], auto_map={"AutoConfig": "x.Y"}),
    "good-name-before-release": model(
        architectures=["Olmo2RetrofitForCausalLM"], model_type="olmo2-retrofit",
        rope_parameters=None, rope_theta=5e5),
    "unsupported-rope-of-no-layer-type": model(
        architectures=["Olmo3ForCausalLM"], model_type="olmo3"),
    "unsupported-rope-twice": model(rope_scaling={"type": "linear", "factor": 2}),
    "unsupported-layer-types": model(layer_types=["sliding_attention"] * 5),
    "unsupported-not-causal": model(is_causal=False),
    "good-qwen3-moe": mixture("qwen3_moe", "Qwen3MoeForCausalLM", mlp_only_layers=[1]),
    "corrupt-dense-layer": mixture("qwen3_moe", "Qwen3MoeForCausalLM", mlp_only_layers=[-1]),
    "corrupt-experts": mixture("qwen3_moe", "Qwen3MoeForCausalLM", num_experts=2**40),
    "good-mixtral": mixture("mixtral", "MixtralForCausalLM"),
    "good-smollm3": model(architectures=["SmolLM3ForCausalLM"], model_type="smollm3"),
    "corrupt-no-rope-layers": model(
        architectures=["SmolLM3ForCausalLM"], model_type="smollm3", no_rope_layers=[1, 0]),
    "good-apertus": model(
        architectures=["ApertusForCausalLM"], model_type="apertus", hidden_act="xielu"),
    "good-gemma2": model(architectures=["Gemma2ForCausalLM"], model_type="gemma2"),
    "corrupt-soft-cap": model(
        architectures=["Gemma2ForCausalLM"], model_type="gemma2", attn_logit_softcapping=-1),
    "good-gemma3": model(
        architectures=["Gemma3ForCausalLM"], model_type="gemma3_text", rope_parameters=None),
    "good-deepseek-v2": mixture("deepseek_v2", "DeepseekV2ForCausalLM", n_shared_experts=1),
    "good-deepseek-v3": mixture(
        "deepseek_v3", "DeepseekV3ForCausalLM", n_shared_experts=1, n_group=2, topk_group=1,
        head_dim=64),
    "corrupt-groups": mixture(
        "deepseek_v3", "DeepseekV3ForCausalLM", n_shared_experts=1, n_group=3, topk_group=1,
        head_dim=64),
    "corrupt-rotated-part": mixture(
        "deepseek_v3", "DeepseekV3ForCausalLM", n_shared_experts=1, n_group=2, topk_group=1,
        qk_rope_head_dim=3),
    "good-olmo-hybrid": model(architectures=["OlmoHybridForCausalLM"], model_type="olmo_hybrid"),
    "corrupt-delta-heads": model(
        architectures=["OlmoHybridForCausalLM"], model_type="olmo_hybrid",
        linear_num_key_heads=3),
    "good-qwen3-next": mixture("qwen3_next", "Qwen3NextForCausalLM"),
    "good-nanochat": model(
        architectures=["NanoChatForCausalLM"], model_type="nanochat", hidden_act="relu2"),
    "good-nanochat-meta": json.dumps({"step": 1, "model_config": {
        "sequence_len": 64, "vocab_size": 128, "n_layer": 2, "n_head": 2, "n_kv_head": 2,
        "n_embd": 32, "window_pattern": "L"}}),
    "unsupported-nanochat-windows": json.dumps({"model_config": {
        "sequence_len": 64, "vocab_size": 128, "n_layer": 2, "n_head": 2, "n_embd": 32,
        "window_pattern": "\u001b[31mSSSL" * 500}}),
    "good-text-config": json.dumps({"model_type": "llava", "text_config": json.loads(model())}),
    "good-text-config-of-defaults": json.dumps({"model_type": "gemma3", "text_config": {}}),
    "good-qwen3-5": json.dumps({"model_type": "qwen3_5", "text_config": json.loads(model(
        model_type="qwen3_5_text"))}),
    "corrupt-text-config": json.dumps({"model_type": "llava", "text_config": {"hidden_size": -1}}),
    "unsupported-text-config": json.dumps({"model_type": "\u001b[31mx" * 900, "text_config": {}}),
    "unsupported-text-config-in-itself": json.dumps({"model_type": "llava", "text_config": {
        "model_type": "llava", "text_config": {}}}),
    "unsupported-partial": model(rope_parameters={"partial_rotary_factor": 0.5}),
}


# --- config.yaml -------------------------------------------------------------
OLMO = """run_name: tiny
model:
  d_model: 64
  n_heads: 4
  n_layers: 2
  mlp_ratio: 8
  activation_type: swiglu
  block_type: sequential
  rope: true
  flash_attention: true
  layer_norm_type: default
  layer_norm_with_affine: false
  attention_layer_norm_with_affine: false
  include_bias: false
  bias_for_layer_norm: false
  max_sequence_length: 128
  vocab_size: 500
  embedding_size: 512
  weight_tying: false
  init_device: meta
optimizer:
  name: adamw
  learning_rate: 1.0e-05
seed: 7
"""

YAMLS = {
    "good-olmo": OLMO,
    "good-flow": "{model: {d_model: 64, n_heads: 4, n_layers: 2, activation_type: swiglu, "
                 "rope: true, include_bias: false, layer_norm_type: default, vocab_size: 512, "
                 "layer_norm_with_affine: false, weight_tying: false}, seed: 1}\n",
    "good-quoted": OLMO.replace("swiglu", "'swiglu'").replace("default", '"default"'),
    "corrupt-alias-bomb": "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi")),
    "corrupt-anchor": OLMO.replace("model:", "model: &m"),
    "corrupt-alias": OLMO + "again: *m\n",
    "corrupt-merge-key": OLMO + "<<: {a: 1}\n",
    "corrupt-tag": OLMO + "run: !!python/object/apply:os.system ['touch sinkwatch-canary']\n",
    "corrupt-twice": OLMO + "seed: 8\n",
    "corrupt-second-document": OLMO + "---\na: 1\n",
    "corrupt-nul": OLMO + "a: \0\n",
    "corrupt-list": "- a\n- b\n",
    "corrupt-key-is-a-list": OLMO + "[a, b]: 1\n",
    "corrupt-tab": OLMO + "\ta: 1\n",
    "corrupt-no-width": OLMO.replace("d_model: 64", "d_model: 0"),
    "corrupt-huge-width": OLMO.replace("d_model: 64", "d_model: 99999999999999999999"),
    "incomplete-empty": "",
    "incomplete-before-the-model": "run_name: tiny\n",
    "incomplete-in-the-model": OLMO[:OLMO.index("  rope")],
    "incomplete-in-a-quote": OLMO + 'a: "b',
    "unsupported-deep": "a: " + "[" * 40 + "]" * 40 + "\n",
    "unsupported-alibi": OLMO.replace("  rope: true", "  rope: false\n  alibi: true"),
    "found-not-utf8": OLMO.encode().replace(b"swiglu", b"\xc3\x28"),
    "corrupt-unknown-escape": OLMO + 'a: "\\\x1b"\n',
}


NORM = {"name": "rms", "eps": 1e-6, "bias": False}
ATTENTION = {"name": "reordered_norm", "layer_norm": NORM,
             "feed_forward": {"hidden_size": 64, "bias": False},
             "sequence_mixer": {"type": "attention", "n_heads": 2, "bias": False, "qk_norm": NORM,
                                "rope": {"theta": 500000}}}
DELTA = {**ATTENTION, "sequence_mixer": {"type": "gated_delta_net", "n_heads": 2, "head_dim": 12}}


def core(delta=DELTA, attention=ATTENTION, **changes):
    return json.dumps({"model": {**{
        "d_model": 32, "vocab_size": 128, "n_layers": 4, "block": {"gdn": delta, "attn": attention},
        "block_pattern": ["gdn", "attn"], "lm_head": {"layer_norm": NORM, "bias": False}}, **changes}})


def mixer(**changes):
    return {**DELTA, "sequence_mixer": {**DELTA["sequence_mixer"], **changes}}


MODEL_CONFIGS = {
    **{name: text for name, text in ARCHITECTURES.items()
       if "nanochat-" in name or "text-config" in name or "qwen3-5" in name},
    "good-hybrid": core(),
    "good-hybrid-before": core(delta={**DELTA, "name": "default"}),
    "good-attention-alone": core(delta=ATTENTION),
    "good-text-config-in-itself": ARCHITECTURES["unsupported-text-config-in-itself"],
    "good-null-text-config": '{"model_type":"llava","text_config":null}',
    "corrupt-no-text-type": '{"model_type":7,"text_config":{}}',
    "corrupt-text-type": '{"model_type":"llava","text_config":{"model_type":[]}}',
    "corrupt-pattern": core(block_pattern=["gdn", "no such \u001b[31m" * 500]),
    "corrupt-block-name": core(block={"\u001b[31m" * 500: 1, "a b": DELTA}, block_pattern=["a b"]),
    "corrupt-pattern-of-numbers": core(block_pattern=[1]),
    "corrupt-no-pattern": core(block_pattern=[]),
    "corrupt-uneven-pattern": core(block_pattern=["gdn", "gdn", "attn"]),
    "corrupt-block": core(delta=7),
    "corrupt-values": core(delta=mixer(expand_v=1.01)),
    "corrupt-huge-values": core(delta=mixer(expand_v=1e300)),
    "corrupt-heads": core(delta=mixer(n_heads=0)),
    "corrupt-shared-heads": core(delta=mixer(head_dim=None, n_heads=5)),
    "unsupported-delta-option": core(delta=mixer(gate=True)),
    "unsupported-no-attention": core(block_pattern=["gdn"]),
    "corrupt-nanochat": '{"model_config":{"n_embd":"x","sequence_len":1}}',
}
del MODEL_CONFIGS["unsupported-text-config-in-itself"], MODEL_CONFIGS["corrupt-text-config"]


TARGETS = {
    "config_json": CONFIGS,
    "architecture": ARCHITECTURES,
    "config_yaml": YAMLS,
    "model_config": MODEL_CONFIGS,
}
