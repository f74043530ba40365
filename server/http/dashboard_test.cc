// Every panel of dashboards/steps.json has an answer at the size it is for: a
// model of 80 layers, 3,000 checkpoints. (tests/e2e/prometheus_test asks a real
// server for the same at toy size.)
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/exporter/exporter.h"
#include "server/exporter/measured_store_testing.h"
#include "server/http/site.h"
#include "server/query/queries.h"

namespace sinkwatch::http {
namespace {

using nlohmann::json;

constexpr int kLayers = 80;
constexpr int kHeads = 4;
constexpr int kSteps = 3000;

json Dashboard() {
  std::ifstream file("dashboards/steps.json");
  return json::parse(file);
}

// Title -> URL, variables filled in.
std::map<std::string, std::string> PanelUrls() {
  std::map<std::string, std::string> urls;
  const json dashboard = Dashboard();
  for (const json& panel : dashboard["panels"]) {
    if (!panel.contains("targets")) continue;
    for (const json& target : panel["targets"]) {
      urls[panel["title"]] = absl::StrReplaceAll(
          target["url"].get<std::string>(), {{"${run}", "big"},
                                             {"${stage}", ""},
                                             {"${domain}", "wiki"},
                                             {"${metric}", "sink_attention"},
                                             {"${layer}", "*"},
                                             {"${agg}", "max"},
                                             {"${x}", "step"}});
    }
  }
  return urls;
}

std::string Parameter(const std::string& url, const std::string& name) {
  for (absl::string_view part : absl::StrSplit(url, absl::ByAnyChar("?&"))) {
    if (absl::ConsumePrefix(&part, absl::StrCat(name, "="))) {
      return std::string(part);
    }
  }
  return "";
}

// A value per layer where a panel asks for each, else one per head.
std::map<std::string, v1::Scope> MetricsAskedFor() {
  std::map<std::string, v1::Scope> metrics = {
      {"sink_attention", v1::SCOPE_HEAD}};
  for (const auto& [title, url] : PanelUrls()) {
    const std::string metric = Parameter(url, "metric");
    if (metric.empty()) continue;
    metrics.emplace(metric, Parameter(url, "agg") == "each" ? v1::SCOPE_LAYER
                                                            : v1::SCOPE_HEAD);
  }
  return metrics;
}

v1::Measurement BigMeasurement(int64_t step) {
  v1::Measurement m = exporter::MakeMeasurement("big", step, {});
  m.clear_vectors();
  m.mutable_header()->clear_metrics();
  for (const auto& [name, scope] : MetricsAskedFor()) {
    v1::MetricDescriptor& metric = *m.mutable_header()->add_metrics();
    metric.set_name(name);
    metric.set_scope(scope);
    const int width = scope == v1::SCOPE_HEAD ? kHeads : 1;
    for (int layer = 0; layer < kLayers; ++layer) {
      v1::MetricVector& vector = *m.add_vectors();
      vector.set_domain("wiki");
      vector.set_metric(name);
      vector.set_layer(layer);
      vector.set_count(1);
      for (int h = 0; h < width; ++h) {
        vector.add_values(static_cast<float>(step + layer + h) / 4000.f);
        vector.add_standard_errors(.01f);
      }
    }
  }
  return m;
}

absl::Status Fill(store::Store& store) {
  v1::RunConfig run;
  run.set_name("big");
  if (absl::Status s = store.PutRun(run); !s.ok()) return s;
  std::vector<store::Observation> seen(kSteps);
  for (int i = 0; i < kSteps; ++i) {
    seen[i].checkpoint = exporter::MakeCheckpoint("big", i + 1);
    seen[i].probe = exporter::MakeProbe();
    seen[i].state = v1::JOB_STATE_QUEUED;
  }
  if (absl::Status s = store.Observe(seen); !s.ok()) return s;
  const v1::Measurement made = BigMeasurement(1);
  for (int left = kSteps; left > 0;) {
    store::CheckpointQuery queued;
    queued.run = "big";
    queued.states = {v1::JOB_STATE_QUEUED};
    queued.page.size = 200;
    const auto page = store.Checkpoints(queued);
    if (!page.ok()) return page.status();
    std::vector<store::Store::CommitRequest> requests;
    for (const store::JobRecord& job : page->jobs) {
      auto lease = store.Lease(job.job.id(), "test", store::LeaseLimits(), 5);
      if (!lease.ok()) return lease.status();
      requests.push_back({job.job.id(), lease->token, made});
    }
    for (const auto& result : store.Commit(requests)) {
      if (!result.ok()) return result.status();
      --left;
    }
  }
  return absl::OkStatus();
}

TEST(DashboardTest, EveryPanelOfTheStepDashboardAnswersForALargeModel) {
  const auto store = exporter::MakeStore();
  const absl::Status filled = Fill(*store);
  ASSERT_TRUE(filled.ok()) << filled;
  telemetry::ServiceMetrics metrics({"1", "r"});
  exporter::Exporter exporter(store.get(), &metrics, {});
  query::Queries queries(store.get(), nullptr);
  const Site site(&queries, &exporter, SiteOptions());
  ASSERT_GE(PanelUrls().size(), 10u);
  for (const auto& [title, url] : PanelUrls()) {
    Request request;
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(url, absl::MaxSplits('?', 1));
    request.path = parts.first;
    request.query = parts.second;
    const Response response = site.Handle(request);
    ASSERT_EQ(response.status, 200) << title << response.body.substr(0, 500);
    const json rows = json::parse(response.body);
    ASSERT_FALSE(rows.empty()) << title;
    if (request.path != "/api/v1/series") continue;
    // All layers are there, the last checkpoint too, in no more rows than a
    // panel has pixels.
    EXPECT_EQ(rows.back()["x"], kSteps) << title;
    EXPECT_LE(rows.size(), 1000u) << title;
    EXPECT_TRUE(rows.back().contains(absl::StrCat("L", kLayers - 1))) << title;
  }
}

}  // namespace
}  // namespace sinkwatch::http
