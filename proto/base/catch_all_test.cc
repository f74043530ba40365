#include "proto/base/catch_all.h"

#include <stdexcept>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

TEST(CatchAll, GivesBackWhatTheBodyGives) {
  EXPECT_EQ(*CatchAll([]() -> absl::StatusOr<int> { return 7; }), 7);
  EXPECT_EQ(CatchAll([] { return absl::AbortedError("x"); }).code(),
            absl::StatusCode::kAborted);
}

TEST(CatchAll, MakesAStatusOfEachException) {
  EXPECT_EQ(CatchAll([]() -> absl::Status { throw std::bad_alloc(); }).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(CatchAll([]() -> absl::Status { throw std::runtime_error("why"); }),
            absl::InternalError("an exception ended it: why"));
  EXPECT_EQ(CatchAll([]() -> absl::Status { throw 1; }).code(),
            absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace sinkwatch::base
