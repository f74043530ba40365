"""Every scripted trainer (script.py says what one is), and what its run needs."""

import trainers_hf as hf
import trainers_olmo as olmo
import trainers_other as other
import trainers_runs as runs
import trainers_waiting as waiting

# What a run needs beside its root, by trainer.
MODEL_CONFIG = {other.torchtitan: "torchtitan/config.json",
                other.dcp_hf_writer: "hf/config.json",
                other.dcp_hf_writer_consolidated: "hf/config.json",
                other.dcp_hf_writer_consolidated_by_hand: "hf/config.json",
                other.dcp_metadata_per_rank: "torchtitan/config.json"}
MANIFEST = {runs.published_series: runs.MANIFEST}
WITH_CONVERSIONS = [runs.conversions]
SHORT_GRACE = [runs.fails_half_way, olmo.olmo_core_without_config,
               waiting.without_trainer_state, waiting.lora_adapter,
               waiting.zero_shards_then_gathered, waiting.litgpt, waiting.megatron_ranks,
               waiting.evaluation_left_things, waiting.state_without_weights,
               waiting.files_of_ranks, waiting.megatron_zarr, waiting.shards_without_an_index,
               waiting.weights_further_down]
# Another model than the others.
OTHER_WEIGHTS = [other.torchtitan, other.megatron_bridge]

# What is measured in the end, a checkpoint each if it is not said otherwise.
MEASURED = [
    hf.save_pretrained, hf.save_pretrained_sharded, hf.mlx, hf.sharded_over_one_file,
    hf.torch_bin, hf.torch_bin_sharded, hf.hf_trainer, hf.hf_trainer_by_rename,
    hf.hub_download, hf.hub_download_of_dcp, hf.weights_linked_within_the_root,
    hf.config_linked_within_the_root, hf.link_out_of_the_root, hf.lfs_pointer,
    olmo.olmo_local, olmo.olmo_uploaded, olmo.olmo_sharded_uploaded, olmo.olmo_torch_new,
    olmo.olmo_sharded_then_unsharded, olmo.olmo_rank_files, olmo.olmo_core_sync,
    olmo.olmo_core_async, olmo.olmo_core_without_config, olmo.olmo_core_lost_a_file,
    olmo.olmo_core_model_only, olmo.olmo_core_unsharded,
    other.torchtitan, other.megatron_bridge, other.dcp_hf_writer, other.dcp_hf_writer_consolidated,
    other.dcp_hf_writer_consolidated_by_hand,
    runs.stages_beside_latest, runs.published_series, runs.fails_half_way, runs.odd_names,
    runs.conversions,
    waiting.without_trainer_state, waiting.zero_shards_then_gathered,
    waiting.evaluation_left_things, waiting.two_sets_of_shards,
    waiting.hub_download_of_a_trainers_checkpoint, waiting.named_by_a_number,
    waiting.named_with_a_seed, waiting.steps_that_are_links, waiting.flat_files,
    waiting.shards_without_an_index, waiting.hub_download_of_step_folders]
SEVERAL = {runs.stages_beside_latest: 2, runs.odd_names: 2, waiting.named_with_a_seed: 2}
# Those that a worker finds incomplete, because their listing looks whole. When
# their back-off is over they are queued again; a file that becomes whole between
# that look and the lease is measured under the fingerprint of the look, and once
# more under its own. Both are measurements of the whole file.
MAYBE_TWICE = [hf.save_pretrained, hf.sharded_over_one_file, hf.lfs_pointer,
               olmo.olmo_core_lost_a_file]
# What never is.
NEVER = [olmo.olmo_local_shards, olmo.olmo_core_async_failed, olmo.olmo_core_retention,
         other.dcp_metadata_per_rank, other.nanotron, other.gpt_neox, runs.retention,
         waiting.lora_adapter, waiting.litgpt, waiting.megatron_ranks,
         waiting.flat_files_without_config, waiting.state_without_weights,
         waiting.files_of_ranks, waiting.megatron_zarr, waiting.weights_further_down]
