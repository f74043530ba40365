"""What a scripted trainer is made of.

A trainer is a generator over a run's root. Between two pauses it does one thing
(a file, a part of a file, a rename); at each pause it says what a person must
then see in `sinkctl checkpoints`.
"""

import dataclasses
import json
from pathlib import Path


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

    def tensors(self, path):
        """The names in a safetensors file."""
        content = self(path)
        header = json.loads(content[8:8 + int.from_bytes(content[:8], "little")])
        return [name for name in header if name != "__metadata__"]


def copy(folder, data, container, *names):
    for name in names:
        folder.write(name, data(f"{container}/{name}"))
