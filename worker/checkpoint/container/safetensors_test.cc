#include "worker/checkpoint/container/safetensors.h"

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/container/safetensors_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;

// The entry of a tensor `name`, or one that fails the test.
SafetensorsEntry EntryOf(const std::vector<SafetensorsEntry>& entries,
                         const std::string& name) {
  for (const SafetensorsEntry& entry : entries) {
    if (entry.name == name) return entry;
  }
  ADD_FAILURE() << "no tensor " << name;
  return {};
}

TEST(SafetensorsTest, TheReferenceVectorIsRead) {
  base::TempFolder temp;
  const std::string bytes = SafetensorsBytes(kReferenceHeader, Zeros(16));
  ASSERT_EQ(bytes.substr(0, 8), std::string("<\0\0\0\0\0\0\0", 8));
  auto entries = ReadBytes(temp, bytes);
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 1u);
  const SafetensorsEntry& test = entries->front();
  EXPECT_EQ(test.name, "test");
  EXPECT_STREQ(test.dtype->name, "I32");
  EXPECT_EQ(test.shape, (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(test.begin, 68);
  EXPECT_EQ(test.end, 84);
}

TEST(SafetensorsTest, WhiteSpaceAroundTheObjectIsPadding) {
  base::TempFolder temp;
  auto entries = ReadBytes(
      temp, SafetensorsBytes(absl::StrCat("\n \t", kReferenceHeader, "   \r\n"),
                             Zeros(16)));
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ(EntryOf(*entries, "test").begin, 8 + 3 + 60 + 5);
}

TEST(SafetensorsTest, AFileWithoutTensorsIsWhole) {
  base::TempFolder temp;
  auto entries = ReadBytes(
      temp, SafetensorsBytes(R"({"__metadata__":{"format":"pt"}})", ""));
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_TRUE(entries->empty());
}

TEST(SafetensorsTest, ATensorOfRankZeroHasOneElement) {
  base::TempFolder temp;
  auto entries = ReadBytes(temp, OneTensor("", "0,4", 4));
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_TRUE(EntryOf(*entries, "x").shape.empty());
}

TEST(SafetensorsTest, ATensorOfNoElementsMayLieAnywhereInTheCover) {
  base::TempFolder temp;
  // `z` begins where `a` does: it must not count as an overlap, whatever order
  // the text has them in.
  const std::string header = absl::StrCat(
      "{", Entry("a", "F32", "1", "0,4"), ",", Entry("z", "F32", "2,0", "0,0"),
      ",", Entry("end", "F32", "0", "4,4"), "}");
  auto entries = ReadBytes(temp, SafetensorsBytes(header, Zeros(4)));
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ(EntryOf(*entries, "z").shape, (std::vector<int64_t>{2, 0}));
  EXPECT_EQ(EntryOf(*entries, "end").begin, EntryOf(*entries, "a").end);
}

TEST(SafetensorsTest, EntriesAscendByNameWhateverTheirOffsets) {
  base::TempFolder temp;
  auto entries = ReadBytes(temp, SafetensorsBytes(Two("4,8", "0,4"), Zeros(8)));
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ((*entries)[0].name, "a");
  EXPECT_EQ((*entries)[1].name, "b");
  EXPECT_EQ((*entries)[0].begin, (*entries)[1].end);
}

TEST(SafetensorsTest, UnknownFieldsAreIgnored) {
  base::TempFolder temp;
  auto entries = ReadBytes(
      temp, OneEntry(R"({"a":{"dtype":1,"shape":[{}]},"dtype":"F32","b":-1.5,)"
                     R"("shape":[1],"c":[null,true,["x"]],)"
                     R"("data_offsets":[0,4],"d":"e"})"));
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_STREQ(EntryOf(*entries, "x").dtype->name, "F32");
  EXPECT_EQ(EntryOf(*entries, "x").shape, (std::vector<int64_t>{1}));
}

TEST(SafetensorsTest, SubByteTypesAreMeasuredInBits) {
  base::TempFolder temp;
  const std::string header =
      absl::StrCat("{", Entry("a", "F4", "4", "0,2"), ",",
                   Entry("b", "F6_E2M3", "4", "2,5"), "}");
  auto entries = ReadBytes(temp, SafetensorsBytes(header, Zeros(5)));
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ(EntryOf(*entries, "b").shape, (std::vector<int64_t>{4}));
}

TEST(SafetensorsTest, ALimitItselfIsAllowed) {
  base::TempFolder temp;
  const std::string name(kMaxNameBytes, 'n');
  const std::string header =
      absl::StrCat("{", Entry(name, "F32", "1,1,1,1,1,1,1,1", "0,4"), "}");
  auto entries = ReadBytes(temp, SafetensorsBytes(header, Zeros(4)));
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ(EntryOf(*entries, name).shape.size(), kMaxRank);
}

// No entry of a header that is accepted lies outside the data, shares a byte
// with another, or has fewer bytes than its shape needs.
void ExpectSound(const std::vector<SafetensorsEntry>& entries,
                 int64_t data_bytes) {
  int64_t covered = 0;
  for (const SafetensorsEntry& entry : entries) {
    int64_t bits = entry.dtype->bits;
    for (int64_t dimension : entry.shape) bits *= dimension;
    EXPECT_EQ(bits, 8 * (entry.end - entry.begin)) << entry.name;
    EXPECT_GE(entry.begin, 0);
    EXPECT_LE(entry.end, data_bytes);
    covered += entry.end - entry.begin;
  }
  EXPECT_EQ(covered, data_bytes);
}

TEST(SafetensorsTest, NoSingleWrongByteMakesAnUnsoundHeader) {
  const std::string header = absl::StrCat(
      R"({"__metadata__":{"k":"v"},)", Entry("a", "F32", "1,4", "0,16"), ",",
      Entry("b", "BF16", "3", "16,22"), "}");
  int num_accepted = 0;
  for (size_t i = 0; i < header.size(); ++i) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string spoilt = header;
      spoilt[i] = static_cast<char>(byte);
      auto entries = ParseSafetensorsHeader("f", spoilt, 22);
      if (!entries.ok()) continue;
      ++num_accepted;
      ExpectSound(*entries, 22);
    }
  }
  // Other names, white space for nothing, a dtype of equal width: some pass.
  EXPECT_GT(num_accepted, 0);
}

// A header of `count` tensors without elements.
std::string ManyTensors(size_t count) {
  std::string header = "{";
  for (size_t i = 0; i < count; ++i) {
    absl::StrAppend(&header, i == 0 ? "" : ",",
                    Entry(absl::StrCat("t", i), "F32", "0", "0,0"));
  }
  return SafetensorsBytes(header + "}", "");
}

// Names of the older OLMo trainer: pickles of (("w",), False), (("x",), True),
// (("x",), False).
constexpr char kPickledW[] = "gASVCgAAAAAAAACMAXeUhZSJhpQu";
constexpr char kPickledValueX[] = "gASVCgAAAAAAAACMAXiUhZSIhpQu";

absl::StatusOr<Contents> OpenTwo(const std::string& a, const std::string& b) {
  base::TempFolder temp;
  const std::string header = absl::StrCat("{", Entry(a, "U8", "4", "0,4"), ",",
                                          Entry(b, "U8", "4", "4,8"), "}");
  files::WriteFile(temp / "model.safetensors",
                   SafetensorsBytes(header, Zeros(8)));
  return OpenSafetensors(temp.path(), "");
}

TEST(SafetensorsTest, PickledNamesAreDecodedAndPickledValuesLeftOut) {
  auto contents = OpenTwo(kPickledValueX, kPickledW);
  ASSERT_TRUE(contents.ok()) << contents.status();
  ASSERT_EQ(contents->tensors.size(), 1u);
  EXPECT_EQ(contents->tensors[0].name, "w");
  EXPECT_EQ(contents->tensors[0].pieces[0].offset,
            contents->files[0]->size() - 4);
  files::ExpectError(OpenTwo(kPickledW, "x").status(),
                     absl::StatusCode::kDataLoss,
                     {"model.safetensors: 1 names are pickles", "1 are not"});
}

TEST(SafetensorsTest, StridesBesideAZeroDimensionDoNotOverflow) {
  base::TempFolder temp;
  const std::string large = "140737488355328";  // 2^47
  files::WriteFile(
      temp / "model.safetensors",
      SafetensorsBytes(
          absl::StrCat(
              "{",
              Entry("x", "F32",
                    absl::StrCat("0,", large, ",", large, ",", large), "0,0"),
              "}"),
          ""));
  auto contents = OpenSafetensors(temp.path(), "");
  ASSERT_TRUE(contents.ok()) << contents.status();
  for (int64_t stride : contents->tensors[0].pieces[0].strides) {
    EXPECT_GE(stride, 0);
    EXPECT_LE(stride, 1);
  }
}

// Wall time is a poor clock for a test, so the bound is loose: the work takes
// about a tenth of a second, and anything quadratic takes minutes.
constexpr std::chrono::seconds kLinearTime(20);

TEST(SafetensorsTest, AHundredThousandTensorsAreReadInLinearTime) {
  base::TempFolder temp;
  const auto start = std::chrono::steady_clock::now();
  auto entries = ReadBytes(temp, ManyTensors(kMaxTensors));
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ(entries->size(), kMaxTensors);
  EXPECT_LT(std::chrono::steady_clock::now() - start, kLinearTime);
}

TEST(SafetensorsTest, MoreTensorsThanThatAreUnsupported) {
  base::TempFolder temp;
  files::ExpectError(ReadBytes(temp, ManyTensors(kMaxTensors + 1)).status(),
                     kUnsupported,
                     {"model.safetensors", "more than 100000 tensors"});
}

TEST(SafetensorsTest, AHeaderFullOfKeysIsRefusedInLinearTime) {
  base::TempFolder temp;
  // The largest header that is read at all, of ever new keys in an ignored
  // field.
  std::string header = R"({"x":{"more":{"k":0)";
  for (int i = 0; header.size() < kMaxHeaderBytes - 64; ++i) {
    absl::StrAppend(&header, ",\"", i, "\":0");
  }
  const auto start = std::chrono::steady_clock::now();
  files::ExpectError(
      ReadBytes(temp, SafetensorsBytes(header + "}}}", "")).status(),
      kUnsupported, {"'x'", "more than 64 keys"});
  EXPECT_LT(std::chrono::steady_clock::now() - start, kLinearTime);
}

}  // namespace
}  // namespace sinkwatch::checkpoint
