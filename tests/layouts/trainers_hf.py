"""Hugging Face's forms: save_pretrained, its Trainer, torch files, downloads, links."""

import json

from script import DONE, NOTHING, Folder, Seen, copy, waits

COMMIT = "0123456789abcdef0123456789abcdef01234567"


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


def mlx(root, data):
    """An index of one file, and the configuration last."""
    folder = Folder(root / "step5")
    folder.write("model.safetensors", data("hf/model.safetensors"))
    yield waits("config.json is not there yet")
    folder.write("model.safetensors.index.json", b"")
    yield waits("model.safetensors.index.json is empty")
    weight_map = {name: "model.safetensors" for name in data.tensors("hf/model.safetensors")}
    folder.write("model.safetensors.index.json",
                 json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    yield waits("config.json is not there yet")
    copy(folder, data, "hf", "config.json")
    yield DONE


def sharded_over_one_file(root, data):
    """Shards and their index beside a whole single file, which is what
    transformers reads: of the shards' model no number is given."""
    folder = Folder(root / "step5")
    folder.write("model.safetensors", data("hf/model.safetensors"))
    copy(folder, data, "hf_sharded", "model.safetensors.index.json", "config.json")
    yield DONE
    folder.write("model-00001-of-00002.safetensors", data("hf_llama/model.safetensors"))
    yield waits("1 of 2 shards are there")
    folder.write("model-00002-of-00002.safetensors", data("hf_llama/model.safetensors"))
    yield DONE


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


def hub_download_of_dcp(root, data):
    """Links of a sub-folder: ../../../blobs."""
    cache, snapshot = Folder(root).make(), Folder(root / "snapshots" / COMMIT).make()
    cache.write("refs/step5", COMMIT)
    yield waits("config.json is not there yet")

    def finish(name, blob):
        cache.write(f"blobs/{blob}", data(f"olmo_core/{name}"))
        link = snapshot.path / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to("../" * (2 + name.count("/")) + f"blobs/{blob}")

    finish("config.json", "c0")
    yield waits("model.safetensors is not there yet")
    finish("model_and_optim/.metadata", "aa")
    yield waits("model_and_optim/.metadata has no .distcp files beside it yet")
    finish("model_and_optim/__0_0.distcp", "bb")
    yield DONE


def weights_linked_within_the_root(root, data):
    """Steps that share a file: the server follows what stays in the root."""
    shared = Folder(root / "shared")
    shared.write("weights", data("hf/model.safetensors"))
    folder = Folder(root / "step5")
    folder.make().path.joinpath("model.safetensors").symlink_to("../shared/weights")
    yield waits("config.json is not there yet")
    copy(folder, data, "hf", "config.json")
    yield DONE


def config_linked_within_the_root(root, data):
    shared = Folder(root / "shared")
    shared.write("config.json", data("hf/config.json"))
    folder = Folder(root / "step5")
    folder.make().path.joinpath("config.json").symlink_to("../shared/config.json")
    yield waits("model.safetensors is not there yet")
    copy(folder, data, "hf", "model.safetensors")
    yield DONE


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
