#include "proto/rpc/connect_hint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "proto/rpc/channel.h"
#include "sinkwatch/v1/admin_service.grpc.pb.h"

namespace sinkwatch::rpc {
namespace {

// Answers every connection with HTTP/1.1, as our HTTP port does, and keeps what
// it was asked first.
class HttpPort {
 public:
  HttpPort() : handle_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(handle_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(handle_, 8), 0);
    getsockname(handle_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Answer(); });
  }
  ~HttpPort() {
    shutdown(handle_, SHUT_RDWR);
    thread_.join();
    close(handle_);
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  std::string asked() const { return asked_; }

 private:
  void Answer() {
    const char kAnswer[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    int peer = 0;
    while ((peer = accept(handle_, nullptr, nullptr)) >= 0) {
      char buffer[256] = {};
      const ssize_t count = read(peer, buffer, sizeof(buffer) - 1);
      if (asked_.empty() && count > 0) asked_ = std::string(buffer, count);
      if (write(peer, kAnswer, std::strlen(kAnswer)) < 0) asked_ += " (lost)";
      close(peer);
    }
  }

  const int handle_;
  int port_ = 0;
  std::string asked_;
  std::thread thread_;
};

grpc::Status Call(const std::string& address) {
  const auto stub = v1::AdminService::NewStub(CreateChannel(address));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::seconds(20));
  v1::ServerConfig answer;
  return stub->GetConfig(&context, v1::GetConfigRequest(), &answer);
}

TEST(ConnectHint, TellsAnHttpPortFromNoServer) {
  const HttpPort http;
  const grpc::Status status = Call(http.address());
  EXPECT_TRUE(absl::StrContains(ConnectHint(status), "HTTP port"))
      << status.error_message();
  const grpc::Status none = Call("127.0.0.1:1");
  EXPECT_TRUE(absl::StrContains(ConnectHint(none), "running there"))
      << none.error_message();
  EXPECT_EQ(ConnectHint(grpc::Status(grpc::StatusCode::NOT_FOUND, "x")), "");
}

TEST(Channel, GoesThroughNoProxy) {
  std::string asked;
  {
    const HttpPort proxy;
    setenv("http_proxy", ("http://" + proxy.address()).c_str(), 1);
    Call("127.0.0.1:1");
    unsetenv("http_proxy");
    asked = proxy.asked();
  }
  EXPECT_EQ(asked, "");
}

}  // namespace
}  // namespace sinkwatch::rpc
