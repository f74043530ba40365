#!/usr/bin/env python3
"""Writes `olmo_core_1_6`: the model of `hf` as OLMo-core before release 1.7 did.

    pip install --no-deps --target site ai2-olmo-core==1.6.3   # and its imports
    PYTHONPATH=site python make_olmo_core_1_6.py .

Those releases keep the head as keys of the model (`model.layer_norm`,
`model.bias`) and call its weights norm.weight and w_out.weight. Needs torch,
safetensors and numpy; the logits of OLMo-core's own forward pass are compared
with those of transformers (1e-4) before anything is written.
"""
import json
import os
import sys

import torch
from olmo_core.distributed.checkpoint import save_model_and_optim_state
from olmo_core.nn.transformer import TransformerBlockType, TransformerConfig
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from make_containers import (HEADS, KV_HEADS, LAYERS, VOCABULARY, WIDE, WIDTH,
                             olmo_core_names)


def older_names(state):
    names = {"lm_head.norm.weight": "norm.weight",
             "lm_head.w_out.weight": "w_out.weight"}
    return {names.get(name, name): tensor
            for name, tensor in olmo_core_names(state).items()}


def model_config():
    config = TransformerConfig.llama_like(
        d_model=WIDTH, vocab_size=VOCABULARY, n_layers=LAYERS, n_heads=HEADS,
        n_kv_heads=KV_HEADS, qk_norm=True, layer_norm_eps=1e-6,
        rope_theta=500000, block_name=TransformerBlockType.reordered_norm,
        use_flash=False)
    config.block.feed_forward.hidden_size = WIDE
    return config


def main():
    out = sys.argv[1]
    model = model_config().build(init_device="cpu")
    model.load_state_dict(older_names(load_file(f"{out}/hf/model.safetensors")))
    ids = torch.arange(2 * 24).mul(7).remainder(VOCABULARY).view(2, 24)
    with torch.no_grad():
        want = AutoModelForCausalLM.from_pretrained(f"{out}/hf")(ids).logits
        torch.testing.assert_close(model(ids), want, rtol=1e-4, atol=1e-4)
    folder = f"{out}/olmo_core_1_6"
    os.makedirs(folder)
    save_model_and_optim_state(f"{folder}/model_and_optim", model,
                               torch.optim.AdamW(model.parameters()))
    with open(f"{folder}/config.json", "w") as file:
        json.dump({"run_name": "tiny", "model": model_config().as_config_dict()}, file)


if __name__ == "__main__":
    main()
