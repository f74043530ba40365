#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_DCP_TESTING_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_DCP_TESTING_H_

// A .metadata of torch.distributed.checkpoint made by hand, for tests: each
// function returns the opcodes that make a value, so that any part can lie.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint::dcp_bytes {

inline std::string None() { return "N"; }
inline std::string Int(int64_t value) {  // LONG1 of eight bytes
  return "\x8a\x08" + files::LittleEndian(static_cast<uint64_t>(value), 8);
}
inline std::string Str(absl::string_view text) {
  return absl::StrCat("X", files::LittleEndian(text.size(), 4), text);
}
inline std::string Joined(const std::vector<std::string>& items) {
  std::string bytes;
  for (const std::string& item : items) bytes += item;
  return bytes;
}
inline std::string Tuple(const std::vector<std::string>& items) {
  return "(" + Joined(items) + "t";
}
inline std::string List(const std::vector<std::string>& items) {
  return "](" + Joined(items) + "e";
}
using Items = std::vector<std::pair<std::string, std::string>>;
inline std::string Dict(const Items& items) {
  std::string bytes = "}(";
  for (const auto& [key, value] : items) bytes += key + value;
  return bytes + "u";
}
inline std::string Global(absl::string_view module, absl::string_view name) {
  return absl::StrCat("c", module, "\n", name, "\n");
}
inline std::string Call(const std::string& global,
                        const std::vector<std::string>& args) {
  return global + Tuple(args) + "R";
}
inline std::string Object(const std::string& global, const std::string& state) {
  return global + ")\x81" + state + "b";
}
// A dataclass of DCP with these fields.
inline std::string Dataclass(absl::string_view name, const Items& fields) {
  Items named;
  for (const auto& [field, value] : fields) {
    named.push_back({Str(field), value});
  }
  return Object(Global("torch.distributed.checkpoint.metadata", name),
                Dict(named));
}

inline std::string Size(const std::vector<int64_t>& sizes) {
  std::vector<std::string> items;
  for (int64_t size : sizes) items.push_back(Int(size));
  return Call(Global("torch", "Size"), {Tuple(items)});
}
inline std::string Layout(absl::string_view name = "torch.strided") {
  return Call(Global("torch.serialization", "_get_layout"), {Str(name)});
}
inline std::string Properties(const std::string& dtype,
                              const std::string& layout = Layout()) {
  return Object(
      Global("torch.distributed.checkpoint.metadata", "TensorProperties"),
      Tuple({dtype, layout, "\x89",
             Call(Global("torch.distributed.checkpoint.metadata",
                         "_MEM_FORMAT_ENCODING"),
                  {Int(0)}),
             "\x89"}));
}
inline std::string Chunk(const std::vector<int64_t>& offsets,
                         const std::vector<int64_t>& sizes) {
  return Dataclass("ChunkStorageMetadata",
                   {{"offsets", Size(offsets)}, {"sizes", Size(sizes)}});
}
inline std::string Tensor(
    const std::vector<int64_t>& size, const std::vector<std::string>& chunks,
    const std::string& properties = Properties(Global("torch", "float32"))) {
  return Dataclass("TensorStorageMetadata", {{"properties", properties},
                                             {"size", Size(size)},
                                             {"chunks", List(chunks)}});
}
inline std::string BytesEntry() {
  return Global("torch.distributed.checkpoint.metadata",
                "BytesStorageMetadata") +
         ")\x81";
}
inline std::string Index(absl::string_view fqn, const std::string& offset) {
  return Dataclass("MetadataIndex",
                   {{"fqn", Str(fqn)}, {"offset", offset}, {"index", None()}});
}
inline std::string Place(absl::string_view path, int64_t offset, int64_t length,
                         const std::string& transforms = None()) {
  return Object(
      Global("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
      Dict({{Str("relative_path"), Str(path)},
            {Str("offset"), Int(offset)},
            {Str("length"), Int(length)},
            {Str("transform_descriptors"), transforms}}));
}

// The whole.
struct Metadata {
  Items tensors;  // by Str(key)
  std::string planner_data = None();
  Items storage;  // by Index

  // A tensor of one chunk.
  Metadata& Add(absl::string_view key, const std::vector<int64_t>& size,
                const std::string& place) {
    const std::vector<int64_t> origin(size.size(), 0);
    tensors.push_back({Str(key), Tensor(size, {Chunk(origin, size)})});
    storage.push_back({Index(key, Size(origin)), place});
    return *this;
  }

  std::string Bytes() const {
    return "\x80\x02" +
           Dataclass("Metadata", {{"state_dict_metadata", Dict(tensors)},
                                  {"planner_data", planner_data},
                                  {"storage_data", Dict(storage)},
                                  {"storage_meta", None()},
                                  {"version", None()}}) +
           ".";
  }
};

}  // namespace sinkwatch::checkpoint::dcp_bytes

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_DCP_TESTING_H_
