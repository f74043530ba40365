#include "server/http/site_testing.h"

#include <utility>

#include "server/http/http_server.h"

namespace sinkwatch::http {

using exporter::Exporter;
using exporter::Shape;
using nlohmann::json;

SiteTest::World* SiteTest::world_ = nullptr;

void SiteTest::SetUpTestSuite() {
  world_ = new World;
  ASSERT_NE(world_->store, nullptr);
  for (int64_t step : {100, 500, 700, 1000}) {
    const absl::Status status = exporter::Measure(world_->store.get(), "toy",
                                                  step, Shape(), step == 700);
    ASSERT_TRUE(status.ok()) << status;
  }
  store::Observation waiting;
  waiting.checkpoint = exporter::MakeCheckpoint("toy", 900);
  waiting.probe = exporter::MakeProbe();
  waiting.state = v1::JOB_STATE_WAITING;
  waiting.reason = "model.safetensors is <not> there";
  ASSERT_TRUE(world_->store->Observe({waiting}).ok());
  world_->exporter = std::make_unique<Exporter>(
      world_->store.get(), &world_->metrics, exporter::ExporterOptions());
  ASSERT_TRUE(world_->exporter->Refresh().ok());
  SiteOptions options;
  options.version = "1";
  options.ready = [] { return world_->ready; };
  world_->site =
      std::make_unique<Site>(&world_->queries, world_->exporter.get(), options);
  HttpServerOptions http;
  http.address = "127.0.0.1:0";
  auto server = HttpServer::Start(
      http, [](const Request& r) { return world_->site->Handle(r); });
  ASSERT_TRUE(server.ok()) << server.status();
  world_->server = *std::move(server);
}

void SiteTest::TearDownTestSuite() {
  world_->server.reset();
  delete world_;
}

Fetched SiteTest::Get(const std::string& target,
                      const std::vector<std::string>& headers) {
  return Fetch(world_->server->port(), target, headers);
}

json SiteTest::GetJson(const std::string& target) {
  const Fetched fetched = Get(target);
  EXPECT_EQ(fetched.status, 200) << target << fetched.body;
  EXPECT_EQ(fetched.headers.at("content-type"), "application/json");
  return json::parse(fetched.body, nullptr, /*allow_exceptions=*/false);
}

std::string SiteTest::RuleFor(const std::string& target, int status) {
  const Fetched fetched = Get(target);
  EXPECT_EQ(fetched.status, status) << target << fetched.body;
  const json body = json::parse(fetched.body, nullptr, false);
  EXPECT_EQ(body["error"]["code"], status);
  EXPECT_FALSE(body["error"]["message"].get<std::string>().empty());
  return body["error"]["rule"];
}

}  // namespace sinkwatch::http
