"""Trains the toy models anew with seeds that nothing was tuned on, and counts how
many show what the committed ones show. Minutes, and a matter of chance: run by
hand (bazel test --test_tag_filters= //tests/e2e:retrain_test)."""
import subprocess
import tempfile
import unittest
from pathlib import Path

import harness

SEEDS = [11, 12, 13, 14, 15]


class RetrainTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.probe = Path(cls.folder.name) / "probe"
        subprocess.run([harness.TRAINER, "--probe_only", f"--probe_out={cls.probe}"], check=True)

    def train(self, preset, seed, step):
        out = Path(self.folder.name) / f"{preset}-{seed}"
        subprocess.run([harness.TRAINER, f"--preset={preset}", f"--seed={seed}",
                        f"--checkpoints={step}", f"--out={out}"],
                       check=True, capture_output=True)
        return harness.measure_directly(out / f"step{step}", self.probe)

    def passed(self, preset, step, checks):
        """Number of seeds that pass each check, and a line for each seed."""
        counts = dict.fromkeys(checks, 0)
        for seed in SEEDS:
            values = self.train(preset, seed, step)
            numbers = {name: number(values) for name, (number, _) in checks.items()}
            for name, (_, holds) in checks.items():
                counts[name] += bool(holds(numbers[name]))
            print(preset, "seed", seed, {name: round(x, 4) for name, x in numbers.items()},
                  flush=True)
        return counts

    def test_one_layer_with_adam(self):
        counts = self.passed("adam", 800, {
            "sink on other rows": (lambda v: v["train/other", "sink_attention", 0][0],
                                   lambda x: x >= 0.55),
            "sink on triggers": (lambda v: v["train/trigger", "sink_attention", 0][0],
                                 lambda x: x <= 0.05),
            "previous token on triggers": (
                lambda v: v["train/trigger", "prev_token_attention", 0][0], lambda x: x >= 0.85),
            "value norm ratio": (lambda v: v["train", "value_norm_ratio", 0][0],
                                 lambda x: x <= 0.45),
            "delta logit": (lambda v: v["train", "sink_delta_logit", 0][0], lambda x: x >= 4),
            "backcopy loss": (lambda v: v["train/trigger", "probe_loss", None][0],
                              lambda x: x <= 0.10),
            "contrast A - B": (lambda v: v["A", "sink_attention", 0][0]
                               - v["B", "sink_attention", 0][0], lambda x: x >= 0.25),
        })
        self.assertTrue(all(count == len(SEEDS) for count in counts.values()), counts)

    def test_olmo_shape(self):
        counts = self.passed("olmo", 600, {
            "sink in A": (lambda v: v["A", "sink_attention", 1][0], lambda x: x >= 0.75),
            "contrast A - B": (lambda v: v["A", "sink_attention", 1][0]
                               - v["B", "sink_attention", 1][0], lambda x: x >= 0.25),
            "previous token on triggers": (
                lambda v: v["train/trigger", "prev_token_attention", 1][0], lambda x: x >= 0.95),
            "backcopy loss": (lambda v: v["train/trigger", "probe_loss", None][0],
                              lambda x: x <= 0.10),
        })
        # The sink of this shape depends on the seed: three of five are asked for.
        # That the task is solved does not.
        self.assertGreaterEqual(counts["sink in A"], 3, counts)
        self.assertGreaterEqual(counts["contrast A - B"], 3, counts)
        self.assertEqual(counts["backcopy loss"], len(SEEDS), counts)


if __name__ == "__main__":
    unittest.main()
