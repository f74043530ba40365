"""A small gRPC client over frames.py that keeps to the rules: it minds windows,
answers pings and settings, and gives back the messages of a call. Trailers are
not decoded: a call without an answer has failed.
"""

import struct
import time

from frames import (ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING,
                    RST_STREAM, SETTINGS, WINDOW_UPDATE, Connection, frame,
                    message, request_headers)

INITIAL_WINDOW_SIZE = 4
LARGE = 1 << 30


def varint(number):
    out = bytearray()
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    out.append(number)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    value = value if isinstance(value, bytes) else value.encode()
    return varint(field << 3 | 2) + varint(len(value)) + value


def parse(data):
    """Fields of a message: {number: [int or bytes]}."""
    fields, at = {}, 0

    def read():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        key = read()
        kind = key & 7
        if kind == 0:
            value = read()
        else:
            size = read() if kind == 2 else {1: 8, 5: 4}[kind]
            value = data[at:at + size]
            at += size
        fields.setdefault(key >> 3, []).append(value)
    return fields


class Client:
    def __init__(self, port):
        self.connection = Connection(port, 60)
        self.socket = self.connection.socket
        self.socket.settimeout(120)
        self.window = 65535
        self.first_window = 65535
        self.windows = {}
        self.next_stream = 1
        self.received = {}
        self.ended = set()
        self.buffer = bytearray()
        self.socket.sendall(
            frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE,
                                              LARGE)) +
            frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", LARGE)))

    def _need(self, count):
        while len(self.buffer) < count:
            data = self.socket.recv(1 << 20)
            if not data:
                raise ConnectionError("the server closed the connection")
            self.buffer += data

    def _read_frame(self):
        self._need(9)
        size = int.from_bytes(self.buffer[:3], "big")
        kind, flags = self.buffer[3], self.buffer[4]
        stream = int.from_bytes(self.buffer[5:9], "big") & 0x7FFFFFFF
        self._need(9 + size)
        payload = bytes(self.buffer[9:9 + size])
        del self.buffer[:9 + size]
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, size, 6):
                name, value = struct.unpack(">HI", payload[at:at + 6])
                if name == INITIAL_WINDOW_SIZE:
                    for one in self.windows:
                        self.windows[one] += value - self.first_window
                    self.first_window = value
            self.socket.sendall(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.socket.sendall(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            more = int.from_bytes(payload, "big")
            if stream:
                self.windows[stream] = self.windows.get(stream, 0) + more
            else:
                self.window += more
        elif kind == DATA:
            self.received.setdefault(stream, bytearray()).extend(payload)
            if size:
                self.socket.sendall(frame(WINDOW_UPDATE, 0, 0,
                                          struct.pack(">I", size)))
        elif kind == GOAWAY:
            raise ConnectionError(f"goaway {payload!r}")
        if stream and (kind == RST_STREAM or
                       (kind in (DATA, HEADERS) and flags & END_STREAM)):
            self.ended.add(stream)

    def begin(self, path):
        stream = self.next_stream
        self.next_stream += 2
        self.windows[stream] = self.first_window
        self.socket.sendall(
            frame(HEADERS, END_HEADERS, stream, request_headers(path)))
        return stream

    def write(self, stream, data, last=False):
        while data and stream not in self.ended:
            room = min(self.window, self.windows[stream], 16384, len(data))
            if room <= 0:
                self._read_frame()
                continue
            self.socket.sendall(frame(
                DATA, END_STREAM if last and room == len(data) else 0, stream,
                data[:room]))
            self.window -= room
            self.windows[stream] -= room
            data = data[room:]

    def finish(self, stream):
        """The messages that came, once the call has ended."""
        while stream not in self.ended:
            self._read_frame()
        self.ended.discard(stream)
        self.windows.pop(stream, None)
        data = bytes(self.received.pop(stream, b""))
        messages = []
        while data:
            size = int.from_bytes(data[1:5], "big")
            messages.append(data[5:5 + size])
            data = data[5 + size:]
        return messages

    def call(self, path, *payloads):
        """Sends the messages and returns those that came back."""
        stream = self.begin(path)
        for i, payload in enumerate(payloads):
            self.write(stream, message(payload), i == len(payloads) - 1)
        return self.finish(stream)

    def timed(self, path, payload):
        start = time.monotonic()
        answer = self.call(path, payload)
        return time.monotonic() - start, answer
