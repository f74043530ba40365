"""Scripted trainers: each writes a checkpoint in the order of the real one.

A trainer is a generator over a run's root. Between two pauses it does one thing
(a file, a part of a file, a rename); at each pause it says what a person must
then see in `sinkctl checkpoints`.
"""

import dataclasses
import shutil
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclasses.dataclass
class Seen:
    """What the checkpoint's line says: state, and a part of its reason."""
    state: str
    reason: str = ""
    step: int = 5
    stage: str = ""
    # A worker has to say so, because the listing looks whole, or the grace time
    # has to pass: the line is there only after a while.
    is_late: bool = False


def waits(reason, **more):
    return Seen("waiting", reason, **more)


# No line: nothing of that name is a checkpoint.
NOTHING = Seen("absent")
DONE = Seen("done")


class Folder:
    """A checkpoint's folder under a root, written file by file."""

    def __init__(self, path):
        self.path = Path(path)

    def make(self):
        self.path.mkdir(parents=True, exist_ok=True)
        return self

    def write(self, name, data=b"x"):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())

    def delete(self, name):
        (self.path / name).unlink()


class Data:
    """Real files: the same small model in every container, tests/data/containers."""

    def __init__(self, source):
        self.source = Path(source)

    def __call__(self, path):
        return (self.source / path).read_bytes()

    def half(self, path):
        data = self(path)
        return data[: len(data) // 2]


def save_pretrained(root, data):
    folder = Folder(root / "step5").make()
    yield waits("config.json is not there yet")
    folder.write("config.json", b"")
    yield waits("config.json is empty")
    folder.write("config.json", data("hf/config.json"))
    yield waits("model.safetensors is not there yet")
    folder.write("model.safetensors", b"")
    yield waits("model.safetensors is empty")
    folder.write("model.safetensors", data.half("hf/model.safetensors"))
    yield waits("model.safetensors", is_late=True)
    folder.write("model.safetensors", data("hf/model.safetensors"))
    yield DONE


def save_pretrained_sharded(root, data):
    folder = Folder(root / "stage1-step5-tokens1B").make()
    at = {"stage": "stage1"}
    folder.write("config.json", data("hf/config.json"))
    yield waits("model.safetensors is not there yet", **at)
    for number in (1, 2):
        name = f"model-0000{number}-of-00002.safetensors"
        folder.write(name, data(f"hf_sharded/{name}"))
        yield waits("model.safetensors.index.json is not there yet", **at)
    folder.write("model.safetensors.index.json", b"")
    yield waits("model.safetensors.index.json is empty", **at)
    folder.write("model.safetensors.index.json",
                 data("hf_sharded/model.safetensors.index.json"))
    yield Seen("done", **at)


def hf_trainer(root, data):
    folder = Folder(root / "checkpoint-5").make()
    folder.write("config.json", data("hf/config.json"))
    yield waits("model.safetensors is not there yet")
    folder.write("model.safetensors", data("hf/model.safetensors"))
    yield waits("trainer_state.json is not there yet")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        folder.write(name)
    yield waits("trainer_state.json is not there yet")
    folder.write("trainer_state.json", "{}")
    yield DONE


def hf_trainer_by_rename(root, data):
    """Older versions: the folder gets its name last."""
    folder = Folder(root / "tmp-checkpoint-5").make()
    folder.write("config.json", data("hf/config.json"))
    yield NOTHING
    folder.write("model.safetensors", data("hf/model.safetensors"))
    folder.write("trainer_state.json", "{}")
    yield NOTHING
    folder.path.rename(root / "checkpoint-5")
    yield DONE


def hub_download(root, data):
    """Files come as blobs/<hash>.incomplete and get their links when whole."""
    cache, snapshot = Folder(root).make(), Folder(root / "snapshots" / COMMIT)
    cache.write("refs/stage2-ingredient1-step5-tokens50B", COMMIT)
    (root / "snapshots").mkdir()
    at = {"stage": "stage2-ingredient1"}
    yield waits("not there yet: ", **at)
    snapshot.make()
    yield waits("config.json is not there yet", **at)

    def finish(name, blob, content):
        cache.write(f"blobs/{blob}", content)
        (snapshot.path / name).symlink_to(f"../../blobs/{blob}")

    finish("config.json", "c0", data("hf/config.json"))
    yield waits("model.safetensors is not there yet", **at)
    cache.write("blobs/aa.incomplete", data.half("hf/model.safetensors"))
    yield waits("model.safetensors is not there yet", **at)
    (snapshot.path / "model.safetensors").symlink_to("../../blobs/aa")
    yield waits("model.safetensors is still being downloaded", **at)
    cache.delete("blobs/aa.incomplete")
    yield waits("model.safetensors is a link to ../../blobs/aa, which is not there", **at)
    cache.write("blobs/aa", data("hf/model.safetensors"))
    yield Seen("done", **at)


def link_out_of_the_root(root, data):
    outside = Folder(root.parent / (root.name + "-outside"))
    outside.write("model.safetensors", data("hf/model.safetensors"))
    folder = Folder(root / "step5")
    folder.write("config.json", data("hf/config.json"))
    link = folder.path / "model.safetensors"
    link.symlink_to(outside.path / "model.safetensors")
    yield waits("leaves the run's root")
    link.unlink()
    folder.write("model.safetensors", data("hf/model.safetensors"))
    yield DONE


def lfs_pointer(root, data):
    folder = Folder(root / "step5")
    folder.write("config.json", data("hf/config.json"))
    folder.write("model.safetensors",
                 "version https://git-lfs.github.com/spec/v1\n"
                 "oid sha256:" + "0" * 64 + "\nsize 131968\n")
    yield waits("Git LFS pointer", is_late=True)
    folder.write("model.safetensors", data("hf/model.safetensors"))  # git lfs pull
    yield DONE


def stages_beside_latest(root, data):
    """The same step in two stages, links and text files called latest."""
    first = Folder(root / "stage1" / "step5")
    first.write("config.json", data("hf/config.json"))
    (root / "latest").symlink_to("stage1/step5")
    (root / "stage1" / "latest").symlink_to("step5")
    yield waits("model.safetensors is not there yet", stage="stage1")
    first.write("model.safetensors", data("hf/model.safetensors"))
    yield Seen("done", stage="stage1")
    second = Folder(root / "stage2" / "soup" / "step5")
    second.write("config.json", data("hf/config.json"))
    yield waits("model.safetensors is not there yet", stage="stage2/soup")
    second.write("model.safetensors", data("hf/model.safetensors"))
    yield Seen("done", stage="stage2/soup")


def published_series(root, data):
    """Rows of a manifest (MANIFEST), downloaded one after the other."""
    yield waits("not there yet: ", stage="stage1_pretraining")
    Folder(root / "stage1" / "step6").write("config.json", data("hf/config.json"))
    yield waits("not there yet: ", stage="stage2_midtraining")
    first = Folder(root / "stage1" / "step5")
    first.write("config.json", data("hf/config.json"))
    yield waits("model.safetensors is not there yet", stage="stage1_pretraining")
    first.write("model.safetensors", data("hf/model.safetensors"))
    yield Seen("done", stage="stage1_pretraining")
    yield waits("not there yet: ", stage="stage2_midtraining")


MANIFEST = """Stage,Step,Tokens Seen,Checkpoint Directory
stage1_pretraining,5,20971520,https://host/ai2-llm/series/stage1/step5/
stage2_midtraining,5,41943040,https://host/ai2-llm/series/stage2/ingredient1/step5/
"""


def fails_half_way(root, data):
    """A save that is never finished, and the next one that is."""
    folder = Folder(root / "step4")
    folder.write("config.json", data("hf/config.json"))
    folder.write("model-00001-of-00002.safetensors", b"half")
    yield waits("model.safetensors.index.json is not there yet", step=4)
    after = Folder(root / "step5")
    after.write("config.json", data("hf/config.json"))
    after.write("model.safetensors", data("hf/model.safetensors"))
    yield DONE
    yield waits("unchanged since", step=4, is_late=True)


def retention(root, data):
    """A checkpoint is deleted file by file while it is not whole yet."""
    folder = Folder(root / "step5")
    folder.write("config.json", data("hf/config.json"))
    folder.write("model-00001-of-00002.safetensors", b"half")
    Folder(root / "step9").write("config.json", data("hf/config.json"))
    yield waits("model.safetensors.index.json is not there yet")
    folder.delete("config.json")
    yield waits("config.json is not there yet")
    shutil.rmtree(folder.path)
    yield Seen("vanished", "deleted")
    yield waits("model.safetensors is not there yet", step=9)


def copy(folder, data, container, *names):
    for name in names:
        folder.write(name, data(f"{container}/{name}"))


def torch_bin(root, data):
    folder = Folder(root / "step5")
    copy(folder, data, "bin", "config.json")
    yield waits("model.safetensors is not there yet")
    folder.write("pytorch_model.bin", b"")
    yield waits("pytorch_model.bin is empty")
    copy(folder, data, "bin", "pytorch_model.bin")
    yield DONE


def torch_bin_sharded(root, data):
    folder = Folder(root / "step5")
    copy(folder, data, "bin_sharded", "config.json")
    yield waits("model.safetensors is not there yet")
    copy(folder, data, "bin_sharded", "pytorch_model-00001-of-00003.bin",
         "pytorch_model-00002-of-00003.bin")
    yield waits("pytorch_model.bin.index.json is not there yet")
    copy(folder, data, "bin_sharded", "pytorch_model.bin.index.json")
    yield waits("2 of 3 shards are there")
    copy(folder, data, "bin_sharded", "pytorch_model-00003-of-00003.bin")
    yield DONE


def olmo_local(root, data):
    """The legacy trainer: beside its place, then renamed."""
    folder = Folder(root / "step5-unsharded-tmp").make()
    copy(folder, data, "legacy_pt", "model.pt")
    folder.write("optim.pt")
    yield NOTHING
    folder.write("train.pt")
    copy(folder, data, "legacy_pt", "config.yaml")
    yield NOTHING
    folder.path.rename(root / "step5-unsharded")
    yield DONE


def olmo_uploaded(root, data):
    folder = Folder(root / "step5-unsharded")
    copy(folder, data, "legacy_safetensors", "model.safetensors")
    yield waits("config.yaml is not there yet (the OLMo trainer writes it last)")
    folder.write("optim.safetensors")
    folder.write("train.pt")
    yield waits("config.yaml is not there yet")
    folder.write("config.yaml", b"")
    yield waits("config.yaml is empty")
    copy(folder, data, "legacy_safetensors", "config.yaml")
    yield DONE


def olmo_sharded_uploaded(root, data):
    """The official OLMo 2 configs: sharded_checkpointer olmo_core."""
    folder = Folder(root / "step5")
    copy(folder, data, "legacy_dcp", "__0_0.distcp", "__0_1.distcp")
    yield waits(".metadata is not there yet")
    copy(folder, data, "legacy_dcp", ".metadata")
    yield waits("config.json is not there yet")
    copy(folder, data, "legacy_dcp", "train/rank0.pt")
    yield waits("config.json is not there yet")
    copy(folder, data, "legacy_dcp", "config.yaml")
    yield DONE


def olmo_sharded_then_unsharded(root, data):
    """step5 and step5-unsharded are one checkpoint."""
    sharded = Folder(root / "step5")
    copy(sharded, data, "legacy_dcp", "__0_0.distcp", "__0_1.distcp", ".metadata",
         "train/rank0.pt", "config.yaml")
    yield DONE
    unsharded = Folder(root / "step5-unsharded")
    copy(unsharded, data, "legacy_pt", "model.pt", "config.yaml")
    yield DONE


def olmo_rank_files(root, data):
    """Whole, in a form that workers refuse; then it is unsharded."""
    sharded = Folder(root / "step5")
    sharded.write("rank0.pt")
    yield waits("config.yaml is not there yet")
    unsharded = Folder(root / "step5-unsharded")
    copy(unsharded, data, "legacy_pt", "model.pt")
    yield waits("config.yaml is not there yet")
    copy(sharded, data, "legacy_pt", "config.yaml")
    yield waits("config.yaml is not there yet")
    copy(unsharded, data, "legacy_pt", "config.yaml")
    yield DONE


def olmo_core_sync(root, data):
    folder = Folder(root / "step5-tmp").make()
    copy(folder, data, "olmo_core", "train/rank0.pt", "model_and_optim/__0_0.distcp")
    yield NOTHING
    copy(folder, data, "olmo_core", "model_and_optim/.metadata")
    yield NOTHING
    folder.path.rename(root / "step5")
    folder = Folder(root / "step5")
    yield waits("config.json is not there yet; model_and_optim is whole")
    copy(folder, data, "olmo_core", ".metadata.json")
    yield waits("config.json is not there yet")
    copy(folder, data, "olmo_core", "config.json", "data_paths.txt")
    yield DONE


def olmo_core_async(root, data):
    """Four ranks fill the checkpoint in place; one leaves a stray."""
    folder = Folder(root / "step5")
    copy(folder, data, "olmo_core_4_ranks", "train/rank0.pt")
    yield waits("model_and_optim/.metadata is not there yet")
    folder.write("model_and_optim/tmpabcd.distcp",
                 data("olmo_core_4_ranks/model_and_optim/__0_0.distcp"))
    yield waits("model_and_optim/.metadata is not there yet")
    (folder.path / "model_and_optim/tmpabcd.distcp").rename(
        folder.path / "model_and_optim/__0_0.distcp")
    folder.write("model_and_optim/tmpefgh.distcp")
    yield waits("model_and_optim/.metadata is not there yet")
    names = [f"model_and_optim/__{rank}_{file}.distcp" for rank in range(4) for file in range(2)]
    copy(folder, data, "olmo_core_4_ranks", *names[1:])
    yield waits("model_and_optim/.metadata is not there yet")
    copy(folder, data, "olmo_core_4_ranks", "model_and_optim/.metadata")
    yield waits("config.json is not there yet")
    copy(folder, data, "olmo_core_4_ranks", ".metadata.json")
    yield waits("config.json is not there yet")
    copy(folder, data, "olmo_core_4_ranks", "config.json")
    yield DONE


def olmo_core_async_failed(root, _):
    folder = Folder(root / "step5")
    folder.write("train/rank0.pt")
    folder.write("model_and_optim/__0_0.distcp")
    yield waits("model_and_optim/.metadata is not there yet")
    folder.write(".metadata.json", "{}")
    yield waits(".metadata.json is no proof: a failed save has it too")


def olmo_core_without_config(root, data):
    folder = Folder(root / "step5")
    copy(folder, data, "olmo_core", "model_and_optim/__0_0.distcp",
         "model_and_optim/.metadata")
    yield waits("config.json missing, though model_and_optim is whole", is_late=True)
    copy(folder, data, "olmo_core", "config.json")
    yield DONE


def olmo_core_lost_a_file(root, data):
    """.metadata names data that is not there: only a worker sees that."""
    folder = Folder(root / "step5")
    names = [f"model_and_optim/__{rank}_{file}.distcp" for rank in range(4) for file in range(2)]
    copy(folder, data, "olmo_core_4_ranks", "model_and_optim/.metadata", "config.json", *names[1:])
    yield waits("__0_0.distcp", is_late=True)
    copy(folder, data, "olmo_core_4_ranks", names[0])
    yield DONE


def olmo_core_model_only(root, data):
    folder = Folder(root / "step5")
    copy(folder, data, "olmo_core_model_only", "__0_0.distcp")
    yield waits(".metadata is not there yet")
    copy(folder, data, "olmo_core_model_only", ".metadata")
    yield waits("config.json is not there yet")
    copy(folder, data, "olmo_core_model_only", "config.json")
    yield DONE


def olmo_core_unsharded(root, data):
    folder = Folder(root / "step5-unsharded")
    copy(folder, data, "olmo_core_unsharded", "config.json")
    yield waits("model.safetensors is not there yet")
    copy(folder, data, "olmo_core_unsharded", "model.safetensors")
    yield DONE


def olmo_core_retention(root, _):
    """max_checkpoints: .metadata.json goes first, then what is in the folder."""
    folder = Folder(root / "step5")
    folder.write("model_and_optim/__0_0.distcp")
    folder.write(".metadata.json", "{}")
    folder.write("config.json", "{}")
    Folder(root / "step9").make()
    yield waits("model_and_optim/.metadata is not there yet (.metadata.json is no proof")
    folder.delete(".metadata.json")
    yield waits("model_and_optim/.metadata is not there yet")
    shutil.rmtree(folder.path)
    yield Seen("vanished", "deleted")


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


def dcp_hf_writer(root, data):
    folder = Folder(root / "step-5")
    copy(folder, data, "hf_dcp", "model-00001-of-00002.safetensors",
         "model-00002-of-00002.safetensors")
    yield waits("model.safetensors.index.json is not there yet")
    copy(folder, data, "hf_dcp", "model.safetensors.index.json")
    yield DONE


def odd_names(root, data):
    """An average of three checkpoints is not the checkpoint of its last step."""
    for name in ("step5", "step5+4+3-nooptim-reshard32", "step5-hf"):
        copy(Folder(root / "stage3" / name), data, "hf", "config.json", "model.safetensors")
    yield Seen("done", stage="stage3")
    yield Seen("done", stage="stage3/+4+3-nooptim-reshard32")


def conversions(root, data):
    """The run has include_hf_siblings."""
    copy(Folder(root / "step5"), data, "legacy_pt", "config.yaml")
    copy(Folder(root / "step5-hf"), data, "hf", "config.json")
    yield waits("model.safetensors is not there yet", stage="hf")
    copy(Folder(root / "step5-hf"), data, "hf", "model.safetensors")
    yield Seen("done", stage="hf")


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


# What a run needs beside its root, by trainer.
MODEL_CONFIG = {torchtitan: "torchtitan/config.json", dcp_hf_writer: "hf/config.json"}
WITH_CONVERSIONS = [conversions]
SHORT_GRACE = [fails_half_way, olmo_core_without_config]
# Another model than the others.
OTHER_WEIGHTS = [torchtitan]

# What is measured in the end, a checkpoint each if it is not said otherwise.
MEASURED = [save_pretrained, save_pretrained_sharded, hf_trainer, hf_trainer_by_rename,
            hub_download, link_out_of_the_root, lfs_pointer, stages_beside_latest,
            published_series, fails_half_way, odd_names, conversions,
            torch_bin, torch_bin_sharded, olmo_local, olmo_uploaded, olmo_sharded_uploaded,
            olmo_sharded_then_unsharded, olmo_rank_files, olmo_core_sync, olmo_core_async,
            olmo_core_without_config, olmo_core_lost_a_file, olmo_core_model_only,
            olmo_core_unsharded, torchtitan, dcp_hf_writer]
SEVERAL = {stages_beside_latest: 2, odd_names: 2}
# Those that a worker finds incomplete, because their listing looks whole. When
# their back-off is over they are queued again; a file that becomes whole between
# that look and the lease is measured under the fingerprint of the look, and once
# more under its own. Both are measurements of the whole file.
MAYBE_TWICE = [save_pretrained, lfs_pointer, olmo_core_lost_a_file]
# What never is.
NEVER = [retention, olmo_core_async_failed, olmo_core_retention, nanotron, gpt_neox]
