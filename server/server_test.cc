#include "server/server.h"

#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/channel.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "server/config.h"
#include "sqlite3.h"

namespace sinkwatch::server {
namespace {

const char* const kServices[] = {"sinkwatch.v1.WorkerService",
                                 "sinkwatch.v1.QueryService",
                                 "sinkwatch.v1.AdminService"};

grpc::ByteBuffer Buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    config_.set_data_dir(
        absl::StrCat(std::getenv("TEST_TMPDIR"), "/", info->name()));
    config_.set_grpc_address("127.0.0.1:0");
    config_.set_http_address("127.0.0.1:0");
    ApplyDefaults(config_);
  }

  void Start() {
    auto server = Server::Start(config_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ =
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->grpc_port()),
                            grpc::InsecureChannelCredentials());
  }

  // What grpc.health.v1 says of a service: "SERVING", "NOT_SERVING" or a code.
  // The messages are written by hand, because Debian has no classes of them:
  // field 1 is the service of the request and the state of the answer.
  std::string Health(const std::string& service) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    const grpc::ByteBuffer request = Buffer(absl::StrCat(
        "\x0a", std::string(1, static_cast<char>(service.size())), service));
    grpc::ByteBuffer answer;
    std::promise<grpc::Status> done;
    stub.UnaryCall(&context, "/grpc.health.v1.Health/Check",
                   grpc::StubOptions(), &request, &answer,
                   [&](grpc::Status status) { done.set_value(status); });
    const grpc::Status status = done.get_future().get();
    if (!status.ok()) return absl::StrCat("code ", status.error_code());
    const std::string bytes = Bytes(answer);
    if (bytes == std::string("\x08\x01")) return "SERVING";
    if (bytes == std::string("\x08\x02")) return "NOT_SERVING";
    return "unknown bytes";
  }

  // The answer of the reflection service to a ServerReflectionRequest.
  std::string Reflect(const std::string& request) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareCall(
        &context,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        &queue);
    const auto finished = [&] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    call->StartCall(nullptr);
    EXPECT_TRUE(finished());
    call->Write(Buffer(request), nullptr);
    EXPECT_TRUE(finished());
    grpc::ByteBuffer answer;
    call->Read(&answer, nullptr);
    EXPECT_TRUE(finished());
    context.TryCancel();
    grpc::Status status;
    call->Finish(&status, nullptr);
    finished();
    return Bytes(answer);
  }

  v1::ServerConfig config_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(ServerTest, EveryServiceAndTheServerAreHealthyUntilTheyDrain) {
  Start();
  EXPECT_EQ(Health(""), "SERVING");
  for (const char* service : kServices) {
    EXPECT_EQ(Health(service), "SERVING") << service;
  }
  EXPECT_EQ(Health("sinkwatch.v1.NoService"),
            absl::StrCat("code ", grpc::StatusCode::NOT_FOUND));
  const int http_port = server_->http_port();
  server_->Drain(absl::ZeroDuration());
  EXPECT_EQ(Health(""), absl::StrCat("code ", grpc::StatusCode::UNAVAILABLE));
  EXPECT_EQ(server_->http_port(), http_port);
}

TEST_F(ServerTest, ReflectionListsTheServices) {
  Start();
  // list_services
  const std::string bytes = Reflect(std::string("\x3a\x00", 2));
  for (const char* service : kServices) {
    EXPECT_TRUE(absl::StrContains(bytes, service)) << service;
  }
  EXPECT_TRUE(absl::StrContains(bytes, "grpc.health.v1.Health"));
}

TEST_F(ServerTest, ReflectionDescribesTheHealthService) {
  Start();
  const std::string name = "grpc.health.v1.Health";
  // file_containing_symbol
  const std::string bytes = Reflect(absl::StrCat(
      "\x22", std::string(1, static_cast<char>(name.size())), name));
  EXPECT_TRUE(absl::StrContains(bytes, "HealthCheckRequest")) << bytes;
  EXPECT_TRUE(absl::StrContains(bytes, "health.proto")) << bytes;
}

TEST_F(ServerTest, AReloadThatChangesMoreThanRunsSaysWhatAndChangesNothing) {
  Start();
  v1::ServerConfig changed = config_;
  changed.mutable_lease()->set_ttl_seconds(61);
  v1::RunConfig& run = *changed.add_runs();
  run.set_name("new");
  run.set_root("/runs/new");
  run.set_probe("/probe");
  ApplyDefaults(changed);
  const absl::Status status = server_->Reload(changed);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(
      absl::StrContains(status.message(), "lease.ttl_seconds: 60 -> 61"))
      << status;
  *changed.mutable_lease() = config_.lease();
  EXPECT_TRUE(server_->Reload(changed).ok());
}

// Something of a store is gone that no start can do without.
TEST_F(ServerTest, AStoreThatCannotBeUsedIsNamed) {
  Start();
  server_ = nullptr;
  const std::string path = config_.data_dir() + "/sinkwatch.db";
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "DROP TABLE run", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(database);
  const absl::Status status = Server::Start(config_).status();
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(absl::StrContains(status.message(), path)) << status;
}

TEST_F(ServerTest, WhatCannotBeServedRefusesToStart) {
  Start();
  v1::ServerConfig second = config_;
  EXPECT_EQ(Server::Start(second).status().code(),
            absl::StatusCode::kFailedPrecondition);  // the store is held
  second.set_data_dir(config_.data_dir() + "-2");
  second.set_grpc_address(absl::StrCat("127.0.0.1:", server_->grpc_port()));
  const absl::Status grpc_taken = Server::Start(second).status();
  EXPECT_EQ(grpc_taken.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(grpc_taken.message(),
            absl::StrCat(second.grpc_address(),
                         " is in use (another sinkwatch_server?); choose "
                         "--grpc_address"));
  second.set_grpc_address("127.0.0.1:0");
  second.set_http_address(absl::StrCat("127.0.0.1:", server_->http_port()));
  const absl::Status taken = Server::Start(second).status();
  EXPECT_EQ(taken.code(), absl::StatusCode::kUnavailable) << taken;
  EXPECT_TRUE(absl::StrContains(taken.message(), second.http_address()))
      << taken;
  second.set_http_address("127.0.0.1:0");
  second.set_data_dir("/dev/null/data");
  const absl::Status status = Server::Start(second).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(status.message(), "/dev/null/data")) << status;
}

}  // namespace
}  // namespace sinkwatch::server
