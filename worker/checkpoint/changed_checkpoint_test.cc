#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "ATen/ops/arange.h"
#include "ATen/ops/ones.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/checkpoint/writer.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr auto kCorrupt = absl::StatusCode::kDataLoss;
constexpr auto kVanished = absl::StatusCode::kNotFound;

// What happens to the weights between Open and ReadTensor.
class ChangeTest : public ::testing::Test {
 protected:
  ChangeTest()
      : folder_(temp_ / "step1"), weights_(folder_ + "/model.safetensors") {
    const std::map<std::string, at::Tensor> tensors = {
        {"a", at::arange(6, at::kFloat).reshape({2, 3})},
        {"b", at::ones({4}, at::kFloat)}};
    EXPECT_TRUE(
        WriteCheckpoint(folder_, {{"model_type", "llama"}}, tensors).ok());
    checkpoint_ = *Checkpoint::Open(folder_);
  }

  absl::Status Read() { return checkpoint_->ReadTensor("b", {4}).status(); }

  base::TempFolder temp_;
  const std::string folder_;
  const std::string weights_;
  std::unique_ptr<Checkpoint> checkpoint_;
};

TEST_F(ChangeTest, NothingIsNoChange) {
  EXPECT_TRUE(Read().ok());
  EXPECT_TRUE(checkpoint_->CheckUnchanged().ok());
}

TEST_F(ChangeTest, TruncatedWeightsAreCorrupt) {
  fs::resize_file(weights_, 100);
  files::ExpectError(Read(), kCorrupt, {weights_, "rewritten", "100 now"});
  files::ExpectError(checkpoint_->CheckUnchanged(), kCorrupt, {weights_});
}

TEST_F(ChangeTest, WeightsRewrittenInPlaceAreCorrupt) {
  const std::string bytes = files::ReadFile(weights_);
  const auto before = fs::last_write_time(weights_);
  files::WriteFile(weights_, bytes);
  // A file system's clock may tick slower than this test runs.
  fs::last_write_time(weights_, before + std::chrono::seconds(1));
  files::ExpectError(Read(), kCorrupt, {weights_, "rewritten", "same file"});
  files::ExpectError(checkpoint_->CheckUnchanged(), kCorrupt, {weights_});
}

TEST_F(ChangeTest, WeightsReplacedByOthersAreCorrupt) {
  files::WriteFile(temp_ / "new", files::ReadFile(weights_));
  fs::rename(temp_ / "new", weights_);
  files::ExpectError(Read(), kCorrupt, {weights_, "another file"});
  files::ExpectError(checkpoint_->CheckUnchanged(), kCorrupt, {weights_});
}

TEST_F(ChangeTest, DeletedWeightsHaveVanished) {
  fs::remove(weights_);
  files::ExpectError(Read(), kVanished, {weights_, "deleted"});
  files::ExpectError(checkpoint_->CheckUnchanged(), kVanished, {weights_});
}

TEST_F(ChangeTest, ADeletedFolderHasVanished) {
  fs::remove_all(folder_);
  files::ExpectError(Read(), kVanished, {weights_, "deleted"});
  files::ExpectError(checkpoint_->CheckUnchanged(), kVanished, {weights_});
}

}  // namespace
}  // namespace sinkwatch::checkpoint
