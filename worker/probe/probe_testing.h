#ifndef SINKWATCH_WORKER_PROBE_PROBE_TESTING_H_
#define SINKWATCH_WORKER_PROBE_PROBE_TESTING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "proto/base/sha256.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/files/files_testing.h"
#include "worker/probe/corpus.h"

// A probe on disk for tests.
namespace sinkwatch::probe {

using Json = nlohmann::json;

// What a probe that cannot be used is.
inline constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// Ids as a token file has them, little-endian.
inline std::string Ids16(const std::vector<uint16_t>& ids) {
  std::string bytes;
  for (uint16_t id : ids) {
    bytes.push_back(static_cast<char>(id & 0xff));
    bytes.push_back(static_cast<char>(id >> 8));
  }
  return bytes;
}

inline std::string Ids32(const std::vector<uint32_t>& ids) {
  std::string bytes;
  for (uint32_t id : ids) {
    for (int b = 0; b < 4; ++b) {
      bytes.push_back(static_cast<char>(id >> (8 * b) & 0xff));
    }
  }
  return bytes;
}

// What probe.json says of a file.
inline Json FileEntry(const std::string& path, int64_t tokens,
                      const std::string& bytes) {
  return {
      {"path", path}, {"tokens", tokens}, {"sha256", base::Sha256Hex(bytes)}};
}

// A small probe on disk that a test spoils before it is read: 4 tokens a
// sequence, domain `a` of two files (5 + 5 ids) and row classes, domain `b`.
struct ProbeFiles {
  ProbeFiles() {
    const std::string a0 = Ids16({1, 2, 3, 4, 5});
    const std::string a1 = Ids16({6, 7, 8, 9, 10});
    const std::string classes("\0\1\0\1\0\1\0\1\0\1", 10);
    const std::string b0 = Ids16({1, 1, 1, 499});
    files::WriteFile(temp / "a0.npy", a0);
    files::WriteFile(temp / "a1.npy", a1);
    files::WriteFile(temp / "a.u8", classes);
    files::WriteFile(temp / "b.npy", b0);
    json = {{"name", "toy"},
            {"version", "1"},
            {"tokenizer", {{"name", "t"}, {"vocab_size", 500}}},
            {"dtype", "uint16"},
            {"sequence_length", 4},
            {"eos_id", 2},
            {"bos_policy", "none"},
            {"domains", Json::array()}};
    json["domains"].push_back(
        {{"label", "a"},
         {"files", {FileEntry("a0.npy", 5, a0), FileEntry("a1.npy", 5, a1)}},
         {"row_classes",
          {{"path", "a.u8"},
           {"sha256", base::Sha256Hex(classes)},
           {"names", {"other", "trigger"}}}}});
    json["domains"].push_back(
        {{"label", "b"}, {"files", Json::array({FileEntry("b.npy", 4, b0)})}});
  }

  Json& a() { return json["domains"][0]; }
  Json& b() { return json["domains"][1]; }
  // Replaces the content of b.npy, and what the manifest says of it.
  void SetB(const std::string& bytes, int64_t tokens) {
    files::WriteFile(temp / "b.npy", bytes);
    b()["files"][0] = FileEntry("b.npy", tokens, bytes);
  }
  void Save() { files::WriteFile(temp / "probe.json", json.dump()); }
  absl::StatusOr<Corpus> Read() {
    Save();
    return Corpus::Read(temp.path());
  }

  base::TempFolder temp;
  Json json;
};

}  // namespace sinkwatch::probe

#endif  // SINKWATCH_WORKER_PROBE_PROBE_TESTING_H_
