#ifndef SINKWATCH_SERVER_HTTP_SITE_TESTING_H_
#define SINKWATCH_SERVER_HTTP_SITE_TESTING_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/exporter/exporter.h"
#include "server/exporter/measured_store_testing.h"
#include "server/http/http_client_testing.h"
#include "server/http/site.h"
#include "server/query/queries.h"
#include "server/store/store.h"
#include "server/telemetry/service_metrics.h"

namespace sinkwatch::http {

// One server for the suite. Tests only read; the run "toy" has steps 100, 500
// and 1000, step 700 is implausible, step 900 waits.
class SiteTest : public testing::Test {
 protected:
  struct World {
    std::unique_ptr<store::Store> store = exporter::MakeStore();
    telemetry::ServiceMetrics metrics{{"1", "r"}};
    query::Queries queries{store.get(), [](const std::string& run) {
                             return run == "toy" ? "root is gone" : "";
                           }};
    std::unique_ptr<exporter::Exporter> exporter;
    absl::Status ready;
    std::unique_ptr<Site> site;
    std::unique_ptr<HttpServer> server;
  };

  static void SetUpTestSuite();
  static void TearDownTestSuite();

  static Fetched Get(const std::string& target,
                     const std::vector<std::string>& headers = {});
  static nlohmann::json GetJson(const std::string& target);
  // The rule of a refused request.
  static std::string RuleFor(const std::string& target, int status = 400);

  static World* world_;
};

inline constexpr char kSeries[] =
    "/api/v1/series?run=toy&metric=sink_attention";

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_SITE_TESTING_H_
