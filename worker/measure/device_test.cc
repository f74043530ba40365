#include "worker/measure/device.h"

#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace sinkwatch::worker {
namespace {

// These hold where there is no GPU: bazel's tests run without one.

TEST(DeviceTest, CpuIsTheCpu) {
  const auto device = OpenDevice("cpu");
  ASSERT_TRUE(device.ok());
  EXPECT_TRUE(device->is_cpu());
}

TEST(DeviceTest, AutoFallsBackToTheCpuOnlyWithoutAGpu) {
  const auto device = OpenDevice("auto");
  ASSERT_TRUE(device.ok());
  EXPECT_EQ(device->is_cpu(), !OpenDevice("cuda").ok());
}

TEST(DeviceTest, CudaWithoutAGpuSaysWhatIsMissing) {
  const auto device = OpenDevice("cuda");
  if (device.ok()) GTEST_SKIP() << "there is a GPU";
  EXPECT_EQ(device.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(std::string(device.status().message()).find("CUDA cannot be used"),
            std::string::npos)
      << device.status().ToString();
}

TEST(DeviceTest, NonsenseIsInvalidArgument) {
  for (const char* name : {"", "tpu", "CPU", "cuda:", "cuda:x", "cuda:-1"}) {
    EXPECT_EQ(OpenDevice(name).status().code(),
              absl::StatusCode::kInvalidArgument)
        << name << ": " << OpenDevice(name).status().ToString();
  }
}

}  // namespace
}  // namespace sinkwatch::worker
