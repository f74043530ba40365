"""What calls a server has and what is in their messages, as it tells itself
(gRPC's reflection), and messages written field by field: also such as no
library would write.
"""

import struct

from client import number, parse, text, varint

REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
DOUBLE, FLOAT, FIXED64, FIXED32, BOOL, STRING, MESSAGE, BYTES, ENUM = (
    1, 2, 6, 7, 8, 9, 11, 12, 14)
REPEATED = 3


class Field:
    """Of descriptor.proto: its number, type and, of a message, its type's name."""

    def __init__(self, owner, fields):
        self.owner = owner
        self.name = fields[1][0].decode()
        self.number = fields[3][0]
        self.repeated = fields[4][0] == REPEATED
        self.type = fields[5][0]
        self.message = fields.get(6, [b""])[0].decode().lstrip(".")

    def write(self, value):
        """One value of it."""
        if self.type == MESSAGE or isinstance(value, (str, bytes)):
            return text(self.number, value)
        if self.type in (DOUBLE, FLOAT):
            packed = struct.pack("<d" if self.type == DOUBLE else "<f", value)
            kind = 1 if self.type == DOUBLE else 5
            return varint(self.number << 3 | kind) + packed
        return number(self.number, value % (1 << 64))


class Schema:
    def __init__(self, client):
        self.messages = {}  # name: [Field]
        self.methods = []   # (path, request, whether one request has one answer)
        answer = parse(client.call(REFLECTION, text(7, ""))[0])
        for service in parse(answer[6][0])[1]:
            name = parse(service)[1][0].decode()
            if not name.startswith("sinkwatch."):
                continue
            said = parse(client.call(REFLECTION, text(4, name))[0])
            for file in parse(said[4][0])[1]:
                self._read_file(parse(file), name)

    def _read_file(self, file, wanted):
        package = file.get(2, [b""])[0].decode()
        for message in file.get(4, []):
            self._read_message(package, parse(message))
        for service in map(parse, file.get(6, [])):
            name = f"{package}.{service[1][0].decode()}"
            for method in map(parse, service[2]) if name == wanted else ():
                self.methods.append((f"/{name}/{method[1][0].decode()}",
                                     method[2][0].decode().lstrip("."),
                                     5 not in method and 6 not in method))

    def _read_message(self, scope, message):
        name = f"{scope}.{message[1][0].decode()}"
        self.messages[name] = [Field(name.rpartition(".")[2], parse(field))
                               for field in message.get(2, [])]
        for nested in message.get(3, []):
            self._read_message(name, parse(nested))

    def leaves(self, message, depth=4):
        """Ways down to each field of a message: [Field, ...]."""
        for field in self.messages[message]:
            yield [field]
            if field.type == MESSAGE and depth > 1:
                for way in self.leaves(field.message, depth - 1):
                    yield [field] + way

    def write(self, message, values, way=(), odd=b""):
        """A message of `values`, by "Message.field" or field; `odd` are the bytes
        of the field at the end of `way`."""
        out = b""
        for field in self.messages[message]:
            if way and field is way[0]:
                out += odd if len(way) == 1 else text(field.number, self.write(
                    field.message, values, way[1:], odd))
                continue
            value = values.get(f"{field.owner}.{field.name}", values.get(field.name))
            if field.type == MESSAGE:
                if value is True:
                    out += text(field.number, self.write(field.message, values))
            elif value is not None and not isinstance(value, bool):
                out += field.write(value)
        return out
