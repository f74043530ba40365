"""A wall clock that is set by days while the processes live, and before a restart:
leases, back-offs and settling go on as if nothing had happened."""
import signal
import time
import unittest

import harness
from harness import Cluster, TOY, await_state, copy_checkpoint

STEPS = sorted(int(p.name[4:]) for p in (TOY / "adam").iterdir() if p.name.startswith("step"))
SLOW = "--tokens_per_batch=1"
DAY = 86400


class Clocks:
    """The clock of every process that is started with `env`."""

    def __init__(self, cluster):
        self.file = cluster.folder / "clock"
        self.env = {"LD_PRELOAD": harness.SHIM, "SHIM_CLOCK_FILE": str(self.file)}

    def set(self, seconds):
        beside = self.file.with_suffix(".new")
        beside.write_text(str(seconds))
        beside.rename(self.file)


def only_row(cluster):
    return cluster.ctl_json("checkpoints", "toy")[0]


def states(cluster):
    return {row["step"]: row["state"].lower() for row in cluster.ctl_json("checkpoints", "toy")}


class ClockTest(unittest.TestCase):
    def test_a_dead_workers_job_is_taken_over_when_the_clock_goes_back(self):
        for restart in [False, True]:
            with self.subTest(restart=restart), Cluster(lease_ttl=1.0) as cluster:
                clocks = Clocks(cluster)
                root = cluster.add_run("toy")
                copy_checkpoint(TOY / "adam" / f"step{STEPS[0]}", root / "step3")
                cluster.start_server(env=clocks.env)
                victim = cluster.start_worker(SLOW, env=clocks.env)
                await_state(cluster, "toy", 3, "leased")
                victim.kill()
                clocks.set(-DAY)
                if restart:
                    cluster.server.kill()
                    cluster.start_server(env=clocks.env)
                cluster.start_worker(env=clocks.env)
                await_state(cluster, "toy", 3, "done")
                self.assertEqual(only_row(cluster)["attempts"], 2)

    def test_a_worker_keeps_its_lease_while_the_clock_jumps(self):
        with Cluster(lease_ttl=5.0) as cluster:
            clocks = Clocks(cluster)
            root = cluster.add_run("toy")
            cluster.start_server(env=clocks.env)
            holder = cluster.start_worker(SLOW, env=clocks.env)
            # Stopped in the middle of a job; one that was too quick is done again.
            for step in range(3, 30):
                copy_checkpoint(TOY / "adam" / f"step{STEPS[-1]}", root / f"step{step}")
                harness.wait_until(lambda: states(cluster).get(step) in ("leased", "done"), "a lease")
                holder.send(signal.SIGSTOP)
                time.sleep(.2)  # what it had sent by then has arrived
                if states(cluster)[step] == "leased":
                    break
                holder.send(signal.SIGCONT)
            cluster.start_worker(env=clocks.env)  # who would take it over
            for jump in range(10):
                clocks.set((-2 if jump % 2 else 2) * DAY)
                time.sleep(.05)  # the moment is meant to be arbitrary
                self.assertEqual(states(cluster)[step], "leased")
            holder.send(signal.SIGCONT)
            await_state(cluster, "toy", step, "done")
            self.assertEqual({row["attempts"] for row in cluster.ctl_json("checkpoints", "toy")},
                             {1})

    def test_an_idle_worker_and_a_settling_checkpoint_go_on_when_the_clock_goes_back(self):
        with Cluster() as cluster:
            clocks = Clocks(cluster)
            root = cluster.add_run("toy", quiescence=1.0)
            cluster.start_server(env=clocks.env)
            worker = cluster.start_worker(env=clocks.env)
            harness.wait_until(lambda: 'sinkwatch_workers{state="idle"} 1' in
                               cluster.http("/metrics")[1], "the worker to be idle")
            copy_checkpoint(TOY / "adam" / f"step{STEPS[0]}", root / "step3")
            await_state(cluster, "toy", 3, "waiting")
            clocks.set(-DAY)
            await_state(cluster, "toy", 3, "done")
            for process in [worker, cluster.server]:
                process.send(signal.SIGTERM)
                self.assertEqual(process.wait(), 0)


if __name__ == "__main__":
    unittest.main()
