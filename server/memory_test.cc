#include "server/memory.h"

#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::server {
namespace {

int LooksIn(UnusedMemory& unused, int calls) {
  int looks = 0;
  for (int call = 0; call < calls; ++call) looks += unused.Return() ? 1 : 0;
  return looks;
}

TEST(UnusedMemory, IsLookedForLessAndLessWhereThereIsNone) {
  UnusedMemory unused;
  EXPECT_TRUE(unused.Return());
  LooksIn(unused, 64);
  EXPECT_EQ(LooksIn(unused, 64), 4);
}

TEST(UnusedMemory, IsLookedForAtOnceAfterAPeak) {
  UnusedMemory unused;
  LooksIn(unused, 64);
  while (unused.Return()) {
  }
  std::vector<std::unique_ptr<char[]>> blocks;
  for (int block = 0; block < 100'000; ++block) {
    blocks.push_back(std::make_unique<char[]>(1024));  // zeroed, so resident
  }
  EXPECT_TRUE(unused.Return());
}

}  // namespace
}  // namespace sinkwatch::server
