#!/usr/bin/env python3
"""Writes the same weights in every container that a trainer may leave.

Two tiny random models from a fixed seed: an OLMo 2 (its shapes do not divide by
the number of ranks) and a Llama. The writers are the real ones: torch 2.11,
transformers 5.23, safetensors, ai2-olmo-core 3.0.0 and ai2-olmo 0.6.0 (the
legacy trainer), the last two installed with `pip install --no-deps` beside what
they import. Before anything is written, the logits of OLMo-core's and of the
legacy trainer's own forward passes are compared with those of transformers, so
that a mistake in the renaming here cannot pass for one of the reader.

    make_containers.py OUT_FOLDER

Save ids differ from run to run, weights do not.
"""

import hashlib
import json
import os
import shutil
import socket
import sys
import tempfile
from unittest import mock

sys.modules["datasets"] = mock.MagicMock()  # legacy OLMo imports it, unused

import safetensors.torch  # noqa: E402
import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
import torch.distributed.checkpoint as dcp  # noqa: E402
import torch.multiprocessing as mp  # noqa: E402
import transformers  # noqa: E402
from torch.distributed.checkpoint.hf_storage import (  # noqa: E402
    HuggingFaceStorageWriter)
from torch.distributed.device_mesh import init_device_mesh  # noqa: E402
from torch.distributed.fsdp import fully_shard  # noqa: E402
from torch.distributed.tensor import Shard, distribute_tensor  # noqa: E402

SEED = 20261124
WIDTH, LAYERS, HEADS, KV_HEADS, WIDE, VOCABULARY = 32, 2, 4, 2, 48, 66
POSITIONS = 64
STEP = 1000


# The two models.


def randomize(model):
    """Weights far from their start, so that heads attend to something."""
    torch.manual_seed(SEED)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn_like(p)
            p.copy_(1 + noise / 4 if "norm" in name else noise / 4)
    return model.eval()


def hf_olmo2():
    return randomize(transformers.Olmo2ForCausalLM(transformers.Olmo2Config(
        hidden_size=WIDTH, intermediate_size=WIDE, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
        vocab_size=VOCABULARY, max_position_embeddings=POSITIONS,
        rms_norm_eps=1e-6, tie_word_embeddings=False, pad_token_id=None,
        bos_token_id=None, eos_token_id=1,
        rope_parameters={"rope_type": "default", "rope_theta": 500000.0})))


def hf_llama():
    return randomize(transformers.LlamaForCausalLM(transformers.LlamaConfig(
        hidden_size=WIDTH, intermediate_size=WIDE, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS,
        vocab_size=VOCABULARY, max_position_embeddings=POSITIONS,
        rms_norm_eps=1e-5, tie_word_embeddings=False, pad_token_id=None,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0})))


# Names of the other schemes.


def olmo_core_names(state):
    """transformers' names -> OLMo-core's."""
    layer = {"self_attn.q_proj": "attention.w_q",
             "self_attn.k_proj": "attention.w_k",
             "self_attn.v_proj": "attention.w_v",
             "self_attn.o_proj": "attention.w_out",
             "self_attn.q_norm": "attention.q_norm",
             "self_attn.k_norm": "attention.k_norm",
             "post_attention_layernorm": "attention_norm",
             "post_feedforward_layernorm": "feed_forward_norm",
             "mlp.gate_proj": "feed_forward.w1",
             "mlp.down_proj": "feed_forward.w2",
             "mlp.up_proj": "feed_forward.w3"}
    names = {"model.embed_tokens.weight": "embeddings.weight",
             "model.norm.weight": "lm_head.norm.weight",
             "lm_head.weight": "lm_head.w_out.weight"}
    for i in range(LAYERS):
        for hf, core in layer.items():
            names[f"model.layers.{i}.{hf}.weight"] = f"blocks.{i}.{core}.weight"
    return {names[k]: v for k, v in state.items()}


def legacy_names(state):
    """transformers' names -> the legacy trainer's, projections fused."""
    out = {"transformer.wte.weight": state["model.embed_tokens.weight"],
           "transformer.ln_f.weight": state["model.norm.weight"],
           "transformer.ff_out.weight": state["lm_head.weight"]}
    for i in range(LAYERS):
        def get(name, i=i):
            return state[f"model.layers.{i}.{name}.weight"]
        block = {
            "att_proj": torch.cat([get("self_attn.q_proj"),
                                   get("self_attn.k_proj"),
                                   get("self_attn.v_proj")]),
            "attn_out": get("self_attn.o_proj"),
            "q_norm": get("self_attn.q_norm"),
            "k_norm": get("self_attn.k_norm"),
            "attn_norm": get("post_attention_layernorm"),
            "ff_norm": get("post_feedforward_layernorm"),
            "ff_proj": torch.cat([get("mlp.up_proj"), get("mlp.gate_proj")]),
            "ff_out": get("mlp.down_proj")}
        for name, value in block.items():
            out[f"transformer.blocks.{i}.{name}.weight"] = value
    return out


def interleaved(weight, heads):
    """Rows (i, i + E/2) of each head -> (2i, 2i + 1), as Meta's code has it."""
    rows, width = weight.shape
    return weight.view(heads, 2, rows // heads // 2, width).transpose(
        1, 2).reshape(rows, width).contiguous()


def meta_names(state):
    layer = {"self_attn.q_proj": "attention.wq",
             "self_attn.k_proj": "attention.wk",
             "self_attn.v_proj": "attention.wv",
             "self_attn.o_proj": "attention.wo",
             "input_layernorm": "attention_norm",
             "post_attention_layernorm": "ffn_norm",
             "mlp.gate_proj": "feed_forward.w1",
             "mlp.down_proj": "feed_forward.w2",
             "mlp.up_proj": "feed_forward.w3"}
    out = {"tok_embeddings.weight": state["model.embed_tokens.weight"],
           "norm.weight": state["model.norm.weight"],
           "output.weight": state["lm_head.weight"]}
    for i in range(LAYERS):
        for hf, meta in layer.items():
            value = state[f"model.layers.{i}.{hf}.weight"]
            if meta == "attention.wq":
                value = interleaved(value, HEADS)
            if meta == "attention.wk":
                value = interleaved(value, KV_HEADS)
            out[f"layers.{i}.{meta}.weight"] = value
    return out


# The trainers' own models.


def olmo_core_config():
    from olmo_core.nn.attention import AttentionBackendName
    from olmo_core.nn.feed_forward import FeedForwardConfig
    from olmo_core.nn.transformer import TransformerBlockType, TransformerConfig
    return TransformerConfig.llama_like(
        d_model=WIDTH, vocab_size=VOCABULARY, n_layers=LAYERS, n_heads=HEADS,
        n_kv_heads=KV_HEADS, qk_norm=True, layer_norm_eps=1e-6,
        rope_theta=500000, block_name=TransformerBlockType.reordered_norm,
        attn_backend=AttentionBackendName.torch,
        feed_forward=FeedForwardConfig(hidden_size=WIDE, bias=False))


def olmo_core_model(state):
    model = olmo_core_config().build(init_device="cpu")
    model.load_state_dict(olmo_core_names(state))
    return model


def experiment_config():
    """What OLMo-core's ConfigSaverCallback writes."""
    from olmo_core.data import TokenizerConfig
    tokenizer = TokenizerConfig(
        vocab_size=VOCABULARY, eos_token_id=1, pad_token_id=0)
    return {"run_name": "tiny", "model": olmo_core_config().as_config_dict(),
            "dataset": {"tokenizer": tokenizer.as_config_dict(),
                        "sequence_length": POSITIONS},
            "train_module": {"max_sequence_length": POSITIONS},
            "init_seed": SEED}


def legacy_config():
    from olmo.config import (ActivationType, BlockType, LayerNormType,
                             ModelConfig, ShardedCheckpointerType, TrainConfig)
    model = ModelConfig(
        d_model=WIDTH, n_heads=HEADS, n_kv_heads=KV_HEADS, n_layers=LAYERS,
        mlp_hidden_size=2 * WIDE, activation_type=ActivationType.swiglu,
        block_type=BlockType.sequential, rope=True, rope_theta=500000,
        norm_after=True, attention_layer_norm=True,
        layer_norm_type=LayerNormType.rms, layer_norm_eps=1e-6,
        include_bias=False, bias_for_layer_norm=False, weight_tying=False,
        attention_dropout=0.0, residual_dropout=0.0, embedding_dropout=0.0,
        max_sequence_length=POSITIONS, vocab_size=VOCABULARY,
        embedding_size=VOCABULARY, eos_token_id=1, pad_token_id=0,
        init_device="cpu")
    return TrainConfig(
        run_name="tiny", seed=SEED, model=model,
        sharded_checkpointer=ShardedCheckpointerType.olmo_core)


def legacy_model(state):
    from olmo.model import OLMo
    model = OLMo(legacy_config().model)
    model.load_state_dict(legacy_names(state))
    return model


def check_same_logits(olmo2):
    state = olmo2.state_dict()
    ids = torch.arange(2 * 24).view(2, 24) * 7 % VOCABULARY
    with torch.no_grad():
        want = olmo2(ids).logits
        core = olmo_core_model(state)(ids)
        legacy = legacy_model(state)(ids).logits
    torch.testing.assert_close(core, want, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(legacy, want, rtol=1e-4, atol=1e-4)


# Containers.


def write_hf(out, olmo2, llama):
    olmo2.save_pretrained(f"{out}/hf")
    olmo2.save_pretrained(f"{out}/hf_sharded", max_shard_size="40KB")
    llama.save_pretrained(f"{out}/hf_llama")
    for folder in ("hf", "hf_sharded", "hf_llama"):
        os.remove(f"{out}/{folder}/generation_config.json")


def write_bin(out, state):
    """As transformers before version 5 wrote them."""
    os.makedirs(f"{out}/bin")
    torch.save(state, f"{out}/bin/pytorch_model.bin")
    os.makedirs(f"{out}/bin_sharded")
    names = list(state)
    shards = [names[:9], names[9:17], names[17:]]
    weight_map = {}
    for i, shard in enumerate(shards, start=1):
        file = f"pytorch_model-{i:05}-of-{len(shards):05}.bin"
        torch.save({k: state[k] for k in shard}, f"{out}/bin_sharded/{file}")
        weight_map.update({k: file for k in shard})
    with open(f"{out}/bin_sharded/pytorch_model.bin.index.json", "w") as f:
        json.dump({"metadata": {"total_size": sum(
            v.nbytes for v in state.values())}, "weight_map": weight_map}, f,
            indent=2)
    for folder in ("bin", "bin_sharded"):
        shutil.copy(f"{out}/hf/config.json", f"{out}/{folder}")


def write_legacy_unsharded(out, state):
    from olmo.safetensors_util import state_dict_to_safetensors_file
    for folder in ("legacy_pt", "legacy_safetensors"):
        os.makedirs(f"{out}/{folder}")
        legacy_config().save(f"{out}/{folder}/config.yaml")
    model = legacy_model(state)
    torch.save(model.state_dict(), f"{out}/legacy_pt/model.pt")
    state_dict_to_safetensors_file(
        model.state_dict(), f"{out}/legacy_safetensors/model.safetensors")


def with_momentum(model):
    """An optimizer with state, which has not moved the weights."""
    optim = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
    logits = model(torch.arange(16).view(1, 16))
    getattr(logits, "logits", logits).square().mean().backward()
    optim.step()
    optim.zero_grad()
    return optim


def write_olmo_core(folder, model, thread_count):
    from olmo_core.distributed.checkpoint import save_model_and_optim_state
    save_model_and_optim_state(f"{folder}/model_and_optim", model,
                               with_momentum(model), thread_count=thread_count)
    if dist.is_initialized() and dist.get_rank() != 0:
        return
    os.makedirs(f"{folder}/train", exist_ok=True)
    torch.save({"global_step": STEP}, f"{folder}/train/rank0.pt")
    with open(f"{folder}/.metadata.json", "w") as f:
        json.dump({"ephemeral": False, "version": "2.5.0"}, f)
    with open(f"{folder}/config.json", "w") as f:
        json.dump(experiment_config(), f)
    with open(f"{folder}/data_paths.txt", "w") as f:
        f.write("part-000-00000.npy\n")


def write_one_rank(out, state):
    from olmo_core.distributed.checkpoint import (
        UnshardStrategy, save_model_and_optim_state, unshard_checkpoint)
    os.makedirs(f"{out}/olmo_core")
    write_olmo_core(f"{out}/olmo_core", olmo_core_model(state), 1)
    save_model_and_optim_state(f"{out}/olmo_core_model_only",
                               olmo_core_model(state), thread_count=1)
    unshard_checkpoint(f"{out}/olmo_core/model_and_optim",
                       f"{out}/olmo_core_unsharded", optim=False,
                       use_safetensors=True,
                       unshard_strategy=UnshardStrategy.one_file())
    for folder in ("olmo_core_model_only", "olmo_core_unsharded"):
        shutil.copy(f"{out}/olmo_core/config.json", f"{out}/{folder}")
    legacy = legacy_model(state)
    save_model_and_optim_state(f"{out}/legacy_dcp", legacy,
                               with_momentum(legacy), thread_count=2)
    os.makedirs(f"{out}/legacy_dcp/train")
    torch.save({"global_step": STEP}, f"{out}/legacy_dcp/train/rank0.pt")
    legacy_config().save(f"{out}/legacy_dcp/config.yaml")


def write_four_ranks(rank, out, state):
    """Rows 17, 17, 17 and 15 of the embedding; one tensor split by columns."""
    init_ranks(rank, 4)
    model = olmo_core_model(state)
    columns = model.blocks["1"].attention.w_out.weight
    fully_shard(model, mesh=init_device_mesh("cpu", (4,)),
                shard_placement_fn=lambda p: Shard(1 if p is columns else 0))
    write_olmo_core(f"{out}/olmo_core_4_ranks", model, 2)
    dist.destroy_process_group()


def write_two_ranks(rank, out, olmo2_state, llama_state):
    """torchtitan's folder and the writer of Hugging Face files of torch."""
    init_ranks(rank, 2)
    mesh = init_device_mesh("cpu", (2,))
    def shard(state):
        return {k: distribute_tensor(v.clone(), mesh, [Shard(0)])
                for k, v in state.items()}
    states = shard(meta_names(llama_state))
    states["optimizer"] = {"state": {
        "norm.weight": {"exp_avg": torch.ones(WIDTH),
                        "step": torch.tensor(3.0)}}}
    states["lr_scheduler"] = {"last_epoch": 3}
    states["train_state"] = {"step": STEP, "ntokens": torch.tensor(7)}
    states["dataloader"] = {f"dp_rank_{rank}": b"state", "world_size": 2}
    dcp.save(states, checkpoint_id=f"{out}/torchtitan")
    files = {k: 1 + i % 2 for i, k in enumerate(olmo2_state)}
    dcp.save(shard(olmo2_state), storage_writer=HuggingFaceStorageWriter(
        f"{out}/hf_dcp", fqn_to_index_mapping=files, save_distributed=True,
        enable_consolidation=True))
    if rank == 0:
        shutil.rmtree(f"{out}/hf_dcp/sharded")
        shutil.copy(f"{out}/hf_llama/config.json", f"{out}/torchtitan")
        shutil.copy(f"{out}/hf/config.json", f"{out}/hf_dcp")
    dist.destroy_process_group()


def write_probe(out):
    """Eight random sequences; the same for every model here."""
    os.makedirs(f"{out}/probe")
    ids = torch.randint(VOCABULARY, (8 * 24,), generator=torch.Generator(
        ).manual_seed(SEED)).to(torch.uint16)
    data = ids.numpy().tobytes()
    with open(f"{out}/probe/random.npy", "wb") as f:
        f.write(data)
    with open(f"{out}/probe/probe.json", "w") as f:
        json.dump({
            "name": "containers", "version": "1",
            "tokenizer": {"name": "none", "vocab_size": VOCABULARY},
            "dtype": "uint16", "sequence_length": 24, "eos_id": 1,
            "bos_policy": "none",
            "domains": [{"label": "random", "files": [{
                "path": "random.npy", "tokens": len(ids),
                "sha256": hashlib.sha256(data).hexdigest()}]}]}, f, indent=1)


def init_ranks(rank, size):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", rank=rank, world_size=size,
        init_method=f"tcp://127.0.0.1:{os.environ['PORT']}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def main():
    torch.manual_seed(SEED)
    olmo2, llama = hf_olmo2(), hf_llama()
    check_same_logits(olmo2)
    # Paths end up in .metadata: a neutral one.
    out = tempfile.mkdtemp(prefix="containers-")
    olmo2_state = {k: v.clone() for k, v in olmo2.state_dict().items()}
    llama_state = {k: v.clone() for k, v in llama.state_dict().items()}
    write_hf(out, olmo2, llama)
    write_probe(out)
    write_bin(out, olmo2_state)
    write_legacy_unsharded(out, olmo2_state)
    write_one_rank(out, olmo2_state)
    for write, ranks, args in ((write_four_ranks, 4, (out, olmo2_state)),
                               (write_two_ranks, 2,
                                (out, olmo2_state, llama_state))):
        os.environ["PORT"] = free_port()
        mp.spawn(write, args=args, nprocs=ranks)
    for folder in sorted(os.listdir(out)):
        target = os.path.join(sys.argv[1], folder)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(os.path.join(out, folder), target)
    shutil.rmtree(out)


if __name__ == "__main__":
    main()
