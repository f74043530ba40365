#include "server/http/response.h"

#include "absl/strings/str_cat.h"

namespace sinkwatch::http {
namespace {

const char* ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Internal Server Error";
  }
}

}  // namespace

std::string HeadOf(const Response& response, bool keep_alive) {
  const size_t prefix =
      response.prefix == nullptr ? 0 : response.prefix->size();
  std::string text = absl::StrCat("HTTP/1.1 ", response.status, " ",
                                  ReasonOf(response.status), "\r\n");
  for (const auto& [name, value] : response.headers) {
    absl::StrAppend(&text, name, ": ", value, "\r\n");
  }
  if (response.status != 304) {
    absl::StrAppend(&text, "Content-Type: ", response.content_type,
                    "\r\nContent-Length: ", prefix + response.body.size(),
                    "\r\n");
  }
  if (!keep_alive) absl::StrAppend(&text, "Connection: close\r\n");
  absl::StrAppend(&text, "X-Content-Type-Options: nosniff\r\n\r\n");
  return text;
}

Response TurnAway(int status, const std::string& reason) {
  Response response;
  response.status = status;
  if (status == 405) response.headers.emplace_back("Allow", "GET, HEAD");
  response.body = absl::StrCat(reason, "\n");
  return response;
}

}  // namespace sinkwatch::http
