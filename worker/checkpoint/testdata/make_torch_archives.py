#!/usr/bin/env python3
"""Writes files of torch.save as torch 2.11 does, one folder a case.

    make_torch_archives.py torch

read/<case>/ holds pytorch_model.bin and the same tensors in model.safetensors;
refused/<case>/ holds a pytorch_model.bin that must be refused. Bytes differ
from run to run by a serialization id, tensors do not.
"""

import io
import os
import sys
import zipfile

import safetensors.torch
import torch

FILE = "pytorch_model.bin"


def numbers(*shape):
    """Distinct values, so that no two elements can be swapped unseen."""
    count = int(torch.tensor(shape).prod()) if shape else 1
    return (torch.arange(count, dtype=torch.float32) / 8 - 3).reshape(shape)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(3, 2)
        self.norm = torch.nn.LayerNorm(2)
        self.register_buffer("steps", torch.tensor(7))


class WithState(torch.Tensor):
    pass


def attributed(tensor):
    tensor.note = "kept"
    return tensor


def good_cases():
    """case -> what is saved, what it is called flat, options of torch.save."""
    torch.manual_seed(20261124)
    net = Net()
    state = net.state_dict()
    yield "state_dict", state, state, {}
    plain = {"b": numbers(2, 3), "a": numbers(4)}
    yield "plain_dict", plain, plain, {}
    yield "protocol_3", plain, plain, {"pickle_protocol": 3}
    yield "protocol_4", state, state, {"pickle_protocol": 4}
    yield "protocol_5", state, state, {"pickle_protocol": 5}
    parameters = {
        "parameter": torch.nn.Parameter(numbers(2, 2)),
        "buffer": torch.nn.Buffer(numbers(3)),
        "with_state": attributed(torch.nn.Parameter(numbers(2))),
        "with_attribute": attributed(numbers(5)),
    }
    yield "parameters", parameters, parameters, {}
    dtypes = {
        str(dtype).replace("torch.", ""): numbers(3, 2).to(dtype)
        for dtype in (torch.float64, torch.float32, torch.float16,
                      torch.bfloat16, torch.int64, torch.int32, torch.int16,
                      torch.int8, torch.bool, torch.float8_e4m3fn,
                      torch.float8_e5m2)
    }
    for dtype in (torch.uint8, torch.uint16, torch.uint32, torch.uint64):
        dtypes[str(dtype).replace("torch.", "")] = torch.arange(6).to(dtype)
    yield "dtypes", dtypes, dtypes, {}
    base = numbers(6, 5)
    views = {
        "base": base,
        "tied": base,
        "transposed": base.t(),
        "rows": base[2:4],
        "columns": base[:, 1:3],
        "every_second": base[::2, ::3],
        "permuted": numbers(2, 3, 4).permute(2, 0, 1),
        "scalar": numbers()[()],
        "element": base[3, 4],
        "nothing": torch.empty(0, 4),
        "nothing_of_something": base[6:],
    }
    yield "views", views, views, {}
    nested = {"a": {"b": numbers(2), "c": {"d": numbers(3)}}, "e": numbers(1),
              "epoch": 3, "note": "text", "loss": 1.5, "none": None,
              "list": [1, 2], 7: {"f": numbers(2)}}
    yield "nested", nested, {"a.b": numbers(2), "a.c.d": numbers(3),
                             "e": numbers(1), "7.f": numbers(2)}, {}
    optimizer = torch.optim.AdamW(net.parameters())
    net.norm(net.inner(numbers(2, 3))).sum().backward()
    optimizer.step()
    trained = net.state_dict()
    trainer = {"model": trained, "optimizer": optimizer.state_dict(),
               "model_args": {"n_layer": 2}, "iter_num": 5,
               "best_val_loss": torch.tensor(1.5),
               "config": {"device": "cuda", "compile": True}}
    yield "trainer", trainer, trained, {}


def to_cuda(path):
    """As if its tensors had been on a GPU: no GPU is needed to say so."""
    cpu, cuda = b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0"
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(zipfile.ZipInfo(info.filename),
                         content.replace(cpu, cuda))
    with open(path, "wb") as f:
        f.write(out.getvalue())


class Evil:
    def __init__(self, function, *args):
        self.what = (function, args)

    def __reduce__(self):
        return self.what


def refused_cases():
    plain = {"w": numbers(2)}
    yield "os_system", {"w": numbers(2), "x": Evil(os.system, "true")}, {}
    yield "eval", {"x": Evil(eval, "1")}, {}
    yield "no_zip", plain, {"_use_new_zipfile_serialization": False}
    yield "whole_module", torch.nn.Linear(2, 2), {}
    yield "sparse", {"w": torch.eye(3).to_sparse()}, {}
    yield "quantized", {"w": torch.quantize_per_tensor(
        numbers(4), 0.1, 0, torch.qint8)}, {}
    yield "conjugated", {"w": torch.randn(2, dtype=torch.complex64).conj()}, {}
    yield "expanded", {"w": numbers(1).expand(4)}, {}
    yield "meta", {"w": torch.empty(2, device="meta")}, {}
    yield "subclass", {"w": numbers(2).as_subclass(WithState)}, {}
    yield "list", [numbers(2)], {}
    yield "complex128", {"w": torch.randn(2, dtype=torch.complex128)}, {}


def main(out):
    for case, saved, flat, options in good_cases():
        folder = os.path.join(out, "read", case)
        os.makedirs(folder, exist_ok=True)
        torch.save(saved, os.path.join(folder, FILE), **options)
        safetensors.torch.save_file(
            {name: tensor.detach().clone().contiguous()
             for name, tensor in flat.items()},
            os.path.join(folder, "model.safetensors"))
    folder = os.path.join(out, "read", "cuda")
    os.makedirs(folder, exist_ok=True)
    saved = {"w": numbers(2, 3), "v": numbers(5)}
    torch.save(saved, os.path.join(folder, FILE))
    to_cuda(os.path.join(folder, FILE))
    safetensors.torch.save_file(saved,
                                os.path.join(folder, "model.safetensors"))
    for case, saved, options in refused_cases():
        folder = os.path.join(out, "refused", case)
        os.makedirs(folder, exist_ok=True)
        torch.save(saved, os.path.join(folder, FILE), **options)
    folder = os.path.join(out, "refused", "torchscript")
    os.makedirs(folder, exist_ok=True)
    torch.jit.script(Net()).save(os.path.join(folder, FILE))
    torch.save(numbers(2, 3).t(), os.path.join(out, "one_tensor.pt"))


if __name__ == "__main__":
    main(sys.argv[1])
