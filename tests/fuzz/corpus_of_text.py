"""Recipes of inputs that are text: HTTP requests, safetensors headers, JSON, indexes."""

import json
import struct

# --- HTTP requests -----------------------------------------------------------
def request(line, *headers):
    return "\r\n".join((line, "Host: 127.0.0.1:17460") + headers)


HTTP_REQUESTS = {
    "good-page": request("GET / HTTP/1.1"),
    "good-head": request("HEAD /-/ready HTTP/1.1", "Connection: close"),
    "good-old": "GET /metrics HTTP/1.0",
    "good-series": request("GET /api/v1/series?run=a&metric=b&layer=0,2,5-7&head=* HTTP/1.1",
                           "Accept: application/json;q=.5", "Accept: text/csv",
                           "Accept-Encoding: gzip, br", 'If-None-Match: W/"1-2"'),
    "good-largest-layer": request("GET /api/v1/series?layer=2147483647 HTTP/1.1"),
    "good-wide-list": request("GET /api/v1/series?head=0-2147483647 HTTP/1.1"),
    "good-huge-step": request("GET /api/v1/matrix?step=99999999999999999999 HTTP/1.1"),
    "good-escaped-path": request("GET /a%2Fb%20c%C3%A9?x=%00 HTTP/1.1"),
    "good-absolute": request("GET http://Evil.Example:80/api/v1/runs HTTP/1.1"),
    "invalid-absolute-without-path": request("GET http://h?x HTTP/1.1"),
    "good-ipv6": "GET / HTTP/1.1\r\nHost: [::1]:80",
    "good-broken-ipv6": "GET / HTTP/1.1\r\nHost: [",
    "good-fragment": request("GET /a#b?c HTTP/1.1"),
    "good-empty-body": request("GET / HTTP/1.1", "Content-Length: 0"),
    "unsupported-post": request("POST / HTTP/1.1", "Content-Length: 3"),
    "unsupported-http2": request("GET / HTTP/2.0"),
    "invalid-nothing": "",
    "unsupported-preface": "PRI * HTTP/2.0\r\n\r\nSM",
    "invalid-tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "invalid-no-host": "GET / HTTP/1.1",
    "invalid-two-hosts": request("GET / HTTP/1.1", "Host: b"),
    "invalid-folded": request("GET / HTTP/1.1", " folded"),
    "invalid-bare-line-feed": request("GET / HTTP/1.1", "Accept: a\nHost: b"),
    "invalid-nul-in-path": request("GET /%00 HTTP/1.1"),
    "invalid-half-an-escape": request("GET /%4 HTTP/1.1"),
    "invalid-body": request("GET / HTTP/1.1", "Content-Length: 5"),
    "invalid-chunked": request("GET / HTTP/1.1", "Transfer-Encoding: chunked"),
    "invalid-spaces": request("GET  / HTTP/1.1"),
    "invalid-relative": request("GET metrics HTTP/1.1"),
    "invalid-name-of-header": request("GET / HTTP/1.1", "a b: c"),
    "invalid-many-headers": request("GET / HTTP/1.1", *(f"x{i}: y" for i in range(101))),
}

# --- safetensors -------------------------------------------------------------
def entry(name, dtype="F32", shape="1", offsets="0,4"):
    return f'"{name}":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{offsets}]}}'


def header(*entries):
    return "{" + ",".join(entries) + "}"


REFERENCE = header(entry("test", "I32", "2,2", "0,16"))

HEADERS = {  # outcome and name: data bytes, JSON
    "good-reference": (16, REFERENCE),
    "good-no-tensors": (0, "{}"),
    "good-padded": (16, "  " + REFERENCE + " \n "),
    "good-scalar-and-empty": (4, header(entry("a", shape="", offsets="0,4"),
                                        entry("b", shape="2,0", offsets="4,4"))),
    "good-empty-in-the-middle": (8, header(entry("b", offsets="4,8"), entry("a"),
                                           entry("c", shape="0", offsets="4,4"))),
    "good-metadata": (4, '{"__metadata__":{"format":"pt"},' + entry("x") + "}"),
    "good-extra-fields": (4, '{"x":{"dtype":"F32","z":[{"a":[1.5,null,true]}],"shape":[1],'
                             '"data_offsets":[0,4]}}'),
    "good-small-dtypes": (5, header(entry("a", "F4", "4", "0,2"),
                                    entry("b", "F6_E2M3", "4", "2,5"))),
    "good-escaped-name": (4, header(entry("\\u0061\\\"\\n\\ud83d\\ude00"))),
    "good-every-dtype": (0, header(*(
        entry(f"t{i}", dtype, "0", "0,0") for i, dtype in enumerate(
            "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ F4 F6_E2M3 F6_E3M2 "
            "I16 U16 F16 BF16 I32 U32 F32 F64 I64 U64 C64".split())))),
    "corrupt-not-utf8": (0, b"{\"\xc3\x28\":{}}"),
    "corrupt-only-a-brace": (0, "{"),
    "corrupt-white-space": (0, "    "),
    "corrupt-an-array": (0, "[]"),
    "corrupt-byte-order-mark": (0, b"\xef\xbb\xbf{}"),
    "corrupt-nul": (0, b"{}\0\0"),
    "corrupt-text-after": (0, "{} {}"),
    "corrupt-comment": (0, "{/**/}"),
    "corrupt-number-above-double": (4, '{"x":{"z":1e999}}'),
    "corrupt-entry-is-a-number": (4, '{"x":1}'),
    "corrupt-no-shape": (4, '{"x":{"dtype":"F32","data_offsets":[0,4]}}'),
    "corrupt-no-offsets": (4, '{"x":{"dtype":"F32","shape":[1]}}'),
    "corrupt-no-dtype": (4, '{"x":{"shape":[1],"data_offsets":[0,4]}}'),
    "corrupt-fraction": (4, header(entry("x", shape="1.0"))),
    "corrupt-exponent": (4000, header(entry("x", shape="1e3", offsets="0,4000"))),
    "corrupt-negative": (4, header(entry("x", shape="-1"))),
    "corrupt-above-64-bits": (4, header(entry("x", shape="18446744073709551616"))),
    "corrupt-one-offset": (4, header(entry("x", offsets="0"))),
    "corrupt-three-offsets": (4, header(entry("x", offsets="0,4,8"))),
    "corrupt-metadata-number": (0, '{"__metadata__":{"step":1000}}'),
    "corrupt-tensor-twice": (4, header(entry("x"), entry("x"))),
    "corrupt-tensor-twice-escaped": (4, header(entry("x"), entry("\\u0078"))),
    "corrupt-field-twice": (4, '{"x":{"dtype":"F32","shape":[1],"shape":[1],'
                               '"data_offsets":[0,4]}}'),
    "corrupt-overflow": (16, header(entry("x", "I32", "2,18446744073709551614", "0,16"))),
    "corrupt-overflow-signed": (16, header(entry("x", "I32", "2,9223372036854775807", "0,16"))),
    "corrupt-overflow-to-zero": (0, header(entry("x", shape="4294967296,1073741824",
                                                 offsets="0,0"))),
    "corrupt-overflow-to-four": (16, header(entry("x", shape="4194305,4194305,211106198978564",
                                                  offsets="0,16"))),
    "corrupt-too-few-bytes": (16, header(entry("x", shape="5", offsets="0,16"))),
    "corrupt-half-byte": (1, header(entry("x", "F4", "3", "0,1"))),
    "corrupt-end-before-begin": (4, header(entry("x", offsets="4,0"))),
    "corrupt-offsets-above-the-format": (4, header(entry(
        "x", offsets="18446744073709551611,18446744073709551615"))),
    "corrupt-hole-first": (8, header(entry("x", offsets="4,8"))),
    "corrupt-hole-between": (12, header(entry("a"), entry("b", offsets="8,12"))),
    "corrupt-overlap": (6, header(entry("a"), entry("b", offsets="2,6"))),
    "corrupt-ten-in-one-place": (16, header(*(
        entry(f"t{i}", "F32", "4", "0,16") for i in range(10)))),
    "corrupt-trailing-bytes": (20, REFERENCE),
    "incomplete-out-of-the-file": (4, header(entry("x", shape="1000000", offsets="0,4000000"))),
    "unsupported-dtype": (4, header(entry("x", "F31"))),
    "unsupported-rank": (4, header(entry("x", shape="1,1,1,1,1,1,1,1,1"))),
    "unsupported-long-name": (4, header(entry("n" * 513))),
    "unsupported-deep": (4, '{"x":{"z":' + "[" * 20 + "1" + "]" * 20 + "}}"),
    "unsupported-many-fields": (4, '{"x":{' + ",".join(f'"k{i}":0' for i in range(70)) + "}}"),
}

FILES = {
    "incomplete-empty": b"",
    "incomplete-seven-bytes": bytes(7),
    "incomplete-zeros": bytes(100),
    "incomplete-nothing-after-the-length": struct.pack("<Q", 60),
    "incomplete-length-lies": struct.pack("<Q", 1000) + REFERENCE.encode() + bytes(16),
    "incomplete-lfs-pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:"
                              + b"4d" * 32 + b"\nsize 12345\n",
    "corrupt-length-above-the-format": struct.pack("<Q", 100000001) + b"{}",
    "corrupt-length-overflows": struct.pack("<Q", 2**64 - 1) + b"{}",
    "unsupported-length-above-ours": struct.pack("<Q", (16 << 20) + 1) + b"{}",
}


def safetensors(text, data_bytes):
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(text)) + text + bytes(data_bytes)


def safetensors_headers():
    for name, (data_bytes, header_text) in HEADERS.items():
        header_text = header_text if isinstance(header_text, bytes) else header_text.encode()
        yield name, b"%d\n" % data_bytes + header_text


def safetensors_files():
    yield from FILES.items()
    for name in ("good-reference", "good-padded", "good-scalar-and-empty", "corrupt-overlap",
                 "corrupt-trailing-bytes", "corrupt-tensor-twice", "corrupt-not-utf8"):
        yield name, safetensors(HEADERS[name][1], HEADERS[name][0])
    whole = safetensors(REFERENCE, 16)
    yield "incomplete-data", whole[:-2]
    yield "incomplete-header", whole[:40]


# --- JSON --------------------------------------------------------------------
JSONS = {
    "good-empty": "{}",
    "good-all-kinds": '{"a":[1,-2,3.5e-2,"x\\u00e9\\n",null,true,false],"b":{"c":{}}}',
    "good-spaces": ' \t\r\n{ "a" : [ 1 , 2 ] } \n',
    "good-utf8": '{"é":"\U0001f600"}',
    "good-numbers": '{"a":18446744073709551615,"b":-9223372036854775808,"c":1e308,"d":0.1}',
    "incomplete-nothing": "",
    "incomplete-spaces": " \n",
    "incomplete-string": '{"a":"b',
    "incomplete-literal": '{"a":tru',
    "incomplete-number": '{"a":-',
    "incomplete-escape": '{"a":"\\u12',
    "incomplete-utf8": b'{"a":"\xc3',
    "invalid-array": "[]",
    "invalid-byte-order-mark": b"\xef\xbb\xbf{}",
    "invalid-nul": b"{}\0",
    "invalid-two": "{}{}",
    "invalid-twice": '{"a":{"b":1,"b":2}}',
    "invalid-twice-escaped": '{"ab":1,"a\\u0062":2}',
    "invalid-comma": '{"a":1,}',
    "invalid-nan": '{"a":NaN}',
    "invalid-lone-surrogate": '{"a":"\\ud83d"}',
    "invalid-overlong": b'{"a":"\xc0\xaf"}',
    "invalid-double-overflow": '{"a":1e999}',
    "unsupported-deep": '{"a":' + "[" * 30 + "]" * 30 + "}",
    "unsupported-unclosed-deep": '{"a":' * 60,
    "unsupported-values": '{"a":[' + ",".join("0" * 60) + "]}",
}

def index(**weight_map):
    return json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map})


INDEXES = {
    "good-two-shards": index(a="m-1.safetensors", b="m-2.safetensors", c="m-1.safetensors"),
    "good-without-metadata": '{"weight_map":{"a":"m.safetensors"}}',
    "incomplete-half": index(a="m-1.safetensors")[:50],
    "incomplete-empty": "",
    "corrupt-no-map": "{}",
    "corrupt-empty-map": index(),
    "corrupt-map-is-an-array": '{"weight_map":[]}',
    "corrupt-parent": index(a="../other/model.safetensors"),
    "corrupt-absolute": index(a="/etc/model.safetensors"),
    "corrupt-folder": index(a="sub/model.safetensors"),
    "corrupt-dots": index(a=".."),
    "corrupt-nul": '{"weight_map":{"a":"m\\u0000.safetensors"}}',
    "corrupt-suffix": index(a="model.bin"),
    "corrupt-number": '{"weight_map":{"a":1}}',
    "corrupt-twice": '{"weight_map":{"a":"m.safetensors","a":"n.safetensors"}}',
    "unsupported-shards": index(**{f"t{i}": f"{i}.safetensors" for i in range(513)}),
    "unsupported-deep": '{"metadata":' + '{"a":' * 20 + "1" + "}" * 21,
}

PROBE = {
    "name": "toy", "version": "1", "tokenizer": {"name": "t", "vocab_size": 500},
    "dtype": "uint16", "sequence_length": 4, "eos_id": 2, "bos_policy": "none",
    "domains": [{"label": "a", "files": [{"path": "a.npy", "tokens": 8, "sha256": "0f" * 32}]}],
}


def probe(**changes):
    return json.dumps({**PROBE, **changes})


def domain(**changes):
    return probe(domains=[{**PROBE["domains"][0], **changes}])


def token_file(**changes):
    return domain(files=[{**PROBE["domains"][0]["files"][0], **changes}])


CLASSES = {"path": "a.u8", "sha256": "A0" * 32, "names": ["other", "trigger"]}
PROBES = {
    "good-small": probe(),
    "good-classes": domain(row_classes=CLASSES),
    "good-prepend": probe(bos_policy="prepend", bos_id=1, dtype="uint32"),
    "invalid-half": probe()[:40],
    "invalid-unknown-key": probe(more=1),
    "invalid-dtype": probe(dtype="uint8"),
    "invalid-sequence-length": probe(sequence_length=2**40),
    "invalid-bos-without-policy": probe(bos_id=1),
    "invalid-bos-above-vocabulary": probe(bos_policy="prepend", bos_id=500),
    "invalid-no-domains": probe(domains=[]),
    "invalid-label-twice": probe(domains=PROBE["domains"] * 2),
    "invalid-label": domain(label="a/b"),
    "invalid-class-twice": domain(row_classes={**CLASSES, "names": ["x", "x"]}),
    "invalid-path": token_file(path="../a.npy"),
    "invalid-tokens": token_file(tokens=2**63),
    "invalid-tokens-negative": token_file(tokens=-8),
    "invalid-few-tokens": token_file(tokens=3),
    "invalid-sha256": token_file(sha256="xyz"),
    "invalid-many-tokens": domain(files=PROBE["domains"][0]["files"] * 2 + [
        {"path": "b", "tokens": 1 << 26, "sha256": "0f" * 32}]),
}


TARGETS = {
    "safetensors_header": dict(safetensors_headers()),
    "safetensors_file": dict(safetensors_files()),
    "strict_json": JSONS,
    "shard_index": INDEXES,
    "probe_json": PROBES,
    "http_request": HTTP_REQUESTS,
}
