#include "worker/checkpoint/container/zip_directory.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proto/base/temp_folder_testing.h"
#include "worker/checkpoint/container/zip_testing.h"
#include "worker/files/file.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

const ZipMembers kTwo = {{"a/data.pkl", "pickle"}, {"a/data/0", "01234567"}};

// What the reader says of a file that holds these bytes after `before` others
// and before as many.
absl::StatusOr<std::vector<ZipMember>> ReadZip(const std::string& bytes,
                                               size_t around = 0) {
  base::TempFolder temp;
  const std::string other(around, 'x');
  files::WriteFile(temp / "a.zip", other + bytes + other);
  auto file = files::File::Open(temp / "a.zip");
  EXPECT_TRUE(file.ok()) << file.status();
  return ReadZipDirectory({file->get(), static_cast<int64_t>(around),
                           static_cast<int64_t>(bytes.size())});
}

// The bytes of a member, cut from the file as ReadZip wrote it.
std::string BytesOf(const ZipMember& member, const std::string& bytes,
                    size_t around = 0) {
  return bytes.substr(member.offset - around, member.size);
}

TEST(ZipDirectory, MembersAreFoundByName) {
  for (bool zip64 : {false, true}) {
    for (size_t around : {0, 100}) {
      const ZipBytes zip = MakeZip(kTwo, zip64);
      auto members = ReadZip(zip.bytes, around);
      ASSERT_TRUE(members.ok()) << members.status();
      ASSERT_EQ(members->size(), 2u);
      const ZipMember* pickle = FindZipMember(*members, "a/data.pkl");
      ASSERT_NE(pickle, nullptr);
      EXPECT_EQ(BytesOf(*pickle, zip.bytes, around), "pickle");
      EXPECT_EQ(
          BytesOf(*FindZipMember(*members, "a/data/0"), zip.bytes, around),
          "01234567");
      EXPECT_EQ(FindZipMember(*members, "a/data/1"), nullptr);
      EXPECT_EQ(FindZipMember(*members, ""), nullptr);
    }
  }
}

TEST(ZipDirectory, AnArchiveOfNothingAndEmptyMembersAreLegal) {
  EXPECT_EQ(ReadZip(MakeZip({}).bytes)->size(), 0u);
  auto members = ReadZip(MakeZip({{"a", ""}, {"b", ""}}).bytes);
  ASSERT_TRUE(members.ok()) << members.status();
  EXPECT_EQ((*members)[1].size, 0);
}

// As of members above 4 GiB: the fields of 32 bits point to those of 64.
TEST(ZipDirectory, NumbersIn64BitsAreRead) {
  std::string data = "data";
  const std::string extra =
      files::LittleEndian(1, 2) + files::LittleEndian(24, 2) +
      files::LittleEndian(4, 8) + files::LittleEndian(4, 8) +
      files::LittleEndian(0, 8);
  const std::string local =
      "PK\3\4" + files::LittleEndian(45, 2) + std::string(12, '\0') +
      files::LittleEndian(~0u, 4) + files::LittleEndian(~0u, 4) +
      files::LittleEndian(1, 2) + files::LittleEndian(0, 2) + "a" + data;
  const std::string central =
      "PK\1\2" + files::LittleEndian(0, 4) + std::string(12, '\0') +
      files::LittleEndian(~0u, 4) + files::LittleEndian(~0u, 4) +
      files::LittleEndian(1, 2) + files::LittleEndian(extra.size(), 2) +
      std::string(10, '\0') + files::LittleEndian(~0u, 4) + "a" + extra;
  const std::string end =
      "PK\5\6" + files::LittleEndian(0, 4) + files::LittleEndian(1, 2) +
      files::LittleEndian(1, 2) + files::LittleEndian(central.size(), 4) +
      files::LittleEndian(local.size(), 4) + files::LittleEndian(0, 2);
  auto members = ReadZip(local + central + end);
  ASSERT_TRUE(members.ok()) << members.status();
  EXPECT_EQ((*members)[0].size, 4);
  EXPECT_EQ(BytesOf((*members)[0], local), "data");
}

TEST(ZipDirectory, EveryPrefixIsIncomplete) {
  const std::string whole = MakeZip(kTwo).bytes;
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(ReadZip(whole.substr(0, size)).status().code(),
              absl::StatusCode::kFailedPrecondition)
        << size;
  }
}

TEST(ZipDirectory, AnErrorNamesTheFileThePlaceAndTheMember) {
  ZipBytes zip = MakeZip(kTwo);
  zip.Put(zip.central[1] + 10, 8, 2);
  files::ExpectError(ReadZip(zip.bytes, 50).status(),
                     absl::StatusCode::kUnimplemented,
                     {"/a.zip: zip at byte 50: member 'a/data/0': compressed"});
}

struct BadCase {
  const char* name;
  std::string bytes;
  absl::StatusCode code;
  std::string words;
};

constexpr absl::StatusCode kCorrupt = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnsupported = absl::StatusCode::kUnimplemented;

class BadZip : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadZip, IsRefused) {
  files::ExpectError(ReadZip(GetParam().bytes).status(), GetParam().code,
                     {"a.zip", GetParam().words});
}

// kTwo with one number that lies: `bytes` of it at `at`.
template <typename Where>
std::string Lie(Where where, uint64_t value, int bytes, bool zip64 = true) {
  ZipBytes zip = MakeZip(kTwo, zip64);
  return zip.Put(where(zip), value, bytes).bytes;
}
auto Local(size_t i, size_t at) {
  return [=](const ZipBytes& zip) { return zip.local[i] + at; };
}
auto Central(size_t i, size_t at) {
  return [=](const ZipBytes& zip) { return zip.central[i] + at; };
}
auto End(size_t at) {
  return [=](const ZipBytes& zip) { return zip.end + at; };
}
auto End64(size_t at) {
  return [=](const ZipBytes& zip) { return zip.end64 + at; };
}
auto Locator(size_t at) {
  return [=](const ZipBytes& zip) { return zip.locator + at; };
}

std::string Named(const std::string& name) {
  return MakeZip({{name, "data"}}).bytes;
}

// The second entry of the directory leads to the record of the first.
std::string TwoEntriesOneRecord() {
  ZipBytes zip = MakeZip({{"a", "x"}, {"a", "x"}});
  return zip.Put(zip.central[1] + 42, 0, 4).bytes;
}

// The first member's size covers the second's record.
std::string NestedRecords() {
  ZipBytes zip = MakeZip(kTwo);
  zip.Put(zip.central[0] + 20, 60, 4);
  return zip.Put(zip.central[0] + 24, 60, 4).bytes;
}

INSTANTIATE_TEST_SUITE_P(
    Members, BadZip,
    ::testing::Values(
        BadCase{"Deflated", Lie(Central(0, 10), 8, 2), kUnsupported,
                "member 'a/data.pkl': compressed (method 8)"},
        BadCase{"DeflatedInTheLocalHeaderOnly", Lie(Local(0, 8), 8, 2),
                kCorrupt, "other flags or method"},
        BadCase{"Encrypted", Lie(Central(0, 8), 0x809, 2), kUnsupported,
                "encrypted"},
        BadCase{"FlagsDiffer", Lie(Local(0, 6), 0, 2), kCorrupt,
                "other flags or method"},
        BadCase{"OnAnotherDisk", Lie(Central(0, 34), 1, 2), kUnsupported,
                "several parts"},
        BadCase{"StoredInFewerBytes", Lie(Central(1, 20), 7, 4), kCorrupt,
                "stored in 7 bytes, but has 8"},
        BadCase{"LocalSizeDiffers", Lie(Local(1, 22), 9, 4), kCorrupt,
                "local header says 9 bytes, the directory 8"},
        BadCase{"OtherNameInTheLocalHeader", Lie(Local(1, 30), 'b', 1),
                kCorrupt, "another name"},
        BadCase{"LongerNameInTheLocalHeader", Lie(Local(1, 26), 9, 2), kCorrupt,
                "another name"},
        BadCase{"NoLocalHeader", Lie(Local(0, 0), 0, 4), kCorrupt,
                "no local header at byte 0"},
        BadCase{"OffsetOfNoRecord", Lie(Central(0, 42), 1, 4), kCorrupt,
                "no local header at byte 1"},
        BadCase{"OffsetOutOfTheArchive", Lie(Central(1, 42), 1 << 20, 4),
                kCorrupt, "is not in the archive"},
        BadCase{"OffsetOfTheDirectory",
                Lie(Central(1, 42), MakeZip(kTwo).central[0], 4), kCorrupt,
                "overlaps"},
        BadCase{"LongExtraField", Lie(Local(1, 28), 0xffff, 2), kCorrupt,
                "overlap what begins at"},
        BadCase{"TwoEntriesOneRecord", TwoEntriesOneRecord(), kCorrupt,
                "overlaps what begins at 0"},
        BadCase{"NestedRecords", NestedRecords(), kCorrupt, "overlap what"},
        BadCase{"NameTwice", MakeZip({{"a", "x"}, {"a", "y"}}).bytes, kCorrupt,
                "member 'a': is there twice"},
        BadCase{"SizeIn64WithoutTheField", Lie(Central(0, 24), ~0u, 4),
                kCorrupt, "no ZIP64 field"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Names, BadZip,
    ::testing::Values(
        BadCase{"Empty", Named(""), kCorrupt, "not a path inside"},
        BadCase{"Absolute", Named("/etc/passwd"), kCorrupt, "not a path"},
        BadCase{"Parent", Named("a/../b"), kCorrupt, "not a path inside"},
        BadCase{"ParentOnly", Named(".."), kCorrupt, "not a path inside"},
        BadCase{"Dot", Named("a/./b"), kCorrupt, "not a path inside"},
        BadCase{"TwoSlashes", Named("a//b"), kCorrupt, "not a path inside"},
        BadCase{"Folder", Named("a/"), kCorrupt, "not a path inside"},
        BadCase{"Backslash", Named("..\\b"), kCorrupt, "not a path inside"},
        BadCase{"Nul", Named(std::string("a\0b", 3)), kCorrupt, "not a path"},
        BadCase{"NotUtf8", Named("\xff"), kCorrupt, "not UTF-8"},
        BadCase{"Long", Named(std::string(513, 'a')), kUnsupported,
                "a name of 513 bytes"}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Directories, BadZip,
    ::testing::Values(
        BadCase{"Comment", Lie(End(20), 5, 2) + "hello", kCorrupt,
                "5 bytes after the end of the zip directory"},
        BadCase{"CommentBeyondTheEnd", Lie(End(20), 5, 2), kCorrupt,
                "comment is beyond"},
        BadCase{"TrailingZeros", MakeZip(kTwo).bytes + std::string(7, '\0'),
                kCorrupt, "7 bytes after the end"},
        BadCase{"PrecedingBytes", "x" + MakeZip(kTwo, false).bytes, kCorrupt,
                "does not end at"},
        BadCase{"SeveralParts", Lie(End(4), 1, 2), kUnsupported, "parts"},
        BadCase{"TwoCounts", Lie(End(8), 1, 2), kCorrupt, "two numbers"},
        BadCase{"FewerThanThere", Lie(End(8), 0x00010001, 4, false), kCorrupt,
                "bytes in the directory after its 1 members"},
        BadCase{"MoreThanThere", Lie(End(8), 0x00030003, 4, false), kCorrupt,
                "fewer members than it says"},
        BadCase{"Signature", Lie(Central(0, 0), 0, 4), kCorrupt,
                "fewer members"},
        BadCase{"LongName", Lie(Central(1, 28), 0xffff, 2), kCorrupt,
                "ends inside a member's name"},
        BadCase{"DirectoryElsewhere", Lie(End(16), 0, 4, false), kCorrupt,
                "does not end at"},
        BadCase{"DirectoryOutside", Lie(End(16), 0xfffffff0, 4, false),
                kCorrupt, "does not end at"},
        BadCase{"NumbersIn64WithoutTheRecord", Lie(End(16), ~0u, 4, false),
                kCorrupt, "no ZIP64 records"},
        BadCase{"EndDisagreesWith64", Lie(End(16), 0, 4), kCorrupt,
                "says otherwise"},
        BadCase{"CountsOf64Disagree", Lie(End64(24), 3, 8), kCorrupt,
                "says otherwise"},
        BadCase{"Parts64", Lie(Locator(16), 2, 4), kUnsupported, "parts"},
        BadCase{"LocatorElsewhere", Lie(Locator(8), 0, 8), kCorrupt,
                "does not lead to a record"},
        BadCase{"LocatorOutside", Lie(Locator(8), ~uint64_t{0}, 8), kCorrupt,
                "are not in its"},
        BadCase{"LongRecord64", Lie(End64(4), 45, 8), kCorrupt,
                "does not lead to a record"}),
    [](const auto& info) { return info.param.name; });

// All numbers of 32 bits say "in 64", and those overflow.
TEST(ZipDirectory, NumbersOf64BitsDoNotOverflow) {
  const auto lie = [](size_t at) {
    ZipBytes zip = MakeZip(kTwo);
    zip.Put(zip.end + 12, ~0u, 4).Put(zip.end + 16, ~0u, 4);
    zip.Put(zip.end64 + at, ~uint64_t{0} - 8, 8);
    return ReadZip(zip.bytes).status();
  };
  files::ExpectError(lie(40), kUnsupported,
                     {"18446744073709551607 bytes, above"});
  files::ExpectError(lie(48), kCorrupt, {"directory"});
  ZipBytes zip = MakeZip(kTwo);
  zip.Put(zip.end + 8, 0xffffffff, 4);
  zip.Put(zip.end64 + 24, 1 << 30, 8).Put(zip.end64 + 32, 1 << 30, 8);
  files::ExpectError(ReadZip(zip.bytes).status(), kUnsupported,
                     {"1073741824 members, above the 101000"});
}

}  // namespace
}  // namespace sinkwatch::checkpoint
