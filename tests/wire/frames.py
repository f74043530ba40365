"""HTTP/2 frames by hand, for a client that does what no library would.

RFC 9113 (frames) and RFC 7541 (header fields, here always literal and never
indexed). Nothing is read but what the test asks for.
"""

import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, \
    WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + \
        struct.pack(">I", stream) + payload


def _integer(value, prefix_bits):
    most = (1 << prefix_bits) - 1
    if value < most:
        return bytes([value])
    out = bytearray([most])
    value -= most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    out.append(value)
    return bytes(out)


def field(name, value):
    """A literal header field that is not indexed."""
    name, value = name.encode(), value.encode()
    return b"\x00" + _integer(len(name), 7) + name + _integer(len(value), 7) + \
        value


def request_headers(path):
    return b"".join(field(*pair) for pair in (
        (":method", "POST"), (":scheme", "http"), (":path", path),
        (":authority", "localhost"), ("te", "trailers"),
        ("content-type", "application/grpc")))


def message(payload, length=None):
    """A gRPC message; `length` is what it says of itself."""
    return b"\x00" + struct.pack(
        ">I", len(payload) if length is None else length) + payload


def call(path, stream, payload=b""):
    """A whole unary call."""
    return frame(HEADERS, END_HEADERS, stream, request_headers(path)) + \
        frame(DATA, END_STREAM, stream, message(payload))


class Connection:
    """A connection that has said hello."""

    def __init__(self, port, timeout=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0))

    def send(self, data):
        """False if the other side has ended the connection."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False
        except socket.timeout:
            return False

    def drain(self, most=1 << 20):
        """Throws away what has come; False at the end of the connection."""
        self.socket.setblocking(False)
        try:
            while most > 0:
                data = self.socket.recv(65536)
                if not data:
                    return False
                most -= len(data)
        except BlockingIOError:
            pass
        except ConnectionResetError:
            return False
        finally:
            self.socket.settimeout(10)
        return True

    def close(self):
        self.socket.close()
