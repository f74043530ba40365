"""config.json, the index and probe.json."""

import json

from case import Case
from files import good, sharded, write_config, write_probe
from limited import CORRUPT, INCOMPLETE, PROBE, UNSUPPORTED, USAGE
import limited


def config(text):
    def build(folder):
        good(folder)
        (folder / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    return build


def changed(**changes):
    def build(folder):
        good(folder)
        write_config(folder, **changes)
    return build


def index(text):
    def build(folder):
        sharded(folder, "model-1.safetensors")
        (folder / "model.safetensors.index.json").write_text(text)
    return build


def shards(count):
    """An index of so many tensors, each in a shard of its own."""
    return lambda folder: index(json.dumps(
        {"weight_map": {f"t{i}": f"{i}.safetensors" for i in range(count)}}))(folder)


def probe(spoil):
    """A good checkpoint, and the stories' probe after `spoil`."""
    def run(folder):
        manifest = json.loads((PROBE / "probe.json").read_text())
        text = spoil(manifest) or manifest
        write_probe(folder.parent / "probe", text)
        return limited.measure(folder, folder.parent / "probe")
    return run


def token_file(**changes):
    return probe(lambda manifest: manifest["domains"][0]["files"][0].update(changes))


CASES = [
    Case("config: empty", config(""), INCOMPLETE, "config.json", "empty"),
    Case("config: a list", config("[]"), CORRUPT, "config.json"),
    Case("config: five megabytes", config(" " * (5 << 20) + "{}"), UNSUPPORTED, "4194304"),
    Case("config: deep lists", config('{"a":' + "[" * 500000), UNSUPPORTED, "deeper"),
    Case("config: deep objects", config('{"a":' * 100000 + "1" + "}" * 100000), UNSUPPORTED,
         "deeper"),
    Case("config: NUL", config(b"{}\0"), CORRUPT, "NUL"),
    Case("config: a key twice", config('{"vocab_size":1,"vocab_size":512}'), CORRUPT, "twice"),
    Case("config: a number of a megabyte", config('{"a":' + "1" * 1000000 + "}"), CORRUPT),
    Case("config: a billion layers", changed(num_hidden_layers=10**9), CORRUPT,
         "num_hidden_layers"),
    Case("config: vocabulary above 64 bits", changed(vocab_size=10**30), CORRUPT, "vocab_size"),
    Case("config: width of nothing", changed(hidden_size=0), CORRUPT, "hidden_size"),
    Case("config: heads of nothing", changed(num_attention_heads=0), CORRUPT,
         "num_attention_heads"),
    Case("config: infinite theta", config('{"architectures":["LlamaForCausalLM"],'
                                          '"rope_theta":1e999}'), CORRUPT, "not JSON"),
    Case("config: infinite theta as Python writes it", changed(rope_theta=float("inf")),
         CORRUPT, "rope_theta", "finite"),
    Case("config: a million infinities", config(
        '{"architectures":["LlamaForCausalLM"],"a":[' + "Infinity," * 300000 + "NaN]}"),
        CORRUPT, "hidden_size"),
    Case("config: two architectures, one of nobody", changed(
        architectures=["NobodyForCausalLM"], model_type="llama"), UNSUPPORTED,
        "NobodyForCausalLM", "'llama'"),
    Case("config: fewer layers than the file", changed(num_hidden_layers=4), CORRUPT,
         "larger model"),
    Case("config: more layers than the file", changed(num_hidden_layers=6), CORRUPT,
         "not there"),
    Case("config: architecture of a terminal", changed(architectures=["\x1b[2J\n" * 1000]),
         UNSUPPORTED, "\\033[2J\\n"),
    Case("index: a shard above the folder", index('{"weight_map":{"a":"../m.safetensors"}}'),
         CORRUPT, "index.json", "bare name"),
    Case("index: a shard at the root", index('{"weight_map":{"a":"/etc/m.safetensors"}}'),
         CORRUPT, "bare name"),
    Case("index: a shard with a NUL", index('{"weight_map":{"a":"m.safetensors\\u0000"}}'),
         CORRUPT, "bare name"),
    Case("index: ten thousand shards", shards(10000), UNSUPPORTED, "shards"),
    Case("index: deep", index('{"metadata":' + "[" * 1000000), UNSUPPORTED, "deeper"),
    Case("index: 300,000 shards", shards(300 * 1000), UNSUPPORTED, "values"),
    Case("probe: a file above the folder", good, USAGE, "probe.json", "bare file name",
         run=token_file(path="../step7/config.json")),
    Case("probe: more tokens than memory", good, USAGE, "tokens", run=token_file(tokens=2**62)),
    Case("probe: more tokens than the file", good, USAGE, run=token_file(tokens=10**7)),
    Case("probe: deep", good, USAGE, "deeper", run=probe(lambda _: '{"a":' + "[" * 100000)),
    Case("probe: a vocabulary of another model", good, USAGE,
         run=probe(lambda manifest: manifest.update(sequence_length=1 << 20))),
]
