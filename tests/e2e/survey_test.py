"""Nothing under a root goes unexplained: what is left alone, runs below a root, and the same weights at
two steps, as sinkctl, the API and /metrics say it."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, "tests/e2e")
import harness  # noqa: E402
from harness import Cluster, wait_until  # noqa: E402

DATA = Path("tests/data/containers")
HF = DATA / "hf"


def add_run(cluster, name, **fields):
    return cluster.add_run(name, probe=DATA / "probe", quiescence=0.1, **fields)


def get(cluster, path):
    return cluster.http(path)[1]


class LeftAloneTest(unittest.TestCase):
    def said(self, cluster, name):
        """Everything that a person can see of a run."""
        return "\n".join([cluster.ctl("runs", name), cluster.ctl("runs", name, "--format=json"),
                          cluster.ctl("checkpoints", name)])

    def looked_at(self, cluster, name):
        wait_until(lambda: f'discovery_success_timestamp_seconds{{run="{name}"}}'
                   in get(cluster, "/metrics"), "a look")

    def test_each_entry_is_named_with_its_kind(self):
        with Cluster() as cluster:
            root = add_run(cluster, "odd")
            for name in ("best", "hf/step-500", "step7-hf"):
                harness.copy_checkpoint(HF, root / name)
            (root / "notes.txt").write_text("x")
            (root / "step9").symlink_to("/tmp")
            cluster.start_server()
            self.looked_at(cluster, "odd")
            said = self.said(cluster, "odd")
            for word in ("best", "hf", "step7-hf", "notes.txt", "step9", "no-step", "below",
                         "conversion", "link-out", f"{root}/hf would work as the root"):
                self.assertIn(word, said)
            self.assertEqual(cluster.ctl_json("runs")[0]["left_alone"], 5)
            self.assertIn('sinkwatch_left_alone{run="odd",kind="no-step"} 1',
                          get(cluster, "/metrics"))
            self.assertIn("left_alone", get(cluster, "/api/v1/runs"))
            wait_until(lambda: "left alone run=odd kind=no-step count=1" in cluster.server.log(),
                       "the log")

    def test_a_root_that_is_a_checkpoint_is_told_what_would_work(self):
        with Cluster() as cluster:
            root = add_run(cluster, "step10")
            harness.copy_checkpoint(HF, root)
            cluster.start_server()
            self.looked_at(cluster, "step10")
            said = self.said(cluster, "step10")
            self.assertIn("itself a checkpoint", said)
            self.assertIn(f"would work is {root.parent.resolve()}", said)

    def test_a_pattern_that_is_wrong_is_refused_with_its_field(self):
        with Cluster() as cluster:
            add_run(cluster, "toy", step_pattern='"(?P<setp>[0-9]+)"')
            server = cluster.start_server(wait=False)
            self.assertEqual(server.wait(), 2)
            self.assertIn('step_pattern: group "setp" is none', server.log())

    def test_a_pattern_names_the_steps_that_no_rule_knows(self):
        with Cluster() as cluster:
            root = add_run(cluster, "toy", step_pattern='"(?P<seed>[a-z]+)_it(?P<step>[0-9]+)"')
            harness.copy_checkpoint(HF, root / "red_it500")
            cluster.start_server()
            rows = wait_until(lambda: cluster.ctl_json("checkpoints", "toy"), "the checkpoint")
            self.assertEqual((rows[0]["stage"], rows[0]["step"]), ("seed-red", 500))


def await_run(cluster, name):
    """A folder becomes a run with the next look."""
    harness.wait_until(lambda: name in {row["name"] for row in cluster.ctl_json("runs")},
                       f"{name} to be a run")


class RunsBelowTest(unittest.TestCase):
    def test_each_folder_is_a_run_with_labels_of_its_name(self):
        with Cluster() as cluster:
            root = add_run(cluster, "sweep", runs_below='{ pattern: "seed-(?P<seed>[0-9]+)" }')
            for seed in (1, 2):
                harness.copy_checkpoint(HF, root / f"seed-{seed}" / "step5")
            (root / "logs").mkdir()
            cluster.start_server()
            cluster.start_worker()
            for seed in (1, 2):
                await_run(cluster, f"sweep.seed-{seed}")
                harness.await_state(cluster, f"sweep.seed-{seed}", 5, "done")
            runs = {row["name"]: row for row in cluster.ctl_json("runs")}
            self.assertEqual(runs["sweep.seed-2"]["labels"], ["seed=2"])
            self.assertEqual(runs["sweep"]["left_alone"], 1)
            harness.copy_checkpoint(HF, root / "seed-3" / "step5")
            await_run(cluster, "sweep.seed-3")
            harness.await_state(cluster, "sweep.seed-3", 5, "done")


class SameWeightsTest(unittest.TestCase):
    def test_both_steps_are_named_and_left_out_of_emergence(self):
        with Cluster() as cluster:
            root = add_run(cluster, "toy")
            for step in (1000, 3000):
                harness.copy_checkpoint(HF, root / f"step{step}")
            cluster.start_server()
            cluster.start_worker()
            for step in (1000, 3000):
                harness.await_state(cluster, "toy", step, "done")
            notes = {row["step"]: row["note"] for row in cluster.ctl_json("checkpoints", "toy")}
            self.assertEqual(notes, {1000: "the same weights as step 3000",
                                     3000: "the same weights as step 1000"})
            self.assertIn("the same weights as step 3000", cluster.ctl("checkpoints", "toy"))
            self.assertIn("the same weights as step 3000",
                          get(cluster, "/api/v1/checkpoints?run=toy"))
            wait_until(lambda: 'sinkwatch_same_weights{run="toy"} 2' in get(cluster, "/metrics"),
                       "the gauge")
            ask = ("emergence", "toy", "probe_loss", "--domain=random", "--threshold=0")
            self.assertIn("2 steps with the same weights as another step are left out",
                          cluster.ctl(*ask))
            self.assertNotIn("left out", cluster.ctl(*ask, "--same-weights"))


if __name__ == "__main__":
    unittest.main()
