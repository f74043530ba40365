"""The config space of each family of worker/model/registry.cc, as transformers has it.

A family draws a config.json of a small model: every key that changes what the
model computes, each with values that tell it from its default, or left out.
"""
from draw import ABSENT, add_rope

VOCABULARY = 32


def shape(draw, head_dim=True, kv_default=None):
    """Sizes. `kv_default`: what the family takes where num_key_value_heads is absent."""
    heads, dim = draw.pick(2, 3, 4, 6), draw.pick(4, 6, 8, 10)
    config = dict(vocab_size=VOCABULARY, hidden_size=heads * dim,
                  intermediate_size=draw.pick(12, 20, 26), num_attention_heads=heads,
                  num_hidden_layers=draw.pick(2, 3, 4),
                  bos_token_id=None, eos_token_id=None, pad_token_id=None)
    draw.set(config, "num_key_value_heads", draw.divisor(heads), draw.divisor(heads), heads,
             None, ABSENT if kv_default is None else heads)
    if head_dim and draw.chance(0.4):
        config["head_dim"] = draw.pick(4, 6, 8, 12, None)
    draw.set(config, "max_position_embeddings", ABSENT, 40, 64, 64, 2048)
    draw.set(config, "rms_norm_eps", ABSENT, 1e-6, 1e-5, 1e-3, 1e-2)
    draw.set(config, "tie_word_embeddings", ABSENT, ABSENT, True, False)
    draw.set(config, "hidden_act", *[ABSENT, "silu"] * 6, "gelu", "swish")
    return config


def biases(draw, config, *keys):
    for key in keys:
        draw.set(config, key, ABSENT, ABSENT, True, False)


def layer_types(draw, config, kinds, share=0.5):
    if draw.chance(share):
        config["layer_types"] = [draw.pick(*kinds) for _ in range(config["num_hidden_layers"])]


SLIDING = ("sliding_attention", "full_attention")


def llama(draw):
    config = shape(draw)
    biases(draw, config, "attention_bias", "mlp_bias")
    add_rope(draw, config)
    return config


def mistral(draw):
    config = shape(draw, kv_default=8)
    draw.set(config, "sliding_window", ABSENT, None, 4, 7)
    layer_types(draw, config, SLIDING, 0.2)
    add_rope(draw, config)
    return config


def ministral(draw):
    config = mistral(draw)
    config["num_key_value_heads"] = draw.divisor(config["num_attention_heads"])
    layer_types(draw, config, SLIDING)
    return config


def mixtral(draw):
    config = mistral(draw)
    experts = draw.pick(2, 3, 4)
    config[draw.pick("num_local_experts", "num_local_experts", "num_experts")] = experts
    config["num_experts_per_tok"] = draw.randint(1, experts)
    return config


def qwen2(draw):
    config = shape(draw, kv_default=32)
    draw.set(config, "use_sliding_window", ABSENT, True, True, False)
    draw.set(config, "sliding_window", ABSENT, None, 4, 7)
    draw.set(config, "max_window_layers", ABSENT, 0, 1, 2)
    layer_types(draw, config, SLIDING, 0.3)
    add_rope(draw, config)
    return config


def qwen3(draw):
    config = qwen2(draw)
    config["head_dim"] = draw.pick(4, 6, 8)
    biases(draw, config, "attention_bias")
    return config


def experts_of(draw, config, *names):
    experts = draw.pick(2, 3, 4)
    config[draw.choice(names)] = experts
    config["num_experts_per_tok"] = draw.randint(1, experts)
    return experts


def qwen3_moe(draw):
    config = qwen3(draw)
    config["num_key_value_heads"] = draw.divisor(config["num_attention_heads"])
    if draw.chance(0.3):
        del config["head_dim"]
    experts_of(draw, config, "num_experts", "num_experts", "num_local_experts")
    config["moe_intermediate_size"] = draw.pick(8, 12)
    draw.set(config, "norm_topk_prob", ABSENT, True, False)
    draw.set(config, "decoder_sparse_step", ABSENT, ABSENT, 1, 2)
    draw.set(config, "mlp_only_layers", ABSENT, ABSENT, [], [0], [1])
    return config


def smollm3(draw):
    config = shape(draw, kv_default=4)
    biases(draw, config, "attention_bias", "mlp_bias")
    draw.set(config, "use_sliding_window", ABSENT, True, False)
    draw.set(config, "sliding_window", ABSENT, None, 4, 7)
    draw.set(config, "no_rope_layer_interval", ABSENT, 2, 3, 1)
    if draw.chance(0.4):
        config["no_rope_layers"] = [draw.pick(0, 1) for _ in range(config["num_hidden_layers"])]
    layer_types(draw, config, SLIDING, 0.3)
    add_rope(draw, config)
    return config


def apertus(draw):
    config = shape(draw)
    config.pop("hidden_act", None)
    draw.set(config, "hidden_act", ABSENT, "xielu")
    biases(draw, config, "attention_bias")
    add_rope(draw, config)
    return config


def gemma2(draw):
    config = shape(draw, kv_default=4)
    config["head_dim"] = draw.pick(4, 6, 8)
    config["num_key_value_heads"] = draw.divisor(config["num_attention_heads"])
    config.pop("hidden_act", None)
    draw.set(config, "hidden_act", ABSENT, "gelu", "silu")
    draw.set(config, "hidden_activation", *[ABSENT, "gelu_pytorch_tanh", "gelu"] * 4, "silu")
    draw.set(config, "query_pre_attn_scalar", ABSENT, 8, 24)
    draw.set(config, "final_logit_softcapping", ABSENT, None, 3.0)
    draw.set(config, "attn_logit_softcapping", ABSENT, None, 2.0)
    draw.set(config, "sliding_window", *[4, 7, ABSENT] * 3, None)
    draw.set(config, "use_bidirectional_attention", *[ABSENT, None, False] * 4, True)
    biases(draw, config, "attention_bias")
    layer_types(draw, config, SLIDING, 0.4)
    add_rope(draw, config)
    return config


def nested_rope(draw, config):
    """rope_parameters by layer type, or none of it."""
    config.pop("rope_parameters", None)
    plain = {"rope_type": "default", "rope_theta": draw.pick(100.0, 500.0)}
    scaled = draw.pick(
        {"rope_type": "linear", "factor": 4.0, "rope_theta": 5000.0},
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8,
         "rope_theta": 500.0, "beta_fast": 2.0, "beta_slow": 0.5},
        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
         "original_max_position_embeddings": 16, "rope_theta": 500.0},
        {"rope_type": "default", "rope_theta": 3000.0}, {"rope_type": "default"})
    config["rope_parameters"] = {"sliding_attention": draw.pick(plain, plain, None, scaled),
                                 "full_attention": draw.pick(scaled, scaled, None)}


def gemma3(draw):
    config = gemma2(draw)
    draw.set(config, "sliding_window_pattern", ABSENT, 2, 3)
    draw.set(config, "rope_local_base_freq", ABSENT, 70.0)
    if draw.chance(0.5):
        for key in ("rope_scaling", "rope_theta"):
            config.pop(key, None)
        nested_rope(draw, config)
    return config


def mla(draw):
    config = shape(draw, head_dim=False)
    experts = experts_of(draw, config, "n_routed_experts", "n_routed_experts", "num_experts")
    config.update(kv_lora_rank=draw.pick(6, 10), qk_rope_head_dim=draw.pick(4, 6),
                  qk_nope_head_dim=draw.pick(4, 6), v_head_dim=draw.pick(5, 8),
                  moe_intermediate_size=draw.pick(8, 10), n_shared_experts=draw.pick(1, 2))
    config["q_lora_rank"] = draw.pick(None, 8, 12)
    config.pop("num_key_value_heads", None)
    draw.set(config, "num_key_value_heads", config["num_attention_heads"], None)
    draw.set(config, "first_k_dense_replace", ABSENT, 0, 1, 2)
    draw.set(config, "norm_topk_prob", ABSENT, True, False)
    draw.set(config, "routed_scaling_factor", ABSENT, 1.0, 1.5)
    biases(draw, config, "attention_bias")
    groups = draw.divisor(experts)
    draw.set(config, "n_group", groups, groups, ABSENT, None, 1)
    draw.set(config, "topk_group", draw.randint(1, groups), ABSENT, None, 1)
    add_rope(draw, config, ("default", "default", "linear", "yarn", "yarn", "llama3", "dynamic"))
    return config


def deepseek_v2(draw):
    config = mla(draw)
    draw.set(config, "topk_method", ABSENT, "greedy", "group_limited_greedy")
    return config


def deepseek_v3(draw):
    config = mla(draw)
    config.pop("num_experts", None)  # a key that this class does not have
    groups = draw.pick(1, 2, 3)
    config["n_routed_experts"] = groups * draw.pick(2, 3)  # two of a group at least
    config.update(n_group=groups, topk_group=draw.randint(1, groups))
    config["num_experts_per_tok"] = draw.randint(1, 2)
    draw.set(config, "rope_interleave", ABSENT, True, False)
    draw.set(config, "num_nextn_predict_layers", ABSENT, 0, 1)
    draw.set(config, "num_mtp_layers", ABSENT, ABSENT, 0)
    draw.set(config, "topk_method", ABSENT, "noaux_tc")
    return config


def gpt2(draw):
    heads = draw.pick(2, 3, 4)
    config = dict(vocab_size=VOCABULARY, n_embd=heads * draw.pick(4, 5, 6),
                  n_layer=draw.pick(2, 3), n_head=heads, n_positions=draw.pick(48, 64),
                  bos_token_id=None, eos_token_id=None)
    if draw.chance(0.15):  # the names that attribute_map has for them
        config["hidden_size"] = config.pop("n_embd")
        config["num_hidden_layers"] = config.pop("n_layer")
    draw.set(config, "n_inner", ABSENT, None, 20)
    draw.set(config, "n_ctx", ABSENT, 64)
    draw.set(config, "activation_function", *[ABSENT, "gelu_new", "gelu"] * 4,
             "gelu_pytorch_tanh", "gelu_fast", "relu", "quick_gelu")
    draw.set(config, "layer_norm_epsilon", ABSENT, 1e-5, 1e-2)
    draw.set(config, "scale_attn_weights", ABSENT, True, False)
    draw.set(config, "scale_attn_by_inverse_layer_idx", ABSENT, True, False)
    draw.set(config, "add_cross_attention", ABSENT, ABSENT, ABSENT, True)
    draw.set(config, "tie_word_embeddings", ABSENT, ABSENT, True, False)
    return config


def gpt_neox(draw):
    config = shape(draw, head_dim=False)
    config.pop("num_key_value_heads", None)
    for key in ("rms_norm_eps", "hidden_act"):
        config.pop(key, None)
    draw.set(config, "layer_norm_eps", ABSENT, 1e-5, 1e-2)
    draw.set(config, "hidden_act", ABSENT, "gelu", "gelu_new", "gelu_fast", "relu")
    draw.set(config, "use_parallel_residual", ABSENT, True, False)
    biases(draw, config, "attention_bias")
    if draw.chance(0.5):
        draw.set(config, "rotary_pct", ABSENT, 0.25, 0.5, 1.0)
        draw.set(config, "rotary_emb_base", ABSENT, 100, 10000)
        draw.set(config, "rope_scaling", ABSENT, None, {"type": "linear", "factor": 2.0})
        draw.set(config, "rope_theta", ABSENT, ABSENT, 300.0)
    else:
        add_rope(draw, config, partial=True)
    return config


def gpt_oss(draw):
    config = shape(draw, kv_default=8)
    config["num_key_value_heads"] = draw.divisor(config["num_attention_heads"])
    config["head_dim"] = draw.pick(4, 6, 8)
    experts_of(draw, config, "num_local_experts", "num_local_experts", "num_experts")
    draw.set(config, "sliding_window", ABSENT, 4, 7)
    draw.set(config, "swiglu_limit", ABSENT, 0.7, 7.0)
    biases(draw, config, "attention_bias")
    layer_types(draw, config, SLIDING, 0.4)
    add_rope(draw, config, ("default", "yarn", "yarn", "linear", "llama3", "dynamic"))
    return config


def olmo(draw):
    config = shape(draw)
    config.pop("rms_norm_eps", None)
    draw.set(config, "clip_qkv", ABSENT, None, 1.5, 3.0)
    biases(draw, config, "attention_bias")
    add_rope(draw, config)
    return config


def olmo2(draw):
    config = shape(draw)
    biases(draw, config, "attention_bias")
    add_rope(draw, config)
    return config


def olmo3(draw):
    config = olmo2(draw)
    draw.set(config, "sliding_window", ABSENT, 4, 7)
    layer_types(draw, config, SLIDING, 0.4)
    if draw.chance(0.5):
        for key in ("rope_scaling", "rope_theta"):
            config.pop(key, None)
        nested_rope(draw, config)
    return config


def olmoe(draw):
    config = olmo(draw)
    draw.set(config, "rms_norm_eps", ABSENT, 1e-5, 1e-2)
    experts_of(draw, config, "num_experts", "num_experts", "num_local_experts")
    draw.set(config, "norm_topk_prob", ABSENT, True, False)
    return config


def delta(draw, config):
    keys = draw.pick(1, 2)
    config.update(linear_num_key_heads=keys, linear_num_value_heads=keys * draw.pick(1, 2),
                  linear_key_head_dim=draw.pick(4, 6), linear_value_head_dim=draw.pick(4, 6))
    draw.set(config, "linear_conv_kernel_dim", ABSENT, 2, 4)


LINEAR = ("linear_attention", "full_attention")


def olmo_hybrid(draw):
    config = shape(draw)
    delta(draw, config)
    config["linear_num_value_heads"] = config["linear_num_key_heads"]
    if draw.chance(0.3):
        for key in ("linear_num_key_heads", "linear_num_value_heads", "linear_key_head_dim",
                    "linear_value_head_dim"):
            config.pop(key)
    biases(draw, config, "attention_bias", "linear_allow_neg_eigval")
    config["num_hidden_layers"] = draw.pick(2, 3, 4, 5)
    layer_types(draw, config, LINEAR, 0.6)
    if draw.chance(0.6):
        add_rope(draw, config, ("default", "default", "linear", "yarn"))
    else:
        draw.set(config, "rope_parameters", ABSENT, None, {"rope_theta": None},
                 {"rope_type": "default", "rope_theta": None})
    return config


def qwen3_next(draw):
    config = shape(draw, kv_default=2)
    config["num_key_value_heads"] = draw.divisor(config["num_attention_heads"])
    config["head_dim"] = draw.pick(8, 16)
    config["num_hidden_layers"] = draw.pick(2, 4)
    delta(draw, config)
    biases(draw, config, "attention_bias")
    layer_types(draw, config, LINEAR, 0.6)
    draw.set(config, "full_attention_interval", ABSENT, 2)
    experts_of(draw, config, "num_experts", "num_experts", "num_local_experts")
    config.update(moe_intermediate_size=draw.pick(8, 10),
                  shared_expert_intermediate_size=draw.pick(6, 8))
    draw.set(config, "norm_topk_prob", ABSENT, True, False)
    draw.set(config, "decoder_sparse_step", ABSENT, ABSENT, 2)
    draw.set(config, "mlp_only_layers", ABSENT, ABSENT, [], [0])
    add_rope(draw, config, ("default", "default", "linear", "yarn"), partial=True)
    return config


def qwen3_5(draw):
    config = qwen3_next(draw)
    for key in ("num_experts", "num_local_experts", "num_experts_per_tok",
                "moe_intermediate_size", "shared_expert_intermediate_size", "norm_topk_prob",
                "decoder_sparse_step", "mlp_only_layers"):
        config.pop(key, None)
    return config


def qwen3_5_moe(draw):
    config = qwen3_next(draw)
    for key in ("norm_topk_prob", "decoder_sparse_step", "mlp_only_layers", "intermediate_size"):
        config.pop(key, None)
    return config


def nanochat(draw):
    config = shape(draw)
    config.pop("hidden_act", None)
    draw.set(config, "hidden_act", ABSENT, "relu2")
    draw.set(config, "final_logit_softcapping", ABSENT, None, 3.0)
    biases(draw, config, "attention_bias")
    add_rope(draw, config)
    return config


TOWER = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
             image_size=16, patch_size=8)
CLIP = dict(TOWER, model_type="clip_vision_model", projection_dim=8)


def with_images(draw, text_types, vision, **changes):
    """A config of images and text around one of text."""
    text_type = draw.pick(*text_types)
    text = TEXTS[text_type](draw)
    draw.set(text, "model_type", text_type, text_type, ABSENT)
    config = {"text_config": text, "vision_config": dict(vision), **changes}
    draw.set(config, "tie_word_embeddings", ABSENT, ABSENT, True, False)
    return config


def gemma3_images(draw):
    return with_images(draw, ["gemma3_text"], TOWER, mm_tokens_per_image=4)


def llava(draw):
    return with_images(draw, ["llama", "mistral", "qwen2"], CLIP, image_token_index=31)


def llava_next(draw):
    return with_images(draw, ["llama", "mistral", "qwen2"], CLIP, image_token_index=31,
                       image_grid_pinpoints=[[16, 16]])


def idefics3(draw):
    return with_images(draw, ["llama"], TOWER, image_token_id=31, scale_factor=2)


def internvl(draw):
    tower = dict(TOWER, image_size=[16, 16], patch_size=[8, 8])
    return with_images(draw, ["qwen2", "qwen3", "llama"], tower, image_token_id=31,
                       downsample_ratio=0.5)


def mistral3(draw):
    tower = dict(TOWER, model_type="pixtral", head_dim=4)
    return with_images(draw, ["mistral"], tower, image_token_index=31)


def qwen3_5_images(draw):
    tower = dict(depth=1, hidden_size=8, intermediate_size=8, num_heads=2, patch_size=4,
                 spatial_merge_size=1, temporal_patch_size=1, num_position_embeddings=4)
    config = with_images(draw, ["qwen3_5_text"], tower, image_token_id=29, video_token_id=30,
                         vision_start_token_id=27, vision_end_token_id=28)
    tower["out_hidden_size"] = config["text_config"]["hidden_size"]
    config["vision_config"] = tower
    return config


TEXTS = {"llama": llama, "mistral": mistral, "qwen2": qwen2, "qwen3": qwen3,
         "gemma3_text": gemma3, "qwen3_5_text": qwen3_5}

# Name: (model_type, architecture, draw).
FAMILIES = {
    "apertus": ("apertus", "ApertusForCausalLM", apertus),
    "deepseek_v2": ("deepseek_v2", "DeepseekV2ForCausalLM", deepseek_v2),
    "deepseek_v3": ("deepseek_v3", "DeepseekV3ForCausalLM", deepseek_v3),
    "gemma2": ("gemma2", "Gemma2ForCausalLM", gemma2),
    "gemma3": ("gemma3_text", "Gemma3ForCausalLM", gemma3),
    "gemma3_images": ("gemma3", "Gemma3ForConditionalGeneration", gemma3_images),
    "gpt2": ("gpt2", "GPT2LMHeadModel", gpt2),
    "gpt_neox": ("gpt_neox", "GPTNeoXForCausalLM", gpt_neox),
    "gpt_oss": ("gpt_oss", "GptOssForCausalLM", gpt_oss),
    "idefics3": ("idefics3", "Idefics3ForConditionalGeneration", idefics3),
    "internvl": ("internvl", "InternVLForConditionalGeneration", internvl),
    "llama": ("llama", "LlamaForCausalLM", llama),
    "llava": ("llava", "LlavaForConditionalGeneration", llava),
    "llava_next": ("llava_next", "LlavaNextForConditionalGeneration", llava_next),
    "mistral3": ("mistral3", "Mistral3ForConditionalGeneration", mistral3),
    "smolvlm": ("smolvlm", "SmolVLMForConditionalGeneration", idefics3),
    "ministral": ("ministral", "MinistralForCausalLM", ministral),
    "mistral": ("mistral", "MistralForCausalLM", mistral),
    "mixtral": ("mixtral", "MixtralForCausalLM", mixtral),
    "nanochat": ("nanochat", "NanoChatForCausalLM", nanochat),
    "olmo": ("olmo", "OlmoForCausalLM", olmo),
    "olmo2": ("olmo2", "Olmo2ForCausalLM", olmo2),
    "olmo3": ("olmo3", "Olmo3ForCausalLM", olmo3),
    "olmo_hybrid": ("olmo_hybrid", "OlmoHybridForCausalLM", olmo_hybrid),
    "olmoe": ("olmoe", "OlmoeForCausalLM", olmoe),
    "qwen2": ("qwen2", "Qwen2ForCausalLM", qwen2),
    "qwen3": ("qwen3", "Qwen3ForCausalLM", qwen3),
    "qwen3_5": ("qwen3_5_text", "Qwen3_5ForCausalLM", qwen3_5),
    "qwen3_5_moe": ("qwen3_5_moe_text", "Qwen3_5MoeForCausalLM", qwen3_5_moe),
    "qwen3_5_images": ("qwen3_5", "Qwen3_5ForConditionalGeneration", qwen3_5_images),
    "qwen3_moe": ("qwen3_moe", "Qwen3MoeForCausalLM", qwen3_moe),
    "qwen3_next": ("qwen3_next", "Qwen3NextForCausalLM", qwen3_next),
    "smollm3": ("smollm3", "SmolLM3ForCausalLM", smollm3),
}
