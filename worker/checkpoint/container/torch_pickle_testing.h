#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_TORCH_PICKLE_TESTING_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_TORCH_PICKLE_TESTING_H_

// Pieces of a data.pkl for tests.

#include <cstdint>
#include <string>
#include <vector>

#include "worker/checkpoint/container/zip_testing.h"

namespace sinkwatch::checkpoint {

inline std::string PickledString(const std::string& text) {
  return "X" + files::LittleEndian(text.size(), 4) + text;
}

inline std::string PickledInt(int64_t value) {
  return "\x8a\x08" + files::LittleEndian(static_cast<uint64_t>(value), 8);
}

inline std::string PickledTuple(const std::vector<int64_t>& values) {
  std::string items;
  for (int64_t value : values) items += PickledInt(value);
  return "(" + items + "t";
}

// A tensor, each of its parts open to a lie.
struct PickledTensor {
  std::string type = "torch\nFloatStorage";
  std::string key = PickledString("0");
  std::string count = PickledInt(6);
  std::string offset = PickledInt(0);
  std::string sizes = PickledTuple({2, 3});
  std::string strides = PickledTuple({3, 1});
  std::string more;  // arguments after the hooks
  std::string function = "_rebuild_tensor_v2";

  std::string Storage() const {
    return "(" + PickledString("storage") + "c" + type + "\n" + key +
           PickledString("cpu") + count + "tQ";
  }
  std::string Bytes() const { return BytesOn(Storage()); }
  std::string BytesOn(const std::string& storage) const {
    return "ctorch._utils\n" + function + "\n(" + storage + offset + sizes +
           strides + "\x89" + "ccollections\nOrderedDict\n)R" + more + "tR";
  }
};

// A dict of one tensor "w".
inline std::string PickledDict(const std::string& tensor) {
  return "\x80\x02}" + PickledString("w") + tensor + "s.";
}

// An archive of that pickle and one storage.
inline ZipMembers ArchiveMembers(const std::string& pickle,
                                 size_t storage_bytes = 24) {
  return {{"archive/data.pkl", pickle},
          {"archive/data/0", std::string(storage_bytes, '\1')},
          {"archive/byteorder", "little"}};
}

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_TORCH_PICKLE_TESTING_H_
