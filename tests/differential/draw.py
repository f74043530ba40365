"""Random values for the keys of a config.json, from a seed."""
import random

ABSENT = object()  # the key is not written


class Draw(random.Random):

    def pick(self, *values):
        return self.choice(values)

    def chance(self, share):
        return self.random() < share

    def set(self, config, key, *values):
        """One of the values; ABSENT leaves the key out."""
        value = self.pick(*values)
        if value is not ABSENT:
            config[key] = value

    def divisor(self, number):
        return self.choice([n for n in range(1, number + 1) if number % n == 0])


def rope_section(draw, kind, positions):
    """What scales the rotary positions, in today's keys and without theta."""
    original = draw.pick(8, 16, 20)
    if kind == "linear":
        return {"rope_type": kind, "factor": draw.pick(2.0, 4.0)}
    if kind == "dynamic":
        return {"rope_type": kind, "factor": draw.pick(2.0, 4.0)}
    if kind == "llama3":
        return {"rope_type": kind, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": draw.pick(2.0, 4.0),
                "original_max_position_embeddings": original}
    if kind == "yarn":
        return yarn_section(draw, original)
    if kind == "longrope":
        pairs = draw.pick(2, 3, 4, 5)
        return {"rope_type": kind, "short_factor": [1.0] * pairs, "long_factor": [4.0] * pairs,
                "original_max_position_embeddings": original}
    return {"rope_type": "default"}


def yarn_section(draw, original):
    section = {"rope_type": "yarn", "factor": draw.pick(2.0, 4.0, 1.0)}
    draw.set(section, "original_max_position_embeddings", original, original, ABSENT)
    draw.set(section, "beta_fast", ABSENT, 32.0, 2.0, 4)
    draw.set(section, "beta_slow", ABSENT, 1, 0.5)
    draw.set(section, "attention_factor", ABSENT, ABSENT, 1.3, None)
    draw.set(section, "truncate", ABSENT, ABSENT, False, True)
    draw.set(section, "mscale", *[ABSENT] * 6, 0.7, 1.0)
    draw.set(section, "mscale_all_dim", *[ABSENT] * 6, 0.4, 1.0, 0)
    return section


KINDS = ("default",) * 4 + ("linear", "yarn", "llama3") * 2 + ("dynamic", "longrope")


def add_rope(draw, config, kinds=KINDS, partial=False):
    """Rotary positions in one of the generations of keys, or in two at once."""
    section = rope_section(draw, draw.pick(*kinds), config.get("max_position_embeddings"))
    theta = draw.pick(ABSENT, 100.0, 500.0, 10000, 1000000.0)
    if partial:
        draw.set(section, "partial_rotary_factor", ABSENT, ABSENT, 0.5, 0.25, 1.0)
    style = draw.pick("today", "today", "before", "before", "both", "split")
    if style == "today":
        if theta is not ABSENT:
            section["rope_theta"] = theta
        config["rope_parameters"] = section
    elif style == "before":
        add_old_rope(draw, config, section, theta)
    elif style == "both":
        add_old_rope(draw, config, section, theta)
        config["rope_parameters"] = {**section, "rope_theta": draw.pick(100.0, 700.0)}
    else:
        config["rope_parameters"] = section
        if theta is not ABSENT:
            config["rope_theta"] = theta


def add_old_rope(draw, config, section, theta):
    section = dict(section)
    if theta is not ABSENT:
        config["rope_theta"] = theta
    if "partial_rotary_factor" in section:
        config["partial_rotary_factor"] = section.pop("partial_rotary_factor")
    if section["rope_type"] == "default":
        draw.set(config, "rope_scaling", ABSENT, None)
        return
    if draw.chance(0.4):
        section["type"] = section.pop("rope_type")
    config["rope_scaling"] = section


# Keys of other families, which transformers looks at or not.
STRAYS = {
    "attention_bias": [True], "attention_chunk_size": [4], "attention_gate": ["headwise"],
    "attention_multiplier": [0.3], "attention_sinks": [True], "attn_logit_softcapping": [2.0],
    "clip_qkv": [0.8], "decoder_sparse_step": [2], "embedding_multiplier": [3.0],
    "final_logit_softcapping": [2.0, None], "first_k_dense_replace": [1],
    "full_attention_interval": [2], "head_dim": [6, None], "hidden_act": ["gelu", "relu", "silu"],
    "hidden_activation": ["relu"], "is_causal": [False], "layer_norm_affine": [True],
    "layer_norm_eps": [0.2], "layer_norm_epsilon": [0.2], "layer_types": ["sliding_attention"],
    "logits_scaling": [2.0], "max_window_layers": [0, 1], "mlp_bias": [True],
    "mlp_only_layers": [[0]], "moe_layer_freq": [2], "n_group": [2],
    "no_rope_layer_interval": [2], "norm_eps": [0.2], "norm_topk_prob": [True, False],
    "num_experts_per_tok": [1], "num_key_value_heads": [None],
    "original_max_position_embeddings": [8], "parallel_attn": [True],
    "partial_rotary_factor": [0.5], "post_norm": [True], "pretraining_tp": [2],
    "qk_norm": [True, False], "qkv_bias": [True], "query_pre_attn_scalar": [3],
    "residual_multiplier": [0.5], "rms_norm_eps": [0.2], "rope_interleave": [False],
    "rope_local_base_freq": [70.0], "rope_scaling": [None], "rope_theta": [300.0, 300],
    "rotary_emb_base": [300], "rotary_pct": [0.5, 1.0], "routed_scaling_factor": [0.5],
    "scale_attn_by_inverse_layer_idx": [True], "scale_attn_weights": [False],
    "scale_logits": [True], "scoring_func": ["softmax"], "sliding_window": [5, None],
    "sliding_window_pattern": [2], "swiglu_alpha": [1.0], "swiglu_limit": [0.5],
    "tie_word_embeddings": [True, False], "topk_method": ["noaux_tc"], "use_bias": [True],
    "use_bidirectional_attention": [True], "use_parallel_residual": [False, True],
    "use_qk_norm": [True], "use_sliding_window": [True, False],
}


def add_strays(draw, config):
    for _ in range(draw.pick(0, 0, 1, 1, 2)):
        key = draw.choice(sorted(STRAYS))
        if key in config:
            continue
        value = draw.choice(STRAYS[key])
        if key == "layer_types":
            layers = config.get("num_hidden_layers", 2)
            value = [draw.pick("sliding_attention", "full_attention") for _ in range(layers)]
        config[key] = value
