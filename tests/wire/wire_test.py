"""The gRPC port under 1 GB of address space and 1,024 descriptors, against
every attack of attacks.py: it refuses, it goes on, and it answers others at
once when the attack is over. WIRE_SECONDS says for how long each goes on.
"""

import json
import os
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

sys.path[:0] = ["tests/e2e", "tests/wire"]

import attacks  # noqa: E402
import harness  # noqa: E402

SECONDS = float(os.environ.get("WIRE_SECONDS", "2"))
LIMITS = ["prlimit", "--nofile=1024:1024"]
LIMITS += [] if harness.IS_ASAN else [f"--as={1 << 30}"]
MOST_RUNS = 30


class WireTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="sinkwatch-wire.")
        folder = Path(self.folder.name)
        self.grpc_port, self.http_port = harness.free_port(), harness.free_port()
        config = folder / "config"
        config.write_text(
            f'grpc_address: "127.0.0.1:{self.grpc_port}"\n'
            f'http_address: "127.0.0.1:{self.http_port}"\n'
            f'data_dir: "{folder / "data"}"\nmax_added_runs: {MOST_RUNS}\n')
        self.server = harness.Process(
            "server", LIMITS + [harness.SERVER, f"--config={config}"], folder)
        harness.wait_until(lambda: self.ready() == 200, "the server to be ready")

    def tearDown(self):
        self.server.kill()
        self.folder.cleanup()

    def get(self, path):
        url = f"http://127.0.0.1:{self.http_port}{path}"
        return urllib.request.urlopen(url, timeout=20)

    def ready(self):
        try:
            return self.get("/-/ready").status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def peak(self):
        lines = Path(f"/proc/{self.server.popen.pid}/status").read_text()
        return {line.split(":")[0]: line.split()[1] for line in lines.split("\n")
                if line.startswith(("VmHWM", "VmPeak", "Threads"))}

    def answers(self):
        """Seconds until somebody else's question is answered."""
        start = time.monotonic()
        said = harness.subprocess.run(
            [harness.SINKCTL, f"--server=127.0.0.1:{self.grpc_port}",
             "--timeout=20", "runs"], capture_output=True, check=False)
        self.assertEqual(said.returncode, 0, said.stderr)
        return time.monotonic() - start

    def check(self, attack):
        count = attack(self.grpc_port, SECONDS)
        self.assertTrue(self.server.running(),
                        f"{attack.__name__} ended it:\n{self.server.log()[-3000:]}")
        seconds = self.answers()
        print(f"{attack.__name__}: {count} turns, {self.peak()}, "
              f"answered after {seconds:.2f} s", flush=True)
        harness.wait_until(lambda: self.ready() == 200, "it to be ready again", 30)
        self.assertLess(int(self.peak()["Threads"]), 100)


    def test_runs_are_bounded(self):
        attacks.runs_without_end(self.grpc_port, SECONDS)
        harness.wait_until(
            lambda: json.load(self.get("/api/v1/runs?shape=records")),
            "a run to be there")
        runs = json.load(self.get("/api/v1/runs?shape=records"))
        self.assertLessEqual(len(runs), MOST_RUNS)


def add(attack):
    setattr(WireTest, f"test_{attack.__name__}",
            lambda self: self.check(attack))


for one in attacks.ATTACKS:
    add(one)


if __name__ == "__main__":
    unittest.main(verbosity=2)
