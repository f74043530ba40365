#include "server/http/request.h"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace sinkwatch::http {
namespace {

constexpr int kMaxHeaders = 100;

ParsedRequest TurnedAway(int status, std::string reason) {
  ParsedRequest parsed;
  parsed.status = status;
  parsed.reason = std::move(reason);
  return parsed;
}

bool IsToken(absl::string_view text) {
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (!absl::ascii_isalnum(byte) &&
        !absl::StrContains("!#$%&'*+-.^_`|~", absl::string_view(&c, 1))) {
      return false;
    }
  }
  return !text.empty();
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// False for an escape that is none, or one of a control character.
bool Decode(absl::string_view text, std::string* decoded) {
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return false;
      const int high = HexDigit(text[i + 1]), low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) return false;
    decoded->push_back(c);
  }
  return true;
}

// Path and query; of the absolute form (as proxies send it) the host as well.
bool ReadTarget(absl::string_view target, Request* request) {
  for (char c : target) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return false;
  }
  if (absl::StartsWithIgnoreCase(target, "http://")) {
    target.remove_prefix(7);
    const size_t slash = target.find_first_of("/?");
    request->host = std::string(target.substr(0, slash));
    target = slash == absl::string_view::npos ? "/" : target.substr(slash);
  }
  target = target.substr(0, target.find('#'));
  const size_t question = target.find('?');
  if (question != absl::string_view::npos) {
    request->query = std::string(target.substr(question + 1));
  }
  target = target.substr(0, question);
  return absl::StartsWith(target, "/") && Decode(target, &request->path);
}

bool HasToken(absl::string_view list, absl::string_view token) {
  for (absl::string_view item : absl::StrSplit(list, ',')) {
    if (absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(item), token)) {
      return true;
    }
  }
  return false;
}

// The headers of one request while they are read.
class Headers {
 public:
  explicit Headers(ParsedRequest* parsed) : parsed_(*parsed) {}

  // Empty, or what is wrong with the line.
  std::string Add(absl::string_view line) {
    const size_t colon = line.find(':');
    if (colon == absl::string_view::npos || !IsToken(line.substr(0, colon))) {
      return "a header is none";
    }
    if (++count_ > kMaxHeaders) {
      return absl::StrCat("there are more than ", kMaxHeaders, " headers");
    }
    const std::string name = absl::AsciiStrToLower(line.substr(0, colon));
    const absl::string_view value =
        absl::StripAsciiWhitespace(line.substr(colon + 1));
    for (char c : value) {
      if (c != '\t' && absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
        return "a header has a control character";
      }
    }
    return Keep(name, value);
  }

  bool has_host() const { return has_host_; }

 private:
  std::string Keep(const std::string& name, absl::string_view value) {
    Request& request = parsed_.request;
    if (name == "host") {
      if (has_host_) return "there are two Host headers";
      has_host_ = true;
      // The host of an absolute target counts, as RFC 9112 has it.
      if (request.host.empty()) request.host = std::string(value);
    } else if (name == "connection") {
      if (HasToken(value, "close")) parsed_.keep_alive = false;
      if (HasToken(value, "keep-alive")) parsed_.keep_alive = true;
    } else if (name == "transfer-encoding" ||
               (name == "content-length" && value != "0")) {
      return "a GET has no body";
    } else if (name == "accept") {
      Append(value, &request.accept);
    } else if (name == "accept-encoding") {
      Append(value, &request.accept_encoding);
    } else if (name == "if-none-match") {
      Append(value, &request.if_none_match);
    }
    return "";
  }

  // A list may be spread over several headers.
  static void Append(absl::string_view value, std::string* list) {
    if (!list->empty()) absl::StrAppend(list, ", ");
    absl::StrAppend(list, value);
  }

  ParsedRequest& parsed_;
  bool has_host_ = false;
  int count_ = 0;
};

// The request line. Its method is looked at last, so that only what is a
// request at all is told which methods there are.
std::string ReadRequestLine(absl::string_view line, ParsedRequest* parsed) {
  const std::vector<absl::string_view> parts = absl::StrSplit(line, ' ');
  if (parts.size() != 3 || !IsToken(parts[0])) return "no request line";
  const absl::string_view version = parts[2];
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    if (absl::StartsWith(version, "HTTP/")) parsed->status = 505;
    return "not HTTP/1.0 or HTTP/1.1";
  }
  Request& request = parsed->request;
  request.method = std::string(parts[0]);
  if (request.method != "GET" && request.method != "HEAD") {
    parsed->status = 405;
    return "only GET and HEAD";
  }
  if (!ReadTarget(parts[1], &request)) return "the path is none";
  parsed->keep_alive = version == "HTTP/1.1";
  return "";
}

}  // namespace

ParsedRequest ParseRequest(absl::string_view text) {
  ParsedRequest parsed;
  const std::vector<absl::string_view> lines = absl::StrSplit(text, "\r\n");
  std::string wrong = ReadRequestLine(lines[0], &parsed);
  const bool must_have_host = absl::EndsWith(lines[0], "HTTP/1.1");
  Headers headers(&parsed);
  for (size_t i = 1; i < lines.size() && wrong.empty(); ++i) {
    wrong = headers.Add(lines[i]);
  }
  if (wrong.empty() && must_have_host && !headers.has_host()) {
    wrong = "HTTP/1.1 needs a Host header";
  }
  if (wrong.empty()) return parsed;
  return TurnedAway(parsed.status == 0 ? 400 : parsed.status, wrong);
}

std::string HostName(absl::string_view host) {
  const bool bracketed = absl::StartsWith(host, "[");
  const size_t end = bracketed ? host.find(']') : host.rfind(':');
  if (end == absl::string_view::npos) return absl::AsciiStrToLower(host);
  absl::string_view port = host.substr(bracketed ? end + 1 : end);
  const bool is_port = port.empty() || (absl::ConsumePrefix(&port, ":") &&
                                        std::all_of(port.begin(), port.end(),
                                                    absl::ascii_isdigit));
  if (is_port) host = host.substr(bracketed, end - bracketed);
  return absl::AsciiStrToLower(host);
}

bool IsLocalName(absl::string_view host) {
  const std::string name(host);
  in6_addr address = {};
  return inet_pton(AF_INET, name.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, name.c_str(), &address) == 1 ||
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_';
         });
}

}  // namespace sinkwatch::http
