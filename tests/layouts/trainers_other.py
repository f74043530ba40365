"""torch.distributed.checkpoint by itself and as torchtitan's, nanotron, gpt-neox."""

from script import DONE, Folder, Seen, copy, waits


def torchtitan(root, data):
    """No configuration of its own: the run has a model_config."""
    folder = Folder(root / "step-5")
    copy(folder, data, "torchtitan", "__0_0.distcp")
    yield waits(".metadata is not there yet")
    copy(folder, data, "torchtitan", "__1_0.distcp")
    folder.write(".metadata.tmp")
    yield waits(".metadata is not there yet")
    (folder.path / ".metadata.tmp").unlink()
    copy(folder, data, "torchtitan", ".metadata")
    yield DONE


RUN_CONFIG = """_target_: megatron.bridge.training.config.ConfigContainer
model:
  _target_: megatron.bridge.models.gpt_provider.GPTModelProvider
  activation_func:
    _call_: false
    _target_: torch.nn.functional.silu
  add_bias_linear: false
  ffn_hidden_size: 48
  gated_linear_unit: true
  hidden_size: 32
  kv_channels: 8
  normalization: RMSNorm
  num_attention_heads: 4
  num_layers: 2
  num_query_groups: 2
  position_embedding_type: rope
  rotary_base: 10000
  seq_length: 64
  share_embeddings_and_output_weights: false
  vocab_size: 66
rng:
  seed: 1
"""


def megatron_bridge(root, data):
    """torch_dist, then the run's configuration; here with torchtitan's names."""
    folder = Folder(root / "iter_0000005")
    copy(folder, data, "torchtitan", "__0_0.distcp", "__1_0.distcp")
    yield waits(".metadata is not there yet")
    copy(folder, data, "torchtitan", ".metadata")
    folder.write("metadata.json", "{}")
    yield waits("config.json is not there yet")
    folder.write("run_config.yaml", "")
    yield waits("config.json is not there yet")
    folder.write("run_config.yaml", RUN_CONFIG)
    yield DONE


def dcp_hf_writer(root, data):
    folder = Folder(root / "step-5")
    copy(folder, data, "hf_dcp", "model-00001-of-00002.safetensors",
         "model-00002-of-00002.safetensors")
    yield waits("model.safetensors.index.json is not there yet")
    copy(folder, data, "hf_dcp", "model.safetensors.index.json")
    yield DONE


def dcp_hf_writer_consolidated(root, data):
    """Every rank's files in sharded/, and what they make at the top."""
    folder = Folder(root / "step-5")
    folder.write("sharded/shard-00001-model-00001-of-00002.safetensors")
    yield waits("model.safetensors is not there yet")
    yield from dcp_hf_writer(root, data)


def dcp_hf_writer_consolidated_by_hand(root, data):
    """Without consolidation it is never whole; then somebody does it."""
    folder = Folder(root / "step-5")
    for rank in (2, 1):
        folder.write(f"shard-0000{rank}-model-00001-of-00001.safetensors")
        yield Seen("dead", "shards of single ranks (shard-*.safetensors) are not supported")
    yield from dcp_hf_writer(root, data)


def dcp_metadata_per_rank(root, data):
    """A save without collectives."""
    folder = Folder(root / "step-5")
    copy(folder, data, "torchtitan", "__0_0.distcp", "__1_0.distcp")
    yield waits(".metadata is not there yet")
    folder.write("__1.metadata.tmp")
    yield waits(".metadata is not there yet")
    (folder.path / "__1.metadata.tmp").rename(folder.path / "__1.metadata")
    yield Seen("dead", "__<rank>.metadata, a save without collectives, is not supported")
    folder.write("__0.metadata")
    yield Seen("dead", "__<rank>.metadata, a save without collectives, is not supported")


def nanotron(root, _):
    folder = Folder(root / "5")
    folder.write("model/model_weight_pp-rank-0-of-1.safetensors")
    yield Seen("dead", "nanotron's checkpoints are not supported")
    folder.write("model_config.json", "{}")
    yield Seen("dead", "nanotron's checkpoints are not supported")


def gpt_neox(root, _):
    folder = Folder(root / "global_step5")
    folder.write("layer_00-model_00-model_states.pt")
    Folder(root).write("latest", "global_step5")
    yield Seen("dead", "gpt-neox's (DeepSpeed's) checkpoints are not supported")
