"""What transformers says of a folder, in float64 and, to know how much of a
difference is rounding, in float32."""
import hashlib
import json

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

import make_golden
from families import VOCABULARY

TOKENS, SEQUENCES = 40, 2
DOMAINS = ["words", "runs", "more"]
# Those that change little when the model does; counts and shares above a bound
# jump.
COMPARED = {"attention_entropy", "attention_logit_max", "head_output_norm", "probe_loss",
            "residual_norm_rest_mean", "residual_norm_sink", "sink_attention", "value_norm_rest",
            "value_norm_sink"}


# The name under which all logits of a domain are compared.
LOGITS = "logits"


class Refused(Exception):
    """transformers makes no model of the folder, or one that lacks weights."""


def make_probe(folder):
    random = np.random.default_rng(7)
    folder.mkdir(parents=True, exist_ok=True)
    domains, tokens = [], {}
    for label in DOMAINS:
        ids = random.integers(2, VOCABULARY, (SEQUENCES, TOKENS))
        if label == "runs":
            ids = np.take_along_axis(ids, np.arange(TOKENS)[None] // 3, 1)
        ids[:, 0] = make_golden.BOS
        data = ids.astype("<u2").tobytes()
        (folder / f"{label}.npy").write_bytes(data)
        domains.append({"label": label, "files": [{
            "path": f"{label}.npy", "tokens": ids.size,
            "sha256": hashlib.sha256(data).hexdigest()}]})
        tokens[label] = ids
    (folder / "probe.json").write_text(json.dumps({
        "name": "differential", "version": "1",
        "tokenizer": {"name": "none", "vocab_size": VOCABULARY}, "dtype": "uint16",
        "sequence_length": TOKENS, "eos_id": 0, "bos_policy": "stored", "domains": domains}))
    return tokens


def class_of(config):
    """What transformers would be asked for: a model of text, or of images too."""
    return AutoModelForImageTextToText if hasattr(config, "text_config") else AutoModelForCausalLM


def text_of(model):
    """The decoder within a model of images and text."""
    return getattr(model.model, "language_model", None) or model.model.text_model


WITH_IMAGES = make_golden.Family(lambda model: text_of(model).layers, make_golden.output_if_any,
                                 text=text_of)
GATED_WITH_IMAGES = make_golden.Family(lambda model: text_of(model).layers,
                                       make_golden.output_if_any, gated=True, text=text_of)


def family_of(model):
    if hasattr(model.config, "text_config"):
        is_gated = model.config.model_type.startswith("qwen3_5")
        return GATED_WITH_IMAGES if is_gated else WITH_IMAGES
    return make_golden.FAMILIES.get(type(model).__name__, make_golden.USUAL)


def load(folder, dtype):
    model, info = class_of(AutoConfig.from_pretrained(folder)).from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", experts_implementation="eager",
        output_loading_info=True)
    lacking = sorted(info["missing_keys"]) + sorted(str(key) for key in info["mismatched_keys"])
    if lacking:
        raise Refused("without weights for " + lacking[0])
    return model.eval()


def measure(folder, tokens, dtype):
    """{(domain, metric, layer): values} of the compared metrics."""
    model = load(folder, dtype)
    # A cache wants a layer of attention.
    for config in (model.config, getattr(model.config, "text_config", model.config)):
        config.use_cache = False
    family = family_of(model)
    found = {}
    for domain in DOMAINS:
        logits, values = make_golden.measure(model, family, domain, tokens[domain])
        found[domain, LOGITS, None] = logits.flatten().tolist()
        found.update({(domain, metric, layer): numbers
                      for domain, metric, layer, numbers in values if metric in COMPARED})
    return found


# Random weights need not make attention sharp, as the goldens want it.
make_golden.Watch.check = staticmethod(lambda found: None)
