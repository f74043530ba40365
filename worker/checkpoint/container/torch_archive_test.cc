#include "worker/checkpoint/container/torch_archive.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/container/torch_pickle_testing.h"
#include "worker/checkpoint/container/zip_testing.h"
#include "worker/files/file.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr absl::StatusCode kCorrupt = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnsupported = absl::StatusCode::kUnimplemented;
constexpr int64_t kMax = 0x7fffffffffffffff;

absl::StatusOr<std::vector<ArchivedTensor>> ReadArchive(
    const ZipMembers& members) {
  base::TempFolder temp;
  files::WriteFile(temp / "model.pt", MakeZip(members).bytes);
  auto file = files::File::Open(temp / "model.pt");
  EXPECT_TRUE(file.ok()) << file.status();
  return ReadTorchArchive({file->get(), 0, (*file)->size()});
}

absl::StatusOr<std::vector<ArchivedTensor>> ReadOne(
    const PickledTensor& tensor) {
  return ReadArchive(ArchiveMembers(PickledDict(tensor.Bytes())));
}

TEST(TorchArchive, AViewIsWhereItsStorageAndOffsetSay) {
  PickledTensor tensor;
  tensor.offset = PickledInt(1);
  tensor.sizes = PickledTuple({3});
  tensor.strides = PickledTuple({2});
  const ZipMembers members = ArchiveMembers(PickledDict(tensor.Bytes()));
  auto tensors = ReadArchive(members);
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  ASSERT_EQ(tensors->size(), 1u);
  const ArchivedTensor& found = (*tensors)[0];
  EXPECT_EQ(found.name, "w");
  EXPECT_EQ(found.dtype, FindDtype("F32"));
  EXPECT_EQ(found.sizes, (std::vector<int64_t>{3}));
  EXPECT_EQ(found.strides, (std::vector<int64_t>{2}));
  const size_t storage = MakeZip(members).bytes.find(std::string(24, '\1'));
  EXPECT_EQ(found.offset, static_cast<int64_t>(storage) + 4);
}

// As in a .distcp file, where archives follow one another.
TEST(TorchArchive, OneTensorIsReadFromASlice) {
  const auto tensor_file =
      files::File::Open("worker/checkpoint/testdata/torch/one_tensor.pt");
  ASSERT_TRUE(tensor_file.ok()) << tensor_file.status();
  const std::string bytes =
      files::ReadFile("worker/checkpoint/testdata/torch/one_tensor.pt");
  auto alone = ReadTorchTensor({tensor_file->get(), 0, (*tensor_file)->size()});
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_EQ(alone->sizes, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(alone->strides, (std::vector<int64_t>{1, 3}));

  base::TempFolder temp;
  const std::string other =
      MakeZip(ArchiveMembers(PickledDict(PickledTensor().Bytes()))).bytes;
  files::WriteFile(temp / "__0_0.distcp", other + bytes + other);
  const auto file = files::File::Open(temp / "__0_0.distcp");
  const int64_t begin = other.size();
  const int64_t length = bytes.size();
  auto sliced = ReadTorchTensor({file->get(), begin, length});
  ASSERT_TRUE(sliced.ok()) << sliced.status();
  EXPECT_EQ(sliced->offset, alone->offset + begin);
  EXPECT_EQ(sliced->strides, alone->strides);
  files::ExpectError(
      ReadTorchTensor({file->get(), 0, begin}).status(), kCorrupt,
      {"__0_0.distcp: archive at byte 0: ", "a dict, not a tensor"});
  files::ExpectError(ReadTorchArchive({file->get(), begin, length}).status(),
                     kUnsupported, {"not a dict of tensors"});
}

struct BadTensor {
  const char* name;
  PickledTensor tensor;
  absl::StatusCode code;
  std::string words;
};

class BadTensorTest : public ::testing::TestWithParam<BadTensor> {};

TEST_P(BadTensorTest, IsRefused) {
  files::ExpectError(ReadOne(GetParam().tensor).status(), GetParam().code,
                     {"model.pt: ", "'w'", GetParam().words});
}

template <typename Change>
PickledTensor With(Change change) {
  PickledTensor tensor;
  change(tensor);
  return tensor;
}
PickledTensor View(int64_t offset, const std::vector<int64_t>& sizes,
                   const std::vector<int64_t>& strides) {
  return With([&](PickledTensor& t) {
    t.offset = PickledInt(offset);
    t.sizes = PickledTuple(sizes);
    t.strides = PickledTuple(strides);
  });
}
PickledTensor Count(int64_t count) {
  return With([&](PickledTensor& t) { t.count = PickledInt(count); });
}
PickledTensor Sizes(const std::string& sizes) {
  return With([&](PickledTensor& t) { t.sizes = sizes; });
}
PickledTensor Key(const std::string& key) {
  return With([&](PickledTensor& t) { t.key = key; });
}
PickledTensor Type(const std::string& type) {
  return With([&](PickledTensor& t) { t.type = type; });
}

const char kArguments[] = "not the arguments that rebuild a tensor";

INSTANTIATE_TEST_SUITE_P(
    Views, BadTensorTest,
    ::testing::Values(
        BadTensor{"BeyondTheStorage", View(1, {2, 3}, {3, 1}), kCorrupt,
                  "from element 1 reach element 6 of a storage of 6"},
        BadTensor{"OffsetBeyondTheStorage", View(7, {0}, {1}), kCorrupt,
                  "of a storage of 6"},
        BadTensor{"StrideBeyondTheStorage", View(0, {2}, {6}), kCorrupt,
                  "reach element 6"},
        BadTensor{"CountOverflows", View(0, {kMax, 3}, {0, 0}), kCorrupt,
                  "overflow"},
        BadTensor{"CountOverflowsBeforeAZero",
                  View(0, {kMax, kMax, 0}, {0, 0, 0}), kCorrupt, "overflow"},
        BadTensor{"CountOverflowsAfterAZero",
                  View(0, {0, kMax, kMax}, {0, 0, 0}), kCorrupt, "overflow"},
        BadTensor{"StrideOverflows", View(0, {3}, {kMax}), kCorrupt,
                  "overflow"},
        BadTensor{"ReachOverflows", View(5, {2, 2}, {kMax - 3, kMax - 3}),
                  kCorrupt, "overflow"},
        BadTensor{"OffsetOverflows", View(kMax, {1}, {1}), kCorrupt,
                  "overflow"},
        BadTensor{"NegativeOffset", View(-1, {2, 3}, {3, 1}), kCorrupt,
                  kArguments},
        BadTensor{"NegativeSize", View(0, {-2}, {1}), kCorrupt,
                  "not negative, one is the integer -2"},
        BadTensor{"NegativeStride", View(5, {6}, {-1}), kCorrupt,
                  "not negative"},
        BadTensor{"FewerStrides", View(0, {2, 3}, {1}), kCorrupt,
                  "2 sizes, 1 strides"},
        BadTensor{"Repeated", View(0, {1 << 20}, {0}), kUnsupported,
                  "repeats elements: it has 1048576, its storage 6"},
        BadTensor{
            "RankNine",
            View(0, std::vector<int64_t>(9, 1), std::vector<int64_t>(9, 1)),
            kUnsupported, "rank 9"},
        BadTensor{"SizesAreAString", Sizes(PickledString("x")), kCorrupt,
                  "must be tuples"},
        BadTensor{"SizeIsAString", Sizes("(" + PickledString("x") + "t"),
                  kCorrupt, "must be integers"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Storages, BadTensorTest,
    ::testing::Values(
        BadTensor{"FewerElementsThanBytes", Count(5), kCorrupt,
                  "'0' has 24 bytes, not 5 elements of 4"},
        BadTensor{"MoreElementsThanBytes", Count(7), kCorrupt, "not 7"},
        BadTensor{"NegativeCount", Count(-6), kCorrupt, "not -6"},
        BadTensor{"CountOverflowsBytes", Count((kMax >> 2) + 7), kCorrupt,
                  "24 bytes"},
        BadTensor{"AnotherType", Type("torch\nDoubleStorage"), kCorrupt,
                  "not 6 elements of 8"},
        BadTensor{"NoStorageType", Type("torch\nfloat32"), kCorrupt,
                  "global torch.float32 is no type of storage"},
        BadTensor{"NoDtype", With([](PickledTensor& t) {
                    t.type = "torch.storage\nUntypedStorage";
                    t.count = PickledInt(24);
                  }),
                  kCorrupt, "without a dtype"},
        BadTensor{"MissingKey", Key(PickledString("1")), kCorrupt,
                  "its storage '1' is not in the archive"},
        BadTensor{"KeyOfAnotherFolder", Key(PickledString("../byteorder")),
                  kCorrupt, "is not in the archive"},
        BadTensor{"KeyIsANumber", Key(PickledInt(0)), kCorrupt,
                  "not the persistent id of a storage"}),
    [](const auto& info) { return info.param.name; });

PickledTensor More(const std::string& function, const std::string& more) {
  return With([&](PickledTensor& t) {
    t.function = function;
    t.more = more;
  });
}

INSTANTIATE_TEST_SUITE_P(
    Calls, BadTensorTest,
    ::testing::Values(
        BadTensor{
            "Flags",
            More("_rebuild_tensor_v2", "}" + PickledString("neg") + "\x88s"),
            kUnsupported, "a tensor with flags"},
        BadTensor{"FlagsAreNoDict", More("_rebuild_tensor_v2", "\x88"),
                  kUnsupported, "a tensor with flags"},
        BadTensor{"TooManyArguments", More("_rebuild_tensor_v2", "}}"),
                  kCorrupt, kArguments},
        BadTensor{"V3WithoutDtype", More("_rebuild_tensor_v3", ""), kCorrupt,
                  kArguments},
        BadTensor{"V3OfNone", More("_rebuild_tensor_v3", "N"), kCorrupt,
                  "its dtype is none"},
        BadTensor{"ParameterOfAStorage", More("_rebuild_parameter", ""),
                  kCorrupt, kArguments}),
    [](const auto& info) { return info.param.name; });

TEST(TorchArchive, AStorageIsAPersistentIdAndNothingElse) {
  const PickledTensor tensor;
  for (const std::string& storage :
       {PickledInt(0), PickledString("storage"), std::string("(tQ"),
        std::string("N"), "(" + PickledString("module") + "NNNNtQ"}) {
    files::ExpectError(
        ReadArchive(ArchiveMembers(PickledDict(tensor.BytesOn(storage))))
            .status(),
        kCorrupt, {"tensor 'w': not the persistent id of a storage"});
  }
}

TEST(TorchArchive, WrappersDoNotNestForever) {
  std::string call = PickledTensor().Bytes();
  const std::string from_type = "ctorch._tensor\n_rebuild_from_type_v2\n";
  call = from_type + "(" + from_type + "ctorch\nTensor\n(tNtR";
  files::ExpectError(ReadArchive(ArchiveMembers(PickledDict(call))).status(),
                     kCorrupt, {kArguments});
}

struct BadArchive {
  const char* name;
  ZipMembers members;
  absl::StatusCode code;
  std::string words;
};

class BadArchiveTest : public ::testing::TestWithParam<BadArchive> {};

TEST_P(BadArchiveTest, IsRefused) {
  files::ExpectError(ReadArchive(GetParam().members).status(), GetParam().code,
                     {"model.pt: ", GetParam().words});
}

ZipMembers Good() {
  return ArchiveMembers(PickledDict(PickledTensor().Bytes()));
}
ZipMembers GoodAnd(const std::string& name, const std::string& bytes) {
  ZipMembers members = Good();
  members.push_back({name, bytes});
  return members;
}
std::string TwoOf(const std::string& key_a, const std::string& value_a,
                  const std::string& key_b, const std::string& value_b) {
  return "\x80\x02}(" + key_a + value_a + key_b + value_b + "u.";
}

INSTANTIATE_TEST_SUITE_P(
    Archives, BadArchiveTest,
    ::testing::Values(
        BadArchive{"TwoPickles", GoodAnd("other/data.pkl", "N."), kCorrupt,
                   "two pickles: 'archive' and 'other'"},
        BadArchive{
            "NoPickle", {{"a/b", "x"}}, kUnsupported, "without data.pkl"},
        BadArchive{"PickleInNoFolder",
                   {{"data.pkl", "x"}},
                   kUnsupported,
                   "without data.pkl"},
        BadArchive{"PickleDeeper",
                   {{"a/b/data.pkl", "x"}},
                   kUnsupported,
                   "without data.pkl"},
        BadArchive{"TorchScript", GoodAnd("archive/constants.pkl", "x"),
                   kUnsupported, "TorchScript"},
        BadArchive{"BigEndian",
                   {{"a/data.pkl", "x"}, {"a/byteorder", "big"}},
                   kUnsupported,
                   "byte order 'big'"},
        BadArchive{"LongByteOrder",
                   {{"a/data.pkl", "x"}, {"a/byteorder", std::string(17, 'x')}},
                   kUnsupported,
                   "17 bytes"},
        // The archive says how long it is, so this is no half of it.
        BadArchive{"PickleEndsEarly", ArchiveMembers("\x80\x02}"), kCorrupt,
                   "'archive/data.pkl': incomplete: ends at byte 3"},
        BadArchive{"PickleTrails", ArchiveMembers("\x80\x02}.x"), kCorrupt,
                   "byte 3: STOP: 1 trailing"},
        BadArchive{"RootIsAList", ArchiveMembers("\x80\x02]."), kUnsupported,
                   "holds a list"},
        BadArchive{
            "NameTwice",
            ArchiveMembers(TwoOf(PickledString("a.b"), PickledTensor().Bytes(),
                                 PickledString("a"),
                                 "}" + PickledString("b") +
                                     PickledTensor().Bytes() + "s")),
            kCorrupt, "tensor 'a.b': is there twice"},
        BadArchive{
            "NameIsNone",
            ArchiveMembers("\x80\x02}N" + PickledTensor().Bytes() + "s."),
            kUnsupported, "has the key None"},
        BadArchive{
            "LongName",
            ArchiveMembers("\x80\x02}" + PickledString(std::string(513, 'n')) +
                           PickledTensor().Bytes() + "s."),
            kUnsupported, "name of 513 bytes, above 512"}),
    [](const auto& info) { return info.param.name; });

// What is beside a model is never looked at, whatever is wrong with it.
TEST(TorchArchive, OfATrainersCheckpointTheModelIsRead) {
  PickledTensor broken;
  broken.key = PickledString("no such storage");
  const std::string model =
      "}" + PickledString("w") + PickledTensor().Bytes() + "s";
  const std::string optimizer =
      "}" + PickledString("exp_avg") + broken.Bytes() + "s";
  for (const char* key :
       {"model", "state_dict", "model_state_dict", "model_state"}) {
    auto tensors = ReadArchive(ArchiveMembers(TwoOf(
        PickledString("optimizer"), optimizer, PickledString(key), model)));
    ASSERT_TRUE(tensors.ok()) << tensors.status();
    ASSERT_EQ(tensors->size(), 1u) << key;
    EXPECT_EQ((*tensors)[0].name, "w");
  }
  // A model of a tensor beside it is a part like others.
  auto tensors = ReadArchive(
      ArchiveMembers(TwoOf(PickledString("model"), model, PickledString("head"),
                           PickledTensor().Bytes())));
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  EXPECT_EQ((*tensors)[0].name, "model.w");
  EXPECT_EQ((*tensors)[1].name, "head");
}

}  // namespace
}  // namespace sinkwatch::checkpoint
