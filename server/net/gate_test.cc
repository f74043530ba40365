#include "server/net/gate.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::net {
namespace {

const std::string kHello = std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") +
                           std::string("\0\0\0\4\0\0\0\0\0", 9);
// Header fields (none) of call 1, which go on and on.
const std::string kEndless = std::string("\0\0\0\1\0\0\0\0\1", 9);
// Of its message.
const std::string kPart = std::string("\0\0\1\0\0\0\0\0\1x", 10);
const std::string kCall = std::string("\0\0\0\1\4\0\0\0\1", 9);

// A connection to the gate.
class Client {
 public:
  explicit Client(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Send(const std::string& bytes) {
    send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // What comes next, of `count` bytes; shorter at the end of the connection.
  std::string Read(size_t count) {
    std::string bytes(count, '\0');
    size_t there = 0;
    while (there < count) {
      pollfd waited = {socket_, POLLIN, 0};
      if (poll(&waited, 1, 20000) != 1) break;
      const ssize_t some = recv(socket_, &bytes[there], count - there, 0);
      if (some <= 0) break;
      there += static_cast<size_t>(some);
    }
    bytes.resize(there);
    return bytes;
  }
  bool IsClosed() { return Read(1).empty(); }

 private:
  const int socket_;
};

class GateTest : public ::testing::Test {
 protected:
  GateTest() { options_.address = "127.0.0.1:0"; }
  ~GateTest() override {
    gate_.reset();
    for (int served : served_) close(served);
  }

  void Open() {
    auto gate = Gate::Open(options_, [this](int served) {
      std::lock_guard<std::mutex> lock(mutex_);
      served_.push_back(served);
    });
    ASSERT_TRUE(gate.ok()) << gate.status();
    gate_ = *std::move(gate);
  }

  // The server's end of the i-th client, once it is there.
  int Served(size_t i) {
    while (true) {
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (served_.size() > i) return served_[i];
      }
      usleep(1000);
    }
  }
  std::string ReadServed(size_t i, size_t count) {
    std::string bytes(count, '\0');
    size_t there = 0;
    const int served = Served(i);
    while (there < count) {
      pollfd waited = {served, POLLIN, 0};
      if (poll(&waited, 1, 20000) != 1) break;
      const ssize_t some = recv(served, &bytes[there], count - there, 0);
      if (some <= 0) break;
      there += static_cast<size_t>(some);
    }
    bytes.resize(there);
    return bytes;
  }

  GateOptions options_;
  std::mutex mutex_;
  std::vector<int> served_;
  std::unique_ptr<Gate> gate_;
};

TEST_F(GateTest, BytesGoBothWays) {
  Open();
  Client client(gate_->port());
  client.Send(kHello + kCall);
  EXPECT_EQ(ReadServed(0, kHello.size() + kCall.size()), kHello + kCall);
  const std::string answer = std::string("\0\0\5\0\0\0\0\0\1", 9) + "hello";
  ASSERT_EQ(send(Served(0), answer.data(), answer.size(), 0),
            static_cast<ssize_t>(answer.size()));
  EXPECT_EQ(client.Read(answer.size()), answer);
}

// More than all buffers on the way hold.
TEST_F(GateTest, WhatTheOtherSideDoesNotTakeWaits) {
  Open();
  Client client(gate_->port());
  client.Send(kHello + kCall);
  ReadServed(0, kHello.size() + kCall.size());
  std::string answer;
  for (int i = 0; i < 1000; ++i) {
    answer +=
        std::string("\0\x40\0\0\0\0\0\0\1", 9) + std::string(1 << 14, 'x');
  }
  std::thread server([&] {
    size_t sent = 0;
    while (sent < answer.size()) {
      pollfd waited = {Served(0), POLLOUT, 0};
      if (poll(&waited, 1, 20000) != 1) return;
      const ssize_t some =
          send(Served(0), answer.data() + sent, answer.size() - sent, 0);
      if (some > 0) sent += static_cast<size_t>(some);
    }
  });
  EXPECT_EQ(client.Read(answer.size()), answer);
  server.join();
}

TEST_F(GateTest, WhoBreaksARuleIsClosed) {
  Open();
  Client stranger(gate_->port());
  stranger.Send("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(stranger.IsClosed());
  Client endless(gate_->port());
  endless.Send(kHello + kEndless);
  for (int i = 0; i < 100; ++i) {
    endless.Send(std::string("\0\x10\0\x9\0\0\0\0\1", 9) +
                 std::string(1 << 12, 'x'));
  }
  EXPECT_TRUE(endless.IsClosed());
}

TEST_F(GateTest, WhoSaysNothingIsClosed) {
  options_.greeting = std::chrono::milliseconds(100);
  Open();
  Client silent(gate_->port());
  EXPECT_TRUE(silent.IsClosed());
}

TEST_F(GateTest, TheOneWithoutACallMakesRoom) {
  options_.max_connections = 2;
  Open();
  Client working(gate_->port());
  working.Send(kHello + kCall);
  ReadServed(0, kHello.size() + kCall.size());
  Client idle(gate_->port());
  idle.Send(kHello);
  ReadServed(1, kHello.size());
  Client third(gate_->port());
  third.Send(kHello + kCall);
  EXPECT_TRUE(idle.IsClosed());
  EXPECT_EQ(ReadServed(2, kHello.size()), kHello);
  Client fourth(gate_->port());
  EXPECT_TRUE(fourth.IsClosed());
}

TEST_F(GateTest, WhoHoldsCallsOpenInSilenceMakesRoomAtLast) {
  options_.max_connections = 2;
  options_.silence = std::chrono::milliseconds(300);
  Open();
  Client silent(gate_->port());
  silent.Send(kHello + kCall);
  ReadServed(0, kHello.size() + kCall.size());
  Client busy(gate_->port());
  busy.Send(kHello + kCall);
  ReadServed(1, kHello.size() + kCall.size());
  usleep(200000);
  busy.Send(kPart);
  EXPECT_EQ(ReadServed(1, kPart.size()), kPart);
  usleep(200000);
  Client third(gate_->port());
  third.Send(kHello + kCall);
  EXPECT_TRUE(silent.IsClosed());
  EXPECT_EQ(ReadServed(2, kHello.size()), kHello);
  busy.Send(kPart);
  EXPECT_EQ(ReadServed(1, kPart.size()), kPart);
}

// gRPC, once it had none left, never accepted again (grpc/grpc 20418).
TEST_F(GateTest, AcceptsAgainOnceThereAreDescriptors) {
  Open();
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  Client waiting(gate_->port());
  Served(0);
  const rlimit none = {3, limit.rlim_max};
  Client starved(gate_->port());
  setrlimit(RLIMIT_NOFILE, &none);
  // Whether it was taken or not, the gate goes on.
  usleep(200000);
  setrlimit(RLIMIT_NOFILE, &limit);
  Client later(gate_->port());
  later.Send(kHello);
  bool answered = false;
  for (size_t i = 1; i < 3 && !answered; ++i) {
    answered = ReadServed(i, kHello.size()) == kHello;
  }
  EXPECT_TRUE(answered);
}

TEST_F(GateTest, AfterStopNobodyIsTakenAndTheOthersGoOn) {
  Open();
  Client client(gate_->port());
  client.Send(kHello);
  ReadServed(0, kHello.size());
  gate_->StopAccepting();
  client.Send(kCall);
  EXPECT_EQ(ReadServed(0, kCall.size()), kCall);
  const int late = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(gate_->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_NE(
      connect(late, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(late);
}

TEST_F(GateTest, ATakenPortRefuses) {
  Open();
  options_.address = absl::StrCat("127.0.0.1:", gate_->port());
  const auto second = Gate::Open(options_, [](int) {});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sinkwatch::net
