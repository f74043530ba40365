#!/usr/bin/env python3
"""Every key that transformers has for a family, one at a time, set to another value.

  keys.py --worker=bazel-bin/worker/sinkwatch_worker [--logits=...] [--only=llama,qwen3]
          [--table=FILE]

Of each architecture a small config (tests/data/hf/make_golden.py), and for each
key of its configuration class, each that its model's source asks a config for,
and each of the other families (draw.STRAYS), a folder with that key set to what
it is not by default. As in run.py: the worker measures it as transformers does,
or refuses it; else the case is wrong. --table writes what came of each.
"""
import inspect
import json
import logging
import re
import sys
import tempfile
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "data" / "hf"))

import torch
import transformers
from transformers import AutoConfig

import folders
import make_golden
import oracle
import run
from draw import STRAYS
from families import FAMILIES

# What a forward pass for numbers does not ask for: names, training, what is given
# back; and the sizes and positions that run.py draws.
LEFT_OUT = {
    "_name_or_path", "architectures", "auto_map", "dtype", "id2label", "label2id", "model_type",
    "name_or_path", "problem_type", "torch_dtype", "transformers_version", "transformers_weights",
    "vocab_size", "hidden_size", "num_hidden_layers", "n_embd", "n_layer", "text_config",
    "vision_config", "get_text_config", "num_labels", "_attn_implementation",
    "_attn_implementation_internal", "_experts_implementation", "attribute_map", "to_dict",
    "rope_parameters", "return_dict", "use_cache", "initializer_range", "output_attentions",
    "output_hidden_states", "output_router_logits", "router_aux_loss_coef", "bos_token_id",
    "eos_token_id", "pad_token_id", "attention_dropout", "hidden_dropout", "classifier_dropout",
    "attn_pdrop", "embd_pdrop", "resid_pdrop", "summary_activation", "summary_first_dropout",
    "summary_proj_to_labels", "summary_type", "summary_use_proj", "router_jitter_noise",
    "linear_a_log_max", "linear_a_log_min", "linear_dt_init_floor", "linear_dt_max",
    "linear_dt_min",
}
# Other values of what is no number, switch or activation by its default.
VALUES = {
    "clip_qkv": [0.8], "final_logit_softcapping": [2.0], "attn_logit_softcapping": [2.0],
    "head_dim": [6], "hidden_act": ["gelu", "relu", "silu"], "hidden_activation": ["gelu", "relu"],
    "activation_function": ["relu", "gelu"], "layer_types": [], "mlp_only_layers": [[0]],
    "n_group": [2], "topk_group": [1], "n_inner": [20], "num_attention_heads": [2],
    "n_head": [2], "num_key_value_heads": [1, 2], "q_lora_rank": [8], "no_rope_layers": [],
    "sliding_window": [3, 5],
    "topk_method": ["group_limited_greedy", "noaux_tc"], "pruned_heads": [{"0": [0]}],
    "use_bidirectional_attention": [True], "scoring_func": ["softmax", "sigmoid"],
    "rope_scaling": [{"type": "linear", "factor": 4.0},
                     {"rope_type": "dynamic", "factor": 4.0}],
    "quantization_config": [{"quant_method": "fp8"}],
    "mlp_layer_types": [["dense", "sparse", "sparse"]],
    "max_position_embeddings": [40], "n_positions": [48], "n_ctx": [48],
}
EVERYWHERE = {"is_decoder": [True, False], "is_encoder_decoder": [True], "torchscript": [True],
              "tie_word_embeddings": [True, False], "quantization_config": VALUES["quantization_config"],
              "rope_scaling": VALUES["rope_scaling"], "is_causal": [False], "norm_type": ["layernorm"],
              "chunk_size_feed_forward": [4], "pruned_heads": VALUES["pruned_heads"]}


def others(key, value):
    """What `key` is set to where its default is `value`."""
    if key in VALUES:
        return VALUES[key]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, 1]
    if isinstance(value, float):
        return [value * 2 + 0.1]
    if value is None:
        return [True, 2]
    return []


def asked(model_class):
    """What the model's source asks its config for."""
    source = inspect.getsource(sys.modules[model_class.__module__])
    return set(re.findall(r"config\.([a-z_0-9]+)\b(?!\()", source)) | set(
        re.findall(r"getattr\(\s*(?:self\.)?config, \"([a-z_0-9]+)\"", source))


def changes(architecture, config):
    """(key, value) pairs to set in `config`."""
    model_class = getattr(transformers, architecture)
    made = AutoConfig.for_model(config["model_type"],
                                **{key: value for key, value in config.items() if key != "model_type"})
    defaults = made.to_dict()
    keys = {key: others(key, value) for key, value in defaults.items()}
    for key in asked(model_class) | set(getattr(made, "attribute_map", {})):
        keys.setdefault(key, others(key, getattr(made, key, None)))
    for key, values in {**STRAYS, **EVERYWHERE}.items():
        keys[key] = keys.get(key, []) + [value for value in values if value != "sliding_attention"]
    layers = made.num_hidden_layers
    keys["layer_types"] = [[kind] * (layers - 1) + [last]
                           for kind in ("sliding_attention", "full_attention", "chunked_attention")
                           for last in ("full_attention", "sliding_attention")]
    keys["no_rope_layers"] = [[0] + [1] * (layers - 1)]
    for key in sorted(keys):
        if key in LEFT_OUT:
            continue
        seen = [config.get(key, defaults.get(key))]
        for value in keys[key] + [None]:
            if not any(value is other or value == other and type(value) is type(other)
                       for other in seen):
                seen.append(value)
                yield key, value


def judge(name, config, folder, options):
    try:
        folders.make_folder(folder, config, "as saved", f"{name} keys")
    except Exception as error:
        return "no model", f"{type(error).__name__}: {error}"
    return run.compare(folder, options)


def audit(name, folder, options):
    """([key, value, outcome] rows of a family, what is wrong)."""
    model_type, architecture, _ = FAMILIES[name]
    base = {"model_type": model_type, "architectures": [architecture],
            **make_golden.CASES[name][1]}
    if base.get("n_positions", oracle.TOKENS) < oracle.TOKENS:
        base["n_positions"] = 2 * oracle.TOKENS  # the probe's sequences fit
    rows, wrong = [], []
    for key, value in changes(architecture, base):
        outcome, words = judge(name, {**base, key: value}, folder, options)
        if outcome not in ("equal", "refused", "no model"):
            wrong.append((key, value, outcome, words))
        rows.append([key, value, outcome])
        if options.verbose:
            print(name, json.dumps([key, value]), outcome, words[:200], flush=True)
    return base, rows, wrong


def write(path, table):
    lines = [f' "{name}": {{"config": {json.dumps(base)}, "keys": [\n  '
             + ",\n  ".join(json.dumps(row) for row in rows) + "]}"
             for name, (base, rows) in sorted(table.items())]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main():
    parser = run.parser()
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    run.be_quiet()
    names = options.only.split(",") if options.only else [n for n in FAMILIES if n in make_golden.CASES
                                                          and not n.endswith("_images")]
    table, failed = {}, False
    with tempfile.TemporaryDirectory() as scratch:
        options.probe = Path(scratch) / "probe"
        options.tokens = oracle.make_probe(options.probe)
        for name in names:
            base, rows, wrong = audit(name, Path(scratch) / "case", options)
            table[name] = (base, rows)
            counts = {outcome: sum(row[2] == outcome for row in rows)
                      for outcome in ("equal", "refused", "no model", "only ours", "WRONG")}
            print(name, counts, flush=True)
            for key, value, outcome, words in wrong:
                failed = True
                print(f"  {outcome}: {key} = {json.dumps(value)}: {words[:300]}", flush=True)
            if options.table:
                write(options.table, table)
    return failed


if __name__ == "__main__":
    sys.exit(main())
