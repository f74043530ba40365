#include "worker/checkpoint/content_digest.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace sinkwatch::checkpoint {
namespace {

constexpr int64_t kRowBytes = 3;
const std::string kRows = "aaabbbcccdddeee";  // five rows

void Add(RowRange rows, ContentDigest& digest,
         const std::string& bytes = kRows) {
  digest.Add("w", rows, bytes.data() + rows.first * kRowBytes, kRowBytes);
}

std::string Added(const std::vector<RowRange>& ranges) {
  ContentDigest digest;
  for (const RowRange& rows : ranges) Add(rows, digest);
  return digest.Hex();
}

TEST(ContentDigestTest, DoesNotDependOnHowRowsAreCutIntoReads) {
  const std::string whole = Added({{0, 5}});
  EXPECT_EQ(Added({{0, 2}, {2, 3}}), whole);
  EXPECT_EQ(Added({{3, 2}, {0, 3}}), whole);
  EXPECT_EQ(Added({{4, 1}, {2, 1}, {0, 1}, {3, 1}, {1, 1}}), whole);
}

TEST(ContentDigestTest, ARowThatIsReadTwiceCountsOnce) {
  const std::string whole = Added({{0, 5}});
  EXPECT_EQ(Added({{0, 5}, {0, 5}}), whole);
  EXPECT_EQ(Added({{1, 1}, {3, 1}, {0, 5}}), whole);
  EXPECT_EQ(Added({{0, 3}, {2, 3}, {1, 2}}), whole);
  EXPECT_NE(Added({{0, 4}}), whole);
}

TEST(ContentDigestTest, TellsRowsOrderAndNamesApart) {
  const auto of = [](const std::string& name, const std::string& bytes) {
    ContentDigest digest;
    digest.Add(name, {0, 5}, bytes.data(), kRowBytes);
    return digest.Hex();
  };
  EXPECT_EQ(of("w", kRows), Added({{0, 5}}));
  EXPECT_NE(of("v", kRows), of("w", kRows));
  EXPECT_NE(of("w", "aaabbbcccdddeef"), of("w", kRows));
  EXPECT_NE(of("w", "bbbaaacccdddeee"), of("w", kRows));
}

// Rows of every path through XXH3: short, middling, long.
TEST(ContentDigestTest, EveryInstructionSetGivesTheSame) {
  std::vector<decltype(&SumRowHashesPortable)> vectors;
  if (__builtin_cpu_supports("avx2")) vectors.push_back(SumRowHashesAvx2);
  if (__builtin_cpu_supports("avx512f")) vectors.push_back(SumRowHashesAvx512);
  std::string bytes;
  for (int i = 0; i < 20000; ++i) bytes.push_back(static_cast<char>(i * i));
  for (const int64_t row_bytes : {1, 8, 16, 100, 240, 241, 1024, 5000}) {
    const int64_t count = 20000 / row_bytes;
    const RowHashSum portable =
        SumRowHashesPortable(bytes.data(), 7, count, row_bytes);
    for (const auto sum_row_hashes : vectors) {
      const RowHashSum sum = sum_row_hashes(bytes.data(), 7, count, row_bytes);
      EXPECT_EQ(portable.low, sum.low) << row_bytes;
      EXPECT_EQ(portable.high, sum.high) << row_bytes;
    }
  }
}

TEST(ContentDigestTest, NamesDoNotRunIntoOneAnother) {
  const std::string bytes = "abc";
  ContentDigest one, other;
  one.Add("ab", {0, 1}, bytes.data(), 3);
  other.Add("a", {0, 1}, bytes.data(), 3);
  EXPECT_NE(one.Hex(), other.Hex());
}

TEST(ContentDigestTest, TensorsAscendByNameAndKeepTheirDigest) {
  ContentDigest digest;
  digest.Add("z", {0, 1}, "abc", 3);
  digest.Add("b", {0, 1}, "abc", 3);
  digest.Add("none", {0, 0}, "", 3);
  const std::vector<TensorDigest> tensors = digest.Tensors();
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "b");
  EXPECT_EQ(tensors[1].name, "z");
  EXPECT_EQ(tensors[0].digest, tensors[1].digest);
  // XXH3-128 of "abc" with seed 0, as `printf abc | xxhsum -H2` prints it.
  EXPECT_EQ(absl::BytesToHexString(absl::string_view(
                reinterpret_cast<const char*>(tensors[0].digest.data()), 16)),
            "06b05ab6733a618578af5f94892f3950");
}

}  // namespace
}  // namespace sinkwatch::checkpoint
