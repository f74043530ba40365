#ifndef SINKWATCH_WORKER_FILES_FILES_TESTING_H_
#define SINKWATCH_WORKER_FILES_FILES_TESTING_H_

#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace sinkwatch::files {

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

}  // namespace sinkwatch::files

#endif  // SINKWATCH_WORKER_FILES_FILES_TESTING_H_
