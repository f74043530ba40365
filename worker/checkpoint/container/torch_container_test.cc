#include "worker/checkpoint/container/torch_container.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/container/safetensors.h"
#include "worker/checkpoint/tensor_reader.h"
#include "worker/files/file.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr absl::StatusCode kIncomplete = absl::StatusCode::kFailedPrecondition;
constexpr absl::StatusCode kCorrupt = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnsupported = absl::StatusCode::kUnimplemented;
constexpr char kData[] = "worker/checkpoint/testdata/torch/";
constexpr char kContainers[] = "tests/data/containers/";

using OpenContainer = absl::StatusOr<Contents> (*)(const std::string&,
                                                   const std::string&);

// Every tensor by name: dtype, shape and bytes, as text.
std::map<std::string, std::string> Tensors(OpenContainer open,
                                           const std::string& folder) {
  std::map<std::string, std::string> all;
  absl::StatusOr<Contents> contents = open(folder, "");
  EXPECT_TRUE(contents.ok()) << contents.status();
  if (!contents.ok()) return all;
  for (const StoredTensor& tensor : contents->tensors) {
    int64_t count = 1;
    std::string text = tensor.dtype->name;
    for (int64_t size : tensor.shape) {
      text += " " + std::to_string(size);
      count *= size;
    }
    std::string bytes(count * tensor.dtype->bits / 8, '\0');
    const int64_t rows = tensor.shape.empty() ? 1 : tensor.shape[0];
    absl::Status status = ReadRows(*contents, tensor, {0, rows}, bytes.data());
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_TRUE(all.emplace(tensor.name, text + ": " + bytes).second)
        << tensor.name;
  }
  return all;
}

class ReadFixture : public ::testing::TestWithParam<const char*> {};

TEST_P(ReadFixture, HasTheBitsOfSafetensors) {
  const std::string folder = std::string(kData) + "read/" + GetParam();
  const auto expected = Tensors(OpenSafetensors, folder);
  EXPECT_FALSE(expected.empty());
  EXPECT_EQ(Tensors(OpenTorchBin, folder), expected);
}

INSTANTIATE_TEST_SUITE_P(
    Torch, ReadFixture,
    ::testing::Values("state_dict", "plain_dict", "protocol_3", "protocol_4",
                      "protocol_5", "parameters", "dtypes", "views", "nested",
                      "trainer", "cuda"),
    [](const auto& info) { return std::string(info.param); });

TEST(TorchContainer, EachFormOfTheSameWeightsHasTheSameBits) {
  const std::string containers = kContainers;
  const auto expected = Tensors(OpenSafetensors, containers + "hf");
  EXPECT_GT(expected.size(), 20u);
  EXPECT_EQ(Tensors(OpenTorchBin, containers + "bin"), expected);
  EXPECT_EQ(Tensors(OpenShardedTorchBin, containers + "bin_sharded"), expected);
  const auto legacy =
      Tensors(OpenSafetensors, containers + "legacy_safetensors");
  EXPECT_EQ(legacy.count("transformer.wte.weight"), 1u);
  EXPECT_EQ(Tensors(OpenTorchModel, containers + "legacy_pt"), legacy);
}

struct Refused {
  const char* name;
  std::string words;
};

class RefusedFixture : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedFixture, IsUnsupportedByName) {
  const std::string folder = std::string(kData) + "refused/" + GetParam().name;
  files::ExpectError(OpenTorchBin(folder, "").status(), kUnsupported,
                     {folder + "/pytorch_model.bin: ", GetParam().words});
}

INSTANTIATE_TEST_SUITE_P(
    Torch, RefusedFixture,
    ::testing::Values(
        Refused{"os_system", "GLOBAL: global 'posix.system'"},
        Refused{"eval", "global '__builtin__.eval'"},
        Refused{"no_zip", "a bare pickle, as torch.save wrote before"},
        Refused{"whole_module", "global 'torch.nn.modules.linear.Linear'"},
        Refused{"sparse", "'torch._utils._rebuild_sparse_tensor'"},
        Refused{"quantized", "'torch._utils._rebuild_qtensor'"},
        Refused{"conjugated", "a tensor with flags"},
        Refused{"expanded", "repeats elements"},
        Refused{"meta", "'torch._utils._rebuild_meta_tensor_no_storage'"},
        Refused{"subclass", "WithState'"},
        Refused{"list", "holds a list, not a dict of tensors"},
        Refused{"complex128", "'torch.ComplexDoubleStorage'"},
        Refused{"torchscript", "code/__torch__.py': compressed (method 8)"}),
    [](const auto& info) { return std::string(info.param.name); });

absl::Status OpenBytes(const std::string& bytes) {
  base::TempFolder temp;
  files::WriteFile(temp / "model.pt", bytes);
  return OpenTorchModel(temp.path(), "").status();
}

TEST(TorchContainer, WhatIsNoZipIsNamed) {
  files::ExpectError(OpenBytes(""), kIncomplete, {"model.pt: incomplete"});
  files::ExpectError(OpenBytes("PK\3"), kIncomplete, {"model.pt: incomplete"});
  files::ExpectError(OpenBytes(std::string(1000, '\0')), kIncomplete,
                     {"zero bytes"});
  files::ExpectError(OpenBytes("version https://git-lfs.github.com/spec/v1\n"),
                     kIncomplete, {"Git LFS pointer"});
  files::ExpectError(OpenBytes("\x80\x04N."), kUnsupported, {"a bare pickle"});
  files::ExpectError(
      OpenBytes(std::string(257, 'x') + "ustar" + std::string(300, 0)),
      kUnsupported, {"tar archive"});
  files::ExpectError(OpenBytes("hello"), kUnsupported,
                     {"neither a zip archive nor"});
}

TEST(TorchContainer, AFileOfAnotherFormatIsNamed) {
  files::ExpectError(OpenBytes("GGUF" + std::string(100, 1)), kUnsupported,
                     {"model.pt", "GGUF"});
  files::ExpectError(OpenBytes("<!DOCTYPE html>"), kUnsupported,
                     {"model.pt", "HTML"});
}

TEST(TorchContainer, EveryPrefixIsIncomplete) {
  const std::string whole =
      files::ReadFile(std::string(kData) + "read/plain_dict/pytorch_model.bin");
  ASSERT_TRUE(OpenBytes(whole).ok()) << OpenBytes(whole);
  for (size_t size = 0; size < whole.size(); size += 7) {
    EXPECT_EQ(OpenBytes(whole.substr(0, size)).code(), kIncomplete) << size;
  }
}

// No byte of an archive but those of tensors can change unseen into a crash or
// a read outside of the file.
TEST(TorchContainer, AFlippedByteIsReadOrRefused) {
  const std::string whole =
      files::ReadFile(std::string(kData) + "read/views/pytorch_model.bin");
  base::TempFolder temp;
  // One in five, for time: their bits differ, as 5 and 8 have no divisor.
  for (size_t i = 0; i < whole.size(); i += 5) {
    std::string bytes = whole;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << i % 8));
    files::WriteFile(temp / "model.pt", bytes);
    absl::StatusOr<Contents> contents = OpenTorchModel(temp.path(), "");
    if (!contents.ok()) {
      EXPECT_NE(contents.status().code(), absl::StatusCode::kUnavailable);
      continue;
    }
    for (const StoredTensor& tensor : contents->tensors) {
      std::string out(1 << 16, '\0');
      const int64_t rows = tensor.shape.empty() ? 1 : tensor.shape[0];
      int64_t count = 1;
      for (int64_t size : tensor.shape) count *= size;
      ASSERT_LE(count * tensor.dtype->bits / 8, 1 << 16);
      absl::Status status = ReadRows(*contents, tensor, {0, rows}, out.data());
      EXPECT_TRUE(status.ok() || absl::IsUnimplemented(status)) << status;
    }
  }
}

}  // namespace
}  // namespace sinkwatch::checkpoint
