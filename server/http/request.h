#ifndef SINKWATCH_SERVER_HTTP_REQUEST_H_
#define SINKWATCH_SERVER_HTTP_REQUEST_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace sinkwatch::http {

struct Request {
  std::string method;
  std::string path;   // percent escapes decoded
  std::string query;  // as sent, without '?'
  // Headers that somebody asks for; empty where there are none.
  std::string host;
  std::string accept;
  std::string accept_encoding;
  std::string if_none_match;
  // Whether the client has left meanwhile; null: that is not known.
  std::shared_ptr<const std::atomic<bool>> gone;

  bool IsGone() const { return gone != nullptr && *gone; }
};

// What ParseRequest made of a request.
struct ParsedRequest {
  // 0, or the status that turns the request away, and why.
  int status = 0;
  std::string reason;
  Request request;
  // Whether the client wants to send another one on this connection.
  bool keep_alive = false;
};

// Reads an HTTP/1.0 or HTTP/1.1 request line and headers without the empty line
// at their end. Turned away: what is not well-formed (400; also a bare CR or
// LF, folded headers, control characters in the path, and a body, which no GET
// has), other methods than GET and HEAD (405), other versions (505). Pure.
ParsedRequest ParseRequest(absl::string_view text);

// The host of "host:port", "[::1]:80" or "host", in lower case, without
// brackets; all of what is none of these.
std::string HostName(absl::string_view host_and_port);

// Whether a name in a Host header cannot have been made by somebody who points
// a domain of his own at this machine: an IP address, or a name without a dot
// (as localhost is).
bool IsLocalName(absl::string_view host);

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_REQUEST_H_
