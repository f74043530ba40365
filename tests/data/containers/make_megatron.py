#!/usr/bin/env python3
"""The weights of ../hf/qwen3, ../hf/qwen3_moe and of hf_llama under the names of other trainers,
in torch.distributed.checkpoint by 2 ranks: Megatron-Core's `torch_dist` (layers
stacked in front, of experts two of them, q, k and v by group of heads, gate and up
in one matrix) and torchtitan's Qwen 3. Neither trainer can be had here: torch writes the bytes, the
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
from torch.distributed.checkpoint.metadata import (ChunkStorageMetadata, MetadataIndex,
                                                   TensorProperties)
from torch.distributed.checkpoint.planner import TensorWriteData, WriteItem, WriteItemType
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


def megatron_experts(state, config):
    """The same of Qwen3-MoE, and its experts stacked over layers and experts, in the
    chunks that Megatron-Core makes of them (SequentialMLP.sharded_state_dict,
    apply_swiglu_sharded_factory): {name: (shape, chunks)}, a chunk a pair of its
    offset and its tensor."""
    layers, experts = config["num_hidden_layers"], config["num_local_experts"]
    dense = {name: value for name, value in state.items() if ".mlp." not in name}
    dense |= {f"model.layers.{i}.mlp.{x}_proj.weight": torch.zeros(2, 2)
              for i in range(layers) for x in ("gate", "up", "down")}
    out = {name.replace("mlp.linear_fc1.layer_norm_weight", "pre_mlp_layernorm.weight"): value
           for name, value in megatron(dense, config).items()
           if not name.endswith(("linear_fc1.weight", "linear_fc2.weight"))}
    out["decoder.layers.mlp.router.weight"] = torch.stack(
        [state[f"model.layers.{i}.mlp.gate.weight"] for i in range(layers)])

    def part(layer, expert, name):
        return state[f"model.layers.{layer}.mlp.experts.{expert}.{name}_proj.weight"]

    stacks = {}
    for name, parts in (("linear_fc1", ("gate", "up")), ("linear_fc2", ("down",))):
        chunks = []
        for layer in range(layers):
            for expert in range(experts):
                row = 0
                for x in parts:
                    tensor = part(layer, expert, x)
                    chunks.append(((layer, expert, row, 0), tensor[None, None].clone()))
                    row += tensor.shape[0]
        shape = (layers, experts, row, tensor.shape[1])
        stacks[f"decoder.layers.mlp.experts.experts.{name}.weight"] = (shape, chunks)
    return out, stacks


class Chunks(torch.Tensor):
    """A tensor of which a rank has some boxes, as torch asks for them (and
    Megatron-Core answers, CheckpointableShardedTensor)."""

    @staticmethod
    def __new__(cls, shape, chunks):
        made = torch.Tensor._make_wrapper_subclass(cls, shape)
        made.chunks = dict(chunks)
        return made

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise NotImplementedError(f"{function} of a part of a tensor")

    def __create_write_items__(self, fqn, _):
        properties = TensorProperties.create_from_tensor(next(iter(self.chunks.values())))
        return [WriteItem(index=MetadataIndex(fqn, torch.Size(offset)), type=WriteItemType.SHARD,
                          tensor_data=TensorWriteData(
                              chunk=ChunkStorageMetadata(torch.Size(offset), tensor.size()),
                              properties=properties, size=self.shape))
                for offset, tensor in self.chunks.items()]

    def __create_chunk_list__(self):
        return [ChunkStorageMetadata(torch.Size(offset), tensor.size())
                for offset, tensor in self.chunks.items()]

    def __get_tensor_shard__(self, index):
        return self.chunks[tuple(index.offset)]


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

    def save(name, state, source, stacks={}):
        states = {key: distribute_tensor(value.clone(), mesh, [Shard(0)])
                  for key, value in state.items()}
        if name.startswith("megatron"):
            some = next(iter(state))
            states[f"optimizer.state.exp_avg.{some}"] = torch.ones_like(state[some])
            states["rng_state"] = b"state"
        for key, (shape, chunks) in stacks.items():
            states[key] = Chunks(shape, chunks[rank::2])
        dcp.save(states, checkpoint_id=f"{out}/{name}")
        if rank == 0:
            shutil.copy(source / "config.json", f"{out}/{name}")

    for name, source in (("megatron", HERE / "hf_llama"),
                         ("megatron_qwen3", HERE.parent / "hf/qwen3")):
        state = load_file(source / "model.safetensors")
        config = json.loads((source / "config.json").read_text())
        save(name, megatron(state, config), source)
    save("torchtitan_qwen3", titan(state), source)
    source = HERE.parent / "hf/qwen3_moe"
    state = load_file(source / "model.safetensors")
    config = json.loads((source / "config.json").read_text())
    dense, stacks = megatron_experts(state, config)
    save("megatron_qwen3_moe", dense, source, stacks)
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
