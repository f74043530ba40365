#include "server/net/port_probe.h"

#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "server/net/listener.h"

namespace sinkwatch::net {
namespace {

constexpr std::chrono::milliseconds kPatience(300);

class PortProbeTest : public ::testing::Test {
 protected:
  PortProbeTest()
      : listener_(*Listen("127.0.0.1:0", "x")), port_(PortOf(listener_)) {}
  ~PortProbeTest() override { close(listener_); }

  absl::Status Probe() { return ProbeHttp2("127.0.0.1", port_, kPatience); }

  // Takes one client and says `bytes`.
  absl::Status ProbeWhoSays(const std::string& bytes) {
    std::thread server([&] {
      int client = -1;
      while (client < 0) client = accept(listener_, nullptr, nullptr);
      send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      char hello[64];
      recv(client, hello, sizeof(hello), 0);
      close(client);
    });
    const absl::Status status =
        ProbeHttp2("127.0.0.1", port_, std::chrono::seconds(10));
    server.join();
    return status;
  }

  const int listener_;
  const int port_;
};

TEST_F(PortProbeTest, SettingsAreAnAnswer) {
  EXPECT_TRUE(ProbeWhoSays(std::string("\0\0\0\4\0\0\0\0\0", 9)).ok());
}

// The kernel goes on taking connections for whoever does not accept them.
TEST_F(PortProbeTest, APortThatNobodyAcceptsOnIsNoticed) {
  const absl::Status status = Probe();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(status.message(), "is silent")) << status;
}

TEST_F(PortProbeTest, OtherWordsAndNoneAreErrors) {
  EXPECT_FALSE(ProbeWhoSays("HTTP/1.1 400 Bad Request\r\n\r\n").ok());
  EXPECT_FALSE(ProbeWhoSays("").ok());
  EXPECT_FALSE(ProbeHttp2("127.0.0.1", 1, kPatience).ok());
}

}  // namespace
}  // namespace sinkwatch::net
