#include "server/query/find_run.h"

#include "gtest/gtest.h"

namespace sinkwatch::query {
namespace {

TEST(FindRunTest, NamesTheRunsThatThereAre) {
  v1::ListRunsResponse all;
  EXPECT_EQ(FindRun(all.runs(), "a").status(),
            absl::NotFoundError("there is no run \"a\"; none is configured"));
  all.add_runs()->set_name("olmo");
  all.add_runs()->set_name("toy");
  EXPECT_EQ(FindRun(all.runs(), "a").status(),
            absl::NotFoundError("there is no run \"a\"; there are olmo, toy"));
  EXPECT_EQ(FindRun(all.runs(), "toy")->name(), "toy");
}

}  // namespace
}  // namespace sinkwatch::query
