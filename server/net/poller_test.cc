#include "server/net/poller.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <set>
#include <thread>

#include "gtest/gtest.h"

namespace sinkwatch::net {
namespace {

using std::chrono::milliseconds;

// Nothing that is waited for takes so long.
constexpr milliseconds kLong(60000);

class PollerTest : public testing::Test {
 protected:
  PollerTest() {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair_.data()),
              0);
  }
  ~PollerTest() override {
    for (int fd : pair_) {
      if (fd >= 0) close(fd);
    }
  }

  std::set<uint64_t> Wait(milliseconds most) {
    std::set<uint64_t> told;
    poller_.Wait(most, [&told](uint64_t id) { told.insert(id); });
    return told;
  }

  Poller poller_;
  std::array<int, 2> pair_ = {-1, -1};
  uint32_t watched_ = 0;
};

TEST_F(PollerTest, TellsWhatIsWantedAndNothingElse) {
  poller_.Watch(pair_[0], 7, EPOLLIN, watched_);
  EXPECT_EQ(watched_, EPOLLIN);
  EXPECT_TRUE(Wait(milliseconds(0)).empty()) << "there is nothing to be read";
  poller_.Watch(pair_[0], 7, EPOLLIN | EPOLLOUT, watched_);
  EXPECT_EQ(Wait(kLong), (std::set<uint64_t>{7})) << "there is room to write";
  poller_.Watch(pair_[0], 8, EPOLLIN, watched_);
  ASSERT_EQ(write(pair_[1], "x", 1), 1);
  EXPECT_EQ(Wait(kLong), (std::set<uint64_t>{8}));
}

TEST_F(PollerTest, IsSilentAboutASocketOfWhichNothingIsWanted) {
  poller_.Watch(pair_[0], 7, EPOLLIN, watched_);
  poller_.Watch(pair_[0], 7, 0, watched_);
  ASSERT_EQ(write(pair_[1], "x", 1), 1);
  close(pair_[1]);
  pair_[1] = -1;
  EXPECT_TRUE(Wait(milliseconds(0)).empty()) << "not even that it was hung up";
  poller_.Watch(pair_[0], 7, EPOLLIN, watched_);
  EXPECT_EQ(Wait(kLong), (std::set<uint64_t>{7}));
}

TEST_F(PollerTest, IsWokenOnceByAWordOfAnotherThread) {
  std::thread other([this] {
    poller_.Wake();
    poller_.Wake();
  });
  EXPECT_TRUE(Wait(kLong).empty());
  other.join();
  Wait(milliseconds(0));  // a second word may have come after the first Wait
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(Wait(milliseconds(20)).empty());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(19))
      << "words that were heard are gone";
}

}  // namespace
}  // namespace sinkwatch::net
