#ifndef SINKWATCH_SERVER_HTTP_RESPONSE_H_
#define SINKWATCH_SERVER_HTTP_RESPONSE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sinkwatch::http {

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers;
  // Sent before `body` if set: text that many responses share.
  std::shared_ptr<const std::string> prefix;
  std::string body;
};

// Status line and headers, the empty line behind them included.
std::string HeadOf(const Response& response, bool keep_alive);

// A refusal in a sentence.
Response TurnAway(int status, const std::string& reason);

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_RESPONSE_H_
