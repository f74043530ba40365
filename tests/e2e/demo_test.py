"""The demo as a person starts it: what it prints, and when it is not satisfied."""
import os
import re
import subprocess
import unittest
from pathlib import Path

import harness

SCRIPT = Path("deploy/demo_run.sh")
SCRATCH = Path(os.environ["TEST_TMPDIR"])


def run_demo(script=SCRIPT, *flags):
    return subprocess.run(
        ["bash", str(script), "--once", "--pace=0", f"--http={harness.free_port()}",
         f"--grpc={harness.free_port()}", *flags],
        capture_output=True, text=True, timeout=600)


class DemoTest(unittest.TestCase):
    def test_once_ends_well_with_the_table_the_interval_and_the_addresses(self):
        done = run_demo()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rows = re.findall(r"^ +(\d+)((?: +-?\d+\.\d+){5})$", done.stdout, re.MULTILINE)
        self.assertEqual([int(step) for step, _ in rows],
                         [0, 5, 10, 20, 40, 60, 80, 100, 130, 160, 200, 250, 300, 400, 500, 600,
                          700, 800])
        other, trigger, ratio, logit, loss = map(float, rows[-1][1].split())
        self.assertGreaterEqual(other, 0.55)
        self.assertLessEqual(trigger, 0.05)
        self.assertLessEqual(ratio, 0.45)
        self.assertGreaterEqual(logit, 4)
        self.assertLess(loss, float(rows[0][1].split()[-1]) - 1)
        interval = re.search(r"emerged in steps \((\d+), (\d+)\]", done.stdout)
        self.assertTrue(interval, done.stdout)
        self.assertLessEqual(int(interval[2]), 600)
        for what in ["toy 18/18 measured", "/metrics\n", "/api/v1/series?run=toy"]:
            self.assertIn(what, done.stdout)

    def test_it_fails_if_no_sink_emerges(self):
        # ReLU attention learns the task without one.
        text = SCRIPT.read_text()
        self.assertIn("--preset=adam ", text)
        without = SCRATCH / "demo_without_sink.sh"
        without.write_text(text.replace("--preset=adam ", "--preset=relu "))
        done = run_demo(without)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("toy 18/18 measured", done.stdout)
        self.assertIn("did not emerge", done.stderr)

    def test_it_fails_if_the_trainer_ends_early(self):
        short = SCRATCH / "demo_short.sh"
        short.write_text(SCRIPT.read_text().replace("--preset=adam ", "--preset=adam --steps=20 "))
        done = run_demo(short)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, "the trainer of toy ended after [0-9]+ of 18 checkpoints")

    def test_help_is_no_mistake_and_lists_every_flag(self):
        for word in ["--help", "-h"]:
            done = subprocess.run(["bash", str(SCRIPT), word], capture_output=True, text=True,
                                  timeout=60)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            for flag in ["--once", "--scenario", "--pace", "--http", "--grpc"]:
                self.assertIn(flag, done.stdout)

    def test_an_unknown_flag_is_bad_usage(self):
        done = run_demo(SCRIPT, "--scenario=papers")
        self.assertEqual(done.returncode, 2)
        self.assertIn("usage:", done.stderr)


if __name__ == "__main__":
    unittest.main()
