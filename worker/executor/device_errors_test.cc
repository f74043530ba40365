#include "worker/executor/device_errors.h"

#include <new>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace sinkwatch::executor {
namespace {

template <typename Error>
absl::Status Thrown(const Error& error) {
  return CatchDeviceErrors(at::kCPU, [&]() -> absl::Status { throw error; });
}

c10::SourceLocation Here() { return {"f", "file", 1}; }

TEST(DeviceErrorsTest, WhatIsReturnedIsHandedOn) {
  EXPECT_TRUE(
      CatchDeviceErrors(at::kCPU, [] { return absl::OkStatus(); }).ok());
  EXPECT_EQ(
      CatchDeviceErrors(at::kCPU, [] { return absl::NotFoundError("gone"); })
          .message(),
      "gone");
}

TEST(DeviceErrorsTest, MemoryIsResourceExhausted) {
  for (const absl::Status& status :
       {Thrown(std::bad_alloc()), Thrown(c10::OutOfMemoryError(Here(), "x")),
        Thrown(c10::AcceleratorError(Here(), 2, "CUDA error: out of memory")),
        Thrown(c10::Error(Here(), "CUBLAS_STATUS_ALLOC_FAILED at once")),
        Thrown(c10::Error(Here(), "DefaultCPUAllocator: can't allocate"))}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_FALSE(IsDeviceLost(status));
  }
}

TEST(DeviceErrorsTest, ADeviceThatStillComputesIsNotLost) {
  const absl::Status status =
      Thrown(c10::AcceleratorError(Here(), 700, "illegal memory access\nmore"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(status.message(), "illegal memory access");
  EXPECT_FALSE(IsDeviceLost(status));
}

}  // namespace
}  // namespace sinkwatch::executor
