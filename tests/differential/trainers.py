"""The same random models as their own trainers write them: config, names, containers.

A case draws what a trainer's config says, and what it leaves out; from that, by
the trainer's own defaults, the config of transformers' class that computes the
same. transformers makes and measures that model, the worker the trainer's
folder.
"""
import json

import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import load_file, save_file

from draw import ABSENT
from families import VOCABULARY


def sizes(draw):
    heads, dim = draw.pick(2, 4, 6), draw.pick(4, 6, 8)
    return heads, dim, heads * dim, draw.pick(2, 3, 4), draw.divisor(heads)


def hugging_face(architecture, model_type, width, layers, heads, groups, **more):
    return dict(architectures=[architecture], model_type=model_type, vocab_size=VOCABULARY,
                hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
                num_key_value_heads=groups, bos_token_id=None, eos_token_id=None,
                pad_token_id=None, max_position_embeddings=64, **more)


def said(draw, fields, key, values, absent):
    """Puts one of `values` into `fields`, or nothing; what that means."""
    value = draw.choice([ABSENT, *values])
    if value is ABSENT:
        return absent
    fields[key] = value
    return value


# --- OLMo-core ---------------------------------------------------------------

SCALINGS = "olmo_core.nn.rope."


def core_rope(draw, head_dim):
    """(rope, rope_parameters)."""
    rope = {}
    made = {"rope_type": "default", "rope_theta": float(
        said(draw, rope, "theta", [100, 500.0, 10000], 500000))}
    kind = draw.pick(None, None, "PI", "Stepwise", "ABF", "YaRN")
    scaling = {"_CLASS_": f"{SCALINGS}{kind}RoPEScalingConfig"}
    if kind == "PI":
        made.update(rope_type="linear", factor=said(draw, scaling, "factor", [4.0, 8.0], 2.0))
    elif kind == "Stepwise":
        made.update(rope_type="llama3", factor=said(draw, scaling, "factor", [4.0, 8.0], 32.0))
        low = said(draw, scaling, "low_freq_proportion", [0.25], 0.0)
        high = said(draw, scaling, "high_freq_proportion", [0.5, 0.75], 0.25)
        made.update(low_freq_factor=1 / (1 - low), high_freq_factor=1 / high)
        made["original_max_position_embeddings"] = said(draw, scaling, "old_context_len",
                                                        [16, 20], 8192)
    elif kind == "ABF":
        made["rope_theta"] = float(said(draw, scaling, "new_theta", [3000], 8000000))
    elif kind == "YaRN":
        made.update(rope_type="yarn", factor=said(draw, scaling, "factor", [2.0, 4.0], 8.0))
        made["beta_fast"] = float(said(draw, scaling, "beta_fast", [8], 32))
        made["beta_slow"] = float(said(draw, scaling, "beta_slow", [2], 1))
        scaling["old_context_len"] = draw.pick(16, 20)
        made["original_max_position_embeddings"] = scaling["old_context_len"]
    if kind:
        rope["scaling"] = scaling
    return rope, made


def core_windows(draw, attention, layers):
    """layer_types and the window; None without one."""
    if not draw.chance(0.6):
        return None, 0
    window = draw.pick(4, 7)
    sliding = {"pattern": draw.pick([window], [window, -1], [window, window, -1])}
    first = said(draw, sliding, "force_full_attention_on_first_layer", [False, True], True)
    last = said(draw, sliding, "force_full_attention_on_last_layer", [False, True], True)
    attention["sliding_window"] = sliding
    types = []
    for layer in range(layers):
        size = sliding["pattern"][(layer - (1 if first else 0)) % len(sliding["pattern"])]
        full = (first and layer == 0) or (last and layer == layers - 1) or size == -1
        types.append("full_attention" if full else "sliding_attention")
    return types, window


def core_norm(eps, draw):
    norm = {"name": draw.pick("rms", "fused_rms"), "bias": False}
    if eps is not ABSENT:
        norm["eps"] = eps
    return norm


CORE = {"llama": ("LlamaForCausalLM", "llama"), "qwen3": ("Qwen3ForCausalLM", "qwen3"),
        "olmo2": ("Olmo2ForCausalLM", "olmo2"), "olmo3": ("Olmo3ForCausalLM", "olmo3")}


def olmo_core(draw):
    """(config of transformers, of OLMo-core, names)."""
    family = draw.pick("llama", "qwen3", "olmo2", "olmo2")
    heads, dim, width, layers, groups = sizes(draw)
    attention, feed_forward = {"n_heads": heads}, {"hidden_size": draw.pick(12, 20)}
    groups = said(draw, attention, "n_kv_heads", [groups, groups], heads)
    dim = said(draw, attention, "head_dim", [dim, 8], dim)
    bias = said(draw, attention, "bias", [False, False, True], True)
    eps = draw.pick(ABSENT, 1e-6, 1e-2)
    if family != "llama":
        attention["qk_norm"] = core_norm(eps, draw)
    if family == "qwen3":
        attention["use_head_qk_norm"] = True
    attention["rope"], rope = core_rope(draw, dim)
    types, window = core_windows(draw, attention, layers) if family == "olmo2" else (None, 0)
    wide_bias = said(draw, feed_forward, "bias", [False] * 4, True)
    name = said(draw, {}, "name", [], "default") if family in ("llama", "qwen3") else "reordered_norm"
    block = {"name": name, draw.pick("sequence_mixer", "attention"): attention,
             "feed_forward": feed_forward, "layer_norm": core_norm(eps, draw)}
    model = {"d_model": width, "n_layers": layers, "vocab_size": VOCABULARY, "block": block,
             "lm_head": {"layer_norm": core_norm(eps, draw), "bias": False}}
    if types and "sliding_attention" in types:
        family = "olmo3"
    made = hugging_face(*CORE[family], width, layers, heads, groups, head_dim=dim,
                        intermediate_size=feed_forward["hidden_size"], attention_bias=bias,
                        rms_norm_eps=1e-5 if eps is ABSENT else eps, rope_parameters=rope)
    if family == "llama":
        made["mlp_bias"] = wide_bias
    if family == "olmo3":
        made.update(layer_types=types, sliding_window=window,
                    rope_parameters={"full_attention": rope, "sliding_attention": rope})
    if family != "llama" and wide_bias:
        made = None  # transformers has no such model: must be refused
    made = made and {**made, "tie_word_embeddings": False}
    return made, {"model": model, "train_module": {"max_sequence_length": 64}}


CORE_PARTS = {"mlp.gate_proj": "feed_forward.w1", "mlp.down_proj": "feed_forward.w2",
              "mlp.up_proj": "feed_forward.w3", "self_attn.q_proj": "attention.w_q",
              "self_attn.k_proj": "attention.w_k", "self_attn.v_proj": "attention.w_v",
              "self_attn.o_proj": "attention.w_out", "self_attn.q_norm": "attention.q_norm",
              "self_attn.k_norm": "attention.k_norm"}


def renamed(tensors, prefix, parts, top):
    out = {}
    for name, tensor in tensors.items():
        if not name.startswith("model.layers."):
            out[top[name]] = tensor
            continue
        _, _, layer, rest = name.split(".", 3)
        part, _, end = rest.rpartition(".")
        out[f"{prefix}{layer}.{parts[part]}.{end}"] = tensor
    return out


def write_olmo_core(draw, made, config, tensors, folder):
    after = config["model"]["block"]["name"] == "reordered_norm"
    parts = {**CORE_PARTS,
             "post_attention_layernorm" if after else "input_layernorm": "attention_norm",
             "post_feedforward_layernorm" if after else "post_attention_layernorm":
                 "feed_forward_norm"}
    old = draw.chance(0.3)
    top = {"model.embed_tokens.weight": "embeddings.weight",
           "model.norm.weight": "norm.weight" if old else "lm_head.norm.weight",
           "lm_head.weight": "w_out.weight" if old else "lm_head.w_out.weight"}
    write(draw, folder, "config.json", config, renamed(tensors, "blocks.", parts, top))
    return folder


def write(draw, folder, config_name, config, tensors, dcp_too=True):
    """In one of the containers that the trainer has."""
    folder.mkdir(parents=True)
    kind = draw.pick("safetensors", "pt", *["dcp"] * (2 if dcp_too else 0))
    if kind == "safetensors":
        save_file(tensors, folder / "model.safetensors")
    elif kind == "pt":
        torch.save(tensors, folder / "model.pt")
    else:
        dcp.save({"model": tensors, "optim": {"step": torch.ones(3)}},
                 checkpoint_id=str(folder / "model_and_optim"), no_dist=True)
    text = json.dumps(config)  # which is YAML too
    (folder / config_name).write_text(text + "\n")


# --- OLMo's first trainer ----------------------------------------------------

def olmo_native(draw):
    family = draw.pick("olmo", "olmo", "llama", "olmo2")
    heads, dim, width, layers, groups = sizes(draw)
    model = {"d_model": width, "n_heads": heads, "n_layers": layers, "rope": True,
             "vocab_size": VOCABULARY, "include_bias": False, "max_sequence_length": 64,
             "embedding_size": draw.pick(None, VOCABULARY)}
    groups = said(draw, model, "n_kv_heads", [groups, groups], heads)
    if "n_kv_heads" not in model:
        groups = 1 if said(draw, model, "multi_query_attention", [True, False], False) else heads
    wide = said(draw, model, "mlp_ratio", [2, 6], 4) * width
    wide = said(draw, model, "mlp_hidden_size", [24, 40], wide) // 2
    tied = said(draw, model, "weight_tying", [True, False], True)
    theta = float(said(draw, model, "rope_theta", [100, 500.0], 10000))
    said(draw, model, "activation_type", ["swiglu"], "swiglu")
    more = dict(intermediate_size=wide, tie_word_embeddings=tied,
                rope_parameters={"rope_type": "default", "rope_theta": theta})
    if family == "olmo":
        said(draw, model, "layer_norm_type", ["low_precision", "default"], "default")
        model["layer_norm_with_affine"] = False
        clip = said(draw, model, "clip_qkv", [1.5, None], None)
        more["clip_qkv"] = clip
    else:
        model["layer_norm_type"] = "rms"
        more["rms_norm_eps"] = said(draw, model, "layer_norm_eps", [1e-6, 1e-2], 1e-5)
    if family == "olmo2":
        model.update(norm_after=True, attention_layer_norm=True)
    architecture = {"olmo": "OlmoForCausalLM", "llama": "LlamaForCausalLM",
                    "olmo2": "Olmo2ForCausalLM"}[family]
    return hugging_face(architecture, family, width, layers, heads, groups, **more), model


def write_olmo_native(draw, made, model, tensors, folder):
    layers = {}
    for name, tensor in tensors.items():
        if name.startswith("model.layers."):
            layers.setdefault(int(name.split(".")[2]), {})[name.split(".", 3)[3]] = tensor
    root = draw.pick("transformer.", "model.transformer.")
    after = bool(model.get("norm_after"))
    out = {}
    for layer, parts in layers.items():
        prefix = f"{root}blocks.{layer}."
        take = lambda name: parts[name + ".weight"]
        out[prefix + "att_proj.weight"] = torch.cat(
            [take(f"self_attn.{part}_proj") for part in "qkv"])
        out[prefix + "ff_proj.weight"] = torch.cat([take("mlp.up_proj"), take("mlp.gate_proj")])
        names = {"self_attn.o_proj": "attn_out", "mlp.down_proj": "ff_out",
                 "self_attn.q_norm": "q_norm", "self_attn.k_norm": "k_norm",
                 "post_attention_layernorm" if after else "input_layernorm": "attn_norm",
                 "post_feedforward_layernorm" if after else "post_attention_layernorm": "ff_norm"}
        for ours, theirs in names.items():
            if ours + ".weight" in parts:
                out[f"{prefix}{theirs}.weight"] = take(ours)
    for ours, theirs in {"model.embed_tokens": "wte", "model.norm": "ln_f",
                         "lm_head": "ff_out"}.items():
        if ours + ".weight" in tensors:
            out[f"{root}{theirs}.weight"] = tensors[ours + ".weight"]
    if draw.chance(0.5):
        write(draw, folder, "config.yaml", {"run_name": "x", "model": model, "seed": 1,
                                            "tokenizer": {}}, out, dcp_too=False)
    else:
        write(draw, folder, "config.json", {"model_type": "hf_olmo", **model}, out, dcp_too=False)
    return folder


# --- Meta's ------------------------------------------------------------------

def meta(draw):
    heads, dim, width, layers, groups = sizes(draw)
    params = {"dim": width, "n_layers": layers, "n_heads": heads, "vocab_size": VOCABULARY}
    groups = said(draw, params, "n_kv_heads", [groups, groups, None], heads) or heads
    multiple = said(draw, params, "multiple_of", [4, 8, 32], 256)
    factor = said(draw, params, "ffn_dim_multiplier", [1.3, 0.7], None)
    wide = int(2 * (4 * width) / 3)
    wide = int(factor * wide) if factor else wide
    wide = multiple * ((wide + multiple - 1) // multiple)
    eps = said(draw, params, "norm_eps", [1e-6, 1e-2], 1e-5)
    theta = float(said(draw, params, "rope_theta", [100, 500.0], 10000))
    return hugging_face("LlamaForCausalLM", "llama", width, layers, heads, groups,
                        intermediate_size=wide, rms_norm_eps=eps, tie_word_embeddings=False,
                        rope_parameters={"rope_type": "default", "rope_theta": theta}), params


META = {"self_attn.q_proj": "attention.wq", "self_attn.k_proj": "attention.wk",
        "self_attn.v_proj": "attention.wv", "self_attn.o_proj": "attention.wo",
        "mlp.gate_proj": "feed_forward.w1", "mlp.down_proj": "feed_forward.w2",
        "mlp.up_proj": "feed_forward.w3", "input_layernorm": "attention_norm",
        "post_attention_layernorm": "ffn_norm"}


def write_meta(draw, made, params, tensors, folder):
    """Rotary pairs side by side."""
    def paired(tensor, heads):
        return tensor.view(heads, 2, -1, tensor.shape[1]).transpose(1, 2).reshape(tensor.shape)

    turned = {}
    for name, tensor in tensors.items():
        if "q_proj" in name:
            tensor = paired(tensor, made["num_attention_heads"])
        elif "k_proj" in name:
            tensor = paired(tensor, made["num_key_value_heads"])
        turned[name] = tensor.contiguous()
    top = {"model.embed_tokens.weight": "tok_embeddings.weight", "model.norm.weight": "norm.weight",
           "lm_head.weight": "output.weight"}
    write(draw, folder, "params.json", params, renamed(turned, "layers.", META, top), dcp_too=False)
    return folder


# --- nanochat ----------------------------------------------------------------

def nanochat(draw):
    heads, dim, width, layers, groups = sizes(draw)
    model = {"sequence_len": 64, "vocab_size": VOCABULARY, "n_layer": layers, "n_head": heads,
             "n_embd": width}
    groups = said(draw, model, "n_kv_head", [groups, groups], heads)
    said(draw, model, "window_pattern", ["L", "LL"], None)
    return hugging_face("NanoChatForCausalLM", "nanochat", width, layers, heads, groups,
                        intermediate_size=4 * width, rms_norm_eps=1.1920928955078125e-07,
                        final_logit_softcapping=15.0, tie_word_embeddings=False,
                        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}
                        ), {"step": 100, "model_config": model}


NANOCHAT = {"self_attn.q_proj": "attn.c_q", "self_attn.k_proj": "attn.c_k",
            "self_attn.v_proj": "attn.c_v", "self_attn.o_proj": "attn.c_proj",
            "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}


def write_nanochat(draw, made, config, tensors, folder):
    folder.mkdir(parents=True)
    out = renamed(tensors, "transformer.h.", NANOCHAT,
                  {"model.embed_tokens.weight": "transformer.wte.weight",
                   "lm_head.weight": "lm_head.weight"})
    torch.save(out, folder / "model_000100.pt")
    (folder / "meta_000100.json").write_text(json.dumps(config))
    return folder / "model_000100.pt"


# Name: (draw, write).
TRAINERS = {"olmo_core": (olmo_core, write_olmo_core),
            "olmo_native": (olmo_native, write_olmo_native),
            "meta": (meta, write_meta),
            "nanochat_trainer": (nanochat, write_nanochat)}


def write_trainers_folder(draw, name, made, config, source, folder):
    """The model in `source`, which transformers saved, as the trainer writes it;
    the path that the worker is given."""
    return TRAINERS[name][1](draw, made, config, load_file(source / "model.safetensors"), folder)
