#!/usr/bin/env python3
"""Every metric of stories260K on stories_probe, from transformers in float64.

Writes stories_golden.json beside itself, with the hooks of hf/make_golden.py and
the definitions of hf/reference.py. Needs torch, transformers 5.23 and numpy:

  python3 tests/data/make_stories_golden.py
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "hf"))
import make_golden  # noqa: E402

SPEC_VERSION = 2


def main():
    torch.set_num_threads(1)
    model = transformers.LlamaForCausalLM.from_pretrained(
        HERE / "stories260K", dtype=torch.float64, attn_implementation="eager").eval()
    probe = json.loads((HERE / "stories_probe/probe.json").read_text())
    found = []
    for domain in probe["domains"]:
        ids = np.concatenate([np.fromfile(HERE / "stories_probe" / file["path"], "<u2")
                              for file in domain["files"]]).astype(np.int64)
        tokens = ids.reshape(-1, probe["sequence_length"])
        found += make_golden.measure(model, make_golden.USUAL, domain["label"], tokens)[1]
    lines = [json.dumps(dict(zip(["domain", "metric", "layer", "values"], entry)))
             for entry in found]
    (HERE / "stories_golden.json").write_text(
        f'{{"spec_version": {SPEC_VERSION}, "measurements": [\n' + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()
