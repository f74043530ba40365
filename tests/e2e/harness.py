"""Starts the real binaries for a test and looks at them as a user would.

A Cluster is a server with its data in a temporary folder, any number of
workers, and sinkctl. Everything it starts is killed when it ends. Waiting is
polling for a state with a deadline, never a sleep of a guessed length.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

SERVER = "server/sinkwatch_server"
WORKER = "worker/sinkwatch_worker"
SINKCTL = "server/ctl/sinkctl"
TRAINER = "worker/examples/bigram_backcopy/bigram_backcopy"
SHIM = "tests/e2e/fault_shim.so"
TOY = Path("tests/data/toy")

# AddressSanitizer's shadow is terabytes of address space.
IS_ASAN = "ASAN_OPTIONS" in os.environ

# Two cores that compile something else meanwhile can be slow; a state that is
# reached at all is reached far sooner.
PATIENCE_SECONDS = 120


def wait_until(condition, what, seconds=PATIENCE_SECONDS):
    """Polls until condition() is true and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for: {what}")
        time.sleep(0.02)


def free_port():
    """A port that nobody listens on, for a server that must come back on it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A child with its log in a file."""

    def __init__(self, name, command, folder, env=None):
        self.name = name
        self.log_path = Path(folder) / f"{name}.log"
        self._log = open(self.log_path, "ab")
        self.popen = subprocess.Popen(
            command, stdout=self._log, stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})})

    def log(self):
        return self.log_path.read_text(errors="replace")

    def send(self, signal_number):
        if self.popen.poll() is None:
            self.popen.send_signal(signal_number)

    def kill(self):
        self.send(signal.SIGKILL)
        self.popen.wait()
        if not self._log.closed:
            self._log.close()

    def wait(self, seconds=PATIENCE_SECONDS):
        return self.popen.wait(seconds)

    def running(self):
        return self.popen.poll() is None


class Cluster:
    """Use as a context manager."""

    def __init__(self, config="", lease_ttl=60.0, poll=0.1):
        self.folder = Path(tempfile.mkdtemp(prefix="sinkwatch-e2e."))
        self.grpc_port = free_port()
        self.http_port = free_port()
        self.processes = []
        self.lease_ttl = lease_ttl
        self.poll = poll
        self.extra_config = config
        self.runs = []
        self.server = None
        self._counter = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for process in self.processes:
            process.send(signal.SIGCONT)
            process.kill()
        if kind is not None:
            for path in sorted(self.folder.glob("*.log")):
                print(f"--- {path.name}\n{path.read_text(errors='replace')[-6000:]}")
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- runs ---------------------------------------------------------------
    def add_run(self, name, probe=TOY / "probe", quiescence=0.2, **fields):
        """Declares a run for the configuration file; returns its root."""
        root = self.folder / "runs" / name
        root.mkdir(parents=True, exist_ok=True)
        extra = "".join(f" {key}: {value}" for key, value in fields.items())
        self.runs.append(
            f'runs {{ name: "{name}" root: "{root}" probe: "{Path(probe).resolve()}" '
            f"quiescence_seconds: {quiescence}{extra} }}")
        return root

    def config_path(self):
        path = self.folder / "server.textproto"
        path.write_text("\n".join([
            f'grpc_address: "127.0.0.1:{self.grpc_port}"',
            f'http_address: "127.0.0.1:{self.http_port}"',
            f'data_dir: "{self.folder / "data"}"',
            f"poll_seconds: {self.poll}",
            f"lease {{ ttl_seconds: {self.lease_ttl} backoff_seconds: 0.1 "
            f"max_backoff_seconds: 0.5 }}",
            self.extra_config, *self.runs]))
        return path

    # --- processes ----------------------------------------------------------
    def start(self, name, command, env=None):
        process = Process(name, command, self.folder, env)
        self.processes.append(process)
        return process

    def start_server(self, *flags, env=None, wait=True):
        self._counter += 1
        self.server = self.start(
            f"server{self._counter}", [SERVER, f"--config={self.config_path()}", *flags], env)
        if wait:
            wait_until(self.ready, "the server to be ready")
        return self.server

    def start_worker(self, *flags, env=None):
        self._counter += 1
        return self.start(
            f"worker{self._counter}",
            [WORKER, "run", f"--server=127.0.0.1:{self.grpc_port}", "--device=cpu",
             "--threads=1", *flags],
            env)

    def ready(self):
        if not self.server.running():
            raise AssertionError("the server ended: " + self.server.log()[-2000:])
        try:
            return self.http("/-/ready")[0] == 200
        except OSError:
            return False

    # --- looking ------------------------------------------------------------
    def http(self, path):
        url = f"http://127.0.0.1:{self.http_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ctl(self, *arguments, check=True):
        command = [SINKCTL, f"--server=127.0.0.1:{self.grpc_port}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def ctl_json(self, *arguments):
        return json.loads(self.ctl(*arguments, "--format=json"))


def copy_checkpoint(source, target):
    """Puts a checkpoint into place as a careful trainer does."""
    beside = Path(str(target) + "-tmp")
    shutil.copytree(source, beside)
    for path in beside.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    beside.chmod(0o755)
    beside.rename(target)


def states(cluster, run):
    """{step: (state, reason)} as sinkctl shows it."""
    table = cluster.ctl_json("checkpoints", run)
    return {int(row["step"]): (row["state"].lower(), row.get("reason", ""))
            for row in table}


def await_state(cluster, run, step, state, seconds=PATIENCE_SECONDS):
    """Waits until the step is in the state; returns its reason."""
    def reached():
        now = states(cluster, run).get(step, ("absent", ""))
        return now if now[0] == state else None
    try:
        return wait_until(reached, f"step {step} of {run} to be {state}", seconds)[1]
    except AssertionError as error:
        raise AssertionError(f"{error}; states: {states(cluster, run)}")


def vectors(found):
    """Every value of a measurement as JSON: {(domain, metric, layer): [values]}."""
    return {(vector["domain"], vector["metric"], vector.get("layer")): vector["values"]
            for vector in found["measurements"]}


def measurement(cluster, run, step):
    """Every value of a step, as vectors() has them."""
    return vectors(cluster.ctl_json("measurement", run, str(step)))


def output(command):
    """The bytes that a command writes; it must end well."""
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def measure_directly(checkpoint, probe):
    """The values from the worker alone, without a server."""
    return vectors(json.loads(output(
        [WORKER, "measure", f"--checkpoint={checkpoint}", f"--probe={probe}", "--device=cpu",
         "--format=json"])))


def assert_same_values(expected, actual):
    """The same float32 numbers, NaN for NaN."""
    assert expected.keys() == actual.keys(), expected.keys() ^ actual.keys()
    for key, values in expected.items():
        assert len(values) == len(actual[key]), key
        for want, got in zip(values, actual[key]):
            assert got == want or abs(got - want) <= 2e-7 * abs(want), (key, want, got)
