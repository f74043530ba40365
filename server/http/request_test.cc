#include "server/http/request.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::http {
namespace {

TEST(RequestTest, LineAndHeadersAreRead) {
  const ParsedRequest parsed = ParseRequest(
      "GET /a%2Fb/c?x=%20&y HTTP/1.1\r\nHOST: Here:80\r\nAccept: text/plain\r\n"
      "accept: */*\r\nAccept-Encoding:gzip\r\nIf-None-Match: \"t\"\r\nX: 1");
  EXPECT_EQ(parsed.status, 0) << parsed.reason;
  EXPECT_EQ(parsed.request.method, "GET");
  EXPECT_EQ(parsed.request.path, "/a/b/c");
  EXPECT_EQ(parsed.request.query, "x=%20&y");
  EXPECT_EQ(parsed.request.host, "Here:80");
  EXPECT_EQ(parsed.request.accept, "text/plain, */*");
  EXPECT_EQ(parsed.request.accept_encoding, "gzip");
  EXPECT_EQ(parsed.request.if_none_match, "\"t\"");
  EXPECT_TRUE(parsed.keep_alive);
}

TEST(RequestTest, TheConnectionIsKeptAsTheVersionAndTheHeaderSay) {
  const auto kept = [](const std::string& version, const std::string& header) {
    return ParseRequest(
               absl::StrCat("GET / ", version, "\r\nHost: a\r\n", header))
        .keep_alive;
  };
  EXPECT_TRUE(kept("HTTP/1.1", "X: y"));
  EXPECT_FALSE(kept("HTTP/1.1", "Connection: Close"));
  EXPECT_FALSE(kept("HTTP/1.0", "X: y"));
  EXPECT_TRUE(kept("HTTP/1.0", "Connection: te, keep-alive"));
}

TEST(RequestTest, AbsoluteTargetsNameTheHost) {
  const ParsedRequest parsed =
      ParseRequest("GET http://evil.example/x?q HTTP/1.1\r\nHost: localhost");
  EXPECT_EQ(parsed.status, 0) << parsed.reason;
  EXPECT_EQ(parsed.request.host, "evil.example");
  EXPECT_EQ(parsed.request.path, "/x");
  EXPECT_EQ(parsed.request.query, "q");
}

TEST(RequestTest, WhatIsNoGetIsTurnedAwayWithItsStatus) {
  const struct {
    int status;
    std::string text;
  } cases[] = {
      {400, ""},
      {400, "GET"},
      {400, "GET /"},
      {400, "GET  / HTTP/1.1\r\nHost: a"},
      {400, "GET x HTTP/1.1\r\nHost: a"},
      {400, "GET http://b\x01/ HTTP/1.1\r\nHost: a"},
      {400, "G\x01T / HTTP/1.1\r\nHost: a"},
      {400, "GET / http/1.1\r\nHost: a"},
      {505, "GET / HTTP/2.0\r\nHost: a"},
      {505, "GET / HTTP/1.2\r\nHost: a"},
      {405, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5"},
      {405, "OPTIONS * HTTP/1.1\r\nHost: a"},
      {400, "GET / HTTP/1.1"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nno colon"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded: 2"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nX : 1"},
      {400, "GET / HTTP/1.1\r\nHost: a\nX: 1"},
      {400, std::string("GET / HTTP/1.1\r\nHost: a\0b", 25)},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5"},
      {400, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked"},
      {400, "GET /%00 HTTP/1.1\r\nHost: a"},
      {400, "GET /%0a HTTP/1.1\r\nHost: a"},
      {400, "GET /%4 HTTP/1.1\r\nHost: a"},
      {400, "GET /%zz HTTP/1.1\r\nHost: a"},
      {400, "GET /\xC3\xA9 HTTP/1.1\r\nHost: a"},
      {400, "\x16\x03\x01\x02"},
  };
  for (const auto& c : cases) {
    const ParsedRequest parsed = ParseRequest(c.text);
    EXPECT_EQ(parsed.status, c.status) << c.text;
    EXPECT_NE(parsed.reason, "") << c.text;
    EXPECT_FALSE(parsed.keep_alive) << c.text;
  }
}

TEST(RequestTest, HeadersAreCounted) {
  std::string text = "GET / HTTP/1.1\r\nHost: a";
  for (int i = 0; i < 99; ++i) absl::StrAppend(&text, "\r\nX: ", i);
  EXPECT_EQ(ParseRequest(text).status, 0);
  EXPECT_EQ(ParseRequest(text + "\r\nX: y").status, 400);
}

TEST(RequestTest, HostsHaveNoPortAndNoCase) {
  EXPECT_EQ(HostName("Example.ORG:80"), "example.org");
  EXPECT_EQ(HostName("example.org"), "example.org");
  EXPECT_EQ(HostName("[::1]:80"), "::1");
  EXPECT_EQ(HostName("[::1]"), "::1");
  EXPECT_EQ(HostName(""), "");
  EXPECT_EQ(HostName("server:"), "server");
  // What follows a name is a port, or it is all one name that is nobody's.
  for (const char* host :
       {"[::1].evil.example", "localhost:80@evil", "127.0.0.1:evil.example",
        "[localhost", "localhost:80:evil.example"}) {
    EXPECT_EQ(HostName(host), host);
    EXPECT_FALSE(IsLocalName(HostName(host))) << host;
  }
}

TEST(RequestTest, LocalNamesCannotBeSomebodysDomain) {
  for (const char* name :
       {"localhost", "server", "127.0.0.1", "10.1.2.3", "::1", "fe80::1"}) {
    EXPECT_TRUE(IsLocalName(name)) << name;
  }
  for (const char* name :
       {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
        "1.2.3", "a.", "local host", "localhost,evil", "localhost/evil"}) {
    EXPECT_FALSE(IsLocalName(name)) << name;
  }
}

}  // namespace
}  // namespace sinkwatch::http
