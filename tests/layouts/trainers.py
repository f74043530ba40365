"""Scripted trainers: each writes a checkpoint in the order of the real one.

A trainer is a generator over a run's root. Between two pauses it does one thing
(a file, a part of a file, a rename); at each pause it says what a person must
then see in `sinkctl checkpoints`.
"""

import dataclasses
import json
import shutil
import struct
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


class Weights:
    """The files of a small real model, as safetensors of one file or two."""

    def __init__(self, source):
        source = Path(source)
        self.config = (source / "config.json").read_bytes()
        self.single = (source / "model.safetensors").read_bytes()
        self.half = self.single[: len(self.single) // 2]
        self.shards, self.index = self._split()

    def _split(self):
        (size,) = struct.unpack("<Q", self.single[:8])
        header = json.loads(self.single[8: 8 + size])
        header.pop("__metadata__", None)
        names = sorted(header)
        shards, weight_map = {}, {}
        for number, part in enumerate((names[::2], names[1::2]), 1):
            file = f"model-0000{number}-of-00002.safetensors"
            entries, data = {}, b""
            for name in part:
                begin, end = (8 + size + offset for offset in header[name]["data_offsets"])
                entries[name] = {**header[name],
                                 "data_offsets": [len(data), len(data) + end - begin]}
                data += self.single[begin:end]
                weight_map[name] = file
            text = json.dumps(entries).encode()
            shards[file] = struct.pack("<Q", len(text)) + text + data
        return shards, json.dumps({"metadata": {}, "weight_map": weight_map})


# --- what workers read today ------------------------------------------------

def save_pretrained(root, weights):
    folder = Folder(root / "step5").make()
    yield waits("config.json is not there yet")
    folder.write("config.json", b"")
    yield waits("config.json is empty")
    folder.write("config.json", weights.config)
    yield waits("model.safetensors is not there yet")
    folder.write("model.safetensors", b"")
    yield waits("model.safetensors is empty")
    folder.write("model.safetensors", weights.half)
    yield waits("model.safetensors", is_late=True)
    folder.write("model.safetensors", weights.single)
    yield Seen("done")


def save_pretrained_sharded(root, weights):
    folder = Folder(root / "stage1-step5-tokens1B").make()
    at = {"stage": "stage1"}
    folder.write("config.json", weights.config)
    yield waits("model.safetensors is not there yet", **at)
    for name, data in weights.shards.items():
        folder.write(name, data)
        yield waits("model.safetensors.index.json is not there yet", **at)
    folder.write("model.safetensors.index.json", b"")
    yield waits("model.safetensors.index.json is empty", **at)
    folder.write("model.safetensors.index.json", weights.index)
    yield Seen("done", **at)


def hf_trainer(root, weights):
    folder = Folder(root / "checkpoint-5").make()
    folder.write("config.json", weights.config)
    yield waits("model.safetensors is not there yet")
    folder.write("model.safetensors", weights.single)
    yield waits("trainer_state.json is not there yet")
    folder.write("optimizer.pt")
    folder.write("scheduler.pt")
    folder.write("rng_state.pth")
    yield waits("trainer_state.json is not there yet")
    folder.write("trainer_state.json", "{}")
    yield Seen("done")


def hf_trainer_by_rename(root, weights):
    """Older versions: the folder gets its name last."""
    folder = Folder(root / "tmp-checkpoint-5").make()
    folder.write("config.json", weights.config)
    yield NOTHING
    folder.write("model.safetensors", weights.single)
    folder.write("trainer_state.json", "{}")
    yield NOTHING
    folder.path.rename(root / "checkpoint-5")
    yield Seen("done")


def hub_download(root, weights):
    """Files come as blobs/<hash>.incomplete and get their links when whole."""
    cache, snapshot = Folder(root).make(), Folder(root / "snapshots" / COMMIT)
    cache.write("refs/stage2-ingredient1-step5-tokens50B", COMMIT)
    (root / "snapshots").mkdir()
    at = {"stage": "stage2-ingredient1"}
    yield waits("not there yet: ", **at)
    snapshot.make()
    yield waits("config.json is not there yet", **at)

    def finish(name, blob, data):
        cache.write(f"blobs/{blob}", data)
        (snapshot.path / name).symlink_to(f"../../blobs/{blob}")

    finish("config.json", "c0", weights.config)
    yield waits("model.safetensors is not there yet", **at)
    cache.write("blobs/aa.incomplete", weights.half)
    yield waits("model.safetensors is not there yet", **at)
    (snapshot.path / "model.safetensors").symlink_to("../../blobs/aa")
    yield waits("model.safetensors is still being downloaded", **at)
    cache.delete("blobs/aa.incomplete")
    yield waits("model.safetensors is a link to ../../blobs/aa, which is not there", **at)
    cache.write("blobs/aa", weights.single)
    yield Seen("done", **at)


def link_out_of_the_root(root, weights):
    outside = Folder(root.parent / (root.name + "-outside"))
    outside.write("model.safetensors", weights.single)
    folder = Folder(root / "step5")
    folder.write("config.json", weights.config)
    link = folder.path / "model.safetensors"
    link.symlink_to(outside.path / "model.safetensors")
    yield waits("leaves the run's root")
    link.unlink()
    folder.write("model.safetensors", weights.single)
    yield Seen("done")


def lfs_pointer(root, weights):
    folder = Folder(root / "step5")
    folder.write("config.json", weights.config)
    folder.write("model.safetensors",
                 "version https://git-lfs.github.com/spec/v1\n"
                 "oid sha256:" + "0" * 64 + "\nsize 131968\n")
    yield waits("Git LFS pointer", is_late=True)
    folder.write("model.safetensors", weights.single)  # git lfs pull
    yield Seen("done")


def stages_beside_latest(root, weights):
    """The same step in two stages, links and text files called latest."""
    first = Folder(root / "stage1" / "step5")
    first.write("config.json", weights.config)
    (root / "latest").symlink_to("stage1/step5")
    (root / "stage1" / "latest").symlink_to("step5")
    Folder(root).write("latest.txt", "step5")
    yield waits("model.safetensors is not there yet", stage="stage1")
    first.write("model.safetensors", weights.single)
    yield Seen("done", stage="stage1")
    second = Folder(root / "stage2" / "soup" / "step5")
    second.write("config.json", weights.config)
    yield waits("model.safetensors is not there yet", stage="stage2/soup")
    second.write("model.safetensors", weights.single)
    yield Seen("done", stage="stage2/soup")


def published_series(root, weights):
    """Rows of a manifest (MANIFEST), downloaded one after the other."""
    yield waits("not there yet: ", stage="stage1_pretraining")
    Folder(root / "stage1" / "step6").write("config.json", weights.config)
    yield waits("not there yet: ", stage="stage2_midtraining")
    first = Folder(root / "stage1" / "step5")
    first.write("config.json", weights.config)
    yield waits("model.safetensors is not there yet", stage="stage1_pretraining")
    first.write("model.safetensors", weights.single)
    yield Seen("done", stage="stage1_pretraining")
    yield waits("not there yet: ", stage="stage2_midtraining")


MANIFEST = """Stage,Step,Tokens Seen,Checkpoint Directory
stage1_pretraining,5,20971520,https://host/ai2-llm/series/stage1/step5/
stage2_midtraining,5,41943040,https://host/ai2-llm/series/stage2/ingredient1/step5/
"""


def fails_half_way(root, weights):
    """A save that is never finished, and the next one that is."""
    folder = Folder(root / "step4")
    folder.write("config.json", weights.config)
    folder.write("model-00001-of-00002.safetensors", b"half")
    yield waits("model.safetensors.index.json is not there yet", step=4)
    after = Folder(root / "step5")
    after.write("config.json", weights.config)
    after.write("model.safetensors", weights.single)
    yield Seen("done")
    yield waits("unchanged since", step=4, is_late=True)


def retention(root, weights):
    """A checkpoint is deleted file by file while it is not whole yet."""
    folder = Folder(root / "step5")
    folder.write("config.json", weights.config)
    folder.write("model-00001-of-00002.safetensors", b"half")
    Folder(root / "step9").write("config.json", weights.config)
    yield waits("model.safetensors.index.json is not there yet")
    folder.delete("config.json")
    yield waits("config.json is not there yet")
    shutil.rmtree(folder.path)
    yield Seen("vanished", "deleted")
    yield waits("model.safetensors is not there yet", step=9)


# --- whole by their listing; their weights are no real ones -----------------
# No worker is started for these: whole is "queued".

def olmo_local(root, _):
    """The legacy trainer: beside its place, then renamed."""
    folder = Folder(root / "step5-unsharded-tmp").make()
    folder.write("model.pt")
    folder.write("optim.pt")
    yield NOTHING
    folder.write("train.pt")
    folder.write("config.yaml", "model: {}")
    yield NOTHING
    folder.path.rename(root / "step5-unsharded")
    yield Seen("queued")


def olmo_uploaded(root, _):
    folder = Folder(root / "step5-unsharded")
    folder.write("model.safetensors")
    yield waits("config.yaml is not there yet (the OLMo trainer writes it last)")
    folder.write("optim.safetensors")
    folder.write("train.pt")
    yield waits("config.yaml is not there yet")
    folder.write("config.yaml", b"")
    yield waits("config.yaml is empty")
    folder.write("config.yaml", "model: {}")
    yield Seen("queued")


def olmo_sharded_then_unsharded(root, _):
    """step5 and step5-unsharded are one checkpoint."""
    sharded = Folder(root / "step5")
    sharded.write("model_and_optim/__0_0.distcp")
    yield waits("model_and_optim/.metadata is not there yet")
    sharded.write("model_and_optim/.metadata")
    sharded.write("train/rank0.pt")
    sharded.write("config.yaml", "model: {}")
    yield Seen("queued")
    unsharded = Folder(root / "step5-unsharded")
    unsharded.write("model.pt")
    unsharded.write("config.yaml", "model: {}")
    yield Seen("queued")


def olmo_sharded_olmo_core(root, _):
    folder = Folder(root / "step5")
    folder.write("__0_0.distcp")
    yield waits(".metadata is not there yet")
    folder.write(".metadata")
    yield waits("config.json is not there yet")
    folder.write("train/rank0.pt")
    folder.write("config.yaml", "model: {}")
    yield Seen("queued")


def olmo_core_sync(root, _):
    folder = Folder(root / "step5-tmp").make()
    folder.write("train/rank0.pt")
    folder.write("model_and_optim/__0_0.distcp")
    yield NOTHING
    folder.write("model_and_optim/.metadata")
    yield NOTHING
    folder.path.rename(root / "step5")
    folder = Folder(root / "step5")
    yield waits("config.json is not there yet; model_and_optim is whole")
    folder.write(".metadata.json", '{"version": "2.0"}')
    yield waits("config.json is not there yet")
    folder.write("config.json", "{}")
    yield Seen("queued")


def olmo_core_async(root, _):
    folder = Folder(root / "step5")
    folder.write("train/rank0.pt")
    yield waits("model_and_optim/.metadata is not there yet")
    folder.write("model_and_optim/tmpabcd.distcp")
    yield waits("model_and_optim/.metadata is not there yet")
    (folder.path / "model_and_optim/tmpabcd.distcp").rename(
        folder.path / "model_and_optim/__0_0.distcp")
    yield waits("model_and_optim/.metadata is not there yet")
    folder.write("model_and_optim/__1_0.distcp")
    folder.write("model_and_optim/tmpefgh.distcp")  # a stray that stays
    yield waits("model_and_optim/.metadata is not there yet")
    folder.write("model_and_optim/.metadata")
    yield waits("config.json is not there yet")
    folder.write(".metadata.json", '{"ephemeral": false}')
    yield waits("config.json is not there yet")
    folder.write("config.json", "{}")
    yield Seen("queued")


def olmo_core_async_failed(root, _):
    folder = Folder(root / "step5")
    folder.write("train/rank0.pt")
    folder.write("model_and_optim/__0_0.distcp")
    yield waits("model_and_optim/.metadata is not there yet")
    folder.write(".metadata.json", "{}")
    yield waits(".metadata.json is no proof: a failed save has it too")


def olmo_core_without_config(root, _):
    folder = Folder(root / "step5")
    folder.write("model_and_optim/__0_0.distcp")
    folder.write("model_and_optim/.metadata")
    yield waits("config.json missing, though model_and_optim is whole", is_late=True)


def olmo_core_retention(root, _):
    """max_checkpoints: .metadata.json goes first, then the folder's content."""
    folder = Folder(root / "step5")
    folder.write("model_and_optim/__0_0.distcp")
    folder.write("model_and_optim/.metadata")
    folder.write(".metadata.json", "{}")
    folder.write("config.json", "{}")
    Folder(root / "step9").make()
    yield Seen("queued")
    folder.delete(".metadata.json")
    yield Seen("queued")
    folder.delete("model_and_optim/.metadata")
    yield waits("model_and_optim/.metadata is not there yet")
    shutil.rmtree(folder.path)
    yield Seen("vanished", "deleted")


def torchtitan(root, _):
    """No configuration of its own: the run has a model_config."""
    folder = Folder(root / "step-5")
    folder.write("__0_0.distcp")
    yield waits(".metadata is not there yet")
    folder.write("__1_0.distcp")
    folder.write(".metadata.tmp")
    yield waits(".metadata is not there yet")
    (folder.path / ".metadata.tmp").rename(folder.path / ".metadata")
    yield Seen("queued")


def dcp_hf_writer(root, _):
    folder = Folder(root / "step-5")
    folder.write("shard-00001-model-00001-of-00001.safetensors")
    yield waits("model.safetensors.index.json is not there yet")
    folder.write("model.safetensors.index.json", "{}")
    yield Seen("queued")


def torch_bin(root, _):
    folder = Folder(root / "step5")
    folder.write("config.json", "{}")
    yield waits("model.safetensors is not there yet")
    folder.write("pytorch_model-00001-of-00002.bin")
    yield waits("pytorch_model.bin.index.json is not there yet")
    folder.write("pytorch_model.bin.index.json", "{}")
    yield waits("1 of 2 shards are there")
    folder.write("pytorch_model-00002-of-00002.bin")
    yield Seen("queued")


def odd_names(root, _):
    """An average of three checkpoints is not the checkpoint of its last step."""
    for name in ("step5", "step5+4+3-nooptim-reshard32", "step5-hf"):
        folder = Folder(root / "stage3" / name)
        folder.write("config.json", "{}")
        folder.write("model.pt")
    yield Seen("queued", stage="stage3")
    yield Seen("queued", stage="stage3/+4+3-nooptim-reshard32")


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


# Measured by a real worker.
MEASURED = [save_pretrained, save_pretrained_sharded, hf_trainer, hf_trainer_by_rename,
            hub_download, link_out_of_the_root, lfs_pointer, stages_beside_latest,
            published_series, fails_half_way, retention]
# Followed up to the queue.
LISTED = [olmo_local, olmo_uploaded, olmo_sharded_then_unsharded, olmo_sharded_olmo_core,
          olmo_core_sync, olmo_core_async, olmo_core_async_failed, olmo_core_without_config,
          olmo_core_retention, torchtitan, dcp_hf_writer, torch_bin, odd_names, nanotron,
          gpt_neox]
