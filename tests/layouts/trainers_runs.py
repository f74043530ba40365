"""Whole runs: stages, lists, odd names, saves that fail and retention."""

import shutil

from script import DONE, Folder, Seen, copy, waits


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


MANIFEST = """Stage,Step,Tokens Seen,Checkpoint Directory
stage1_pretraining,5,20971520,https://host/ai2-llm/series/stage1/step5/
stage2_midtraining,5,41943040,https://host/ai2-llm/series/stage2/ingredient1/step5/
stage2_midtraining,6,44040192,https://host/ai2-llm/series/stage2/ingredient1/step5/
"""


def published_series(root, data):
    """Rows of a manifest, a bad one among them, downloaded one after the other."""
    yield waits("not there yet: ", stage="stage1_pretraining")
    yield Seen("dead", "published-series.csv:4: the row is of step 6, its directory step5 of step 5",
               step=6, stage="stage2_midtraining")
    Folder(root / "stage1" / "step6").write("config.json", data("hf/config.json"))
    yield waits("not there yet: ", stage="stage2_midtraining")
    first = Folder(root / "stage1" / "step5")
    first.write("config.json", data("hf/config.json"))
    yield waits("model.safetensors is not there yet", stage="stage1_pretraining")
    first.write("model.safetensors", data("hf/model.safetensors"))
    yield Seen("done", stage="stage1_pretraining")
    yield waits("not there yet: ", stage="stage2_midtraining")


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
