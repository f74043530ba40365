#!/usr/bin/env python3
"""Rotary frequencies as transformers 5.23 computes them.

Prints the table of worker/model/rope_test.cc. Needs transformers 5.23 and its
torch:  python3 worker/model/rope_golden.py
"""
import json
import textwrap

from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
          "high_freq_factor": 4.0, "original_max_position_embeddings": 128}
YARN = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 512}
CASES = [
    {"rope_theta": 500000.0},
    {"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 4.0}},
    {"rope_theta": 10000.0, "rope_scaling": LLAMA3},
    {"rope_theta": 500.0, "rope_scaling": {key: value for key, value in LLAMA3.items()
                                           if key != "original_max_position_embeddings"}},
    {"rope_theta": 1000.0, "rope_scaling": YARN},
    {"rope_theta": 1000.0, "rope_scaling": {**YARN, "truncate": False}},
    {"rope_theta": 1000.0, "rope_scaling": {**YARN, "attention_factor": 1.0, "beta_fast": 8,
                                            "beta_slow": 2.0}},
    {"rope_theta": 1000.0, "rope_scaling": {**YARN, "factor": 0.5}},
    {"rope_theta": 20.0, "rope_scaling": {"rope_type": "yarn", "factor": 2.0}},
    {"rope_theta": 1000.0, "rope_scaling": {**YARN, "factor": None}},
    {"rope_parameters": {**YARN, "rope_theta": 1000.0, "truncate": False, "beta_slow": 3.0}},
]


def main():
    for case in CASES:
        config = LlamaConfig(hidden_size=48, num_attention_heads=4, head_dim=12,
                             max_position_embeddings=2048, **json.loads(json.dumps(case)))
        kind = config.rope_parameters["rope_type"]
        compute = (LlamaRotaryEmbedding.compute_default_rope_parameters if kind == "default"
                   else ROPE_INIT_FUNCTIONS[kind])
        inverse, factor = compute(config)
        numbers = ", ".join(f"{value:.8g}" for value in inverse.tolist())
        text = textwrap.fill(json.dumps(case), 68, subsequent_indent=" " * 9)
        print(f"    {{R\"({text})\",\n     {factor:.9g},\n     {{{numbers}}}}},")


if __name__ == "__main__":
    main()
