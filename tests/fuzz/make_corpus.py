#!/usr/bin/env python3
"""Writes the part of the corpus that has a recipe: tests/fuzz/make_corpus.py.

A file's name begins with the outcome that the replay test asks for (see
replay_main.cc). Inputs of fuzzers (found-...) are left alone.
"""

import os
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
os.chdir(ROOT)  # where tests/hostile expects to be
sys.path.insert(0, str(ROOT / "tests/hostile"))

import corpus_of_bytes  # noqa: E402
import corpus_of_configs  # noqa: E402
import corpus_of_names  # noqa: E402
import corpus_of_text  # noqa: E402


def write(target, name, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def copies():
    """Archives and metadata that torch itself wrote, from the tests' data."""
    torch = ROOT / "worker/checkpoint/testdata/torch"
    for path in sorted(torch.glob("read/*/pytorch_model.bin")):
        write("torch_archive", f"good-{path.parent.name}", path.read_bytes())
        write("zip_directory", f"good-torch-{path.parent.name}", path.read_bytes())
    for path in sorted(torch.glob("refused/*/pytorch_model.bin")):
        name = path.parent.name
        if name == "no_zip":
            continue  # a bare pickle, which the target would wrap
        write("torch_archive", f"unsupported-{name}", path.read_bytes())
    with zipfile.ZipFile(torch / "read/state_dict/pytorch_model.bin") as archive:
        names = [name for name in archive.namelist() if name.endswith("data.pkl")]
        write("pickle", "unsupported-state-dict", archive.read(names[0]))
    data = ROOT / "tests/data/containers"
    write("config_yaml", "good-legacy", (data / "legacy_pt/config.yaml").read_bytes())
    write("architecture", "good-olmo-core", (data / "olmo_core/config.json").read_bytes())
    for layout in ("olmo_core_model_only", "torchtitan"):
        write("dcp_metadata", f"good-{layout}", (data / layout / ".metadata").read_bytes())


def main():
    for recipes in (corpus_of_text, corpus_of_configs, corpus_of_names, corpus_of_bytes):
        for target, inputs in recipes.TARGETS.items():
            for name, data in inputs.items():
                write(target, name, data)
    copies()


if __name__ == "__main__":
    main()
