#include "server/query/name_list.h"

#include "gtest/gtest.h"
#include "server/answers/parse.h"

namespace sinkwatch::query {
namespace {

std::vector<std::string> Names(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back("run" + std::to_string(i));
  return names;
}

TEST(NameListTest, HasAsManyNamesAsAPersonGives) {
  EXPECT_TRUE(CheckNameList("runs", Names(64)).ok());
  EXPECT_EQ(answers::RuleOf(CheckNameList("runs", Names(65))), "out_of_range");
}

}  // namespace
}  // namespace sinkwatch::query
