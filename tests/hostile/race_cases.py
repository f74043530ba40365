"""Files that change while they are read.

The model has so many layers that most are unread when the worker first says how
far it is; there it is stopped until the file has changed.
"""

import shutil

import limited
from case import Case
from files import deep_model
from limited import CORRUPT, VANISHED

LAYERS = 200


def build(folder):
    deep_model(folder, LAYERS)


def while_reading(change):
    def run(folder):
        process = limited.Measure(folder, flags=["--metrics=probe_loss"])
        process.await_line("measuring")
        change(folder / "model.safetensors")
        process.go_on()
        return process.finish()
    return run


def truncate(path):
    with open(path, "r+b") as file:
        file.truncate(1000)


def empty(path):
    with open(path, "r+b") as file:
        file.truncate(0)


def overwrite(path):
    """The size stays; what the bytes are does not matter."""
    with open(path, "r+b") as file:
        file.seek(-64, 2)
        file.write(b"\0" * 64)


def replace(path):
    beside = path.with_name("new")
    shutil.copyfile(path, beside)
    beside.rename(path)


def grow(path):
    with open(path, "ab") as file:
        file.write(b"more")


CASES = [
    Case("cut short while it is read", build, CORRUPT, "model.safetensors", "since it was opened",
         run=while_reading(truncate)),
    Case("emptied while it is read", build, CORRUPT, "since it was opened",
         run=while_reading(empty)),
    Case("overwritten while it is read", build, CORRUPT, "rewritten since it was opened",
         run=while_reading(overwrite)),
    Case("replaced while it is read", build, CORRUPT, "rewritten since it was opened",
         run=while_reading(replace)),
    Case("longer while it is read", build, CORRUPT, "rewritten since it was opened",
         run=while_reading(grow)),
    Case("deleted while it is read", build, VANISHED, "deleted since it was opened",
         run=while_reading(lambda path: path.unlink())),
]
