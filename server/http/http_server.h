#ifndef SINKWATCH_SERVER_HTTP_HTTP_SERVER_H_
#define SINKWATCH_SERVER_HTTP_HTTP_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/http/request.h"
#include "server/http/response.h"

namespace sinkwatch::http {

// Answers one request. Called from several threads at once. What it throws
// becomes a 500.
using Handler = std::function<Response(const Request&)>;

struct HttpServerOptions {
  // "host:port"; port 0 takes a free one.
  std::string address = "127.0.0.1:17460";
  // Threads that run the handler.
  int threads = 4;
  // Requests for which this is true have two threads of their own, so that they
  // never wait behind the others. Empty: none.
  std::function<bool(const Request&)> urgent;
  // A whole request must be there, and an answer get on, in that time.
  absl::Duration timeout = absl::Seconds(10);
  // Between requests.
  absl::Duration keep_alive = absl::Seconds(60);
  // Request line and headers.
  int max_request_bytes = 16 * 1024;
  // Open at once. Above it the one that has waited longest for its client is
  // closed to make room.
  int max_connections = 4096;
  // Answers that their clients have not taken yet, together. Where they are
  // more, requests that are not urgent get 503.
  int64_t max_answer_bytes = int64_t{128} << 20;
  // Names that a Host header may have beside addresses, names without a dot and
  // the host of `address`; "*" is any. Others get 403: a page somewhere could
  // point its own domain at this port and read everything.
  std::vector<std::string> allowed_hosts;
  // Told of every answer, in the thread that made it. May be empty.
  std::function<void(const Request&, int status, absl::Duration)> on_answer;
};

// An HTTP/1.1 server for GET and HEAD (anything else is 405). One thread waits
// for all connections at once, so one that is idle, slow or half sent costs a
// descriptor and its bytes, never a thread; handlers run in a pool. Serves from
// Start until it is destroyed.
class HttpServer {
 public:
  // INVALID_ARGUMENT for an address that is none; UNAVAILABLE, naming the
  // address, if it cannot be bound.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      HttpServerOptions options, Handler handler);
  // Waits for requests under way; answers that their clients do not take within
  // a second are cut.
  ~HttpServer();

  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;

 private:
  class Loop;
  explicit HttpServer(std::unique_ptr<Loop> loop);

  const std::unique_ptr<Loop> loop_;
};

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_HTTP_SERVER_H_
