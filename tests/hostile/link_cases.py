"""Paths that leave the folder, and files that are none."""

import os
import shutil

from case import Case
from files import good, sharded
from limited import CORRUPT, OK, STORIES, UNSUPPORTED


def replaced(name, make):
    """A good folder in which `make(path, folder)` makes the file of that name."""
    def build(folder):
        good(folder)
        (folder / name).unlink()
        make(folder / name, folder)
    return build


def link_to(target):
    return lambda path, _: path.symlink_to(target)


def link_to_file_outside(path, _):
    path.symlink_to(STORIES / path.name)


def link_to_neighbour(path, folder):
    """Below the folder around the checkpoint, as a config that steps share."""
    shared = folder.parent / "shared"
    shutil.copyfile(STORIES / path.name, shared)
    path.symlink_to("../shared")


def linked_shard(folder):
    sharded(folder, "model-1.safetensors")
    (folder / "model-1.safetensors").symlink_to(STORIES / "model.safetensors")


def all_files_linked(folder):
    """What a download cache does: every file leads to one other folder."""
    other = good(folder.parent / "blobs")
    folder.mkdir()
    for path in other.iterdir():
        (folder / path.name).symlink_to(path)


CASES = [
    Case("weights behind a link out of the folder",
         replaced("model.safetensors", link_to_file_outside), UNSUPPORTED, "model.safetensors",
         "outside of"),
    Case("a shard behind a link out of the folder", linked_shard, UNSUPPORTED,
         "model-1.safetensors", "outside of"),
    Case("weights behind a link to a neighbour",
         replaced("model.safetensors", link_to_neighbour), OK),
    Case("a config behind a link to a neighbour",
         replaced("config.json", link_to_neighbour), OK),
    Case("weights behind a link to /dev/zero", replaced("model.safetensors", link_to("/dev/zero")),
         UNSUPPORTED, "outside of"),
    Case("weights behind a link to /proc/self/mem",
         replaced("model.safetensors", link_to("/proc/self/mem")), UNSUPPORTED),
    Case("config behind a link to /dev/zero", replaced("config.json", link_to("/dev/zero")),
         CORRUPT, "not a regular file"),
    Case("config behind a link to itself", replaced("config.json", link_to("config.json")),
         UNSUPPORTED, "config.json"),
    Case("weights that are a pipe", replaced("model.safetensors", lambda path, _: os.mkfifo(path)),
         CORRUPT, "not a regular file"),
    Case("config that is a pipe", replaced("config.json", lambda path, _: os.mkfifo(path)),
         CORRUPT, "not a regular file"),
    Case("weights that are a folder", replaced("model.safetensors", lambda path, _: path.mkdir()),
         CORRUPT, "not a regular file"),
    Case("every file behind a link to one other folder", all_files_linked, OK),
]
