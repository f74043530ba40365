#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SAFETENSORS_TESTING_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SAFETENSORS_TESTING_H_

// Small safetensors files for tests, as text.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/container/safetensors.h"
#include "worker/files/file.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {

// The good vector of the reference reader's tests: a header of 60 bytes.
inline constexpr char kReferenceHeader[] =
    R"({"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})";

// The bytes of a safetensors file with this header.
inline std::string SafetensorsBytes(const std::string& header,
                                    const std::string& data) {
  return files::LittleEndian(header.size(), 8) + header + data;
}

// What the reader says of a file of these bytes.
inline absl::StatusOr<std::vector<SafetensorsEntry>> ReadBytes(
    const base::TempFolder& temp, const std::string& bytes) {
  files::WriteFile(temp / "model.safetensors", bytes);
  auto file = files::File::Open(temp / "model.safetensors");
  EXPECT_TRUE(file.ok()) << file.status();
  return ReadSafetensorsHeader(**file);
}

// The JSON of one entry.
inline std::string Entry(const std::string& name, const std::string& dtype,
                         const std::string& shape, const std::string& offsets) {
  return absl::StrCat("\"", name, "\":{\"dtype\":\"", dtype, "\",\"shape\":[",
                      shape, "],\"data_offsets\":[", offsets, "]}");
}

inline std::string Zeros(size_t count) { return std::string(count, '\0'); }

// One tensor `x` whose entry is the text given, over `data_bytes` of zeros.
inline std::string OneEntry(const std::string& entry, size_t data_bytes = 4) {
  return SafetensorsBytes(absl::StrCat("{\"x\":", entry, "}"),
                          Zeros(data_bytes));
}

inline std::string OneTensor(const std::string& shape,
                             const std::string& offsets, size_t data_bytes) {
  return SafetensorsBytes(
      absl::StrCat("{", Entry("x", "F32", shape, offsets), "}"),
      Zeros(data_bytes));
}

// Tensors `a` and `b` of one float32 each, at these offsets.
inline std::string Two(const std::string& first, const std::string& second) {
  return absl::StrCat("{", Entry("a", "F32", "1", first), ",",
                      Entry("b", "F32", "1", second), "}");
}

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_SAFETENSORS_TESTING_H_
