#include "server/net/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::net {
namespace {

// A port of the loopback that something listens on while it lives.
class TakenPort {
 public:
  TakenPort() : handle_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(handle_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(handle_, 1), 0);
    getsockname(handle_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~TakenPort() { close(handle_); }
  int port() const { return port_; }

 private:
  const int handle_;
  int port_ = 0;
};

TEST(Listen, ATakenPortIsOneClearSentence) {
  int port = 0;
  {
    const TakenPort taken;
    port = taken.port();
    const std::string address = absl::StrCat("127.0.0.1:", port);
    const absl::Status status = Listen(address, "grpc_address").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(status.message(),
              absl::StrCat(address,
                           " is in use (another sinkwatch_server?); choose "
                           "--grpc_address"));
  }
  const auto listener = Listen(absl::StrCat("127.0.0.1:", port), "x");
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ(PortOf(*listener), port);
  close(*listener);
}

TEST(Listen, AnAddressThatIsNotOursSaysWhy) {
  const absl::Status status =
      Listen("192.0.2.1:17461", "http_address").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(status.message(), "192.0.2.1:17461: "))
      << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "--http_address")) << status;
}

TEST(Listen, WhatIsNoAddressIsRefused) {
  EXPECT_EQ(Listen("127.0.0.1", "grpc_address").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Listen, APortThatIsLeftOpenIsAFreeOne) {
  const auto listener = Listen("127.0.0.1:0", "grpc_address");
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_GT(PortOf(*listener), 0);
  close(*listener);
}

}  // namespace
}  // namespace sinkwatch::net
