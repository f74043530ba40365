"""Folders that never get what a trainer's layout waits for, and names that no trainer of ours has.

The runs have a short grace time: a reason for waiting that cannot come true ends with it.
"""

from script import DONE, NOTHING, Folder, Seen, copy, waits


def dead(reason, **more):
    return Seen("dead", reason, is_late=True, **more)


def without_trainer_state(root, data):
    """checkpoint-N of a trainer that writes no trainer_state.json."""
    folder = Folder(root / "checkpoint-5")
    folder.write("config.json", data("hf/config.json"))
    yield waits("model.safetensors is not there yet")
    folder.write("model.safetensors", data("hf/model.safetensors"))
    yield DONE


def lora_adapter(root, _):
    folder = Folder(root / "checkpoint-5")
    folder.write("adapter_config.json", "{}")
    yield dead("a PEFT adapter (LoRA), which is not supported: merge it")
    folder.write("adapter_model.safetensors", b"x")
    yield dead("a PEFT adapter (LoRA)")
    folder.write("trainer_state.json", "{}")
    yield dead("a PEFT adapter (LoRA)")


def zero_shards_then_gathered(root, data):
    """DeepSpeed's ZeRO 3: dead until somebody runs zero_to_fp32.py."""
    folder = Folder(root / "checkpoint-5")
    copy(folder, data, "bin", "config.json")
    yield waits("model.safetensors is not there yet")
    folder.write("global_step5/mp_rank_00_model_states.pt")
    yield dead("DeepSpeed's ZeRO shards, which is not supported: gather")
    folder.write("latest", "global_step5")
    folder.write("zero_to_fp32.py", "#")
    yield dead("zero_to_fp32.py")
    copy(folder, data, "bin", "pytorch_model.bin")
    yield DONE


def litgpt(root, _):
    folder = Folder(root / "step-00000005")
    folder.write("model_config.yaml", "n_layer: 2")
    yield dead("litgpt's")
    folder.write("lit_model.pth", b"x")
    yield dead("litgpt convert_from_litgpt")


def state_without_weights(root, data):
    """Somebody deleted the weights to save space, or only the state was saved."""
    folder = Folder(root / "checkpoint-5").make()
    folder.write("config.json", data("hf/config.json"))
    folder.write("optimizer.pt", b"x")
    yield waits("optimizer.pt", is_late=True)
    folder.write("trainer_state.json", "{}")
    yield dead("a trainer's state without weights")


def files_of_ranks(root, data):
    """A trainer's own shards of tensor parallel ranks."""
    folder = Folder(root / "step5").make()
    folder.write("config.json", data("hf/config.json"))
    folder.write("model_tp0_pp0.safetensors", data("hf/model.safetensors"))
    yield dead("model_tp0_pp0.safetensors is a file for each rank")


def megatron_zarr(root, data):
    """Megatron's distributed checkpoints before torch_dist."""
    folder = Folder(root / "iter_0000005").make()
    folder.write("common.pt", b"x")
    yield dead("common.pt, none of which is of a form that is known")
    folder.write("model.decoder.layers.mlp.linear_fc1.weight/.zarray", "{}")
    yield dead("zarr's form")


def megatron_ranks(root, _):
    folder = Folder(root / "iter_0000005").make()
    yield waits("config.json is not there yet")
    folder.write("mp_rank_00/model_optim_rng.pt")
    yield dead("a Megatron checkpoint of ranks")


def evaluation_left_things(root, data):
    """Files and folders that nobody finished beside whole weights."""
    folder = Folder(root / "step5")
    folder.write("results.json.tmp", "{")
    yield waits("results.json.tmp is still being written")
    folder.write("tmp_eval/part.json", "{")
    copy(folder, data, "hf", "config.json")
    yield waits("is still being written")
    copy(folder, data, "hf", "model.safetensors")
    yield DONE


def two_sets_of_shards(root, data):
    """A save in other shards over an older one, whose files nobody deletes."""
    folder = Folder(root / "step5")
    folder.write("config.json", data("hf/config.json"))
    for number in (1, 2, 3):
        folder.write(f"model-0000{number}-of-00003.safetensors", b"old")
        yield waits("model.safetensors.index.json is not there yet")
    for number in (1, 2):
        name = f"model-0000{number}-of-00002.safetensors"
        folder.write(name, data(f"hf_sharded/{name}"))
        yield waits("model.safetensors.index.json is not there yet")
    copy(folder, data, "hf_sharded", "model.safetensors.index.json")
    yield DONE


def shards_without_an_index(root, data):
    """A download of the weights alone."""
    folder = Folder(root / "step5")
    folder.write("config.json", data("hf/config.json"))
    yield waits("model.safetensors is not there yet")
    copy(folder, data, "hf_sharded", "model-00002-of-00002.safetensors")
    yield waits("model.safetensors.index.json is not there yet")
    copy(folder, data, "hf_sharded", "model-00001-of-00002.safetensors")
    yield DONE


def weights_further_down(root, data):
    """A trainer with folders of its own within a step."""
    folder = Folder(root / "step5")
    folder.write("config.json", data("hf/config.json"))
    yield waits("model.safetensors is not there yet")
    folder.write("export/final/config.json", data("hf/config.json"))
    yield waits("model.safetensors is not there yet")
    folder.write("export/final/model.safetensors", data("hf/model.safetensors"))
    yield dead("a checkpoint lies further down (export/final), which is not supported")


def hub_download_of_step_folders(root, data):
    """A repository with a folder for each step in one revision."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    cache, snapshot = Folder(root).make(), Folder(root / "snapshots" / commit)
    cache.write("refs/main", commit)
    (root / "blobs").mkdir()
    snapshot.write("README.md", "x")
    yield NOTHING
    for number, name in enumerate(("config.json", "model.safetensors")):
        cache.write(f"blobs/{number}", data(f"hf/{name}"))
        (snapshot.path / "checkpoint-5").mkdir(exist_ok=True)
        (snapshot.path / "checkpoint-5" / name).symlink_to(f"../../../blobs/{number}")
        yield waits("model.safetensors is not there yet") if number == 0 else DONE


def hub_download_of_a_trainers_checkpoint(root, data):
    """A revision named checkpoint-5: no hub has a trainer_state.json of it."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    cache, snapshot = Folder(root).make(), Folder(root / "snapshots" / commit)
    cache.write("refs/checkpoint-5", commit)
    cache.write("refs/main", commit)
    copy(snapshot, data, "hf", "config.json")
    yield waits("model.safetensors is not there yet")
    copy(snapshot, data, "hf", "model.safetensors")
    yield DONE


def named_by_a_number(root, data):
    """1000/ is a checkpoint once weights lie in it."""
    folder = Folder(root / "0000005").make()
    yield NOTHING
    copy(folder, data, "hf", "config.json")
    yield NOTHING
    copy(folder, data, "hf", "model.safetensors")
    yield DONE


def named_with_a_seed(root, data):
    """DataDecide's names: a step of two seeds is two checkpoints."""
    for seed in ("default", "small-aux-2"):
        folder = Folder(root / f"step5-seed-{seed}")
        at = {"stage": f"seed-{seed}"}
        copy(folder, data, "hf", "config.json")
        yield Seen("absent", **at)
        copy(folder, data, "hf", "model.safetensors")
        yield Seen("done", **at)


def steps_that_are_links(root, data):
    """Links to folders of the root, by other names."""
    store = Folder(root / "store" / "aa11").make()
    (root / "step5").symlink_to("store/aa11")
    yield waits("config.json is not there yet")
    copy(store, data, "hf", "config.json")
    yield waits("model.safetensors is not there yet")
    copy(store, data, "hf", "model.safetensors")
    yield DONE


def flat_files(root, data):
    """As nanochat has them: a file a checkpoint, then its config beside it."""
    Folder(root).write("model_000005.pt", data("bin/pytorch_model.bin"))
    yield waits("meta_000005.json is not there yet")
    yield dead("has no config beside it (meta_000005.json)")
    Folder(root).write("meta_000005.json", data("bin/config.json"))
    yield DONE


def flat_files_without_config(root, data):
    Folder(root).write("notes_000005.json", "{}")
    yield NOTHING
    Folder(root).write("state_step000005.pt", data("bin/pytorch_model.bin"))
    yield dead("a checkpoint in a file of its own, has no config beside it")
