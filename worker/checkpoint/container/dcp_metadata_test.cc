#include "worker/checkpoint/container/dcp_metadata.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "worker/checkpoint/container/dcp_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

using dcp_bytes::Call;
using dcp_bytes::Chunk;
using dcp_bytes::Dict;
using dcp_bytes::Global;
using dcp_bytes::Index;
using dcp_bytes::Int;
using dcp_bytes::Layout;
using dcp_bytes::List;
using dcp_bytes::Metadata;
using dcp_bytes::None;
using dcp_bytes::Place;
using dcp_bytes::Properties;
using dcp_bytes::Size;
using dcp_bytes::Str;
using dcp_bytes::Tensor;
using dcp_bytes::Tuple;

constexpr auto kIncomplete = absl::StatusCode::kFailedPrecondition;
constexpr auto kCorrupt = absl::StatusCode::kDataLoss;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;

const std::string kFloat32 = Global("torch", "float32");
const std::string kPlace = Place("__0_0.distcp", 10, 2000);

// One tensor "model.w" [4,3] in rows 0..1 and 2..3.
Metadata TwoChunks() {
  Metadata metadata;
  metadata.tensors = {
      {Str("model.w"), Tensor({4, 3}, {Chunk({0, 0}, {2, 3}),  //
                                       Chunk({2, 0}, {2, 3})})}};
  metadata.storage = {
      {Index("model.w", Size({2, 0})), Place("__1_0.distcp", 0, 1500)},
      {Index("model.w", Size({0, 0})), kPlace}};
  return metadata;
}

absl::StatusOr<DcpMetadata> Parse(const Metadata& metadata,
                                  DcpKeys keys = DcpKeys::kBelowModel) {
  return ParseDcpMetadata(metadata.Bytes(), keys);
}

std::vector<std::string> NamesOf(const absl::StatusOr<DcpMetadata>& metadata) {
  EXPECT_TRUE(metadata.ok()) << metadata.status();
  std::vector<std::string> names;
  if (!metadata.ok()) return names;
  for (const auto& tensor : metadata->tensors) names.push_back(tensor.name);
  return names;
}
using Names = std::vector<std::string>;

TEST(DcpMetadataTest, ChunksAreFoundByTheirOffset) {
  const auto metadata = Parse(TwoChunks());
  ASSERT_TRUE(metadata.ok()) << metadata.status();
  ASSERT_EQ(metadata->tensors.size(), 1u);
  const StoredTensor& w = metadata->tensors[0];
  EXPECT_EQ(w.name, "w");
  EXPECT_EQ(w.dtype, FindDtype("F32"));
  EXPECT_EQ(w.shape, (std::vector<int64_t>{4, 3}));
  ASSERT_EQ(w.pieces.size(), 2u);
  EXPECT_EQ(w.pieces[0].start, (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(metadata->files[w.pieces[0].file], "__0_0.distcp");
  EXPECT_EQ(w.pieces[0].offset, 10);
  EXPECT_EQ(w.pieces[0].archive_bytes, 2000);
  EXPECT_EQ(w.pieces[1].start, (std::vector<int64_t>{2, 0}));
  EXPECT_EQ(metadata->files[w.pieces[1].file], "__1_0.distcp");
}

TEST(DcpMetadataTest, OffsetsAbove4GiBAreRead) {
  Metadata metadata;
  metadata.Add("model.w", {2}, Place("a.distcp", int64_t{5} << 32, 1000));
  const auto parsed = Parse(metadata);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->tensors[0].pieces[0].offset, int64_t{5} << 32);
}

TEST(DcpMetadataTest, EachSpellingOfAClassIsRead) {
  const std::string bytes = TwoChunks().Bytes();
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = bytes;
    for (size_t at = 0; (at = changed.find(from, at)) != std::string::npos;
         at += to.size()) {
      changed.replace(at, from.size(), to);
    }
    EXPECT_NE(changed, bytes);
    return NamesOf(ParseDcpMetadata(changed, DcpKeys::kBelowModel));
  };
  EXPECT_EQ(with("torch.distributed.checkpoint.filesystem",
                 "olmo_core.distributed.checkpoint.filesystem"),
            Names{"w"});
  EXPECT_EQ(with("torch.distributed.checkpoint.filesystem",
                 "torch.distributed._shard.checkpoint.filesystem"),
            Names{"w"});
  EXPECT_EQ(with("ctorch.distributed.checkpoint.metadata\nMetadataIndex",
                 "ctorch.distributed._shard.checkpoint.metadata\n"
                 "MetadataIndex"),
            Names{"w"});
  EXPECT_EQ(with("ctorch.distributed.checkpoint.metadata\nTensorProperties",
                 "ctorch.distributed._shard.sharded_tensor.metadata\n"
                 "TensorProperties"),
            Names{"w"});
  EXPECT_EQ(with("ctorch.distributed.checkpoint.metadata\nMetadata\n",
                 "cmegatron.core.dist_checkpointing.strategies.torch\n"
                 "MCoreMetadata\n"),
            Names{"w"});
}

// Which keys are weights.

TEST(DcpMetadataTest, OfOLMoCoreOnlyWhatIsBelowModelIsKept) {
  Metadata metadata;
  metadata.Add("model.w", {2}, kPlace)
      .Add("optim.state.w.exp_avg", {2}, kPlace)
      .Add("w", {2}, kPlace);
  EXPECT_EQ(NamesOf(Parse(metadata)), Names{"w"});
  EXPECT_EQ(metadata.tensors.size(), 3u);
}

TEST(DcpMetadataTest, AtTopLevelThePartsOfATrainerAreLeftOut) {
  Metadata metadata;
  metadata.Add("norm.weight", {2}, kPlace)
      .Add("optimizer.state.norm.weight.exp_avg", {2}, kPlace)
      .Add("train_state.step", {}, kPlace)
      .Add("dataloader.x", {2}, kPlace)
      .Add("lr_scheduler.x", {2}, kPlace);
  metadata.tensors.push_back({Str("extra"), dcp_bytes::BytesEntry()});
  EXPECT_EQ(NamesOf(Parse(metadata, DcpKeys::kTopLevel)), Names{"norm.weight"});
}

TEST(DcpMetadataTest, PlannerDataTellsADictNamedModelFromAName) {
  const auto with_path = [](const std::vector<std::string>& path) {
    Metadata metadata;
    metadata.Add("model.norm.weight", {2}, kPlace);
    metadata.planner_data = Dict({{Str("model.norm.weight"), Tuple(path)}});
    return NamesOf(Parse(metadata, DcpKeys::kTopLevel));
  };
  EXPECT_EQ(with_path({Str("model"), Str("norm.weight")}),
            Names{"norm.weight"});
  EXPECT_EQ(with_path({Str("model.norm.weight")}), Names{"model.norm.weight"});
}

TEST(DcpMetadataTest, WithoutPlannerDataAPrefixCountsIfAllHaveIt) {
  Metadata metadata;
  metadata.Add("model.norm.weight", {2}, kPlace).Add("optim.x", {2}, kPlace);
  EXPECT_EQ(NamesOf(Parse(metadata, DcpKeys::kTopLevel)), Names{"norm.weight"});
  metadata.Add("lm_head.weight", {2}, kPlace);
  EXPECT_EQ(NamesOf(Parse(metadata, DcpKeys::kTopLevel)),
            (Names{"model.norm.weight", "lm_head.weight"}));
}

TEST(DcpMetadataTest, ChunksAndTensorsWithoutElementsAreLeftOut) {
  Metadata metadata = TwoChunks();
  metadata.tensors[0].second = Tensor(
      {4, 3},
      {Chunk({0, 0}, {2, 3}), Chunk({2, 0}, {2, 3}), Chunk({4, 0}, {0, 3})});
  metadata.storage.push_back({Index("model.w", Size({4, 0})), kPlace});
  metadata.Add("model.empty", {0, 3}, kPlace);
  const auto parsed = Parse(metadata);
  EXPECT_EQ(NamesOf(parsed), Names{"w"});
  EXPECT_EQ(parsed->tensors[0].pieces.size(), 2u);
}

TEST(DcpMetadataTest, WhatIsNoWeightMayBeAnything) {
  Metadata metadata = TwoChunks();
  metadata.tensors.push_back({Str("optim.x"), None()});
  metadata.storage.push_back(
      {Index("optim.x", None()), Place("../../etc/passwd", -1, -1)});
  EXPECT_EQ(NamesOf(Parse(metadata)), Names{"w"});
}

// What is refused.

struct BadCase {
  const char* name;
  std::function<void(Metadata&)> spoil;  // of TwoChunks()
  absl::StatusCode code;
  std::vector<std::string> words;
};

void PrintTo(const BadCase& bad, std::ostream* out) { *out << bad.name; }

class BadMetadata : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadMetadata, IsRefused) {
  Metadata metadata = TwoChunks();
  GetParam().spoil(metadata);
  const absl::Status status = Parse(metadata).status();
  files::ExpectError(status, GetParam().code, {});
  for (const std::string& word : GetParam().words) {
    EXPECT_NE(std::string(status.message()).find(word), std::string::npos)
        << "no '" << word << "' in: " << status.message();
  }
}

std::function<void(Metadata&)> WithTensor(const std::string& tensor) {
  return [tensor](Metadata& m) { m.tensors[0].second = tensor; };
}
std::function<void(Metadata&)> WithPlace(const std::string& place) {
  return [place](Metadata& m) { m.storage[1].second = place; };
}
std::function<void(Metadata&)> WithPath(const std::string& path) {
  return WithPlace(Place(path, 10, 2000));
}

std::vector<std::string> Rows(const std::vector<int64_t>& begins,
                              const std::vector<int64_t>& counts) {
  std::vector<std::string> chunks;
  for (size_t i = 0; i < begins.size(); ++i) {
    chunks.push_back(Chunk({begins[i], 0}, {counts[i], 3}));
  }
  return chunks;
}

INSTANTIATE_TEST_SUITE_P(
    Chunks, BadMetadata,
    ::testing::Values(
        BadCase{"Overlap", WithTensor(Tensor({4, 3}, Rows({0, 1}, {2, 2}))),
                kCorrupt, {"model.w", "overlap"}},
        BadCase{"Hole", WithTensor(Tensor({4, 3}, Rows({0, 3}, {2, 1}))),
                kCorrupt, {"model.w", "leave 3 elements out"}},
        BadCase{"Outside", WithTensor(Tensor({4, 3}, Rows({0, 3}, {2, 2}))),
                kCorrupt, {"model.w", "[2,3] at [3,0] leaves the shape [4,3]"}},
        BadCase{"None", WithTensor(Tensor({4, 3}, {})), kCorrupt,
                {"model.w", "leave 12"}},
        BadCase{"Rank", WithTensor(Tensor({4, 3}, {Chunk({0}, {4})})), kCorrupt,
                {"model.w", "another rank"}},
        BadCase{"NoChunk", WithTensor(Tensor({4, 3}, {None()})), kCorrupt,
                {"ChunkStorageMetadata"}},
        BadCase{"Negative",
                WithTensor(Tensor({4, 3}, Rows({-1, 1}, {2, 3}))), kCorrupt,
                {"torch.Size of -1"}},
        BadCase{"Huge", WithTensor(Tensor({int64_t{1} << 47, 3}, {})), kCorrupt,
                {"more than 2^48 bytes"}},
        BadCase{"Overflow",
                WithTensor(Tensor({1 << 30, 1 << 30, 1 << 30, 1 << 30}, {})),
                kCorrupt, {"more than 2^48 bytes"}},
        BadCase{"TooManyDimensions",
                WithTensor(Tensor({1, 1, 1, 1, 1, 1, 1, 1, 1}, {})),
                kUnsupported, {"rank 9"}},
        BadCase{"LongName",
                [](Metadata& m) {
                  m.Add(absl::StrCat("model.", std::string(513, 'x')), {2},
                        kPlace);
                },
                kUnsupported, {"name of 513 bytes"}},
        BadCase{"NoName", [](Metadata& m) { m.Add("model.", {2}, kPlace); },
                kCorrupt, {"without a name"}}));

INSTANTIATE_TEST_SUITE_P(
    Properties, BadMetadata,
    ::testing::Values(
        BadCase{"Layout",
                WithTensor(Tensor(
                    {1}, {}, Properties(kFloat32, Layout("torch.sparse_coo")))),
                kUnsupported,
                {"model.w", "torch.sparse_coo"}},
        BadCase{"NoLayout",
                WithTensor(Tensor({1}, {}, Properties(kFloat32, None()))),
                kCorrupt,
                {"no layout"}},
        BadCase{"NoDtype",
                WithTensor(Tensor({1}, {}, Properties(Str("float32")))),
                kCorrupt,
                {"dtype is a string"}},
        BadCase{
            "UnknownDtype",
            WithTensor(Tensor({1}, {}, Properties(Global("torch", "quint8")))),
            kUnsupported,
            {"torch.quint8"}},
        BadCase{"NoProperties",
                WithTensor(Tensor({1}, {}, None())),
                kCorrupt,
                {"TensorProperties"}},
        BadCase{"NoTensor",
                WithTensor(None()),
                kCorrupt,
                {"model.w", "TensorStorageMetadata"}}));

INSTANTIATE_TEST_SUITE_P(
    Places, BadMetadata,
    ::testing::Values(
        BadCase{"Parent",
                WithPath("../__0_0.distcp"),
                kCorrupt,
                {"model.w", "../__0_0.distcp", "bare"}},
        BadCase{"Absolute", WithPath("/etc/x.distcp"), kCorrupt, {"bare"}},
        BadCase{"Dots", WithPath(".."), kCorrupt, {"bare"}},
        BadCase{
            "Nul", WithPath(std::string("a\0.distcp", 9)), kCorrupt, {"bare"}},
        BadCase{"Empty", WithPath(""), kCorrupt, {"bare"}},
        BadCase{"Safetensors",
                WithPath("__0_0.safetensors"),
                kUnsupported,
                {"only in .distcp"}},
        BadCase{"NegativeOffset",
                WithPlace(Place("a.distcp", -1, 2000)),
                kCorrupt,
                {"offset -1"}},
        BadCase{"NegativeLength",
                WithPlace(Place("a.distcp", 0, -2000)),
                kCorrupt,
                {"length -2000"}},
        BadCase{"SumOverflows",
                WithPlace(Place("a.distcp", INT64_MAX, INT64_MAX)),
                kCorrupt,
                {"no place"}},
        BadCase{"TooShort",
                WithPlace(Place("a.distcp", 0, 24)),
                kCorrupt,
                {"length 24 is too short for a chunk of 24 bytes"}},
        BadCase{"Transformed",
                WithPlace(Place("a.distcp", 0, 2000, List({Str("zstd")}))),
                kUnsupported,
                {"transform_descriptors"}},
        BadCase{"TransformedByAString",
                WithPlace(Place("a.distcp", 0, 2000, Str("zstd"))),
                kUnsupported,
                {"transform_descriptors"}},
        BadCase{"NoPlace", WithPlace(None()), kCorrupt, {"_StorageInfo"}},
        BadCase{"NoStorage",
                [](Metadata& m) { m.storage.pop_back(); },
                kCorrupt,
                {"'w'", "the chunk at [0,0] is stored nowhere"}},
        BadCase{"OtherOffset",
                [](Metadata& m) {
                  m.storage[1].first = Index("model.w", Size({1, 0}));
                },
                kCorrupt,
                {"stored nowhere"}},
        BadCase{"Twice",
                [](Metadata& m) { m.storage.push_back(m.storage[0]); },
                kCorrupt,
                {"the chunk at [2,0] is stored twice"}},
        BadCase{"NoIndex",
                [](Metadata& m) {
                  m.storage.push_back({Int(1), kPlace});
                },
                kCorrupt,
                {"MetadataIndex"}}));

INSTANTIATE_TEST_SUITE_P(
    Whole, BadMetadata,
    ::testing::Values(
        BadCase{"NoWeights",
                [](Metadata& m) { m.tensors[0].first = Str("optim.w"); },
                kUnsupported,
                {"no tensor", "model."}},
        BadCase{"KeyTwice",
                [](Metadata& m) { m.tensors.push_back(m.tensors[0]); },
                kCorrupt,
                {"model.w"}},
        BadCase{"CallsSystem",
                [](Metadata& m) {
                  m.planner_data =
                      Call(Global("posix", "system"), {Str("true")});
                },
                kUnsupported,
                {"posix", "system"}},
        BadCase{"CallsEval",
                [](Metadata& m) {
                  m.planner_data = Call(Global("builtins", "eval"), {Str("1")});
                },
                kUnsupported,
                {"builtins", "eval"}},
        BadCase{"ShardedTensor",
                WithTensor(Call(Global("torch.distributed._shard.sharded_"
                                       "tensor.api",
                                       "ShardedTensor"),
                                {})),
                kUnsupported,
                {"ShardedTensor"}}));

TEST(DcpMetadataTest, WhatEndsTooEarlyIsIncomplete) {
  const std::string bytes = TwoChunks().Bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    files::ExpectError(
        ParseDcpMetadata(bytes.substr(0, size), DcpKeys::kBelowModel).status(),
        kIncomplete, {});
  }
}

TEST(DcpMetadataTest, AnotherPickleIsNoMetadata) {
  for (const std::string& body :
       {None(), Dict({}), Str("x"), dcp_bytes::Dataclass("Metadata", {}),
        dcp_bytes::Dataclass("Metadata", {{"state_dict_metadata", None()}}),
        dcp_bytes::Dataclass("StorageMeta", {})}) {
    files::ExpectError(
        ParseDcpMetadata("\x80\x02" + body + ".", DcpKeys::kTopLevel).status(),
        kCorrupt, {});
  }
}

}  // namespace
}  // namespace sinkwatch::checkpoint
