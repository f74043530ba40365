#include "proto/base/temp_folder_testing.h"

#include <stdlib.h>

#include <filesystem>
#include <system_error>

#include "gtest/gtest.h"

namespace sinkwatch::base {

TempFolder::TempFolder() {
  std::string pattern = ::testing::TempDir() + "/sinkwatch-XXXXXX";
  EXPECT_NE(::mkdtemp(pattern.data()), nullptr) << pattern;
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

}  // namespace sinkwatch::base
