#include "server/http/http_server.h"

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
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

// One for all tests: civetweb takes up to two seconds to stop.
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
