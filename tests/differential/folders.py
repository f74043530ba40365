"""Writes a drawn model as a folder, in one of the ways in which people have them."""
import json
import shutil
import zlib
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

import make_golden
import oracle
from draw import ABSENT, add_strays
from families import FAMILIES

# How the weights are stored, and how often of 100.
STORED = {"as saved": 40, "bfloat16": 8, "float16": 4, "shards": 8, "bin": 8, "fused experts": 8,
          "both and different": 6, "under the head": 6, "without prefix": 6, "a layer more": 6}


def draw_config(draw, name):
    """(config.json, how it is stored) of a family."""
    model_type, architecture, family = FAMILIES[name]
    config = family(draw)
    add_strays(draw, config.get("text_config", config))
    config["model_type"] = model_type
    others = ["LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "NobodysForCausalLM"]
    names = draw.pick(*[[architecture]] * 8, ABSENT, None, [draw.choice(others)])
    if names is not ABSENT:
        config["architectures"] = names
    draw.set(config, "torch_dtype", ABSENT, "bfloat16", "float32")
    stored = draw.choices(list(STORED), list(STORED.values()))[0]
    return config, stored


def write_config(folder, config):
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def make_folder(folder, config, stored, seed):
    """A folder with config.json as it was drawn and random weights of the model
    that transformers makes of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    whole = dict(config)
    if stored == "a layer more" and "num_hidden_layers" in whole:
        whole["num_hidden_layers"] += 1
        if "layer_types" in whole:
            whole["layer_types"] = whole["layer_types"] + whole["layer_types"][-1:]
        if "no_rope_layers" in whole:
            whole["no_rope_layers"] = whole["no_rope_layers"] + [1]
    write_config(folder, whole)
    made = AutoConfig.from_pretrained(folder)
    made.dtype = torch.float32
    model = oracle.class_of(made).from_config(made, dtype=torch.float32)
    make_golden.randomize(model, zlib.crc32(str(seed).encode()), 1.5)
    save(model, folder, stored, seed)
    (folder / "generation_config.json").unlink(missing_ok=True)
    write_config(folder, config)


def save(model, folder, stored, seed):
    if stored in ("bfloat16", "float16"):
        model = model.to(getattr(torch, stored))
    options = {}
    if stored == "shards":
        options["max_shard_size"] = "20KB"
    if stored == "fused experts":
        options["save_original_format"] = False
    model.save_pretrained(folder, **options)
    single = folder / "model.safetensors"
    if not single.exists():
        return
    if stored == "bin":
        torch.save(load_file(single), folder / "pytorch_model.bin")
        single.unlink()
    elif stored == "without prefix":
        prefix = model.base_model_prefix + "."
        save_file({name.removeprefix(prefix): tensor
                   for name, tensor in load_file(single).items()}, single, {"format": "pt"})
    elif stored in ("both and different", "under the head"):
        store_head(model, single, stored, seed)


def store_head(model, single, stored, seed):
    """The output matrix of a tied model under its own name."""
    tensors = load_file(single)
    names = {id(parameter): [] for parameter in model.parameters()}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names[id(parameter)].append(name)
    tied = names[id(model.get_output_embeddings().weight)]
    stored_name = next((name for name in tied if name in tensors), None)
    other = next((name for name in tied if name not in tensors), None)
    if stored_name is None or other is None:
        return
    if stored == "under the head":
        tensors[other] = tensors.pop(stored_name)
    else:
        generator = torch.Generator().manual_seed(seed)
        tensors[other] = torch.randn(tensors[stored_name].shape, generator=generator)
    save_file(tensors, single, {"format": "pt"})
