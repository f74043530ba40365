"""A server that measured histories: a worker on the wire that hands in what was
drawn."""
import json
import random
import struct
import sys
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/wire")]

import harness  # noqa: E402
from client import Client, number, parse, text, varint  # noqa: E402
from draw import METRICS, SCOPE_HEAD  # noqa: E402

WORKER = "/sinkwatch.v1.WorkerService/"
SPEC_VERSION = 2
LEASES = 200  # held at a time, and handed in in any order


def double(field, value):
    return varint(field << 3 | 1) + struct.pack("<d", value)


def floats(values):
    return struct.pack(f"<{len(values)}f", *values)


def descriptor(name, by_sequence):
    scope, role, threshold, below, low, contrast = METRICS[name]
    made = text(1, name) + text(2, "ratio") + number(3, scope) + text(4, "made up")
    if threshold is not None:
        made += double(7, threshold) + number(8, below)
    # Sparse ones may lack heads and layers.
    made += number(9, 1) + number(10, 1) + number(13, role)
    if low is not None:
        made += double(14, low)
    if contrast is not None:
        made += double(15, contrast)
    return made + number(16, by_sequence)


def header_of(history):
    model = text(1, "Made") + number(2, history.layers) + number(3, history.heads) + \
        number(4, history.heads)
    made = text(3, model) + number(4, SPEC_VERSION) + text(5, "float32") + number(6, 128) + \
        text(7, "none")
    for name in METRICS:
        made += text(8, descriptor(name, name == "dormancy" and history.sequences > 0))
    return made + b"".join(text(11, d) for d in history.domains)


def vector_of(metric, domain, layer, vector):
    made = text(1, domain) + text(2, metric)
    if layer is not None:
        made += number(3, layer)
    made += text(4, floats(vector.values)) + text(5, floats(vector.errors)) + number(6, 100)
    if vector.sequences is not None:
        made += text(7, b"".join(floats(s) for s in vector.sequences))
    return made


class MeasuredServer:
    """Use as a context manager."""

    def __init__(self, binary, histories):
        harness.SERVER = str(Path(binary).resolve())
        harness.TOY = ROOT / "tests/data/toy"
        self.histories = {h.name: h for h in histories}
        self.random = random.Random(1)
        self.cluster = harness.Cluster()
        self.roots = {h.name: self.cluster.add_run(h.name, probe=harness.TOY / "probe")
                      for h in histories}
        for h in histories:
            for stage in h.stages:
                for step in h.steps:
                    self._write(h, stage, step, "first")
        self.cluster.start_server()
        self.client = Client(self.cluster.grpc_port)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.cluster.__exit__(*error)

    def _write(self, history, stage, step, content):
        folder = self.roots[history.name] / history.folder(stage, step)
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_text(content)

    def _lease(self):
        answer = self.client.call(WORKER + "AcquireLease",
                                  text(1, "made-up") + number(2, SPEC_VERSION))
        lease = parse(answer[0]).get(1)
        if not lease:
            return None
        fields = parse(lease[0])
        job = parse(fields[1][0])
        checkpoint = parse(job[2][0])
        return (job[1][0], fields[2][0], checkpoint[1][0].decode(),
                checkpoint.get(2, [b""])[0].decode(), checkpoint.get(3, [0])[0])

    def _hand_in(self, lease, vectors):
        job, token, run, stage, step = lease
        history = self.histories[run]
        parts = [text(1, number(1, job) + number(2, token) + text(3, header_of(history)))]
        for (metric, domain, layer), vector in vectors.items():
            parts.append(text(2, text(1, vector_of(metric, domain, layer, vector))))
        values = sum(len(v.values) for v in vectors.values())
        same = step in history.same
        digest = "same" if same else f"{run} {stage} {step}"
        parts.append(text(3, number(1, len(vectors)) + number(2, len(vectors)) +
                          number(3, values) + text(4, digest) +
                          (text(7, "made so") if step in history.implausible else b"")))
        acks = self.client.call(WORKER + "StreamMeasurement", *parts)
        last = parse(acks[-1]) if acks else {}
        assert last.get(2) == [1], f"{run} step {step} was not committed"

    def _measure_all(self, count, vectors_of):
        left = count

        def some():
            nonlocal left
            leases = []
            while len(leases) < LEASES and (lease := self._lease()) is not None:
                leases.append(lease)
            self.random.shuffle(leases)
            for lease in leases:
                self._hand_in(lease, vectors_of(self.histories[lease[2]], lease[4]))
            left -= len(leases)
            return left == 0
        harness.wait_until(some, f"{count} measurements", 300)

    def measure(self):
        all_ = self.histories.values()
        self._measure_all(sum(len(h.steps) * len(h.stages) for h in all_),
                          lambda h, step: h.first[step])
        again = 0
        for h in all_:
            for step in h.again:
                for stage in h.stages:
                    self._write(h, stage, step, "a second content")
                    again += 1
        if again:
            self._measure_all(again, lambda h, step: h.second[step])

    def ask(self, endpoint, **parameters):
        """Records of an endpoint, and its whole answer."""
        query = urllib.parse.urlencode({k: v for k, v in parameters.items() if v is not None})
        status, body = self.cluster.http(f"/api/v1/{endpoint}?{query}")
        answer = json.loads(body)
        if status != 200:
            raise AssertionError(f"{endpoint}?{query}: {answer['error']['message']}")
        columns = answer["columns"]
        return [dict(zip(columns, row)) for row in answer["rows"]], answer


def is_of_heads(metric):
    return METRICS[metric][0] == SCOPE_HEAD
