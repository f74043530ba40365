// Files that break a rule of the container, one rule each.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/container/safetensors_testing.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr auto kCorrupt = absl::StatusCode::kDataLoss;
constexpr auto kIncomplete = absl::StatusCode::kFailedPrecondition;
constexpr auto kUnsupported = absl::StatusCode::kUnimplemented;

// A length field that is not the header's.
std::string Length(uint64_t length) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(length >> (8 * i) & 0xff);
  }
  return bytes;
}

struct BadFile {
  const char* name;
  std::string bytes;
  absl::StatusCode code;
  std::vector<std::string> words;  // besides the file
};

std::vector<BadFile> BadLengths() {
  const std::string good = SafetensorsBytes(kReferenceHeader, Zeros(16));
  return {
      {"EmptyFile", "", kIncomplete, {"0 bytes"}},
      {"SevenBytes", Zeros(7), kIncomplete, {"7 bytes"}},
      {"EightZeroBytes", Zeros(1000), kIncomplete, {"eight zero bytes"}},
      {"NothingAfterTheLength",
       Length(60),
       kIncomplete,
       {"header has 60 bytes", "0 are there"}},
      // A length that claims more than the file, over a header that is whole.
      {"LengthLies",
       Length(1000) + kReferenceHeader + Zeros(16),
       kIncomplete,
       {"header has 1000 bytes", "76 are there"}},
      {"HeaderCutShort",
       good.substr(0, 40),
       kIncomplete,
       {"header has 60 bytes", "32 are there"}},
      {"DataCutShort",
       good.substr(0, good.size() - 2),
       kIncomplete,
       {"16 bytes of data", "14 are there", "'test'"}},
      {"TrailingBytes", good + "abc", kCorrupt, {"3 trailing bytes"}},
      {"TrailingBytesWithoutTensors",
       SafetensorsBytes("{}", "x"),
       kCorrupt,
       {"1 trailing bytes"}},
      {"LengthAboveTheFormat",
       Length(100000001) + "{}",
       kCorrupt,
       {"100000001", "format's 100000000"}},
      {"LengthThatOverflows",
       Length(UINT64_MAX) + "{}",
       kCorrupt,
       {"18446744073709551615"}},
      {"LengthAboveOurs",
       Length((16 << 20) + 1) + "{}",
       kUnsupported,
       {"16777217", "16777216"}},
      {"LfsPointer",
       "version https://git-lfs.github.com/spec/v1\noid "
       "sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"
       "\nsize 12345\n",
       kIncomplete,
       {"Git LFS pointer"}},
  };
}

std::vector<BadFile> BadText() {
  return {
      // The length says 1, then an opening brace that is no UTF-8.
      {"NotUtf8", SafetensorsBytes("\xff", ""), kCorrupt, {"byte 0"}},
      {"NotUtf8InAName",
       SafetensorsBytes("{\"\xc3\x28\":{}}", ""),
       kCorrupt,
       {"not JSON"}},
      {"OnlyABrace", SafetensorsBytes("{", ""), kCorrupt, {"ends at byte 1"}},
      {"OnlyWhiteSpace", SafetensorsBytes("    ", ""), kCorrupt, {"white"}},
      {"AnArray", SafetensorsBytes("[]", ""), kCorrupt, {"not a JSON object"}},
      {"ByteOrderMark",
       SafetensorsBytes("\xef\xbb\xbf{}", ""),
       kCorrupt,
       {"byte 0", "opening brace"}},
      {"NulAfterTheObject",
       SafetensorsBytes(std::string("{}\0\0", 4), ""),
       kCorrupt,
       {"NUL at byte 2"}},
      {"TextAfterTheObject",
       SafetensorsBytes("{} {}", ""),
       kCorrupt,
       {"at byte 4"}},
      {"Comment", SafetensorsBytes("{/**/}", ""), kCorrupt, {"at byte 2"}},
      {"NumberAboveDouble",
       OneEntry(R"({"z":1e999})"),
       kCorrupt,
       {"'x'", "not JSON"}},
  };
}

std::vector<BadFile> BadEntries() {
  return {
      {"EntryIsANumber", OneEntry("1"), kCorrupt, {"'x'", "an object"}},
      {"EntryIsAnArray", OneEntry("[]"), kCorrupt, {"'x'", "an object"}},
      {"NoDtype",
       OneEntry(R"({"shape":[1],"data_offsets":[0,4]})"),
       kCorrupt,
       {"'x'", "has no dtype"}},
      {"NoShape",
       OneEntry(R"({"dtype":"F32","data_offsets":[0,4]})"),
       kCorrupt,
       {"'x'", "has no shape"}},
      {"NoOffsets",
       OneEntry(R"({"dtype":"F32","shape":[1]})"),
       kCorrupt,
       {"'x'", "has no data_offsets"}},
      {"DtypeIsANumber",
       OneEntry(R"({"dtype":32,"shape":[1],"data_offsets":[0,4]})"),
       kCorrupt,
       {"'x'", "dtype must be a string"}},
      {"UnknownDtype",
       OneEntry(R"({"dtype":"F31","shape":[1],"data_offsets":[0,4]})"),
       kUnsupported,
       {"'x'", "unknown dtype 'F31'"}},
      {"ShapeIsANumber",
       OneEntry(R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})"),
       kCorrupt,
       {"'x'", "shape must be"}},
      {"ShapeInAShape",
       OneEntry(R"({"dtype":"F32","shape":[[1]],"data_offsets":[0,4]})"),
       kCorrupt,
       {"'x'", "shape must be", "array"}},
      {"ShapeIsNull",
       OneEntry(R"({"dtype":"F32","shape":null,"data_offsets":[0,4]})"),
       kCorrupt,
       {"'x'", "shape must be", "null"}},
      {"FractionInAShape",
       OneTensor("1.0", "0,4", 4),
       kCorrupt,
       {"'x'", "shape must be", "fraction"}},
      {"ExponentInAShape",
       OneTensor("1e3", "0,4000", 4000),
       kCorrupt,
       {"'x'", "shape must be", "exponent"}},
      {"NegativeDimension",
       OneTensor("-1", "0,4", 4),
       kCorrupt,
       {"'x'", "shape must be", "negative"}},
      {"DimensionAbove64Bits",
       OneTensor("18446744073709551616", "0,4", 4),
       kCorrupt,
       {"'x'", "shape must be", "too large"}},
      {"StringInAShape",
       OneTensor("\"1\"", "0,4", 4),
       kCorrupt,
       {"'x'", "shape must be", "a string"}},
      {"FractionInOffsets",
       OneTensor("1", "0,4.0", 4),
       kCorrupt,
       {"'x'", "data_offsets must be", "fraction"}},
      {"NegativeOffset",
       OneTensor("1", "-4,0", 4),
       kCorrupt,
       {"'x'", "data_offsets must be", "negative"}},
      {"OneOffset",
       OneTensor("1", "0", 4),
       kCorrupt,
       {"'x'", "data_offsets must be two", "fewer"}},
      {"ThreeOffsets",
       OneTensor("1", "0,4,8", 4),
       kCorrupt,
       {"'x'", "data_offsets must be two", "more"}},
      {"OffsetsAreAnObject",
       OneEntry(R"({"dtype":"F32","shape":[1],"data_offsets":{"a":0}})"),
       kCorrupt,
       {"'x'", "data_offsets must be"}},
      {"MetadataIsAString",
       SafetensorsBytes(R"({"__metadata__":"pt"})", ""),
       kCorrupt,
       {"__metadata__", "an object"}},
      {"NumberInMetadata",
       SafetensorsBytes(R"({"__metadata__":{"step":1000}})", ""),
       kCorrupt,
       {"__metadata__", "strings"}},
      {"ObjectInMetadata",
       SafetensorsBytes(R"({"__metadata__":{"a":{}}})", ""),
       kCorrupt,
       {"__metadata__", "strings"}},
  };
}

std::vector<BadFile> RepeatedKeys() {
  const std::string x = Entry("x", "F32", "1", "0,4");
  return {
      {"RepeatedTensor",
       SafetensorsBytes(absl::StrCat("{", x, ",", x, "}"), Zeros(4)),
       kCorrupt,
       {"'x'", "twice"}},
      {"RepeatedTensorSpelledWithAnEscape",
       SafetensorsBytes(
           absl::StrCat("{", x, ",",
                        absl::StrReplaceAll(x, {{"\"x\"", "\"\\u0078\""}}),
                        "}"),
           Zeros(4)),
       kCorrupt,
       {"'x'", "twice"}},
      {"RepeatedMetadata",
       SafetensorsBytes(R"({"__metadata__":{},"__metadata__":{}})", ""),
       kCorrupt,
       {"'__metadata__'", "twice"}},
      {"RepeatedKeyOfMetadata",
       SafetensorsBytes(R"({"__metadata__":{"a":"1","a":"2"}})", ""),
       kCorrupt,
       {"__metadata__", "'a'", "twice"}},
      {"RepeatedFieldOfATensor",
       OneEntry(
           R"({"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]})"),
       kCorrupt,
       {"'x'", "'shape'", "twice"}},
      {"RepeatedKeyInAnIgnoredField",
       OneEntry(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],)"
                R"("more":[{"a":1,"a":2}]})"),
       kCorrupt,
       {"'x'", "'a'", "twice"}},
  };
}

std::string ManyAt(int count, const std::string& offsets) {
  std::vector<std::string> entries;
  std::string header = "{";
  for (int i = 0; i < count; ++i) {
    absl::StrAppend(&header, i == 0 ? "" : ",",
                    Entry(absl::StrCat("t", i), "F32", "4", offsets));
  }
  return header + "}";
}

std::vector<BadFile> BadNumbers() {
  return {
      // The reference reader's two overflows.
      {"ProductOverflows",
       OneTensor("2,18446744073709551614", "0,16", 16),
       kCorrupt,
       {"'x'", "[2,18446744073709551614]", "overflows"}},
      {"ProductOverflowsInt64",
       OneTensor("2,9223372036854775807", "0,16", 16),
       kCorrupt,
       {"'x'", "[2,9223372036854775807]", "overflows"}},
      // A product that wraps to exactly the bytes that are there: 2^32 * 2^30
      // elements of 4 bytes are 2^64 bytes, 0 after wrapping.
      {"ProductWrapsToTheRightSize",
       OneTensor("4294967296,1073741824", "0,0", 0),
       kCorrupt,
       {"'x'", "overflows"}},
      // The published proof against a C++ port that did not check: 4 elements
      // after wrapping.
      {"ProductWrapsToFour",
       OneTensor("4194305,4194305,211106198978564", "0,16", 16),
       kCorrupt,
       {"'x'", "[4194305,4194305,211106198978564]", "overflows"}},
      // In elements it fits 64 bits, in bits it does not.
      {"BitsOverflow",
       OneTensor("4294967296,4294967295", "0,16", 16),
       kCorrupt,
       {"'x'", "overflows"}},
      {"DimensionAboveTheFormatBesideAZero",
       OneTensor("0,281474976710656", "0,0", 0),
       kCorrupt,
       {"'x'", "2^48 - 1"}},
      {"ShapeAboveItsBytes",
       OneTensor("5", "0,16", 16),
       kCorrupt,
       {"'x'", "hold 16 bytes", "needs 20"}},
      {"ShapeBelowItsBytes",
       OneTensor("3", "0,16", 16),
       kCorrupt,
       {"'x'", "hold 16 bytes", "needs 12"}},
      {"HalfByte",
       SafetensorsBytes(absl::StrCat("{", Entry("x", "F4", "3", "0,1"), "}"),
                        Zeros(1)),
       kCorrupt,
       {"'x'", "last byte"}},
      {"EndBeforeBegin",
       OneTensor("1", "4,0", 4),
       kCorrupt,
       {"'x'", "[4,0]", "end before"}},
      {"OffsetsAboveTheFormat",
       OneTensor("1", "18446744073709551611,18446744073709551615", 4),
       kCorrupt,
       {"'x'", "2^48 - 1"}},
      {"HoleBeforeTheFirst",
       OneTensor("1", "4,8", 8),
       kCorrupt,
       {"'x'", "byte 4", "a hole"}},
      {"HoleBetween",
       SafetensorsBytes(Two("0,4", "8,12"), Zeros(12)),
       kCorrupt,
       {"'b'", "byte 8", "a hole", "end at 4"}},
      {"Overlap",
       SafetensorsBytes(Two("0,4", "2,6"), Zeros(6)),
       kCorrupt,
       {"'b'", "byte 2", "an overlap", "end at 4"}},
      {"TenTensorsInOnePlace",
       SafetensorsBytes(ManyAt(10, "0,16"), Zeros(16)),
       kCorrupt,
       {"'t1'", "an overlap"}},
      {"OffsetsOutOfTheFile",
       OneTensor("1000000", "0,4000000", 4),
       kIncomplete,
       {"4000000 bytes of data", "4 are there", "'x'"}},
  };
}

std::vector<BadFile> AboveOurLimits() {
  std::string deep = "1";
  for (int i = 0; i < 20; ++i) deep = absl::StrCat("[", deep, "]");
  std::string keys = R"("dtype":"F32","shape":[1],"data_offsets":[0,4])";
  for (int i = 0; i < 70; ++i) absl::StrAppend(&keys, ",\"k", i, "\":0");
  return {
      {"RankNine",
       OneTensor("1,1,1,1,1,1,1,1,1", "0,4", 4),
       kUnsupported,
       {"'x'", "rank above 8"}},
      {"LongName",
       SafetensorsBytes(
           absl::StrCat("{", Entry(std::string(513, 'n'), "F32", "1", "0,4"),
                        "}"),
           Zeros(4)),
       kUnsupported,
       {"'nnn", "513 bytes", "512"}},
      {"DeepField",
       OneEntry(absl::StrCat("{\"z\":", deep, "}")),
       kUnsupported,
       {"'x'", "deeper than 16"}},
      {"ManyFields",
       OneEntry(absl::StrCat("{", keys, "}")),
       kUnsupported,
       {"'x'", "more than 64 keys"}},
  };
}

class BadFileTest : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadFileTest, IsRefusedWithFilePlaceAndRule) {
  base::TempFolder temp;
  absl::Status status = ReadBytes(temp, GetParam().bytes).status();
  files::ExpectError(status, GetParam().code, {temp / "model.safetensors: "});
  for (const std::string& word : GetParam().words) {
    files::ExpectError(status, GetParam().code, {word});
  }
}

std::string NameOf(const ::testing::TestParamInfo<BadFile>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Lengths, BadFileTest,
                         ::testing::ValuesIn(BadLengths()), NameOf);
INSTANTIATE_TEST_SUITE_P(Text, BadFileTest, ::testing::ValuesIn(BadText()),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Entries, BadFileTest,
                         ::testing::ValuesIn(BadEntries()), NameOf);
INSTANTIATE_TEST_SUITE_P(RepeatedKeys, BadFileTest,
                         ::testing::ValuesIn(RepeatedKeys()), NameOf);
INSTANTIATE_TEST_SUITE_P(Numbers, BadFileTest,
                         ::testing::ValuesIn(BadNumbers()), NameOf);
INSTANTIATE_TEST_SUITE_P(Limits, BadFileTest,
                         ::testing::ValuesIn(AboveOurLimits()), NameOf);

}  // namespace
}  // namespace sinkwatch::checkpoint
