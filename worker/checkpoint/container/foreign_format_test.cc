#include "worker/checkpoint/container/foreign_format.h"

#include "gtest/gtest.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

TEST(ForeignFormatTest, FilesWithAMagicNumberAreNamed) {
  files::ExpectError(CheckNotForeign("GGUF\3"),
                     absl::StatusCode::kUnimplemented, {"GGUF"});
  files::ExpectError(CheckNotForeign("\x80\2}q"),
                     absl::StatusCode::kUnimplemented, {"pickle"});
  files::ExpectError(CheckNotForeign("<!DOCTYPE html>"),
                     absl::StatusCode::kUnimplemented, {"HTML"});
  const int32_t llm_c[] = {20240326, 5};
  files::ExpectError(
      CheckNotForeign({reinterpret_cast<const char*>(llm_c), sizeof(llm_c)}),
      absl::StatusCode::kUnimplemented, {"llm.c", "export_hf.py"});
}

TEST(ForeignFormatTest, AHeadersLengthAndAShortFileAreNot) {
  EXPECT_TRUE(CheckNotForeign(absl::string_view("<\0\0\0\0\0\0\0{", 9)).ok());
  EXPECT_TRUE(CheckNotForeign("").ok());
  EXPECT_TRUE(CheckNotForeign("GG").ok());
}

}  // namespace
}  // namespace sinkwatch::checkpoint
