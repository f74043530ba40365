"""File systems that never answer: a run's costs that run alone."""
import os
import signal
import subprocess
import time
import unittest

import harness
from harness import Cluster, TOY, await_state, copy_checkpoint


def error_of(cluster, run):
    return next(row["discovery_error"] for row in cluster.ctl_json("runs") if row["name"] == run)


def silent_runs(cluster):
    for line in cluster.http("/metrics")[1].splitlines():
        if line.startswith("sinkwatch_discovery_silent_runs "):
            return float(line.split()[1])
    return 0


class SilenceTest(unittest.TestCase):
    def test_a_mount_that_hangs_costs_its_run_alone_and_not_the_shutdown(self):
        with Cluster() as cluster:
            hung, well = cluster.add_run("hung"), cluster.add_run("well")
            flag = cluster.folder / "hanging"
            cluster.start_server(env={"LD_PRELOAD": harness.SHIM, "SHIM_HANG_FLAG": str(flag)})
            (cluster.folder / "path").write_text(str(hung))
            (cluster.folder / "path").rename(flag)
            harness.wait_until(lambda: "has not answered for" in error_of(cluster, "hung"),
                               "the run to say so")
            harness.wait_until(lambda: silent_runs(cluster) == 1, "the metric to say so")
            copy_checkpoint(next((TOY / "adam").iterdir()), well / "step3")
            await_state(cluster, "well", 3, "queued")
            self.assertEqual(error_of(cluster, "well"), "")
            # Whoever adds a run there is told, and holds nobody up.
            added = subprocess.run(
                [harness.SINKCTL, f"--server=127.0.0.1:{cluster.grpc_port}", "add-run", "more",
                 f"--root={hung}", f"--probe={(TOY / 'probe').resolve()}"],
                capture_output=True, text=True, timeout=60)
            self.assertNotEqual(added.returncode, 0)
            self.assertIn("has not answered for 5 s", added.stderr)
            start = time.monotonic()
            cluster.server.send(signal.SIGTERM)
            self.assertEqual(cluster.server.wait(), 0)
            self.assertLess(time.monotonic() - start, 30)  # the default drain_timeout

    def test_a_fifo_in_place_of_a_small_file_is_refused_and_holds_nobody_up(self):
        with Cluster() as cluster:
            root = cluster.add_run("toy")
            cluster.start_server()
            fifo = cluster.folder / "probe.json"
            os.mkfifo(fifo)
            for flag in ["--manifest", "--model-config"]:
                added = subprocess.run(
                    [harness.SINKCTL, f"--server=127.0.0.1:{cluster.grpc_port}", "add-run",
                     "more", f"--root={root}", f"--probe={(TOY / 'probe').resolve()}",
                     f"{flag}={fifo}"], capture_output=True, text=True, timeout=60)
                self.assertNotEqual(added.returncode, 0)
                self.assertIn("is no file", added.stderr)
            cluster.server.send(signal.SIGTERM)
            self.assertEqual(cluster.server.wait(), 0)

    def test_a_data_folder_that_hangs_is_said_and_does_not_hold_up_the_end(self):
        with Cluster() as cluster:
            flag = cluster.folder / "stuck"
            env = {"LD_PRELOAD": harness.SHIM, "SHIM_STUCK_FLAG": str(flag)}
            root = cluster.add_run("toy")
            cluster.start_server("--drain_timeout=1s", env=env)
            flag.touch()
            copy_checkpoint(next((TOY / "adam").iterdir()), root / "step3")
            harness.wait_until(lambda: "has not answered for" in cluster.http("/-/ready")[1],
                               "the store's silence to be said")
            self.assertEqual(cluster.http("/-/ready")[0], 503)
            self.assertEqual(cluster.http("/-/healthy")[0], 200)
            start = time.monotonic()
            cluster.server.send(signal.SIGTERM)
            self.assertEqual(cluster.server.wait(), -signal.SIGALRM)
            self.assertLess(time.monotonic() - start, 30)
            flag.unlink()
            cluster.start_server()
            await_state(cluster, "toy", 3, "queued")


if __name__ == "__main__":
    unittest.main()
