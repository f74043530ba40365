"""One hostile folder and what must come of it."""

import subprocess
import sys
from pathlib import Path

import limited


class Case:
    """`build` makes the folder; `run` may be given to do more than measure it.

    Folders are built in a process of their own: a child's peak of memory counts
    from what its parent had when it was forked, and some folders take much to
    make.
    """

    def __init__(self, name, build, code, *words, memory_kb=limited.MEMORY_ABOVE_GOOD_KB,
                 run=None):
        self.name = name
        self.build = build
        self.code = code
        self.words = words
        self.memory_kb = memory_kb
        self._run = run or limited.measure

    def run(self, folder):
        main = Path(__file__).with_name("hostile_test.py")
        subprocess.run([sys.executable, main, "--build", self.name, folder], check=True)
        return self._run(folder)
