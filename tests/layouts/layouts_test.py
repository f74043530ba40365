"""Scripted trainers of every layout against the real server, worker, sinkctl.

All trainers go on together, one step at a time: after each step every line of
`sinkctl checkpoints` must say what that pause of the trainer means.
"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, "tests/e2e")
sys.path.insert(0, "tests/layouts")
import harness  # noqa: E402
import trainers  # noqa: E402
import trainers_runs  # noqa: E402
from harness import Cluster, wait_until  # noqa: E402
from script import Data, Folder  # noqa: E402

DATA = Path("tests/data/containers")

QUIESCENCE = 0.1
# Reasons take their late form after this, in the runs that are about it.
GRACE = 0.1


class Clock:
    """Tells when every run has been looked at until nothing settles any more.

    It writes a checkpoint of its own, in the run that the server looks at
    last, and waits until that one has settled.
    """

    def __init__(self, cluster):
        self.cluster = cluster
        self.step = 0

    def add_run(self):
        self.root = self.cluster.add_run("zz-clock", probe=DATA / "probe", quiescence=QUIESCENCE)

    def tick(self):
        self.step += 1
        folder = Folder(self.root / f"step{self.step}")
        folder.write("config.json", "{}")
        folder.write("model.safetensors", b"\xff" * 16)  # corrupt: tried once

        def settled():
            return [row for row in self.cluster.ctl_json("checkpoints", "zz-clock")
                    if row["step"] == self.step and row["state"] != "waiting"]
        wait_until(settled, "the clock's checkpoint to settle")


def run_name(trainer):
    return trainer.__name__.replace("_", "-")


class Play:
    """A trainer at work in a run of its own."""

    def __init__(self, cluster, trainer, data):
        self.cluster = cluster
        self.trainer = trainer
        self.name = run_name(trainer)
        fields = {}
        if trainer in trainers.SHORT_GRACE:
            fields["grace_seconds"] = GRACE
        if trainer in trainers.WITH_CONVERSIONS:
            fields["include_hf_siblings"] = "true"
        if trainer in trainers.MODEL_CONFIG:
            path = (DATA / trainers.MODEL_CONFIG[trainer]).resolve()
            fields["model_config"] = f'"{path}"'
        root = cluster.folder / "runs" / self.name
        if trainer in trainers.MANIFEST:
            path = cluster.folder / f"{self.name}.csv"
            path.write_text(trainers.MANIFEST[trainer])
            fields["manifest"] = f'"{path}"'
        cluster.add_run(self.name, probe=DATA / "probe", quiescence=QUIESCENCE, **fields)
        self.steps = trainer(root, data)
        self.expected = None
        self.pause = 0

    def go_on(self):
        """Does the trainer's next step; whether there was one."""
        self.expected = next(self.steps, None)
        self.pause += 1
        return self.expected is not None

    def lines(self):
        return self.cluster.ctl_json("checkpoints", self.name)

    def agrees(self, lines):
        """Whether the line of the checkpoint that the trainer speaks of does."""
        found = [row for row in lines if row["step"] == self.expected.step
                 and row["stage"] == self.expected.stage]
        line = found[-1] if found else {"state": "absent", "reason": ""}
        return line["state"] == self.expected.state and self.expected.reason in line["reason"]

    def check(self, case):
        what = f"{self.name}, pause {self.pause}: {self.expected}"
        lines = self.lines()
        if self.expected.is_late or self.expected.state == "done":
            wait_until(lambda: self.agrees(self.lines()), f"{what}; at first {lines}")
        else:
            case.assertTrue(self.agrees(lines), f"{what}; it is {lines}")
        for row in lines:
            if row["state"] == "waiting":
                case.assertNotEqual(row["reason"], "", what)

    def measured(self):
        return [row for row in self.lines() if row["state"] == "done"]


class LayoutsTest(unittest.TestCase):
    def play(self, scripts):
        data = Data(DATA)
        with Cluster(poll=0.02) as cluster:
            clock = Clock(cluster)
            plays = [Play(cluster, trainer, data) for trainer in scripts]
            clock.add_run()
            cluster.start_server()
            cluster.start_worker()
            at_work = plays
            while at_work := [play for play in at_work if play.go_on()]:
                clock.tick()
                for play in at_work:
                    play.check(self)
            done = {play.trainer: play.measured() for play in plays}
            for trainer, rows in done.items():
                most = self.awaited(trainer) + (trainer in trainers.MAYBE_TWICE)
                self.assertIn(len(rows), range(self.awaited(trainer), most + 1),
                              f"{trainer.__name__}: {rows}")
            self.compare(cluster, done)

    def awaited(self, trainer):
        return 0 if trainer in trainers.NEVER else trainers.SEVERAL.get(trainer, 1)

    def compare(self, cluster, done):
        """The same weights have the same values, in whatever layout they came."""
        reference = None
        for trainer, rows in done.items():
            if trainer in trainers.OTHER_WEIGHTS:
                continue
            for row in rows:
                values = harness.vectors(cluster.ctl_json(
                    "measurement", run_name(trainer), str(row["step"]), f"--stage={row['stage']}"))
                reference = reference or values
                harness.assert_same_values(reference, values)

    def test_layouts_are_measured_when_whole_and_never_before(self):
        self.play(trainers.MEASURED + trainers.NEVER)


class WorkerFindsTest(unittest.TestCase):
    """The server thought that a checkpoint was whole, the worker sees that not."""

    def queued(self, cluster):
        """A checkpoint that is queued; the server does not look again."""
        root = cluster.add_run("toy", probe=DATA / "probe", quiescence=QUIESCENCE)
        harness.copy_checkpoint(DATA / "hf", root / "step5")
        Folder(root / "step9").make()
        cluster.start_server()
        harness.await_state(cluster, "toy", 5, "queued")
        cluster.server.kill()
        cluster.poll = 3600
        cluster.start_server()
        # The first look of the new server is over when it is ready for long.
        wait_until(lambda: harness.states(cluster, "toy")[5][0] == "queued", "queued")
        return root / "step5"

    def test_a_checkpoint_that_retention_took_is_vanished_and_no_failure(self):
        with Cluster(poll=0.02) as cluster:
            folder = self.queued(cluster)
            folder.rename(cluster.folder / "taken")
            cluster.start_worker()
            harness.await_state(cluster, "toy", 5, "vanished")
            outcome = [row["outcome"] for row in cluster.ctl_json("checkpoints", "toy")
                       if row["step"] == 5]
            self.assertEqual(outcome, ["vanished"])

    def test_a_checkpoint_that_retention_is_taking_waits(self):
        with Cluster(poll=0.02) as cluster:
            folder = self.queued(cluster)
            (folder / "config.json").unlink()
            cluster.start_worker()
            reason = harness.await_state(cluster, "toy", 5, "waiting")
            self.assertIn("config.json", reason)

    def test_an_incomplete_checkpoint_is_tried_a_few_times_and_then_when_it_changes(self):
        with Cluster(poll=0.02) as cluster:
            root = cluster.add_run("toy", probe=DATA / "probe", quiescence=QUIESCENCE)
            data = Data(DATA)
            folder = Folder(root / "step5")
            folder.write("config.json", data("hf/config.json"))
            folder.write("model.safetensors", data.half("hf/model.safetensors"))
            cluster.start_server()
            cluster.start_worker()
            reason = wait_until(
                lambda: next((row["reason"] for row in cluster.ctl_json("checkpoints", "toy")
                              if "after 5 attempts" in row["reason"]), None),
                "the attempts to be used up")
            self.assertIn("waits for its files to change", reason)
            self.assertIn("model.safetensors", reason)
            self.assertEqual(cluster.ctl_json("checkpoints", "toy")[-1]["attempts"], 5)
            folder.write("model.safetensors", data("hf/model.safetensors"))
            harness.await_state(cluster, "toy", 5, "done")


class ManifestTest(unittest.TestCase):
    def test_a_file_that_cannot_be_read_refuses_to_start_with_file_line_and_rule(self):
        with Cluster() as cluster:
            path = cluster.folder / "series.csv"
            path.write_text("Step,Checkpoint Directory\n5,a/step5\nsix,a/step6\n")
            cluster.add_run("toy", manifest=f'"{path}"')
            server = cluster.start_server(wait=False)
            self.assertEqual(server.wait(), 2)
            self.assertIn(f'{path}:3: "six" is no step', server.log())

    def test_a_run_is_added_with_a_manifest_and_read_over_its_tokens(self):
        with Cluster(poll=0.02) as cluster:
            cluster.start_server()
            cluster.start_worker()
            root = cluster.folder / "series"
            path = cluster.folder / "series.csv"
            path.write_text(trainers_runs.MANIFEST)
            (root / "stage1").mkdir(parents=True)
            harness.copy_checkpoint(DATA / "hf", root / "stage1" / "step5")
            cluster.ctl("add-run", "series", f"--root={root}", f"--manifest={path}",
                        f"--probe={(DATA / 'probe').resolve()}")
            harness.await_state(cluster, "series", 5, "waiting")
            wait_until(lambda: "done" in [row["state"] for row in
                                          cluster.ctl_json("checkpoints", "series")], "done")
            series = ("series", "series", "probe_loss", "--stage=stage1_pretraining",
                      "--domain=random", "--x=tokens")
            self.assertEqual([row["x"] for row in cluster.ctl_json(*series)], [20971520])
            self.assertIn("token counts from names are rounded", cluster.ctl(*series))


if __name__ == "__main__":
    unittest.main()
