#include "worker/checkpoint/checkpoint.h"

#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/ops/arange.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/equal.h"
#include "ATen/ops/full.h"
#include "ATen/ops/ones.h"
#include "ATen/ops/zeros.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/container/safetensors_testing.h"
#include "worker/checkpoint/writer.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr auto kIncomplete = absl::StatusCode::kFailedPrecondition;
constexpr auto kCorrupt = absl::StatusCode::kDataLoss;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;
constexpr auto kVanished = absl::StatusCode::kNotFound;
constexpr char kStories[] = "tests/data/stories260K";

const nlohmann::json& ToyConfig() {
  static const auto* config = new nlohmann::json({{"model_type", "llama"}});
  return *config;
}

std::string WriteToy(const base::TempFolder& temp,
                     const std::map<std::string, at::Tensor>& tensors) {
  const std::string folder = temp / "step1";
  EXPECT_TRUE(WriteCheckpoint(folder, ToyConfig(), tensors).ok());
  return folder;
}

std::string WriteToy(const base::TempFolder& temp) {
  return WriteToy(temp, {{"a", at::arange(6, at::kFloat).reshape({2, 3})},
                         {"b", at::ones({4}, at::kFloat)}});
}

absl::Status OpenStatus(const std::string& folder) {
  return Checkpoint::Open(folder).status();
}

TEST(CheckpointTest, ARealCheckpointIsListedAndRead) {
  auto checkpoint = Checkpoint::Open(kStories);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->config().json().at("architectures").at(0),
            "LlamaForCausalLM");
  EXPECT_EQ((*checkpoint)->tensors().size(), 47u);
  const TensorInfo* q =
      (*checkpoint)->Find("model.layers.0.self_attn.q_proj.weight");
  ASSERT_NE(q, nullptr);
  EXPECT_EQ(q->dtype, at::kFloat);
  EXPECT_EQ(q->shape, (std::vector<int64_t>{64, 64}));
  EXPECT_EQ((*checkpoint)->Find("model.layers.5.self_attn.q_proj.weight"),
            nullptr);
  for (const TensorInfo& tensor : (*checkpoint)->tensors()) {
    auto read = (*checkpoint)->ReadTensor(tensor.name, tensor.shape);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->sizes(), at::IntArrayRef(tensor.shape));
  }
  EXPECT_TRUE((*checkpoint)->CheckUnchanged().ok());
}

TEST(CheckpointTest, TensorsComeAsTheyWereWritten) {
  base::TempFolder temp;
  auto checkpoint = Checkpoint::Open(WriteToy(temp));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  auto a = (*checkpoint)->ReadTensor("a", {2, 3});
  ASSERT_TRUE(a.ok()) << a.status();
  EXPECT_TRUE(at::equal(*a, at::arange(6, at::kFloat).reshape({2, 3})));
  EXPECT_TRUE(a->is_contiguous());
}

TEST(CheckpointTest, EachReadableDtypeIsExact) {
  base::TempFolder temp;
  // 1/3 rounds differently in each; the bits must be those of the file.
  const std::string folder = WriteToy(temp);
  const std::string f64("\x55\x55\x55\x55\x55\x55\xd5\x3f", 8);
  const std::string f32("\xab\xaa\xaa\x3e", 4);
  const std::string bf16("\xab\x3e", 2);
  const std::string f16("\x55\x35", 2);
  const std::string header =
      R"({"f64":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
      R"("f32":{"dtype":"F32","shape":[],"data_offsets":[8,12]},)"
      R"("bf16":{"dtype":"BF16","shape":[1,1],"data_offsets":[12,14]},)"
      R"("f16":{"dtype":"F16","shape":[1],"data_offsets":[14,16]},)"
      R"("none":{"dtype":"F32","shape":[0,7],"data_offsets":[16,16]}})";
  files::WriteFile(folder + "/model.safetensors",
                   SafetensorsBytes(header, f64 + f32 + bf16 + f16));
  auto opened = Checkpoint::Open(folder);
  ASSERT_TRUE(opened.ok()) << opened.status();
  Checkpoint& checkpoint = **opened;
  EXPECT_EQ(checkpoint.ReadTensor("f64", {1})->item<double>(), 1.0 / 3);
  EXPECT_EQ(checkpoint.ReadTensor("f32", {})->item<float>(), 1.0f / 3);
  auto bf16_tensor = checkpoint.ReadTensor("bf16", {1, 1});
  EXPECT_EQ(bf16_tensor->scalar_type(), at::kBFloat16);
  EXPECT_EQ(bf16_tensor->item<double>(), 0x1.56p-2);
  EXPECT_EQ(checkpoint.ReadTensor("f16", {1})->item<double>(), 0x1.554p-2);
  EXPECT_EQ(checkpoint.ReadTensor("none", {0, 7})->numel(), 0);
}

TEST(CheckpointTest, DataNeedNotBeAligned) {
  base::TempFolder temp;
  const std::string folder = WriteToy(temp);
  // The header has an odd number of bytes, and so has what precedes `x`.
  std::string header =
      R"({"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
      R"("x":{"dtype":"F32","shape":[2],"data_offsets":[3,11]}})";
  if (header.size() % 2 == 0) header += " ";
  const float values[] = {1.5f, -2.25f};
  files::WriteFile(
      folder + "/model.safetensors",
      SafetensorsBytes(
          header, "abc" + std::string(reinterpret_cast<const char*>(values),
                                      sizeof(values))));
  auto checkpoint = Checkpoint::Open(folder);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  auto x = (*checkpoint)->ReadTensor("x", {2});
  ASSERT_TRUE(x.ok()) << x.status();
  EXPECT_EQ((*x)[0].item<float>(), 1.5f);
  EXPECT_EQ((*x)[1].item<float>(), -2.25f);
}

TEST(CheckpointTest, ATensorOfAnotherDtypeIsListedAndNotRead) {
  base::TempFolder temp;
  const std::string folder = WriteToy(temp);
  const std::string header =
      R"({"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
      R"("s":{"dtype":"F8_E8M0","shape":[8],"data_offsets":[8,16]}})";
  files::WriteFile(folder + "/model.safetensors",
                   SafetensorsBytes(header, std::string(16, '\0')));
  auto checkpoint = Checkpoint::Open(folder);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->Find("i")->dtype, at::kLong);
  EXPECT_EQ((*checkpoint)->Find("s")->dtype, at::ScalarType::Undefined);
  files::ExpectError((*checkpoint)->ReadTensor("i", {1}).status(), kUnsupported,
                     {"model.safetensors", "'i'", "dtype I64"});
  files::ExpectError((*checkpoint)->ReadTensor("s", {8}).status(), kUnsupported,
                     {"model.safetensors", "'s'", "dtype F8_E8M0"});
}

TEST(CheckpointTest, AWrongNameOrShapeIsCorrupt) {
  base::TempFolder temp;
  auto checkpoint = Checkpoint::Open(WriteToy(temp));
  ASSERT_TRUE(checkpoint.ok());
  files::ExpectError((*checkpoint)->ReadTensor("c", {1}).status(), kCorrupt,
                     {"step1", "'c'", "not there"});
  files::ExpectError((*checkpoint)->ReadTensor("a", {3, 2}).status(), kCorrupt,
                     {"model.safetensors", "'a'", "[2,3]", "[3,2]"});
}

TEST(CheckpointTest, AValueThatIsNotFiniteIsNamedByItsPlace) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    for (double value : {nan, infinity, -infinity}) {
      base::TempFolder temp;
      // Long enough for several blocks of the search, the last one short.
      at::Tensor x = at::ones({3, 3333}, type);
      x[2][3000] = value;
      auto checkpoint = Checkpoint::Open(WriteToy(temp, {{"x", x}}));
      ASSERT_TRUE(checkpoint.ok());
      files::ExpectError(
          (*checkpoint)->ReadTensor("x", {3, 3333}).status(), kCorrupt,
          {"model.safetensors", "'x'", "element 9666 ", "not finite"});
    }
  }
}

TEST(CheckpointTest, TheLargestFiniteValuesAreFinite) {
  base::TempFolder temp;
  const std::map<std::string, at::Tensor> tensors = {
      {"f32", at::full({5}, std::numeric_limits<float>::max(), at::kFloat)},
      {"bf16", at::full({5}, 0x1.fep127, at::kBFloat16)},
      {"f16", at::full({5}, -65504.0, at::kHalf)}};
  auto checkpoint = Checkpoint::Open(WriteToy(temp, tensors));
  ASSERT_TRUE(checkpoint.ok());
  for (const auto& [name, tensor] : tensors) {
    auto read = (*checkpoint)->ReadTensor(name, {5});
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(at::equal(*read, tensor));
  }
}

TEST(CheckpointTest, AFolderThatIsNotWholeIsIncomplete) {
  base::TempFolder temp;
  files::ExpectError(OpenStatus(temp.path()), kIncomplete,
                     {temp.path(), "neither model.safetensors"});
  const std::string folder = WriteToy(temp);
  fs::rename(folder + "/config.json", temp / "config.json");
  files::ExpectError(OpenStatus(folder), kIncomplete,
                     {"config.json", "missing"});
  fs::rename(temp / "config.json", folder + "/config.json");
  EXPECT_TRUE(OpenStatus(folder).ok());
  const std::string weights = files::ReadFile(folder + "/model.safetensors");
  for (size_t size : {size_t{0}, size_t{7}, size_t{50}, weights.size() - 1}) {
    fs::resize_file(folder + "/model.safetensors", size);
    files::ExpectError(OpenStatus(folder), kIncomplete, {"model.safetensors"});
  }
}

TEST(CheckpointTest, AMissingFolderHasVanished) {
  base::TempFolder temp;
  files::ExpectError(OpenStatus(temp / "step1"), kVanished,
                     {temp / "step1", "gone"});
}

TEST(CheckpointTest, AFolderThatCannotBeLookedAtIsWorthAnotherTry) {
  base::TempFolder temp;
  const std::string too_long(300, 'x');
  files::ExpectError(OpenStatus(temp / too_long),
                     absl::StatusCode::kUnavailable, {temp.path(), "too long"});
}

TEST(CheckpointTest, AnotherContainerIsNamed) {
  for (const char* other : {"__0.metadata", "model_and_optim/__0.metadata",
                            "rank0.pt", "model/rank0.pt", "consolidated.00.pth",
                            "shard-00002-model-00003-of-00004.safetensors"}) {
    base::TempFolder temp;
    fs::create_directory(temp / "model_and_optim");
    fs::create_directory(temp / "model");
    files::WriteFile(temp / other, "x");
    files::ExpectError(OpenStatus(temp.path()), kUnsupported, {temp / other});
  }
  base::TempFolder temp;
  files::WriteFile(temp / "stories.gguf", "x");
  files::ExpectError(OpenStatus(temp / "stories.gguf"), kUnsupported,
                     {temp / "stories.gguf", "a file"});
}

TEST(CheckpointTest, AnAdapterBesideTheWeightsIsNamed) {
  const base::TempFolder temp;
  const std::string folder = WriteToy(temp);
  files::WriteFile(folder + "/adapter_config.json", "{}");
  files::ExpectError(OpenStatus(folder), kUnsupported,
                     {"adapter_config.json", "merge"});
}

TEST(CheckpointTest, AFlatFileWithoutAConfigBesideItIsIncomplete) {
  base::TempFolder temp;
  files::WriteFile(temp / "stories.pth", "x");
  files::ExpectError(OpenStatus(temp / "stories.pth"), kIncomplete,
                     {temp / "stories.pth", "config.json"});
}

TEST(CheckpointTest, ABinThatTorchWroteIsNotLlama2cs) {
  const std::string from = "tests/data/containers/bin/";
  base::TempFolder temp;
  fs::copy_file(from + "pytorch_model.bin", temp / "pytorch_model_2000.bin");
  files::ExpectError(OpenStatus(temp / "pytorch_model_2000.bin"), kUnsupported,
                     {"torch.save", "model_config"});
  fs::copy_file(from + "config.json", temp / "config.json");
  auto opened = Checkpoint::Open(temp / "pytorch_model_2000.bin");
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ((*opened)->tensors().size(),
            (*Checkpoint::Open(from))->tensors().size());
}

TEST(CheckpointTest, ADcpFolderBeforeItsMetadataIsIncomplete) {
  base::TempFolder temp;
  fs::create_directory(temp / "model_and_optim");
  files::WriteFile(temp / "model_and_optim/__0_0.distcp", "x");
  files::ExpectError(OpenStatus(temp.path()), kIncomplete,
                     {temp / "model_and_optim", ".metadata is not there"});
}

TEST(CheckpointTest, RanksOfATrainerAreOneCheckpoint) {
  auto checkpoint = Checkpoint::Open("tests/data/containers/olmo_core_4_ranks");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  auto whole = (*checkpoint)->ReadTensor("embeddings.weight", {66, 32});
  ASSERT_TRUE(whole.ok()) << whole.status();
  auto rows = (*checkpoint)
                  ->ReadRows("embeddings.weight", {66, 32}, {{16, 2}, {65, 1}});
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_TRUE(at::equal(
      *rows, at::cat({whole->slice(0, 16, 18), whole->slice(0, 65, 66)})));
  EXPECT_TRUE((*checkpoint)->CheckUnchanged().ok());
}

TEST(CheckpointTest, TheSameWeightsInEveryFormOfTorchSaveAreTheSameBits) {
  auto hf = Checkpoint::Open("tests/data/containers/hf");
  ASSERT_TRUE(hf.ok()) << hf.status();
  for (const char* form : {"bin", "bin_sharded"}) {
    auto other = Checkpoint::Open(absl::StrCat("tests/data/containers/", form));
    ASSERT_TRUE(other.ok()) << other.status();
    ASSERT_EQ((*other)->tensors().size(), (*hf)->tensors().size());
    for (const TensorInfo& info : (*hf)->tensors()) {
      auto a = (*hf)->ReadTensor(info.name, info.shape);
      auto b = (*other)->ReadTensor(info.name, info.shape);
      ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
      EXPECT_TRUE(at::equal(*a, *b)) << form << " " << info.name;
    }
    EXPECT_EQ((*other)->ContentDigest(), (*hf)->ContentDigest());
  }
}

TEST(CheckpointTest, AFileOfLlama2cIsACheckpoint) {
  auto file = Checkpoint::Open("tests/data/containers/stories260K.bin");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->config().json().at("architectures").at(0),
            "LlamaForCausalLM");
  auto folder = Checkpoint::Open(kStories);
  ASSERT_TRUE(folder.ok()) << folder.status();
  const std::pair<const char*, const char*> kSame[] = {
      {"tok_embeddings.weight", "model.embed_tokens.weight"},
      {"layers.4.attention.wv.weight",
       "model.layers.4.self_attn.v_proj.weight"},
      {"layers.4.feed_forward.w2.weight",
       "model.layers.4.mlp.down_proj.weight"},
      {"norm.weight", "model.norm.weight"},
  };
  for (const auto& [meta, hf] : kSame) {
    const TensorInfo* info = (*folder)->Find(hf);
    ASSERT_NE(info, nullptr) << hf;
    auto a = (*file)->ReadTensor(meta, info->shape);
    auto b = (*folder)->ReadTensor(hf, info->shape);
    ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
    EXPECT_TRUE(at::equal(*a, *b)) << meta;
  }
}

TEST(CheckpointTest, AFileOfItsOwnIsACheckpointWithAConfigBesideIt) {
  const base::TempFolder temp;
  const std::string from = "tests/data/containers/bin";
  const std::string path = temp / "model_000005.pt";
  fs::copy_file(from + "/pytorch_model.bin", path);
  files::ExpectError(OpenStatus(path), kIncomplete,
                     {path, "meta_000005.json", "config.json"});
  const auto other = Checkpoint::Open(path, from + "/config.json");
  ASSERT_TRUE(other.ok()) << other.status();
  fs::copy_file(from + "/config.json", temp / "config.json");
  const auto file = Checkpoint::Open(path);
  const auto folder = Checkpoint::Open(from);
  ASSERT_TRUE(file.ok() && folder.ok()) << file.status() << folder.status();
  EXPECT_EQ((*file)->config().json(), (*folder)->config().json());
  ASSERT_EQ((*file)->tensors().size(), (*folder)->tensors().size());
  for (const TensorInfo& info : (*folder)->tensors()) {
    ASSERT_TRUE((*file)->ReadTensor(info.name, info.shape).ok());
    ASSERT_TRUE((*folder)->ReadTensor(info.name, info.shape).ok());
  }
  EXPECT_EQ((*file)->ContentDigest(), (*folder)->ContentDigest());
}

// Moves `name` of a checkpoint to `target` and leaves a link in its place.
void Link(const std::string& folder, const std::string& name,
          const std::string& target) {
  fs::create_directories(fs::path(target).parent_path());
  fs::rename(folder + "/" + name, target);
  fs::create_symlink(target, folder + "/" + name);
}

TEST(CheckpointTest, FilesOfTheFolderAroundMayBeLinkedTo) {
  for (const char* name : {"config.json", "model.safetensors"}) {
    base::TempFolder temp;
    const std::string folder = WriteToy(temp);
    Link(folder, name, temp / "shared" + "/file");
    EXPECT_TRUE(OpenStatus(folder).ok()) << name << OpenStatus(folder);
  }
}

TEST(CheckpointTest, ASnapshotsFilesAreInTheBlobsOfItsCache) {
  base::TempFolder temp;
  fs::create_directories(temp / "snapshots");
  const std::string folder = temp / "snapshots/abc";
  fs::rename(WriteToy(temp), folder);
  Link(folder, "config.json", temp / "blobs/1");
  Link(folder, "model.safetensors", temp / "blobs/2");
  EXPECT_TRUE(OpenStatus(folder).ok()) << OpenStatus(folder);
  fs::remove(folder + "/config.json");
  const auto opened = Checkpoint::Open(folder, temp / "blobs/1");
  EXPECT_TRUE(opened.ok()) << opened.status();
}

TEST(CheckpointTest, FilesOfAStepInASnapshotAreInTheBlobsOfItsCache) {
  base::TempFolder temp;
  fs::create_directories(temp / "snapshots/abc/stage1");
  const std::string folder = temp / "snapshots/abc/stage1/step5";
  fs::rename(WriteToy(temp), folder);
  Link(folder, "model.safetensors", temp / "blobs/2");
  // Without refs it is no cache.
  files::ExpectError(OpenStatus(folder), kUnsupported, {"outside of"});
  fs::create_directories(temp / "refs");
  EXPECT_TRUE(OpenStatus(folder).ok()) << OpenStatus(folder);
}

TEST(CheckpointTest, WeightsThatLinkOutOfTheFolderAroundAreNotRead) {
  base::TempFolder temp, other;
  fs::create_directories(temp / "run");
  const std::string folder = temp / "run/step1";
  fs::rename(WriteToy(temp), folder);
  Link(folder, "model.safetensors", other / "secret");
  files::ExpectError(
      OpenStatus(folder), kUnsupported,
      {"step1/model.safetensors: leads to", "secret", "outside of"});
}

TEST(CheckpointTest, TheDigestDependsOnContentAndNotOnOrder) {
  base::TempFolder temp;
  const std::string folder = WriteToy(temp);
  auto forward = *Checkpoint::Open(folder);
  const std::string of_nothing = forward->ContentDigest();
  EXPECT_EQ(of_nothing.size(), 32u);
  ASSERT_TRUE(forward->ReadTensor("a", {2, 3}).ok());
  const std::string of_a = forward->ContentDigest();
  ASSERT_TRUE(forward->ReadTensor("b", {4}).ok());
  const std::string of_both = forward->ContentDigest();
  EXPECT_NE(of_a, of_nothing);
  EXPECT_NE(of_a, of_both);
  auto backward = *Checkpoint::Open(folder);
  ASSERT_TRUE(backward->ReadTensor("b", {4}).ok());
  ASSERT_TRUE(backward->ReadTensor("a", {2, 3}).ok());
  ASSERT_TRUE(backward->ReadTensor("a", {2, 3}).ok());
  EXPECT_EQ(backward->ContentDigest(), of_both);
}

TEST(CheckpointTest, TheDigestIsOfWholesHoweverTheyAreReadAndNotOfPickedRows) {
  base::TempFolder temp;
  const std::string folder = WriteToy(temp);
  auto whole = *Checkpoint::Open(folder);
  const std::string of_nothing = whole->ContentDigest();
  ASSERT_TRUE(whole->ReadRows("a", {2, 3}, {{0, 2}}).ok());
  EXPECT_EQ(whole->ContentDigest(), of_nothing);
  EXPECT_TRUE(whole->TensorDigests().empty());
  ASSERT_TRUE(whole->ReadTensor("a", {2, 3}).ok());
  auto sliced = *Checkpoint::Open(folder);
  ASSERT_TRUE(sliced->ReadSlice("a", {2, 3}, {1, 1}).ok());
  EXPECT_NE(sliced->ContentDigest(), whole->ContentDigest());
  ASSERT_TRUE(sliced->ReadSlice("a", {2, 3}, {0, 1}).ok());
  EXPECT_EQ(sliced->ContentDigest(), whole->ContentDigest());
  ASSERT_EQ(sliced->TensorDigests().size(), 1u);
  EXPECT_EQ(sliced->TensorDigests()[0].name, "a");
  EXPECT_EQ(sliced->TensorDigests()[0].digest,
            whole->TensorDigests()[0].digest);
}

TEST(CheckpointTest, TheDigestTellsNamesAndSingleBitsApart) {
  base::TempFolder temp;
  const at::Tensor x = at::zeros({2}, at::kFloat);
  at::Tensor y = x.clone();
  y[1] = std::numeric_limits<float>::denorm_min();
  int step = 0;
  auto digest = [&](const std::string& name, const at::Tensor& tensor) {
    const std::string folder = temp / absl::StrCat("step", ++step);
    EXPECT_TRUE(WriteCheckpoint(folder, ToyConfig(), {{name, tensor}}).ok());
    auto checkpoint = *Checkpoint::Open(folder);
    EXPECT_TRUE(checkpoint->ReadTensor(name, {2}).ok());
    return checkpoint->ContentDigest();
  };
  EXPECT_EQ(digest("x", x), digest("x", x));
  EXPECT_NE(digest("x", x), digest("x", y));
  EXPECT_NE(digest("x", x), digest("y", x));
}

}  // namespace
}  // namespace sinkwatch::checkpoint
