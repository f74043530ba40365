"""OLMo's first trainer, and OLMo-core."""

import shutil

from script import DONE, NOTHING, Folder, Seen, copy, waits


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


def olmo_torch_new(root, data):
    """sharded_checkpointer torch_new: a DCP in model_and_optim."""
    folder = Folder(root / "step5")

    def write(*names):
        for name in names:
            folder.write(f"model_and_optim/{name}", data(f"legacy_dcp/{name}"))

    write("__0_0.distcp", "__0_1.distcp")
    yield waits("model_and_optim/.metadata is not there yet")
    write(".metadata")
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


def olmo_local_shards(root, data):
    """sharded_checkpointer local: whole, and refused by workers."""
    folder = Folder(root / "step5")
    for name in ("model", "optim", "train"):
        folder.write(f"{name}/rank0.pt")
        yield waits("config.yaml is not there yet")
    folder.write("metadata.yaml", "world_size: 1")
    yield waits("config.yaml is not there yet")
    copy(folder, data, "legacy_pt", "config.yaml")
    yield Seen("dead", "model/rank0.pt: flat FSDP parameters", is_late=True)


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
