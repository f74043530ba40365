#ifndef SINKWATCH_WORKER_CHECKPOINT_TEST_FILES_H_
#define SINKWATCH_WORKER_CHECKPOINT_TEST_FILES_H_

#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace sinkwatch::checkpoint {

// A folder of a test's own, removed with all it holds at the end.
class TempFolder {
 public:
  TempFolder() {
    std::string name = ::testing::TempDir() + "/sinkwatch-XXXXXX";
    path_ = ::mkdtemp(name.data()) == nullptr ? "" : name;
    EXPECT_FALSE(path_.empty());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

inline void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
  out.close();
  EXPECT_TRUE(out.good()) << path;
}

inline std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

inline std::string LittleEndian(uint64_t value, int num_bytes) {
  std::string bytes;
  for (int i = 0; i < num_bytes; ++i) {
    bytes += static_cast<char>(value >> (8 * i) & 0xff);
  }
  return bytes;
}

// The bytes of a safetensors file with this header.
inline std::string SafetensorsBytes(const std::string& header,
                                    const std::string& data) {
  return LittleEndian(header.size(), 8) + header + data;
}

// Fails the test unless `status` has `code` and its message holds each of
// `words`: the file, the place and the rule.
template <typename Status, typename Code>
void ExpectError(const Status& status, Code code,
                 const std::initializer_list<std::string>& words) {
  EXPECT_EQ(status.code(), code) << status.ToString();
  for (const std::string& word : words) {
    EXPECT_NE(std::string(status.message()).find(word), std::string::npos)
        << "no '" << word << "' in: " << status.message();
  }
}

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_TEST_FILES_H_
