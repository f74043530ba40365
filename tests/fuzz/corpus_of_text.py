"""Recipes of inputs that are text: HTTP requests, safetensors headers, JSON, YAML."""

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

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
    "vocab_size": 512, "num_hidden_layers": 5, "head_dim": 8, "num_key_value_heads": 4,
    "rms_norm_eps": 1e-05, "hidden_act": "silu", "tie_word_embeddings": True,
    "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
}


def config(**changes):
    return json.dumps({**LLAMA, **changes})


CONFIGS = {
    "good-llama": config(),
    "good-older-keys": config(rope_parameters=None, rope_theta=5e5, rope_scaling=None),
    "good-by-model-type": config(architectures=None),
    "corrupt-fraction": config(hidden_size=64.0),
    "corrupt-negative": config(head_dim=-1),
    "corrupt-huge": config(vocab_size=2**64 - 1),
    "corrupt-string": config(num_hidden_layers="5"),
    "corrupt-eps": config(rms_norm_eps=0),
    "corrupt-rope-is-a-list": config(rope_parameters=[1]),
    "corrupt-twice": '{"hidden_size":1,"hidden_size":2}',
    "unsupported-deep": '{"a":' * 200 + "1" + "}" * 200,
    "good-python-numbers": config()[:-1] + ', "limit": [0.0, Infinity, -Infinity, NaN]}',
    "corrupt-python-number-used": config()[:-1].replace("1e-05", "Infinity") + "}",
    "corrupt-python-number-in-a-word": config()[:-1] + ', "limit": NaNs}',
    "incomplete-python-number": config()[:-1] + ', "limit": -Infin',
    "corrupt-array": "[]",
    "incomplete-half": config()[:100],
    "incomplete-empty": "",
}


MODEL = {**LLAMA, "num_attention_heads": 8, "intermediate_size": 172,
         "max_position_embeddings": 512}


def model(**changes):
    return json.dumps({**MODEL, **changes})


def mixture(model_type, architecture, **changes):
    return model(**{**dict(model_type=model_type, architectures=[architecture], num_experts=4,
                           num_experts_per_tok=2, moe_intermediate_size=8,
                           num_key_value_heads=None), **changes})


ARCHITECTURES = {  # what a config asks of the registry
    "good-llama": model(),
    "good-older-keys": model(rope_parameters=None, rope_theta=5e5, rope_scaling=None),
    "good-olmo": model(architectures=["OlmoForCausalLM"], model_type="olmo", clip_qkv=None),
    "good-by-model-type": model(architectures=None),
    "corrupt-architectures": model(architectures=[7]),
    "corrupt-heads": model(num_key_value_heads=3),
    "corrupt-width": model(hidden_size=65, head_dim=None),
    "corrupt-layers": model(num_hidden_layers=2**31),
    "corrupt-no-layers": model(num_hidden_layers=0),
    "corrupt-no-width": model(hidden_size=None),
    "corrupt-rope-is-a-list": model(rope_parameters=[1]),
    "corrupt-theta": model(rope_parameters={"rope_theta": -1, "rope_type": "default"}),
    "unsupported-architecture": model(architectures=["MambaForCausalLM"]),
    "unsupported-model-type": model(architectures=None, model_type="mamba"),
    "unsupported-nameless": "{}",
    "unsupported-activation": model(hidden_act="si\nlu" * 2000),
    "unsupported-rope": model(rope_parameters={"rope_type": "longrope", "factor": 8}),
    "unsupported-rope-name": model(rope_parameters={"rope_type": "\u001b[31m" * 2000}),
    "unsupported-rope-by-layer": model(
        architectures=["Olmo3ForCausalLM"], model_type="olmo3",
        rope_parameters={"rope_type": "\u001b[31m" * 2000}),
    "unsupported-layer-types": model(
        architectures=["Qwen3ForCausalLM"], model_type="qwen3", layer_types=["\u001b[31m\u00e9" * 1000] * 5),
    "unsupported-attention-kind": model(
        architectures=["BigramBackcopyForCausalLM"], model_type="bigram_backcopy",
        num_key_value_heads=8,
        attention_kind="\u001b[31m\n" * 1000),
    "good-two-known-names": model(architectures=["MistralForCausalLM"]),
    "unsupported-two-names": model(architectures=["\u001b[31mForCausalLM"]),
    "unsupported-two-names-and-code": model(
        architectures=["MistralForCausalLM"], auto_map={"AutoConfig": "x.Y"}),
    "good-name-before-release": model(
        architectures=["Olmo2RetrofitForCausalLM"], model_type="olmo2-retrofit"),
    "good-qwen3-moe": mixture("qwen3_moe", "Qwen3MoeForCausalLM", mlp_only_layers=[1]),
    "corrupt-dense-layer": mixture("qwen3_moe", "Qwen3MoeForCausalLM", mlp_only_layers=[-1]),
    "corrupt-experts": mixture("qwen3_moe", "Qwen3MoeForCausalLM", num_experts=2**40),
    "good-mixtral": mixture("mixtral", "MixtralForCausalLM"),
    "good-smollm3": model(architectures=["SmolLM3ForCausalLM"], model_type="smollm3"),
    "corrupt-no-rope-layers": model(
        architectures=["SmolLM3ForCausalLM"], model_type="smollm3", no_rope_layers=[1, 0]),
    "good-apertus": model(
        architectures=["ApertusForCausalLM"], model_type="apertus", hidden_act="xielu"),
    "good-gemma2": model(architectures=["Gemma2ForCausalLM"], model_type="gemma2"),
    "corrupt-soft-cap": model(
        architectures=["Gemma2ForCausalLM"], model_type="gemma2", attn_logit_softcapping=-1),
    "good-gemma3": model(
        architectures=["Gemma3ForCausalLM"], model_type="gemma3_text", rope_parameters=None),
    "good-deepseek-v2": mixture("deepseek_v2", "DeepseekV2ForCausalLM", n_shared_experts=1),
    "good-deepseek-v3": mixture(
        "deepseek_v3", "DeepseekV3ForCausalLM", n_shared_experts=1, n_group=2, topk_group=1),
    "corrupt-groups": mixture(
        "deepseek_v3", "DeepseekV3ForCausalLM", n_shared_experts=1, n_group=3, topk_group=1),
    "corrupt-rotated-part": mixture(
        "deepseek_v3", "DeepseekV3ForCausalLM", n_shared_experts=1, n_group=2, topk_group=1,
        qk_rope_head_dim=3),
    "good-olmo-hybrid": model(architectures=["OlmoHybridForCausalLM"], model_type="olmo_hybrid"),
    "corrupt-delta-heads": model(
        architectures=["OlmoHybridForCausalLM"], model_type="olmo_hybrid",
        linear_num_key_heads=3),
    "good-qwen3-next": mixture("qwen3_next", "Qwen3NextForCausalLM"),
    "good-nanochat": model(
        architectures=["NanoChatForCausalLM"], model_type="nanochat", hidden_act="relu2"),
    "good-nanochat-meta": json.dumps({"step": 1, "model_config": {
        "sequence_len": 64, "vocab_size": 128, "n_layer": 2, "n_head": 2, "n_kv_head": 2,
        "n_embd": 32, "window_pattern": "L"}}),
    "unsupported-nanochat-windows": json.dumps({"model_config": {
        "sequence_len": 64, "vocab_size": 128, "n_layer": 2, "n_head": 2, "n_embd": 32,
        "window_pattern": "\u001b[31mSSSL" * 500}}),
    "good-text-config": json.dumps({"model_type": "llava", "text_config": json.loads(model())}),
    "good-text-config-of-defaults": json.dumps({"model_type": "gemma3", "text_config": {}}),
    "good-qwen3-5": json.dumps({"model_type": "qwen3_5", "text_config": json.loads(model(
        model_type="qwen3_5_text"))}),
    "corrupt-text-config": json.dumps({"model_type": "llava", "text_config": {"hidden_size": -1}}),
    "unsupported-text-config": json.dumps({"model_type": "\u001b[31mx" * 900, "text_config": {}}),
    "unsupported-text-config-in-itself": json.dumps({"model_type": "llava", "text_config": {
        "model_type": "llava", "text_config": {}}}),
    "unsupported-partial": model(rope_parameters={"partial_rotary_factor": 0.5}),
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


# --- config.yaml -------------------------------------------------------------
OLMO = """run_name: tiny
model:
  d_model: 64
  n_heads: 4
  n_layers: 2
  mlp_ratio: 8
  activation_type: swiglu
  block_type: sequential
  rope: true
  flash_attention: true
  layer_norm_type: default
  layer_norm_with_affine: false
  attention_layer_norm_with_affine: false
  include_bias: false
  bias_for_layer_norm: false
  max_sequence_length: 128
  vocab_size: 500
  embedding_size: 512
  weight_tying: false
  init_device: meta
optimizer:
  name: adamw
  learning_rate: 1.0e-05
seed: 7
"""

YAMLS = {
    "good-olmo": OLMO,
    "good-flow": "{model: {d_model: 64, n_heads: 4, n_layers: 2, activation_type: swiglu, "
                 "rope: true, include_bias: false, layer_norm_type: default, vocab_size: 512, "
                 "layer_norm_with_affine: false, weight_tying: false}, seed: 1}\n",
    "good-quoted": OLMO.replace("swiglu", "'swiglu'").replace("default", '"default"'),
    "corrupt-alias-bomb": "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi")),
    "corrupt-anchor": OLMO.replace("model:", "model: &m"),
    "corrupt-alias": OLMO + "again: *m\n",
    "corrupt-merge-key": OLMO + "<<: {a: 1}\n",
    "corrupt-tag": OLMO + "run: !!python/object/apply:os.system ['touch sinkwatch-canary']\n",
    "corrupt-twice": OLMO + "seed: 8\n",
    "corrupt-second-document": OLMO + "---\na: 1\n",
    "corrupt-nul": OLMO + "a: \0\n",
    "corrupt-list": "- a\n- b\n",
    "corrupt-key-is-a-list": OLMO + "[a, b]: 1\n",
    "corrupt-tab": OLMO + "\ta: 1\n",
    "corrupt-no-width": OLMO.replace("d_model: 64", "d_model: 0"),
    "corrupt-huge-width": OLMO.replace("d_model: 64", "d_model: 99999999999999999999"),
    "incomplete-empty": "",
    "incomplete-before-the-model": "run_name: tiny\n",
    "incomplete-in-the-model": OLMO[:OLMO.index("  rope")],
    "incomplete-in-a-quote": OLMO + 'a: "b',
    "unsupported-deep": "a: " + "[" * 40 + "]" * 40 + "\n",
    "unsupported-alibi": OLMO.replace("  rope: true", "  rope: false\n  alibi: true"),
    "found-not-utf8": OLMO.encode().replace(b"swiglu", b"\xc3\x28"),
    "corrupt-unknown-escape": OLMO + 'a: "\\\x1b"\n',
}


STEP_NAMES = {
    "good-olmo": "stage2-ingredient1+2-step11931-tokens50B",
    "good-average": "step11921+11000+10000-nooptim-reshard32",
    "good-seed": "step69369-seed-small-aux-2",
    "good-number": "0001000",
    "good-tokens": "240b_tokens",
    "good-epoch-and-step": "epoch=3-step=1000",
    "good-lightning": "megatron_gpt--val_loss=2.31-step=1000-consumed_samples=256000.0",
    "good-unit": "TinyLlama-1.1B-intermediate-step-1431k-3T",
    "good-bytes": b"step10-caf\xe9",
    "good-largest": "step9223372036854775807",
    "invalid-overflow": "step99999999999999999999K",
    "invalid-huge-unit": "9999999999T_tokens",
    "invalid-long": "step" + "0" * 300,
    "invalid-many": "step-" * 40,
    "invalid-under-way": "step1000.tmp",
    "invalid-slash": "step1/../step2",
    "invalid-control": "step5\n",
    "invalid-nothing": "",
}


def rows(header, *lines):
    return header + "\n" + "".join(line + "\n" for line in lines)


URL = "https://olmo-checkpoints.org/ai2-llm/peteish7/"
STEPS = "Step,Checkpoint Directory"
MANIFESTS = {
    "good-step": rows(STEPS, f"0,{URL}step0-unsharded/", f"1000,{URL}step1000-unsharded/"),
    "good-ingredient": rows("Ingredient," + STEPS, "1,500,a/i1/step500", "soup,500,a/soup/step500"),
    "good-stage": rows("Stage," + STEPS, "stage1,1,s3://bucket/run/step1"),
    "good-tokens": rows("Stage,Step,Tokens Seen,Checkpoint Directory", "pre,7,8589934592,run/step7"),
    "good-bad-row": rows(STEPS, f"11931,{URL}step11000/", f"11000,{URL}step11000/"),
    "good-same-directory": rows(STEPS, "1,a/x", "2,a/x"),
    "good-twice": rows(STEPS, "1,a/step1", "1,a/step1"),
    "good-carriage-returns": rows(STEPS, "1,a/step1").replace("\n", "\r\n"),
    "good-no-rows": rows(STEPS),
    "invalid-header": rows("Step,Directory", "1,a"),
    "invalid-nothing": "",
    "invalid-fields": rows(STEPS, "1,a,b"),
    "invalid-quotes": rows(STEPS, '1,"a"'),
    "invalid-step": rows(STEPS, "-1,a/step1"),
    "invalid-huge-step": rows(STEPS, "9" * 30 + ",a/step1"),
    "invalid-parent": rows(STEPS, "1,a/../b"),
    "invalid-no-path": rows(STEPS, "1,https://host"),
    "invalid-control": rows(STEPS, "1,a/\x1b[31m"),
    "invalid-nul": rows(STEPS, "1,a/b\0c"),
    "invalid-stage": rows("Stage," + STEPS, "a/b,1,a/step1"),
    "invalid-long": rows(STEPS, "1," + "a" * 2000),
}


def tree(*entries, pattern="", runs=""):
    return "\n".join([pattern, runs, *entries])


def whole(folder, *more):
    return [f"{folder}/{name}" for name in ("config.json", "model.safetensors", *more)]


SNAPSHOT = f"snapshots/{'b' * 40}/"
ROOTS = {
    "good-steps": tree(*whole("step5"), *whole("step10-tokens4B"), *whole("eval_step5"),
                       "latest>step10-tokens4B"),
    "good-empty": tree(),
    "good-empty-stage": tree("stage1/", "stage2/ingredient1/"),
    "good-stages": tree(*whole("stage1/step5"), *whole("stage2-ingredient1-step5"),
                        *whole("stage3/soup/step5+4+3-nooptim")),
    "good-pattern": tree(*whole("run_12_abc"), *whole("other"), "notes.txt",
                         pattern=r"run_(?P<step>\d+)_(?P<stage>.*)"),
    "good-pattern-of-nothing": tree(*whole("x"), pattern=r"(?P<step>\d*)(?P<tokens>.*)x*"),
    "good-runs": tree(*whole("70M/seed-1/step5"), "README.md", *whole("x/y/z/w"),
                      runs=r"(?P<size>\d+M)/seed-(?P<seed>\d+)"),
    "good-runs-of-everything": tree(*whole("A.b/step5"), *whole("a.b/step5"), "x>A.b", runs=r"[^/]+"),
    "good-hub": tree("refs/main=" + "a" * 40, "refs/step5=" + "b" * 40,
                     "refs/stage1/step6=" + "c" * 40, "refs/step7=../../etc",
                     "refs/pr/1=" + "d" * 40, "blobs/0f0f",
                     SNAPSHOT + "config.json>../../blobs/0f0f",
                     SNAPSHOT + "model.safetensors>../../blobs/0f0f", "blobs/0f0f.incomplete"),
    "good-hub-and-more": tree("refs/step5=" + "b" * 40, "snapshots/", *whole("step6"), "notes.txt",
                              *whole("extra/step7")),
    "good-hub-one-step-twice": tree("refs/step5=" + "b" * 40, "refs/step-5=" + "c" * 40,
                                    *whole("snapshots/" + "b" * 40), *whole("snapshots/" + "c" * 40)),
    "good-links": tree("step1>step1", "step2>../..", "step3>nowhere", *whole("far/step9"),
                       "step4>far/step9", "step5>.", "step6>step4"),
    "good-foreign": tree("step1/adapter_config.json", "step2/latest", "step2/zero_to_fp32.py",
                         "step2/global_step2/x", "step3/lit_model.pth", "step4/__0.metadata",
                         "step5/rank0.pt", "global_step6/mp_rank_00_model_states.pt",
                         "iter_0000007/mp_rank_00/model_optim_rng.pt", "8/model/x", "9/_METADATA",
                         "step10/a.gguf"),
    "good-under-way": tree("step1-tmp/", "tmp_step2/", "step3/model.safetensors.incomplete",
                           "step3/config.json", "step4.part"),
    "good-flat": tree("model_000100.pt", "meta_000100.json", "optim_000100_rank0.pt",
                      "model_000200.bin", "state_step001750.pt"),
    "good-one-step": tree(*whole("step5"), *whole("step5-unsharded"), *whole("checkpoint-5"), *whole("5")),
    "good-itself": tree("config.json", "model.safetensors"),
    "good-dcp": tree("step1/.metadata", "step1/__0_0.distcp", "step2/model_and_optim/.metadata",
                     "step2/model_and_optim/__0_0.distcp", "step2/config.json",
                     "step3/.metadata.json", "step4/__0_0.distcp"),
    "good-not-utf8": tree("step5-\xff/config.json", "\xe9/", "step6\xff/x").encode("latin-1"),
    "invalid-pattern": tree(*whole("step5"), pattern="("),
    "invalid-group": tree(*whole("step5"), pattern=r"(?P<stpe>\d+)"),
    "invalid-no-group": tree(*whole("step5"), pattern=r"step\d+"),
    "invalid-runs": tree(*whole("step5"), runs="["),
    "invalid-large-pattern": tree(*whole("step5"), pattern=r"(?P<step>(((\d{1,100}){1,100}){1,10}))"),
}


NORM = {"name": "rms", "eps": 1e-6, "bias": False}
ATTENTION = {"name": "reordered_norm", "layer_norm": NORM,
             "feed_forward": {"hidden_size": 64, "bias": False},
             "sequence_mixer": {"type": "attention", "n_heads": 2, "bias": False, "qk_norm": NORM,
                                "rope": {"theta": 500000}}}
DELTA = {**ATTENTION, "sequence_mixer": {"type": "gated_delta_net", "n_heads": 2, "head_dim": 12}}


def core(delta=DELTA, attention=ATTENTION, **changes):
    return json.dumps({"model": {**{
        "d_model": 32, "vocab_size": 128, "n_layers": 4, "block": {"gdn": delta, "attn": attention},
        "block_pattern": ["gdn", "attn"], "lm_head": {"layer_norm": NORM, "bias": False}}, **changes}})


def mixer(**changes):
    return {**DELTA, "sequence_mixer": {**DELTA["sequence_mixer"], **changes}}


MODEL_CONFIGS = {
    **{name: text for name, text in ARCHITECTURES.items()
       if "nanochat-" in name or "text-config" in name or "qwen3-5" in name},
    "good-hybrid": core(),
    "good-hybrid-before": core(delta={**DELTA, "name": "default"}),
    "good-attention-alone": core(delta=ATTENTION),
    "good-text-config-in-itself": ARCHITECTURES["unsupported-text-config-in-itself"],
    "good-null-text-config": '{"model_type":"llava","text_config":null}',
    "corrupt-no-text-type": '{"model_type":7,"text_config":{}}',
    "corrupt-text-type": '{"model_type":"llava","text_config":{"model_type":[]}}',
    "corrupt-pattern": core(block_pattern=["gdn", "no such \u001b[31m" * 500]),
    "corrupt-block-name": core(block={"\u001b[31m" * 500: 1, "a b": DELTA}, block_pattern=["a b"]),
    "corrupt-pattern-of-numbers": core(block_pattern=[1]),
    "corrupt-no-pattern": core(block_pattern=[]),
    "corrupt-uneven-pattern": core(block_pattern=["gdn", "gdn", "attn"]),
    "corrupt-block": core(delta=7),
    "corrupt-values": core(delta=mixer(expand_v=1.01)),
    "corrupt-huge-values": core(delta=mixer(expand_v=1e300)),
    "corrupt-heads": core(delta=mixer(n_heads=0)),
    "corrupt-shared-heads": core(delta=mixer(head_dim=None, n_heads=5)),
    "unsupported-delta-option": core(delta=mixer(gate=True)),
    "unsupported-no-attention": core(block_pattern=["gdn"]),
    "corrupt-nanochat": '{"model_config":{"n_embd":"x","sequence_len":1}}',
}
del MODEL_CONFIGS["unsupported-text-config-in-itself"], MODEL_CONFIGS["corrupt-text-config"]


TARGETS = {
    "step_name": STEP_NAMES,
    "model_config": MODEL_CONFIGS,
    "manifest": MANIFESTS,
    "root": ROOTS,
    "safetensors_header": dict(safetensors_headers()),
    "safetensors_file": dict(safetensors_files()),
    "strict_json": JSONS,
    "config_json": CONFIGS,
    "architecture": ARCHITECTURES,
    "shard_index": INDEXES,
    "probe_json": PROBES,
    "config_yaml": YAMLS,
    "http_request": HTTP_REQUESTS,
}
