"""The configuration of a running server: checked, reloaded, refused, changed by
sinkctl; and probes that are wrong."""
import json
import os
import shutil
import signal
import subprocess
import unittest

import harness
from harness import Cluster, TOY, await_state, copy_checkpoint

STEPS = sorted(int(p.name[4:]) for p in (TOY / "adam").iterdir() if p.name.startswith("step"))
FIRST = TOY / "adam" / f"step{STEPS[0]}"


def check(*flags):
    return subprocess.run([harness.SERVER, "--check_config", *flags],
                          capture_output=True, text=True, timeout=60)


def gauge(cluster, name):
    for row in cluster.http("/metrics")[1].splitlines():
        if row.startswith(name + " "):
            return float(row.split()[1])
    return None


def runs(cluster):
    return sorted(row["name"] for row in cluster.ctl_json("runs"))


class CheckTest(unittest.TestCase):
    def test_check_config_says_whether_it_can_be_run(self):
        with Cluster() as cluster:
            cluster.add_run("toy")
            path = cluster.config_path()
            good = check(f"--config={path}")
            self.assertEqual((good.returncode, good.stdout), (0, "configuration is fine: 1 runs\n"))
            self.assertFalse((cluster.folder / "data").exists())
            # A flag overrides the file, here with something wrong.
            bad = check(f"--config={path}", "--grpc_address=nowhere")
            self.assertEqual(bad.returncode, 2)
            self.assertIn('grpc_address "nowhere"', bad.stderr)
            path.write_text(path.read_text() + "\npolls: 3\n")
            bad = check(f"--config={path}")
            self.assertEqual(bad.returncode, 2)
            self.assertRegex(bad.stderr, r"server\.textproto:\d+:\d+: .*polls")
            self.assertEqual(check(f"--config={path}-").returncode, 2)

    def test_what_is_missing_is_said_all_at_once_and_refuses_to_start(self):
        missing = ["--run=r=/no/such,probe=/no/probe,manifest=/no/list.csv,model_config=/no/c.json"]
        for flags in [["--check_config"], []]:
            with self.subTest(flags=flags):
                done = subprocess.run([harness.SERVER, *flags, *missing],
                                      capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 2)
                for words in ["root: /no/such is missing", "probe: /no/probe is missing",
                              "manifest: ", "model_config: /no/c.json is no file"]:
                    self.assertIn(words, done.stderr)
        self.assertEqual(check("--allow_missing", "--run=r=/no/such,probe=/no/probe").returncode, 0)


class ReloadTest(unittest.TestCase):
    def test_sighup_takes_up_new_runs_and_drops_old_ones(self):
        with Cluster() as cluster:
            root = cluster.add_run("one")
            copy_checkpoint(FIRST, root / "step1")
            cluster.start_server()
            cluster.start_worker()
            await_state(cluster, "one", 1, "done")
            second = cluster.add_run("two")
            copy_checkpoint(FIRST, second / "step2")
            cluster.config_path()
            cluster.server.send(signal.SIGHUP)
            harness.wait_until(lambda: runs(cluster) == ["one", "two"], "the second run")
            await_state(cluster, "two", 2, "done")
            del cluster.runs[0]
            cluster.config_path()
            cluster.server.send(signal.SIGHUP)
            harness.wait_until(lambda: runs(cluster) == ["two"], "the first run to go")
            # What was measured stays.
            self.assertTrue(harness.measurement(cluster, "one", 1))

    def test_a_reload_that_is_wrong_keeps_the_old_configuration(self):
        with Cluster() as cluster:
            cluster.add_run("one")
            cluster.start_server()
            path = cluster.config_path()
            good = path.read_text()
            name = "sinkwatch_config_last_reload_successful"
            self.assertEqual(gauge(cluster, name), 1)
            before = cluster.ctl("config")
            for text, words in [
                    (good + "\nruns { nam: 'x' }", "nam"),
                    (good.replace('"one"', '"One"'), "[a-z0-9]"),
                    (good.replace("/runs/one", "/runs/gone"), "/runs/gone is missing"),
                    (good.replace("ttl_seconds: 60.0", "ttl_seconds: 61"), "restart it")]:
                with self.subTest(words=words):
                    path.write_text(text)
                    cluster.server.send(signal.SIGHUP)
                    harness.wait_until(lambda: gauge(cluster, name) == 0, "the refusal")
                    self.assertIn(words, cluster.server.log())
                    self.assertIn("reload refused", cluster.server.log())
                    self.assertEqual(cluster.ctl("config"), before)
                    path.write_text(good)
                    cluster.server.send(signal.SIGHUP)
                    harness.wait_until(lambda: gauge(cluster, name) == 1, "the good one")

    def test_a_configuration_that_is_no_file_refuses_the_reload_and_holds_nothing_up(self):
        with Cluster() as cluster:
            cluster.add_run("one")
            cluster.start_server()
            path = cluster.config_path()
            name = "sinkwatch_config_last_reload_successful"
            good = path.read_text()
            for spoil in [lambda: os.mkfifo(path), path.mkdir,
                          lambda: path.symlink_to("/dev/zero"), lambda: path.symlink_to(path)]:
                path.unlink()
                spoil()
                cluster.server.send(signal.SIGHUP)
                harness.wait_until(lambda: gauge(cluster, name) == 0, "the refusal")
                self.assertIn("reload refused", cluster.server.log())
                path.rmdir() if path.is_dir() else path.unlink()
                path.write_text(good)
                cluster.server.send(signal.SIGHUP)
                harness.wait_until(lambda: gauge(cluster, name) == 1, "the good one")
            cluster.server.send(signal.SIGTERM)
            self.assertEqual(cluster.server.wait(), 0)

    def test_a_run_that_left_the_file_is_not_followed_after_a_restart(self):
        with Cluster() as cluster:
            cluster.add_run("one")
            cluster.add_run("two")
            cluster.start_server()
            three = cluster.folder / "runs" / "three"
            three.mkdir()
            cluster.ctl("add-run", "three", f"--root={three}",
                        f"--probe={(TOY / 'probe').resolve()}")
            cluster.server.send(signal.SIGTERM)
            self.assertEqual(cluster.server.wait(), 0)
            del cluster.runs[1]
            cluster.start_server()
            # What was added over gRPC stays: no file has it.
            self.assertEqual(runs(cluster), ["one", "three"])


class CtlTest(unittest.TestCase):
    def test_a_spoilt_probe_is_named_and_costs_the_checkpoint_nothing(self):
        with Cluster() as cluster:
            probe = cluster.folder / "probe"
            shutil.copytree(TOY / "probe", probe, copy_function=shutil.copyfile)
            good = (probe / "A.npy").read_bytes()
            (probe / "A.npy").write_bytes(bytes(len(good)))
            root = cluster.add_run("toy", probe=probe)
            copy_checkpoint(FIRST, root / "step1")
            cluster.start_server()
            cluster.start_worker()
            # A spoilt probe is named, with its file; its jobs are tried again.
            reason = await_state(cluster, "toy", 1, "retrying")
            self.assertIn("A.npy", reason)
            self.assertIn("sha256", reason)
            (probe / "A.npy").write_bytes(good)
            await_state(cluster, "toy", 1, "done")
            row = cluster.ctl_json("checkpoints", "toy")[0]
            self.assertEqual(row["attempts"], 1)

    def test_a_run_whose_probe_cannot_be_read_says_so(self):
        with Cluster() as cluster:
            probe = cluster.folder / "probe"
            probe.mkdir()
            root = cluster.add_run("toy", probe=probe)
            copy_checkpoint(FIRST, root / "step1")
            # Without the flag it refuses to start, and says why.
            refused = check(f"--config={cluster.config_path()}")
            self.assertEqual(refused.returncode, 2)
            self.assertIn("probe.json", refused.stderr)
            cluster.start_server("--allow_missing")

            def error():
                return cluster.ctl_json("runs")[0]["discovery_error"]
            harness.wait_until(lambda: "probe.json" in error(), "the missing file")
            for path in (TOY / "probe").iterdir():
                shutil.copyfile(path, probe / path.name)
            harness.wait_until(lambda: not error(), "the error to go")
            await_state(cluster, "toy", 1, "queued")

    def test_watch_ends_after_as_many_measurements_as_asked_for(self):
        with Cluster() as cluster:
            root = cluster.add_run("toy")
            cluster.start_server()
            watch = cluster.start("watch", [
                harness.SINKCTL, f"--server=127.0.0.1:{cluster.grpc_port}", "watch", "toy",
                "--count=1", "--format=json"])
            cluster.start_worker()
            # A watcher hears of what is committed while it listens, and nothing
            # says when it began to: checkpoints come until it has heard one.
            step = 0
            while watch.running() and step < 50:
                step += 1
                copy_checkpoint(FIRST, root / f"step{step}")
                await_state(cluster, "toy", step, "done")
            self.assertEqual(watch.wait(), 0)
            event = json.loads(watch.log())
            self.assertEqual((event["run"], event["state"]), ("toy", "done"))
            self.assertGreater(event["values"], 0)

    def test_every_command_has_every_form(self):
        with Cluster() as cluster:
            root = cluster.add_run("toy")
            for step in STEPS[-2:]:
                copy_checkpoint(TOY / "adam" / f"step{step}", root / f"step{step}")
            cluster.start_server()
            cluster.start_worker()
            for step in STEPS[-2:]:
                await_state(cluster, "toy", step, "done")
            for command in [
                    ["runs"], ["checkpoints", "toy"], ["metrics", "toy"],
                    ["series", "toy", "sink_attention", "--domain=train/other"],
                    ["heads", "toy", "sink_attention,value_norm_ratio", "--domain=train"],
                    ["matrix", "toy", "sink_attention", "--domain=train"],
                    ["emergence", "toy", "sink_attention", "--domain=train/other",
                     "--threshold=0.5"],
                    ["measurement", "toy", str(STEPS[-1])], ["requeue", "toy"]]:
                with self.subTest(command=command):
                    table = cluster.ctl(*command)
                    self.assertGreater(len(table.splitlines()), 0)
                    self.assertTrue(cluster.ctl_json(*command))
                    csv = cluster.ctl(*command, "--format=csv")
                    self.assertIn(",", csv.splitlines()[0])
            chart = cluster.ctl("series", "toy", "probe_loss", "--domain=train", "--chart")
            self.assertGreater(len(chart.splitlines()), 10)


if __name__ == "__main__":
    unittest.main()
