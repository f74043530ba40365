"""Odd values in every field of every call and in every parameter of every URL:
numbers at and beyond their ends, what is no number, texts that are long, empty,
of control characters or no text at all, lists of a hundred thousand. Each is
answered within seconds, none is an internal error, and none ends the server,
which has 1 GB of address space.
"""

import json
import math
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path[:0] = ["tests/e2e", "tests/wire", "tests/load"]

import harness  # noqa: E402
import lease_latency  # noqa: E402
import schema  # noqa: E402
from client import Client, number, text  # noqa: E402

LIMITS = [] if harness.IS_ASAN else ["prlimit", f"--as={1 << 30}"]
PATIENCE = 10  # seconds for one answer, at the load of a test machine
STEPS, MEASURED = 600, 5
MANY = 100_000
INTS = [0, -1, 2**31 - 1, -2**31, 2**63 - 1, -2**63]
NUMBERS = [0.0, -1.0, math.nan, math.inf, -math.inf, 1e38, 5e-324]
TEXTS = [b"", b"\0", b"made\0x", b"\n\r\x1b[2J", b"\xff\xfe", b"%s%n%5$s", b"../..",
         "\u202e\U0001f9ff".encode(), b"'; DROP TABLE run; --", b"(" * 1000, b"[" * 100_000,
         b"x" * 200_000, b"-1", b"9223372036854775808:1:", b"-:-:-", b"NaN"]
PARAMETERS = ["", "NaN", "inf", "-inf", "1e308", "-1", "0", "2147483647", "2147483648",
              "9223372036854775807", "9223372036854775808", "0-2147483647", "7-3", "*", ",",
              "0," * 3000, "1e-320", "%00", "%FF%FE", "%0D%0AX:%201", "..%2F..", "x" * 8000,
              "9223372036854775807:9223372036854775807:x", "-1:-1:", "[" * 2000]


class Shape:
    layers, heads, metrics, domains = 2, 2, 2, 2


def odd_bytes(field):
    """What may stand on the wire for a field."""
    if field.type == schema.MESSAGE:
        yield text(field.number, b"") * (10_000 if field.repeated else 2)
        yield text(field.number, b"\xff")
        return
    values = (TEXTS if field.type in (schema.STRING, schema.BYTES) else
              NUMBERS if field.type in (schema.DOUBLE, schema.FLOAT) else INTS)
    for value in values:
        yield field.write(value)
    if field.repeated:
        packable = field.type not in (schema.STRING, schema.BYTES)
        width = {schema.DOUBLE: 8, schema.FLOAT: 4}.get(field.type, 1)
        yield (text(field.number, b"\1" * width * MANY) if packable
               else field.write(b"x") * MANY)


class OddValuesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster(lease_ttl=60, config="max_added_runs: 20")
        root = cls.cluster.add_run("made", probe=harness.TOY / "probe")
        for step in range(1, STEPS + 1):
            (root / f"step{step}").mkdir()
            (root / f"step{step}" / "config.json").write_text("{}")
            (root / f"step{step}" / "model.safetensors").write_text("made up")
        command = LIMITS + [harness.SERVER, f"--config={cls.cluster.config_path()}"]
        cls.server = cls.cluster.server = cls.cluster.start("server", command)
        harness.wait_until(cls.cluster.ready, "the server to be ready")
        cls.worker = lease_latency.Worker(cls.cluster.grpc_port, Shape)
        done = 0
        while done < MEASURED:
            lease = cls.worker.lease()[1]
            if lease is not None:
                cls.worker.hand_in(lease)
                done += 1
        cls.client = Client(cls.cluster.grpc_port)
        cls.schema = schema.Schema(cls.client)
        cls.values = {
            "run": "made", "runs": "made", "metric": "metric_0", "domain": "domain0",
            "domains": "domain0", "selector": True, "worker": "w", "device": "cpu",
            "spec_version": lease_latency.SPEC_VERSION, "RunConfig.name": "added",
            "root": str(root), "probe": str(harness.TOY.resolve() / "probe"),
            "AddRunRequest.run": True, "UpdateRunRequest.run": True, "name": "added",
            "step": 1, "file": "odd.db", "progress": .5, "ticks": 1, "reason": "why",
            "outcome": 2}

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None)

    def lease(self):
        """job_id and token of one that is live; None if there are no more."""
        found = self.worker.lease()[1]
        if found is None:
            self.client.call("/sinkwatch.v1.AdminService/RequeueJobs",
                             text(1, "made") + number(3, 1))
            found = self.worker.lease()[1]
        return None if found is None else {"job_id": found[0], "token": found[1]}

    def assert_alive(self, what):
        self.assertTrue(self.server.running(), f"{what} ended it:\n{self.server.log()[-4000:]}")

    def ask(self, path, *payloads):
        """On a new connection where the last one was closed."""
        start = time.monotonic()
        try:
            self.client.call(path, *payloads)
        except OSError:
            self.assert_alive(path)
            type(self).client = Client(self.cluster.grpc_port)
        self.assertLess(time.monotonic() - start, PATIENCE, path)

    def check_method(self, path, request):
        of_worker = "/sinkwatch.v1.WorkerService/" in path and "Acquire" not in path
        for way in self.schema.leaves(request):
            for odd in odd_bytes(way[-1]):
                lease = self.lease() if of_worker else {}
                self.ask(path, self.schema.write(
                    request, {**self.values, **(lease or {})}, way, odd))
                if lease:
                    self.worker.release((lease["job_id"], lease["token"]))
            self.assert_alive(f"{path} with {'.'.join(f.name for f in way)}")

    def assert_no_internal_errors(self):
        for line in self.cluster.http("/metrics")[1].splitlines():
            if line.startswith("grpc_server_handled_total"):
                for code in "Internal", "Unknown", "DataLoss":
                    self.assertNotIn(f'grpc_code="{code}"', line)

    def test_calls(self):
        unary = [method for method in self.schema.methods if method[2]]
        self.assertGreater(len(unary), 20)
        for path, request, _ in unary:
            start = time.monotonic()
            self.check_method(path, request)
            print(f"{path}: {time.monotonic() - start:.1f} s", flush=True)
        self.assert_no_internal_errors()
        self.assertEqual(self.cluster.http("/-/ready")[0], 200)

    def test_streams_of_results(self):
        base = {**self.values, "begin": True, "header": True, "model": True, "layers": 1,
                "heads": 1, "kv_heads": 1, "MeasurementHeader.metrics": True,
                "MetricDescriptor.name": "metric_0", "scope": 1, "unit": "ratio",
                "MeasurementChunk.layer": True, "Layer.vectors": True,
                "MetricVector.layer": 0, "MetricVector.values": .5, "standard_errors": .1,
                "count": 1, "end": True, "MeasurementTrailer.chunks": 1,
                "MeasurementTrailer.vectors": 1, "MeasurementTrailer.values": 1}
        chunk = "sinkwatch.v1.MeasurementChunk"
        parts = {field.name: field for field in self.schema.messages[chunk]}
        taken = 0
        for way in self.schema.leaves(chunk):
            for odd in odd_bytes(way[-1]):
                lease = self.lease()
                if lease is None:
                    break
                values = {**base, **lease}
                payloads = []
                for name in "begin", "layer", "end":
                    odd_here = way[0] is parts[name]
                    payloads.append(text(parts[name].number, self.schema.write(
                        parts[name].message, values, way[1:] if odd_here else (), odd))
                        if len(way) > 1 or not odd_here else odd)
                self.ask("/sinkwatch.v1.WorkerService/StreamMeasurement", *payloads)
                self.worker.release((lease["job_id"], lease["token"]))
                taken += 1
            self.assert_alive(f"a stream with {'.'.join(f.name for f in way)}")
        print(f"{taken} streams", flush=True)
        self.assertGreater(taken, 200)
        self.assert_no_internal_errors()
        self.assertEqual(self.cluster.http("/-/ready")[0], 200)

    def test_urls(self):
        index = json.loads(self.cluster.http("/api/v1")[1])["endpoints"]
        self.assertGreater(len(index), 10)
        usual = {"run": "made", "runs": "made,made", "metric": "metric_0", "domain": "domain0",
                 "reference": "none"}
        for endpoint in index:
            known = {key: value for key, value in usual.items() if key in endpoint["parameters"]}
            for parameter in endpoint["parameters"]:
                for odd in PARAMETERS:
                    rest = {key: value for key, value in known.items() if key != parameter}
                    odd = odd if "%" in odd else urllib.parse.quote(odd)
                    path = f"{endpoint['path']}?{urllib.parse.urlencode(rest)}&{parameter}={odd}"
                    start = time.monotonic()
                    status, body = self.cluster.http(path)
                    self.assertIn(status, (200, 400, 404, 409), f"{path[:300]}: {body[:300]}")
                    self.assertLess(time.monotonic() - start, PATIENCE, path[:300])
        self.assert_alive("a URL")


if __name__ == "__main__":
    unittest.main(verbosity=2)
