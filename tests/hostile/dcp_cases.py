"""The metadata of torch.distributed.checkpoint."""

from case import Case
from files import read_safetensors
from limited import CORRUPT, INCOMPLETE, STORIES, UNSUPPORTED
from torch_files import (METADATA, PROTO, chunk, dcp, dcp_tensor, index, made, metadata, name,
                         os_system, pairs, place, stored, text, write_archive)


def with_place(**lies):
    return dcp(dcp_tensor(places=[place(**lies)]))


def linked_data(folder):
    dcp(dcp_tensor())(folder)
    inside = folder / "model_and_optim"
    (inside / "__0_0.distcp").unlink()
    (inside / "__0_0.distcp").symlink_to(STORIES / "model.safetensors")


def without_data(folder):
    dcp(dcp_tensor())(folder)
    (folder / "model_and_optim/__0_0.distcp").unlink()


def os_system_in_an_archive(folder):
    """The metadata is good, a place for each of stories260K's weights; what is
    there is not."""
    archive = folder.parent / "archive"
    write_archive(archive, PROTO + os_system() + b".", [("0", bytes(1 << 18))])
    data = archive.read_bytes()
    tensors, places = [], []
    for weight, (_, shape, _) in read_safetensors(STORIES / "model.safetensors").items():
        key, origin = "model." + weight, [0] * len(shape)
        tensors.append((text(key), stored(shape, [chunk(origin, shape)])))
        places.append((index(key, *origin), place(length=len(data))))
    dcp(metadata(tensors, places), data)(folder)


def many_chunks(count, step=1):
    """A tensor of `count` rows, each a chunk."""
    def build(folder):
        chunks = [((i * step,), (1,)) for i in range(count)]
        dcp(dcp_tensor((count,), chunks, [place()] * count))(folder)
    return build


CASES = [
    Case("dcp: os.system", dcp(PROTO + os_system() + b"."), UNSUPPORTED, ".metadata", "os.system"),
    Case("dcp: os.system in a field", dcp(PROTO + made(name(METADATA, "Metadata"), {
        "planner_data": os_system()}) + b"."), UNSUPPORTED, "os.system"),
    Case("dcp: cut", dcp(dcp_tensor()[:-20]), INCOMPLETE, ".metadata"),
    Case("dcp: a dict", dcp(PROTO + pairs([]) + b"."), CORRUPT, ".metadata"),
    Case("dcp: a file above the folder", with_place(path="../x.distcp"), CORRUPT, "../x.distcp"),
    Case("dcp: a file at the root", with_place(path="/etc/passwd"), CORRUPT, "/etc/passwd"),
    Case("dcp: the parent itself", with_place(path=".."), CORRUPT, ".metadata"),
    Case("dcp: an offset beyond the file", with_place(offset=2**40), INCOMPLETE, "__0_0.distcp"),
    Case("dcp: a negative offset", with_place(offset=-8), CORRUPT, ".metadata"),
    Case("dcp: a length that overflows", with_place(offset=2**62, length=2**62), CORRUPT,
         ".metadata"),
    Case("dcp: a length below the tensor's", with_place(length=8), CORRUPT, ".metadata"),
    Case("dcp: transforms", with_place(transforms=b"](" + text("zstd") + b"e"), UNSUPPORTED,
         "transform"),
    Case("dcp: a transform that is no list", with_place(transforms=text("zstd")), UNSUPPORTED,
         "transform"),
    Case("dcp: overlapping chunks", dcp(dcp_tensor((4,), [((0,), (3,)), ((2,), (2,))])), CORRUPT,
         "norm.weight"),
    Case("dcp: a hole between chunks", dcp(dcp_tensor((4,), [((0,), (1,)), ((2,), (2,))])), CORRUPT,
         "norm.weight"),
    Case("dcp: a chunk out of its tensor", dcp(dcp_tensor((4,), [((0,), (8,))])), CORRUPT),
    Case("dcp: a shape that overflows", dcp(dcp_tensor((2**40, 2**40))), CORRUPT, "norm.weight"),
    Case("dcp: a tensor of a terabyte", dcp(dcp_tensor((2**38,))), CORRUPT),
    Case("dcp: a hundred thousand chunks", many_chunks(100 * 1000), CORRUPT, memory_kb=500 << 10),
    Case("dcp: a hundred thousand chunks with holes", many_chunks(100 * 1000, 2), CORRUPT,
         memory_kb=500 << 10),
    Case("dcp: data behind a link out of the folder", linked_data, UNSUPPORTED,
         "outside of"),
    Case("dcp: no data", without_data, INCOMPLETE, "__0_0.distcp"),
    Case("dcp: os.system in a data file", os_system_in_an_archive, UNSUPPORTED,
         "__0_0.distcp", "os.system"),
]
