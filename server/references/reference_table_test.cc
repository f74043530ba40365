#include "server/references/reference_table.h"

#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace sinkwatch::references {
namespace {

TEST(ParseReferenceTest, ReadsWhatIsThere) {
  const auto points = ParseReference(
      "mine",
      "metric,model,step,layer,head,value,citation,protocol\r\n"
      "sink_attention,toy,300,0,1,.56,\"Guo, \"\"2024\"\"\",\"two\nlines\"\r\n"
      "\n"
      "probe_loss,toy,,,,2.5,me,\n");
  ASSERT_TRUE(points.ok()) << points.status();
  ASSERT_EQ(points->size(), 2u);
  const v1::ReferencePoint& first = (*points)[0];
  EXPECT_EQ(first.reference(), "mine");
  EXPECT_EQ(first.step(), 300);
  EXPECT_EQ(first.layer(), 0);
  EXPECT_EQ(first.head(), 1);
  EXPECT_EQ(first.value(), .56);
  EXPECT_EQ(first.citation(), "Guo, \"2024\"");
  EXPECT_EQ(first.protocol(), "two\nlines");
  EXPECT_FALSE((*points)[1].has_step());
  EXPECT_FALSE((*points)[1].has_layer());
}

TEST(ParseReferenceTest, AByteOrderMarkOfASpreadsheetIsNoPartOfAName) {
  const auto points =
      ParseReference("x", "\xef\xbb\xbfmetric,model,value,citation\r\na,b,1,c");
  ASSERT_TRUE(points.ok()) << points.status();
  EXPECT_EQ((*points)[0].metric(), "a");
  EXPECT_EQ((*points)[0].citation(), "c");
}

TEST(ParseReferenceTest, OverSaysWhatAValueWithoutALayerIs) {
  const auto points = ParseReference(
      "x", "metric,model,value,citation,over\na,b,1,c,max\na,b,1,c,\n");
  ASSERT_TRUE(points.ok()) << points.status();
  EXPECT_EQ((*points)[0].over(), v1::AGGREGATION_MAX);
  EXPECT_EQ((*points)[1].over(), v1::AGGREGATION_UNSPECIFIED);
}

TEST(ParseReferenceTest, EveryErrorNamesItsLineAndRule) {
  const struct {
    const char* csv;
    const char* says;
  } kTable[] = {
      {"", "line 1: the header is missing"},
      {"metric,model,value\n", "line 1: column citation is missing"},
      {"metric,modle,value,citation\n", "did you mean model?"},
      {"metric;model;value;citation\n", "separated by commas"},
      {"metric,metric,model,value,citation\n", "is there twice"},
      {"metric,model,value,citation\n", "no row below the header"},
      {"metric,model,value,citation\na,b,1\n", "line 2: 3 cells"},
      {"metric,model,value,citation\na,b,x,c\n", "line 2: value \"x\""},
      {"metric,model,value,citation\na,b,nan,c\n", "no finite number"},
      {"metric,model,value,citation\na,b,1,\n", "line 2: citation is empty"},
      {"metric,model,value,citation\n\n,b,1,c\n", "line 3: metric is empty"},
      {"metric,model,value,citation,step\na,b,1,c,-1\n", "step \"-1\""},
      {"metric,model,value,citation,layer\na,b,1,c,1.5\n", "layer \"1.5\""},
      {"metric,model,value,citation\na,b,1,\"c\n", "a quote is not closed"},
      {"metric,model,value,citation\na,b,1,\xff\n", "is not UTF-8"},
      {"metric,model,value,citation\na,b,1\r2,c\n",
       "line 2: a carriage return without a line feed"},
      {"metric,model,value,citation\ra,b,1,c\r",
       "line 1: a carriage return without a line feed"},
      {"metric,model,value,citation\na,b,1,\"c\"d\n",
       "line 2: text behind a closed quote"},
      {"metric,model,value,citation\na,\"b\nb\",1,c\na,b,x,c\n",
       "line 4: value"},
      {"metric,model,value,citation,over\na,b,1,c,p90\n", "over \"p90\""},
  };
  for (const auto& row : kTable) {
    const absl::Status status = ParseReference("x", row.csv).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << row.csv;
    EXPECT_TRUE(absl::StrContains(status.message(), row.says))
        << row.csv << ": " << status;
  }
}

TEST(ParseReferenceTest, LongTablesAndCellsAreRefused) {
  std::string csv = "metric,model,value,citation\n";
  EXPECT_FALSE(
      ParseReference("x", csv + "a,b,1," + std::string(1001, 'c')).ok());
  for (size_t i = 0; i <= kMaxPoints; ++i) csv += "a,b,1,c\n";
  EXPECT_FALSE(ParseReference("x", csv).ok());
  EXPECT_FALSE(ParseReference("x", std::string(kMaxBytes + 1, ' ')).ok());
}

TEST(CheckReferenceNameTest, ANameIsNoPath) {
  EXPECT_TRUE(CheckReferenceName("guo-2410.13835_v2").ok());
  for (const char* name : {"", ".hidden", "../x", "a/b", "a b"}) {
    EXPECT_FALSE(CheckReferenceName(name).ok()) << name;
  }
  EXPECT_FALSE(CheckReferenceName(std::string(101, 'a')).ok());
}

}  // namespace
}  // namespace sinkwatch::references
