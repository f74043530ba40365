#ifndef SINKWATCH_SERVER_HTTP_HTTP_SERVER_H_
#define SINKWATCH_SERVER_HTTP_HTTP_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

struct mg_connection;
struct mg_context;

namespace sinkwatch::http {

struct Request {
  std::string method;
  std::string path;
  std::string query;  // as sent, without '?'
  std::string accept_encoding;
  std::string if_none_match;
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers;
  // Sent before `body` if set: text that many responses share.
  std::shared_ptr<const std::string> prefix;
  std::string body;
};

// Answers one request. Called from several threads at once; must not throw.
using Handler = std::function<Response(const Request&)>;

struct HttpServerOptions {
  // "host:port"; port 0 takes a free one.
  std::string address = "127.0.0.1:17460";
  int threads = 4;
  // A client that sends or takes nothing for so long is dropped.
  absl::Duration timeout = absl::Seconds(10);
  absl::Duration keep_alive = absl::Seconds(2);
  // Request line and headers.
  int max_request_bytes = 16 * 1024;
  // Connections that wait for a thread.
  int backlog = 64;
};

// An HTTP/1.1 server for GET and HEAD (anything else is 405), on civetweb.
// Serves from Start until it is destroyed.
class HttpServer {
 public:
  // INVALID_ARGUMENT for an address that is none; UNAVAILABLE, naming the
  // address, if it cannot be bound.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      const HttpServerOptions& options, Handler handler);
  // Waits for requests under way.
  ~HttpServer();

  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }

 private:
  explicit HttpServer(Handler handler) : handler_(std::move(handler)) {}
  static int OnRequest(mg_connection* connection);
  static int OnLog(const mg_connection* connection, const char* message);

  const Handler handler_;
  mg_context* context_ = nullptr;
  int port_ = 0;
};

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_HTTP_SERVER_H_
