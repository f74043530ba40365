#include "server/http/http_server.h"

#include <civetweb.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::http {
namespace {

std::string HeaderOf(const mg_connection* connection, const char* name) {
  const char* value = mg_get_header(connection, name);
  return value == nullptr ? "" : value;
}

const char* ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

void Send(mg_connection* connection, const Response& response, bool head) {
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
  absl::StrAppend(&text, "X-Content-Type-Options: nosniff\r\n\r\n");
  const bool has_body = !head && response.status != 304;
  // Small answers leave in one packet.
  if (has_body && prefix == 0) text += response.body;
  mg_write(connection, text.data(), text.size());
  if (!has_body || prefix == 0) return;
  mg_write(connection, response.prefix->data(), prefix);
  mg_write(connection, response.body.data(), response.body.size());
}

// Initialises the library once for the process and never frees it: civetweb
// counts its users without a lock.
void InitLibrary() {
  static const bool initialised = [] {
    mg_init_library(MG_FEATURES_DEFAULT);
    return true;
  }();
  (void)initialised;
}

// A host is needed: without one civetweb would listen on every interface.
bool IsAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = -1;
  return colon != std::string::npos && colon > 0 &&
         absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= 0 &&
         port <= 65535 && address.find(',') == std::string::npos;
}

// civetweb's options: name, value, name, value, ...
std::vector<std::string> SettingsOf(const HttpServerOptions& options) {
  const auto milliseconds = [](absl::Duration duration) {
    return absl::StrCat(absl::ToInt64Milliseconds(duration));
  };
  // civetweb resolves no names.
  std::string address = options.address;
  if (address.rfind("localhost:", 0) == 0) address.replace(0, 9, "127.0.0.1");
  return {"listening_ports",       address,
          "num_threads",           absl::StrCat(options.threads),
          "request_timeout_ms",    milliseconds(options.timeout),
          "enable_keep_alive",     "yes",
          "keep_alive_timeout_ms", milliseconds(options.keep_alive),
          "max_request_size",      absl::StrCat(options.max_request_bytes),
          "connection_queue",      absl::StrCat(options.backlog),
          "tcp_nodelay",           "1"};
}

}  // namespace

int HttpServer::OnRequest(mg_connection* connection) {
  const mg_request_info* info = mg_get_request_info(connection);
  auto* server = static_cast<HttpServer*>(info->user_data);
  Request request;
  request.method = info->request_method;
  request.path = info->local_uri == nullptr ? "" : info->local_uri;
  request.query = info->query_string == nullptr ? "" : info->query_string;
  request.accept_encoding = HeaderOf(connection, "Accept-Encoding");
  request.if_none_match = HeaderOf(connection, "If-None-Match");
  const bool head = request.method == "HEAD";
  Response response;
  if (request.method == "GET" || head) {
    response = server->handler_(request);
  } else {
    response.status = 405;
    response.headers.emplace_back("Allow", "GET, HEAD");
    // Whatever body was sent is not read: the connection cannot go on.
    response.headers.emplace_back("Connection", "close");
    mg_disable_connection_keep_alive(connection);
    response.body = "only GET and HEAD\n";
  }
  Send(connection, response, head);
  return response.status;
}

int HttpServer::OnLog(const mg_connection* connection, const char* message) {
  spdlog::warn("event=http message=\"{}\"", message);
  return 1;  // handled
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    const HttpServerOptions& options, Handler handler) {
  if (!IsAddress(options.address)) {
    return absl::InvalidArgumentError(
        absl::StrCat("HTTP address \"", options.address,
                     "\" is not host:port (as 127.0.0.1:17460)"));
  }
  InitLibrary();
  auto server = std::unique_ptr<HttpServer>(new HttpServer(std::move(handler)));
  const std::vector<std::string> settings = SettingsOf(options);
  std::vector<const char*> raw_settings;
  for (const std::string& text : settings) raw_settings.push_back(text.c_str());
  raw_settings.push_back(nullptr);
  mg_callbacks callbacks = {};
  callbacks.begin_request = &HttpServer::OnRequest;
  callbacks.log_message = &HttpServer::OnLog;
  mg_init_data init = {};
  init.callbacks = &callbacks;
  init.user_data = server.get();
  init.configuration_options = raw_settings.data();
  std::array<char, 256> text = {};
  unsigned code = 0;
  mg_error_data error = {};
  error.code = &code;
  error.text = text.data();
  error.text_buffer_size = text.size();
  server->context_ = mg_start2(&init, &error);
  if (server->context_ == nullptr) {
    return absl::UnavailableError(absl::StrCat(
        "cannot serve HTTP on ", options.address, ": ", text.data()));
  }
  mg_server_port port = {};
  if (mg_get_server_ports(server->context_, 1, &port) == 1) {
    server->port_ = port.port;
  }
  return server;
}

HttpServer::~HttpServer() {
  if (context_ != nullptr) mg_stop(context_);
}

}  // namespace sinkwatch::http
