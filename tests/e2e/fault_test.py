"""Processes that die, stall and run out of disk: no measurement is lost, doubled
or altered, and sinkctl shows the state."""
import signal
import sqlite3
import time
import unittest

import harness
from harness import Cluster, TOY, await_state, copy_checkpoint, states

STEPS = sorted(int(p.name[4:]) for p in (TOY / "adam").iterdir() if p.name.startswith("step"))
# A batch is one sequence, so that a measurement takes seconds instead of tens
# of milliseconds.
SLOW = "--tokens_per_batch=1"


def fill(root, steps=STEPS):
    for step in steps:
        copy_checkpoint(TOY / "adam" / f"step{step}", root / f"step{step}")


def assert_whole(test, cluster, root, steps=STEPS):
    """Every step measured once, with the right values; the file is sound."""
    for step in steps:
        await_state(cluster, "toy", step, "done")
        harness.assert_same_values(
            harness.measure_directly(root / f"step{step}", TOY / "probe"),
            harness.measurement(cluster, "toy", step))
    cluster.server.send(signal.SIGTERM)
    test.assertEqual(cluster.server.wait(), 0)
    with sqlite3.connect(cluster.folder / "data" / "sinkwatch.db") as store:
        test.assertEqual(store.execute("PRAGMA integrity_check").fetchone()[0], "ok")
        rows = store.execute("SELECT step, count(*) FROM measurement GROUP BY step").fetchall()
        test.assertEqual(sorted(rows), [(step, 1) for step in steps])


class FaultTest(unittest.TestCase):
    def test_a_worker_killed_in_mid_measurement_loses_nothing(self):
        with Cluster(lease_ttl=1.0) as cluster:
            root = cluster.add_run("toy")
            fill(root, STEPS[-1:])
            cluster.start_server()
            victim = cluster.start_worker(SLOW)
            await_state(cluster, "toy", STEPS[-1], "leased")
            victim.kill()
            cluster.start_worker()
            assert_whole(self, cluster, root, STEPS[-1:])

    def test_a_late_commit_of_an_expired_lease_is_turned_away(self):
        with Cluster(lease_ttl=1.0) as cluster:
            root = cluster.add_run("toy")
            fill(root, STEPS[-1:])
            cluster.start_server()
            zombie = cluster.start_worker(SLOW)
            await_state(cluster, "toy", STEPS[-1], "leased")
            zombie.send(signal.SIGSTOP)
            cluster.start_worker()
            await_state(cluster, "toy", STEPS[-1], "done")
            values = harness.measurement(cluster, "toy", STEPS[-1])
            zombie.send(signal.SIGCONT)
            harness.wait_until(
                lambda: "job lost" in zombie.log() or "job done" in zombie.log(),
                "the zombie to hear of it")
            harness.assert_same_values(values, harness.measurement(cluster, "toy", STEPS[-1]))
            row = cluster.ctl_json("checkpoints", "toy")[0]
            self.assertEqual(row["attempts"], 2)
            assert_whole(self, cluster, root, STEPS[-1:])

    def test_a_checkpoint_rewritten_while_it_is_measured_ends_as_its_new_content(self):
        with Cluster() as cluster:
            root = cluster.add_run("toy")
            copy_checkpoint(TOY / "adam" / f"step{STEPS[-1]}", root / "step3")
            cluster.start_server()
            slow = cluster.start_worker(SLOW)
            await_state(cluster, "toy", 3, "leased")
            (root / "step3").rename(root / "old")
            copy_checkpoint(TOY / "adam" / f"step{STEPS[0]}", root / "step3")

            def found():
                return sorted(row["state"] for row in cluster.ctl_json("checkpoints", "toy"))
            # What becomes of the old content hangs on who sees the change first:
            # the server supersedes it, the worker finds its file rewritten, or
            # nobody does before it is measured.
            harness.wait_until(
                lambda: found() in (["done", "superseded"], ["dead", "done"], ["done", "done"]),
                "both contents")
            harness.assert_same_values(
                harness.measure_directly(root / "step3", TOY / "probe"),
                harness.measurement(cluster, "toy", 3))

    def test_a_server_killed_after_any_sync_loses_and_doubles_nothing(self):
        # Right after the n-th fsync has returned: some of these lie between a
        # commit on disk and its ack. Counting goes on until no kill happened.
        killed = 0
        for kill_at in [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15]:
            with self.subTest(kill_at=kill_at), Cluster(lease_ttl=1.0) as cluster:
                root = cluster.add_run("toy")
                fill(root, STEPS[:2])
                shim = {"LD_PRELOAD": harness.SHIM, "SHIM_KILL_AT": str(kill_at)}
                doomed = cluster.start_server(env=shim, wait=False)
                cluster.start_worker()
                deadline = time.monotonic() + 8
                while doomed.running() and time.monotonic() < deadline:
                    time.sleep(0.02)
                if not doomed.running():
                    self.assertEqual(doomed.popen.returncode, -signal.SIGKILL, doomed.log())
                    killed += 1
                doomed.kill()
                cluster.start_server()
                assert_whole(self, cluster, root, STEPS[:2])
        self.assertGreaterEqual(killed, 8)

    def test_a_server_killed_at_random_moments_while_a_series_comes_in(self):
        with Cluster(lease_ttl=1.0) as cluster:
            root = cluster.add_run("toy")
            cluster.start_server()
            cluster.start_worker()
            for step in STEPS:
                fill(root, [step])
                time.sleep(0.3)  # the moment is meant to be arbitrary
                cluster.server.kill()
                cluster.start_server()
            assert_whole(self, cluster, root)

    def test_a_full_disk_loses_nothing_and_clears_up(self):
        with Cluster(lease_ttl=2.0) as cluster:
            root = cluster.add_run("toy")
            full = cluster.folder / "full"
            cluster.start_server(env={"LD_PRELOAD": harness.SHIM, "SHIM_FULL_FLAG": str(full)})
            fill(root, STEPS[:1])
            await_state(cluster, "toy", STEPS[0], "queued")
            worker = cluster.start_worker(SLOW)
            await_state(cluster, "toy", STEPS[0], "leased")
            full.touch()
            harness.wait_until(lambda: "not acknowledged" in worker.log()
                               or "not renewed" in worker.log(), "the worker to meet it")
            self.assertNotEqual(states(cluster, "toy")[STEPS[0]][0], "done")
            full.unlink()
            assert_whole(self, cluster, root, STEPS[:1])

    def test_a_store_that_is_deleted_under_its_server_is_saved_by_a_backup(self):
        with Cluster() as cluster:
            root = cluster.add_run("toy")
            cluster.start_server()
            cluster.start_worker()
            fill(root, STEPS[:1])
            await_state(cluster, "toy", STEPS[0], "done")
            data = cluster.folder / "data"
            for path in data.glob("sinkwatch.db*"):
                path.unlink()
            fill(root, STEPS[1:2])
            harness.wait_until(lambda: cluster.http("/-/ready")[0] == 503, "it to be noticed")
            self.assertIn("was deleted", cluster.http("/-/ready")[1])
            cluster.ctl("store", "backup", "saved.db")
            cluster.server.send(signal.SIGTERM)
            self.assertEqual(cluster.server.wait(), 0)
            (data / "backups" / "saved.db").rename(data / "sinkwatch.db")
            cluster.start_server()
            assert_whole(self, cluster, root, STEPS[:2])

    def test_a_second_server_on_the_same_data_refuses_to_start(self):
        with Cluster() as cluster:
            cluster.add_run("toy")
            cluster.start_server()
            second = cluster.start("second", [
                harness.SERVER, "--grpc_address=127.0.0.1:0", "--http_address=127.0.0.1:0",
                f"--data_dir={cluster.folder / 'data'}"])
            self.assertEqual(second.wait(), 1)
            self.assertIn("held by another process", second.log())


if __name__ == "__main__":
    unittest.main()
