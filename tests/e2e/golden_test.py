"""What `measure` says of trained checkpoints, against a second, independent
computation in float64, and against what is known of these models."""
import functools
import json
import math
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

import harness
from harness import TOY

DATA = Path("tests/data")
# float32 against float64 through a whole forward pass.
RELATIVE, ABSOLUTE = 1e-4, 1e-5


def measure(checkpoint, probe):
    return harness.measure_directly(checkpoint, probe)


@functools.lru_cache(maxsize=None)
def toy(name):
    return measure(TOY / name, TOY / "probe")


class GoldenTest(unittest.TestCase):
    def compare(self, expected, actual, exact_set):
        wrong = []
        for entry in expected:
            key = (entry["domain"], entry["metric"], entry["layer"])
            got = actual.get(key)
            if got is None or len(got) != len(entry["values"]):
                wrong.append((key, entry["values"], got))
                continue
            for want, value in zip(entry["values"], got):
                # A NaN or a null never passes.
                if value is None or not abs(value - want) <= max(ABSOLUTE, RELATIVE * abs(want)):
                    wrong.append((key, want, value))
        self.assertFalse(wrong, f"{len(wrong)} of {len(expected)}: {wrong[:5]}")
        if exact_set:
            known = {(e["domain"], e["metric"], e["layer"]) for e in expected}
            self.assertFalse(actual.keys() - known)

    def test_stories260k_equals_its_golden_values(self):
        golden = json.loads((DATA / "stories_golden.json").read_text())["measurements"]
        self.assertGreater(len(golden), 500)
        self.compare(golden, measure(DATA / "stories260K", DATA / "stories_probe"), True)

    def test_local_attention_at_the_end_of_a_sequence_is_no_sink(self):
        # Of 96 rows the last columns are seen by a few: with 8 rows enough, as
        # in version 1 of the definitions, the mean was .42.
        values = measure(DATA / "stories260K", DATA / "stories_probe")
        counts = [value for layer in range(5) for value in values["story", "sink_count", layer]]
        self.assertEqual(len(counts), 40)
        self.assertLessEqual(sum(counts) / 40, 0.001)

    def test_stories260k_has_no_sinks_and_says_so(self):
        values = measure(DATA / "stories260K", DATA / "stories_probe")
        for domain in ["story", "shuffled", "story_no_bos"]:
            self.assertEqual(values[domain, "sink_rate_030", None], [0])
            self.assertEqual(values[domain, "dormant_head_frac", None], [0])
            for layer in range(5):
                self.assertLess(max(values[domain, "sink_attention", layer]), 0.3)

    def test_every_toy_checkpoint_equals_its_golden_values_and_nothing_else_is_measured(self):
        golden = json.loads((TOY / "golden.json").read_text())["checkpoints"]
        self.assertEqual(len(golden), 14)
        for name, entries in golden.items():
            with self.subTest(checkpoint=name):
                self.compare(entries, toy(name), True)


class FiguresTest(unittest.TestCase):
    """The bounds that hold for ten seeds of this task (see
    worker/examples/bigram_backcopy/README.md), on the committed checkpoints."""

    @classmethod
    def setUpClass(cls):
        cls.last = toy("adam/step800")
        cls.first = toy("adam/step0")

    def value(self, domain, metric, layer=0):
        return self.last[domain, metric, layer][0]

    def test_the_sink_is_there_on_other_rows_and_not_on_triggers(self):
        self.assertGreaterEqual(self.value("train/other", "sink_attention"), 0.55)
        self.assertLessEqual(self.value("train/trigger", "sink_attention"), 0.05)
        self.assertGreaterEqual(self.value("train/trigger", "prev_token_attention"), 0.85)

    def test_the_value_is_drained_and_the_logit_high(self):
        self.assertLessEqual(self.value("train", "value_norm_ratio"), 0.45)
        self.assertGreaterEqual(self.value("train", "sink_delta_logit"), 4)

    def test_there_is_no_residual_peak_in_one_layer(self):
        self.assertLessEqual(self.value("train", "residual_norm_ratio"), 1.2)

    def test_the_head_is_more_dormant_in_the_domain_without_triggers(self):
        contrast = self.value("A", "sink_attention") - self.value("B", "sink_attention")
        self.assertGreaterEqual(contrast, 0.25)
        write = {domain: self.value(domain, "head_output_norm") for domain in "AB"}
        self.assertGreaterEqual(write["B"] / write["A"], 1.3)

    def test_both_halves_of_the_task_are_learned(self):
        # How far the rest is from what the chain allows: trainer_test.
        for name in ["adam/step800", "relu/step800", "olmo/step600"]:
            self.assertLessEqual(toy(name)["train/trigger", "probe_loss", None][0], 0.10, name)

    def test_the_logit_grows_with_the_logarithm_of_the_step(self):
        steps = [130, 200, 400, 800]
        logits = [toy(f"adam/step{step}")["train", "sink_delta_logit", 0][0] for step in steps]
        slope, fit = line([math.log(step) for step in steps], logits)
        self.assertTrue(2 <= slope <= 8, slope)
        self.assertGreater(fit, line(steps, logits)[1])

    def test_the_untrained_model_has_neither_sink_nor_drain(self):
        self.assertLessEqual(self.first["train/other", "sink_attention", 0][0], 0.2)
        self.assertLessEqual(abs(self.first["train", "value_norm_ratio", 0][0] - 1), 0.6)

    def test_the_sink_emerges_between_the_saved_steps(self):
        curve = [(step, toy(f"adam/step{step}")["train/other", "sink_attention", 0][0])
                 for step in [0, 60, 130, 200, 400, 800]]
        by = next(step for step, mass in curve if mass >= 0.5)
        self.assertLessEqual(by, 600)
        self.assertTrue(all(mass < 0.25 for step, mass in curve if step <= 60), curve)
        self.assertTrue(all(mass >= 0.5 for step, mass in curve if step >= by), curve)

    def test_zeroing_the_head_costs_the_domain_with_triggers_only(self):
        with tempfile.TemporaryDirectory() as folder:
            zeroed = without_head(TOY / "adam/step800", Path(folder) / "step800",
                                  "model.layers.0.attention.o_proj.weight")
            after = measure(zeroed, TOY / "probe")
        loss = {d: after[d, "probe_loss", None][0] - self.last[d, "probe_loss", None][0]
                for d in "AB"}
        self.assertLessEqual(abs(loss["A"]), 0.06)
        self.assertGreaterEqual(loss["B"], 1.0)

    def test_relu_attention_solves_the_task_without_a_sink(self):
        relu = toy("relu/step800")
        # Raw weight, row 0 included; sink_attention is a share of the row's sum.
        self.assertLessEqual(relu["train", "sink_attention_gu", 0][0], 0.02)
        self.assertLessEqual(abs(relu["train", "probe_loss", None][0]
                                 - self.last["train", "probe_loss", None][0]), 0.05)
        self.assertNotIn(("train", "sink_logit_margin", 0), relu)

    def test_the_residual_norm_grows_under_adam_and_not_under_sgd(self):
        slope, last = {}, {}
        for run in ["adam3", "sgd3"]:
            norms = [toy(f"{run}/step{step}")["train", "residual_norm_sink", 0][0]
                     for step in [500, 1500]]
            slope[run], last[run] = norms[1] - norms[0], norms[1]  # per 1,000 steps
        self.assertGreaterEqual(slope["adam3"], 4)
        self.assertLessEqual(slope["sgd3"], 1)
        self.assertGreaterEqual(last["adam3"] / last["sgd3"], 1.5)

    def test_the_olmo_shaped_model_forms_its_sink_in_the_second_layer(self):
        olmo = toy("olmo/step600")
        self.assertGreaterEqual(olmo["A", "sink_attention", 1][0], 0.75)
        self.assertGreaterEqual(
            olmo["A", "sink_attention", 1][0] - olmo["B", "sink_attention", 1][0], 0.25)
        self.assertGreaterEqual(olmo["train/trigger", "prev_token_attention", 1][0], 0.95)


    def test_the_olmo_shaped_sink_emerges_early_with_its_drain(self):
        curve = [toy(f"olmo/step{step}")["train/other", "sink_attention", 1][0]
                 for step in [0, 60, 600]]
        self.assertLess(curve[0], 0.25)
        self.assertGreaterEqual(min(curve[1:]), 0.5)
        self.assertLessEqual(toy("olmo/step600")["A", "value_norm_ratio", 1][0], 0.6)

    def test_zeroing_the_olmo_shaped_head_costs_the_domain_with_triggers_only(self):
        before = toy("olmo/step600")
        with tempfile.TemporaryDirectory() as folder:
            zeroed = without_head(TOY / "olmo/step600", Path(folder) / "step600",
                                  "model.layers.1.self_attn.o_proj.weight")
            after = measure(zeroed, TOY / "probe")
        loss = {d: after[d, "probe_loss", None][0] - before[d, "probe_loss", None][0]
                for d in "AB"}
        self.assertLessEqual(abs(loss["A"]), 0.04)
        self.assertGreaterEqual(loss["B"], 0.6)


def line(xs, ys):
    """Slope of the least-squares line, and the share of variance it explains."""
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = (sum((a - x) * (b - y) for a, b in zip(xs, ys))
             / sum((a - x) ** 2 for a in xs))
    rest = sum((b - y - slope * (a - x)) ** 2 for a, b in zip(xs, ys))
    return slope, 1 - rest / sum((b - y) ** 2 for b in ys)


def without_head(source, target, projection):
    """A copy of a checkpoint in which one head writes nothing."""
    shutil.copytree(source, target)
    path = target / "model.safetensors"
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    (size,) = struct.unpack("<Q", data[:8])
    begin, end = json.loads(data[8:8 + size])[
        projection]["data_offsets"]
    data[8 + size + begin:8 + size + end] = bytes(end - begin)
    path.write_bytes(data)
    return target


if __name__ == "__main__":
    unittest.main()
