#include "server/http/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/http/http_client_testing.h"

namespace sinkwatch::http {
namespace {

Response Echo(const Request& request) {
  Response response;
  response.body =
      absl::StrCat(request.method, " ", request.path, " ?", request.query, " ",
                   request.accept_encoding, " ", request.if_none_match);
  response.headers.emplace_back("X-Test", "yes");
  return response;
}

HttpServerOptions OnFreePort() {
  HttpServerOptions options;
  options.address = "127.0.0.1:0";
  options.threads = 2;
  options.timeout = absl::Milliseconds(300);
  return options;
}

std::shared_ptr<HttpServer> Serve(Handler handler) {
  auto server = HttpServer::Start(OnFreePort(), std::move(handler));
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

// One for all tests.
std::shared_ptr<HttpServer> EchoServer() {
  static const auto* const kServer =
      new std::shared_ptr<HttpServer>(Serve(Echo));
  return *kServer;
}

TEST(HttpServer, HandsTheRequestOverAndTheResponseBack) {
  auto server = EchoServer();
  const Fetched fetched =
      Fetch(server->port(), "/a/b?x=1&y=%20",
            {"Accept-Encoding: gzip", "If-None-Match: \"t\""});
  EXPECT_EQ(fetched.status, 200);
  EXPECT_EQ(fetched.body, "GET /a/b ?x=1&y=%20 gzip \"t\"");
  EXPECT_EQ(fetched.headers.at("x-test"), "yes");
  EXPECT_EQ(fetched.headers.at("content-length"),
            absl::StrCat(fetched.body.size()));
}

TEST(HttpServer, SendsPrefixAndBodyAsOneBody) {
  const auto shared = std::make_shared<const std::string>(300000, 'p');
  auto server = Serve([&](const Request&) {
    Response response;
    response.prefix = shared;
    response.body = "tail";
    return response;
  });
  const Fetched fetched = Fetch(server->port(), "/");
  EXPECT_EQ(fetched.body, *shared + "tail");
  EXPECT_EQ(fetched.headers.at("content-length"), "300004");
}

TEST(HttpServer, HeadHasTheHeadersOfGetAndNoBody) {
  auto server = EchoServer();
  const Fetched fetched = Fetch(server->port(), "/x", {}, "HEAD");
  EXPECT_EQ(fetched.status, 200);
  EXPECT_EQ(fetched.body, "");
  EXPECT_NE(fetched.headers.at("content-length"), "0");
}

TEST(HttpServer, OtherMethodsAreNotAllowed) {
  auto server = EchoServer();
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    const Fetched fetched =
        Fetch(server->port(), "/x", {"Content-Length: 0"}, method);
    EXPECT_EQ(fetched.status, 405) << method;
    EXPECT_EQ(fetched.headers.at("allow"), "GET, HEAD");
  }
}

TEST(HttpServer, GarbageIsTurnedAwayAndTheServerLives) {
  auto server = EchoServer();
  for (const std::string& bytes :
       {std::string("\x16\x03\x01\x02\r\n\r\n"), std::string("GET\r\n\r\n"),
        "GET /" + std::string(100000, 'a') + " HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX: " + std::string(100000, 'b') + "\r\n\r\n"}) {
    const std::string answer = SendRaw(server->port(), bytes);
    EXPECT_FALSE(absl::StartsWith(answer, "HTTP/1.1 200")) << answer;
  }
  EXPECT_EQ(Fetch(server->port(), "/x").status, 200);
}

TEST(HttpServer, DotSegmentsDoNotReachFiles) {
  auto server = EchoServer();
  const Fetched fetched = Fetch(server->port(), "/../../etc/passwd");
  EXPECT_FALSE(absl::StrContains(fetched.body, "root:"));
}

// A client that does as it likes. Closed when it goes.
class RawClient {
 public:
  explicit RawClient(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address),
                         sizeof(address)) == 0;
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void Send(const std::string& bytes) {
    (void)!send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // Until `count` times `part` came, or the server closed.
  std::string ReadUntil(const std::string& part, int count) {
    std::string text;
    char buffer[4096];
    while (true) {
      int found = 0;
      for (size_t at = text.find(part); at != std::string::npos;
           at = text.find(part, at + 1)) {
        ++found;
      }
      if (found >= count) return text;
      const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
      if (got <= 0) return text;
      text.append(buffer, static_cast<size_t>(got));
    }
  }

 private:
  const int fd_;
  bool connected_ = false;
};

TEST(HttpServer, RequestsThatComeTogetherAreAnsweredInOrder) {
  auto server = EchoServer();
  RawClient client(server->port());
  std::string sent;
  for (int i = 0; i < 101; ++i) {
    absl::StrAppend(&sent, "GET /", i, "/ HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  client.Send(sent);
  const std::string answers = client.ReadUntil("GET /100/", 1);
  size_t last = 0;
  for (int i = 0; i < 101; ++i) {
    const size_t at = answers.find(absl::StrCat("GET /", i, "/ "));
    ASSERT_NE(at, std::string::npos) << i;
    EXPECT_GE(at, last);
    last = at;
  }
}

TEST(HttpServer, ConnectionIsKeptAndClosedWhenAsked) {
  auto server = EchoServer();
  RawClient client(server->port());
  client.Send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(absl::StrContains(client.ReadUntil("GET /1", 1), "200 OK"));
  client.Send("GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(absl::StrContains(client.ReadUntil("never", 1), "GET /2"));
}

TEST(HttpServer, HalfARequestIsClosedAfterTheTimeoutHoweverSlowlyItComes) {
  auto server = Serve(Echo);
  RawClient client(server->port());
  const absl::Time begin = absl::Now();
  std::atomic<bool> closed{false};
  std::thread slow([&] {
    for (int i = 0; i < 100 && !closed; ++i) {
      client.Send("X");
      absl::SleepFor(absl::Milliseconds(50));
    }
  });
  EXPECT_EQ(client.ReadUntil("never", 1), "");
  EXPECT_LT(absl::Now() - begin, absl::Seconds(4));
  closed = true;
  slow.join();
}

// bad_alloc went through civetweb's C frames and ended the process.
TEST(HttpServer, WhatAHandlerThrowsIsA500AndTheServerLives) {
  auto server = Serve([](const Request& request) -> Response {
    if (request.path == "/memory") throw std::bad_alloc();
    if (request.path == "/error") throw std::runtime_error("out of luck");
    return Echo(request);
  });
  EXPECT_EQ(Fetch(server->port(), "/memory").status, 500);
  const Fetched failed = Fetch(server->port(), "/error");
  EXPECT_EQ(failed.status, 500);
  EXPECT_TRUE(absl::StrContains(failed.body, "out of luck"));
  EXPECT_EQ(Fetch(server->port(), "/fine").status, 200);
}

TEST(HttpServer, OnlyNamesOfItsOwnAreServed) {
  auto options = OnFreePort();
  options.allowed_hosts = {"Sinks.Example"};
  auto server = HttpServer::Start(options, Echo);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto status = [&](const std::string& host) {
    const std::string answer = SendRaw(
        (*server)->port(), absl::StrCat("GET / HTTP/1.1\r\nHost: ", host,
                                        "\r\nConnection: close\r\n\r\n"));
    return answer.substr(9, 3);
  };
  for (const char* host : {"localhost", "127.0.0.1:17460", "[::1]:1", "server",
                           "sinks.example:80"}) {
    EXPECT_EQ(status(host), "200") << host;
  }
  for (const char* host : {"evil.example", "localhost.evil.example:17460"}) {
    EXPECT_EQ(status(host), "403") << host;
  }
}

TEST(HttpServer, UrgentRequestsDoNotWaitForTheOthers) {
  HttpServerOptions options = OnFreePort();
  options.threads = 1;
  options.urgent = [](const Request& r) { return r.path == "/urgent"; };
  absl::Notification entered, release;
  auto server = HttpServer::Start(options, [&](const Request& request) {
    if (request.path == "/slow") {
      entered.Notify();
      release.WaitForNotification();
    }
    return Echo(request);
  });
  ASSERT_TRUE(server.ok()) << server.status();
  RawClient slow((*server)->port());
  slow.Send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  entered.WaitForNotification();
  EXPECT_EQ(Fetch((*server)->port(), "/urgent").status, 200);
  release.Notify();
  EXPECT_TRUE(absl::StrContains(slow.ReadUntil("GET /slow", 1), "200 OK"));
}

// A handler learns that its client has left, and requests whose clients left
// while they waited are not looked at.
TEST(HttpServer, NobodyWorksForClientsThatHaveGone) {
  HttpServerOptions options = OnFreePort();
  options.threads = 1;
  absl::Notification entered;
  std::atomic<int> waited_in_vain{0};
  auto server = HttpServer::Start(options, [&](const Request& request) {
    if (request.path == "/slow") {
      entered.Notify();
      while (!request.IsGone()) absl::SleepFor(absl::Milliseconds(1));
    }
    if (request.path == "/in_vain") ++waited_in_vain;
    return Echo(request);
  });
  ASSERT_TRUE(server.ok()) << server.status();
  const int port = (*server)->port();
  {
    RawClient slow(port);
    slow.Send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    entered.WaitForNotification();
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(std::make_unique<RawClient>(port));
      clients.back()->Send("GET /in_vain HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    // They are waiting for the one thread once somebody later was answered.
    EXPECT_EQ(Fetch(port, "/", {}, "POST").status, 405);
    clients.clear();
    EXPECT_EQ(Fetch(port, "/", {}, "POST").status, 405);
  }
  EXPECT_EQ(Fetch(port, "/next").status, 200);
  EXPECT_EQ(waited_in_vain, 0);
}

TEST(HttpServer, EveryAnswerIsToldOf) {
  HttpServerOptions options = OnFreePort();
  std::atomic<int> good{0}, bad{0};
  options.on_answer = [&](const Request&, int status, absl::Duration time) {
    EXPECT_GE(time, absl::ZeroDuration());
    ++(status == 200 ? good : bad);
  };
  auto server = HttpServer::Start(options, Echo);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(Fetch((*server)->port(), "/").status, 200);
  EXPECT_EQ(Fetch((*server)->port(), "/", {}, "POST").status, 405);
  server->reset();
  EXPECT_EQ(good, 1);
  EXPECT_EQ(bad, 1);
}

// The longest of ten answers on connections of their own.
absl::Duration LongestOfTen(int port) {
  absl::Duration longest;
  for (int i = 0; i < 10; ++i) {
    const absl::Time begin = absl::Now();
    EXPECT_EQ(Fetch(port, "/-/healthy").status, 200);
    longest = std::max(longest, absl::Now() - begin);
  }
  return longest;
}

// Four threads, one per connection, went silent for ten seconds with six idle
// ones.
TEST(HttpServer, IdleAndHalfSentConnectionsCostNobodyTime) {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const struct { int idle, half; } crowds[] = {{64, 16}, {1000, 200}};
  HttpServerOptions options;
  options.address = "127.0.0.1:0";
  auto server = HttpServer::Start(options, Echo);
  ASSERT_TRUE(server.ok()) << server.status();
  const int port = (*server)->port();
  for (const auto& crowd : crowds) {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < crowd.idle + crowd.half; ++i) {
      clients.push_back(std::make_unique<RawClient>(port));
      ASSERT_TRUE(clients.back()->connected()) << i;
      if (i < crowd.half) clients.back()->Send("GET / HTTP/1.1\r\nHost: a");
    }
    const absl::Duration longest = LongestOfTen(port);
    RecordProperty(absl::StrCat("longest_us_", crowd.idle),
                   absl::StrCat(absl::ToInt64Microseconds(longest)));
    std::printf("%d idle, %d half sent: longest of ten %s\n", crowd.idle,
                crowd.half, absl::FormatDuration(longest).c_str());
    EXPECT_LT(longest, absl::Milliseconds(50)) << crowd.idle;
  }
}

// Pipelined requests of a client that reads nothing held all threads.
TEST(HttpServer, ClientsThatDoNotReadCostNobodyTime) {
  const std::string large(4 << 20, 'x');
  HttpServerOptions options;
  options.address = "127.0.0.1:0";
  auto server = HttpServer::Start(options, [&](const Request& request) {
    Response response = Echo(request);
    if (request.path == "/large") response.body = large;
    return response;
  });
  ASSERT_TRUE(server.ok()) << server.status();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<RawClient>((*server)->port()));
    for (int j = 0; j < 30; ++j) {
      clients.back()->Send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    }
  }
  // Copying the answers takes a moment; waiting for these clients took minutes.
  EXPECT_LT(LongestOfTen((*server)->port()), absl::Seconds(1));
}

TEST(HttpServer, AnswersThatNobodyTakesAreBounded) {
  const std::string large(32 << 20, 'x');  // more than sockets hold
  HttpServerOptions options = OnFreePort();
  options.timeout = absl::Seconds(60);
  options.max_answer_bytes = 1 << 20;
  options.urgent = [](const Request& r) { return r.path == "/urgent"; };
  auto server = HttpServer::Start(options, [&](const Request& request) {
    Response response = Echo(request);
    if (request.path == "/large") response.body = large;
    return response;
  });
  ASSERT_TRUE(server.ok()) << server.status();
  const int port = (*server)->port();
  auto client = std::make_unique<RawClient>(port);
  client->Send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  client->ReadUntil("200 OK", 1);  // it is on its way
  EXPECT_EQ(Fetch(port, "/").status, 503);
  EXPECT_EQ(Fetch(port, "/urgent").status, 200);
  client = nullptr;
  while (Fetch(port, "/").status != 200) {
  }
}

TEST(HttpServer, AboveTheBoundTheLongestWaitingIsClosed) {
  HttpServerOptions options = OnFreePort();
  options.timeout = absl::Seconds(60);
  options.max_connections = 4;
  auto server = HttpServer::Start(options, Echo);
  ASSERT_TRUE(server.ok()) << server.status();
  RawClient first((*server)->port());
  std::vector<std::unique_ptr<RawClient>> others;
  for (int i = 0; i < 4; ++i) {
    others.push_back(std::make_unique<RawClient>((*server)->port()));
  }
  EXPECT_EQ(first.ReadUntil("never", 1), "") << "it should have been closed";
  others.back()->Send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(
      absl::StrContains(others.back()->ReadUntil("GET /x", 1), "200 OK"));
}

TEST(HttpServer, TakenPortIsUnavailableAndNamed) {
  auto server = EchoServer();
  HttpServerOptions options = OnFreePort();
  options.address = absl::StrCat("127.0.0.1:", server->port());
  const absl::Status status = HttpServer::Start(options, Echo).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), options.address)) << status;
}

TEST(HttpServer, AddressWithoutHostOrPortIsInvalid) {
  for (const char* address : {"", "17460", ":17460", "localhost", "a:b",
                              "127.0.0.1:70000", "127.0.0.1:1,127.0.0.1:2"}) {
    HttpServerOptions options = OnFreePort();
    options.address = address;
    EXPECT_TRUE(
        absl::IsInvalidArgument(HttpServer::Start(options, Echo).status()))
        << address;
  }
}

}  // namespace
}  // namespace sinkwatch::http
