"""The whole path through the real binaries, on checkpoints that are there."""
import json
import signal
import subprocess
import unittest

import harness
from harness import Cluster, TOY, await_state, copy_checkpoint, states

STEPS = sorted(int(p.name[4:]) for p in (TOY / "adam").iterdir() if p.name.startswith("step"))


def without_times(text):
    """All but the lines that say how long it took, of which there are two or none."""
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines
            if not line.startswith((b'"load_seconds":', b'"compute_seconds":'))]
    assert len(lines) - len(kept) in (0, 2), text[:1000]
    return kept


class PipelineTest(unittest.TestCase):
    def test_every_checkpoint_is_measured_as_measure_does_it(self):
        with Cluster() as cluster:
            root = cluster.add_run("toy")
            for step in STEPS:
                copy_checkpoint(TOY / "adam" / f"step{step}", root / f"step{step}")
            cluster.start_server()
            cluster.start_worker()
            for step in STEPS:
                await_state(cluster, "toy", step, "done")
                harness.assert_same_values(
                    harness.measure_directly(root / f"step{step}", TOY / "probe"),
                    harness.measurement(cluster, "toy", step))

    def test_a_checkpoint_that_appears_later_is_measured_too(self):
        with Cluster() as cluster:
            root = cluster.add_run("toy")
            cluster.start_server()
            cluster.start_worker()
            copy_checkpoint(TOY / "adam" / f"step{STEPS[0]}", root / "step1")
            await_state(cluster, "toy", 1, "done")
            copy_checkpoint(TOY / "adam" / f"step{STEPS[-1]}", root / "step2")
            await_state(cluster, "toy", 2, "done")

    def test_a_half_written_checkpoint_waits_and_is_measured_when_whole(self):
        with Cluster() as cluster:
            root = cluster.add_run("toy")
            source = TOY / "adam" / f"step{STEPS[-1]}"
            weights = (source / "model.safetensors").read_bytes()
            folder = root / "step7"
            folder.mkdir()
            cluster.start_server()
            cluster.start_worker()
            reason = await_state(cluster, "toy", 7, "waiting")
            self.assertIn("config.json", reason)
            (folder / "config.json").write_bytes((source / "config.json").read_bytes())
            harness.wait_until(
                lambda: "model.safetensors" in states(cluster, "toy")[7][1], "a new reason")
            # Half the weights, and then nothing for longer than the quiescence:
            # the listing looks whole, the worker finds that it is not.
            (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
            harness.wait_until(
                lambda: "model.safetensors" in states(cluster, "toy")[7][1]
                and "bytes" in states(cluster, "toy")[7][1], "the worker's reason")
            self.assertNotIn("done", [s for s, _ in states(cluster, "toy").values()])
            (folder / "model.safetensors").write_bytes(weights)
            await_state(cluster, "toy", 7, "done")
            for form in ["json", "csv"]:
                self.assertEqual(
                    without_times(harness.output(
                        [harness.SINKCTL, f"--server=127.0.0.1:{cluster.grpc_port}",
                         "measurement", "toy", "7", f"--format={form}"])),
                    without_times(harness.output(
                        [harness.WORKER, "measure", f"--checkpoint={folder}",
                         f"--probe={TOY / 'probe'}", "--device=cpu", "--threads=1",
                         f"--format={form}"])))

    def test_a_checkpoint_deleted_while_queued_vanishes(self):
        with Cluster() as cluster:
            root = cluster.add_run("toy")
            copy_checkpoint(TOY / "adam" / f"step{STEPS[0]}", root / "step3")
            cluster.start_server()
            await_state(cluster, "toy", 3, "queued")
            (root / "step3").rename(root / "gone")
            self.assertIn("deleted", await_state(cluster, "toy", 3, "vanished"))
            # It comes back, as a mount does.
            (root / "gone").rename(root / "step3")
            await_state(cluster, "toy", 3, "queued")

    def test_a_root_that_is_away_deletes_nothing(self):
        with Cluster() as cluster:
            root = cluster.add_run("toy")
            copy_checkpoint(TOY / "adam" / f"step{STEPS[0]}", root / "step3")
            cluster.start_server()
            await_state(cluster, "toy", 3, "queued")
            root.rename(str(root) + "-away")
            harness.wait_until(
                lambda: cluster.ctl_json("runs")[0]["discovery_error"], "a discovery error")
            self.assertEqual(states(cluster, "toy")[3][0], "queued")

    def test_a_rewritten_checkpoint_is_measured_again_and_the_new_values_show(self):
        with Cluster() as cluster:
            root = cluster.add_run("toy")
            copy_checkpoint(TOY / "adam" / f"step{STEPS[0]}", root / "step3")
            cluster.start_server()
            cluster.start_worker()
            await_state(cluster, "toy", 3, "done")
            before = harness.measurement(cluster, "toy", 3)
            (root / "step3").rename(root / "old")
            copy_checkpoint(TOY / "adam" / f"step{STEPS[-1]}", root / "step3")
            harness.wait_until(
                lambda: [row["state"] for row in cluster.ctl_json("checkpoints", "toy")]
                == ["done", "done"], "both contents to be done")
            after = harness.measurement(cluster, "toy", 3)
            self.assertTrue(before != after, "the values of the old content still show")
            harness.assert_same_values(
                harness.measure_directly(root / "step3", TOY / "probe"), after)

    def test_a_corrupt_checkpoint_is_dead_with_its_reason_and_harms_no_other(self):
        with Cluster() as cluster:
            root = cluster.add_run("toy")
            copy_checkpoint(TOY / "adam" / f"step{STEPS[0]}", root / "step1")
            copy_checkpoint(TOY / "adam" / f"step{STEPS[0]}", root / "step2")
            with open(root / "step1" / "model.safetensors", "ab") as weights:
                weights.write(b"trailing")
            cluster.start_server()
            cluster.start_worker()
            reason = await_state(cluster, "toy", 1, "dead")
            self.assertIn("model.safetensors", reason)
            await_state(cluster, "toy", 2, "done")
            # Mended, it is another content of the step.
            weights = (root / "step2" / "model.safetensors").read_bytes()
            (root / "step1" / "model.safetensors").write_bytes(weights)
            harness.wait_until(
                lambda: "done" in [row["state"] for row in cluster.ctl_json("checkpoints", "toy")
                                   if row["step"] == 1], "the mended content to be done")

    def test_the_loss_that_the_trainer_logs_is_the_loss_that_the_service_reports(self):
        with Cluster() as cluster:
            probe = cluster.folder / "probe"
            subprocess.run([harness.TRAINER, "--probe_only", f"--probe_out={probe}",
                            "--probe_sequences=32"], check=True)
            root = cluster.add_run("live", probe=probe)
            cluster.start_server()
            cluster.start_worker()
            trained = subprocess.run(
                [harness.TRAINER, "--preset=adam", "--steps=60", "--checkpoints=0,30,60",
                 "--probe_sequences=32", f"--out={root}"],
                check=True, capture_output=True, text=True)
            lines = [json.loads(line) for line in trained.stdout.splitlines()]
            self.assertEqual([line["step"] for line in lines], [0, 30, 60])
            for line in lines:
                await_state(cluster, "live", line["step"], "done")
                reported = harness.measurement(cluster, "live", line["step"])
                for domain, loss in line["probe_loss"].items():
                    got = reported[domain, "probe_loss", None][0]
                    # float32 sums in another order.
                    self.assertTrue(abs(got - loss) <= 1e-5, (line["step"], domain, got, loss))

    def test_sigterm_hands_the_job_back_and_costs_no_attempt(self):
        with Cluster() as cluster:
            root = cluster.add_run("toy")
            copy_checkpoint(TOY / "adam" / f"step{STEPS[0]}", root / "step1")
            cluster.start_server()
            # So slow that it is caught at work: a batch is one sequence.
            slow = cluster.start_worker("--tokens_per_batch=1")
            await_state(cluster, "toy", 1, "leased")
            slow.send(signal.SIGTERM)
            self.assertEqual(slow.wait(), 0)
            row = cluster.ctl_json("checkpoints", "toy")[0]
            self.assertIn((row["state"], row["attempts"]), [("queued", 0), ("done", 1)])
            cluster.start_worker()
            await_state(cluster, "toy", 1, "done")


if __name__ == "__main__":
    unittest.main()
