#!/usr/bin/env python3
"""The weights of ../hf/qwen3 and of hf_llama under the names of other trainers,
in torch.distributed.checkpoint by 2 ranks: Megatron-Core's `torch_dist` (layers
stacked in front, q, k and v by group of heads, gate and up in one matrix) and
torchtitan's Qwen 3. Neither trainer can be had here: torch writes the bytes, the
names and layouts follow their sources (megatron/core/models/gpt,
dist_checkpointing/mapping.py; torchtitan/models/qwen3/state_dict_adapter.py).
Needs torch 2.11, safetensors:

  python3 tests/data/containers/make_megatron.py tests/data/containers
"""
import json
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from safetensors.torch import load_file
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

HERE = Path(__file__).resolve().parent


def megatron(state, config):
    """{name: tensor}, layers stacked."""
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    layers = range(config["num_hidden_layers"])

    def stack(make):
        return torch.stack([make(f"model.layers.{i}.") for i in layers])

    def by_group(prefix):
        q, k, v = (state[f"{prefix}self_attn.{x}_proj.weight"] for x in "qkv")
        dim = q.shape[0] // heads
        parts = [x.reshape(groups, -1, dim, x.shape[-1]) for x in (q, k, v)]
        return torch.cat(parts, 1).reshape(-1, q.shape[-1])

    def get(name):
        return stack(lambda prefix: state[prefix + name])

    attention, mlp = "decoder.layers.self_attention.", "decoder.layers.mlp."
    out = {
        "embedding.word_embeddings.weight": state["model.embed_tokens.weight"],
        "decoder.final_layernorm.weight": state["model.norm.weight"],
        "output_layer.weight": state["lm_head.weight"],
        attention + "linear_qkv.weight": stack(by_group),
        attention + "linear_qkv.layer_norm_weight": get("input_layernorm.weight"),
        attention + "linear_proj.weight": get("self_attn.o_proj.weight"),
        mlp + "linear_fc1.layer_norm_weight": get("post_attention_layernorm.weight"),
        mlp + "linear_fc1.weight": stack(lambda prefix: torch.cat(
            [state[prefix + f"mlp.{x}_proj.weight"] for x in ("gate", "up")])),
        mlp + "linear_fc2.weight": get("mlp.down_proj.weight"),
    }
    if "model.layers.0.self_attn.q_norm.weight" in state:
        out[attention + "q_layernorm.weight"] = get("self_attn.q_norm.weight")
        out[attention + "k_layernorm.weight"] = get("self_attn.k_norm.weight")
    return out


def titan(state):
    """torchtitan's names of Qwen 3; rows stay as they are."""
    parts = {"self_attn.q_proj": "attention.qkv_linear.wq",
             "self_attn.k_proj": "attention.qkv_linear.wk",
             "self_attn.v_proj": "attention.qkv_linear.wv",
             "self_attn.o_proj": "attention.wo", "self_attn.q_norm": "attention.q_norm",
             "self_attn.k_norm": "attention.k_norm", "mlp.gate_proj": "feed_forward.w1",
             "mlp.up_proj": "feed_forward.w3", "mlp.down_proj": "feed_forward.w2",
             "input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm",
             "model.embed_tokens": "tok_embeddings", "model.norm": "norm"}

    def renamed(name):
        name = name.replace("model.layers.", "layers.")
        for theirs, ours in parts.items():
            name = name.replace(theirs, ours)
        return name

    return {renamed(name): tensor for name, tensor in state.items()}


def write(rank, port, out):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2,
                            init_method=f"tcp://127.0.0.1:{port}")
    mesh = init_device_mesh("cpu", (2,))

    def save(name, state, source):
        states = {key: distribute_tensor(value.clone(), mesh, [Shard(0)])
                  for key, value in state.items()}
        if name.startswith("megatron"):
            some = next(iter(state))
            states[f"optimizer.state.exp_avg.{some}"] = torch.ones_like(state[some])
            states["rng_state"] = b"state"
        dcp.save(states, checkpoint_id=f"{out}/{name}")
        if rank == 0:
            shutil.copy(source / "config.json", f"{out}/{name}")

    for name, source in (("megatron", HERE / "hf_llama"),
                         ("megatron_qwen3", HERE.parent / "hf/qwen3")):
        state = load_file(source / "model.safetensors")
        config = json.loads((source / "config.json").read_text())
        save(name, megatron(state, config), source)
    save("torchtitan_qwen3", titan(state), source)
    dist.destroy_process_group()


def main():
    # Paths end up in .metadata: a neutral one.
    out = tempfile.mkdtemp(prefix="containers-")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    torch.multiprocessing.spawn(write, args=(port, out), nprocs=2)
    for folder in Path(out).iterdir():
        target = Path(sys.argv[1]) / folder.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder, target)
    shutil.rmtree(out)


if __name__ == "__main__":
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    main()
