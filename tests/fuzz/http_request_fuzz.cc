// A request line and headers, as any browser or stranger may send them; the
// query string of what is taken goes on to the parameters' parser.
#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/http/params.h"
#include "server/http/request.h"
#include "tests/fuzz/fuzz.h"

namespace sinkwatch::fuzz {
namespace {

using http::ParsedRequest;
using http::Request;

bool HasControl(absl::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return c != '\t' && absl::ascii_iscntrl(static_cast<unsigned char>(c));
  });
}

bool IsSame(const Request& a, const Request& b) {
  return a.method == b.method && a.path == b.path && a.query == b.query &&
         a.host == b.host;
}

void ExpectTaken(const ParsedRequest& parsed) {
  const Request& request = parsed.request;
  Expect(request.method == "GET" || request.method == "HEAD",
         "only GET and HEAD are taken");
  Expect(!request.path.empty() && request.path[0] == '/',
         "a path begins with a slash");
  Expect(!HasControl(request.path), "a path has no control characters");
  Expect(std::all_of(request.query.begin(), request.query.end(),
                     absl::ascii_isgraph),
         "a query is as it may stand in a URL");
  for (const std::string& value :
       {request.host, request.accept, request.accept_encoding,
        request.if_none_match}) {
    Expect(!HasControl(value), "a header cannot begin another one");
  }
  Expect(http::HostName(request.host) ==
             absl::AsciiStrToLower(http::HostName(request.host)),
         "a host is in lower case");
  http::IsLocalName(http::HostName(request.host));
}

// What was understood, written down again, is understood as the same.
void ExpectReadAgain(const ParsedRequest& parsed) {
  const Request& request = parsed.request;
  std::string path;
  for (char c : request.path) {
    path += c == '/' ? "/" : http::EscapeParameter(absl::string_view(&c, 1));
  }
  const std::string text =
      absl::StrCat(request.method, " ", path, request.query.empty() ? "" : "?",
                   request.query, " HTTP/1.1\r\nHost: ", request.host);
  const ParsedRequest again = http::ParseRequest(text);
  Expect(again.status == 0 && IsSame(again.request, request),
         "a request that is written again is the same");
}

absl::Status OutcomeOf(const ParsedRequest& parsed) {
  switch (parsed.status) {
    case 0:
      return absl::OkStatus();
    case 400:
      return absl::InvalidArgumentError(parsed.reason);
    case 405:
    case 505:
      return absl::UnimplementedError(parsed.reason);
    default:
      Expect(false, "the status is 400, 405 or 505");
      return absl::OkStatus();
  }
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const ParsedRequest parsed = http::ParseRequest(input);
  absl::Status outcome = OutcomeOf(parsed);
  if (!outcome.ok()) return outcome;
  ExpectTaken(parsed);
  ExpectReadAgain(parsed);
  auto params = http::Params::Parse(parsed.request.query,
                                    {"run", "metric", "layer", "head", "step"});
  if (!params.ok()) return absl::OkStatus();
  for (const char* list : {"layer", "head"}) {
    Expect(params->Ints(list).size() <= 4096, "a list is bounded");
  }
  params->Int("step", 0, 0, INT64_MAX);
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
