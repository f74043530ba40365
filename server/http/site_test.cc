#include "server/http/site.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/exporter/measured_store_testing.h"
#include "server/http/api.h"
#include "server/http/http_client_testing.h"
#include "server/query/queries.h"

namespace sinkwatch::http {
namespace {

using exporter::Exporter;
using exporter::Shape;
using nlohmann::json;
using telemetry::ServiceMetrics;

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
    std::unique_ptr<Exporter> exporter;
    absl::Status ready;
    std::unique_ptr<Site> site;
    std::unique_ptr<HttpServer> server;
  };

  static void SetUpTestSuite() {
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
    world_->site = std::make_unique<Site>(&world_->queries,
                                          world_->exporter.get(), options);
    HttpServerOptions http;
    http.address = "127.0.0.1:0";
    auto server = HttpServer::Start(
        http, [](const Request& r) { return world_->site->Handle(r); });
    ASSERT_TRUE(server.ok()) << server.status();
    world_->server = *std::move(server);
  }

  static void TearDownTestSuite() {
    world_->server.reset();
    delete world_;
  }

  static Fetched Get(const std::string& target,
                     const std::vector<std::string>& headers = {}) {
    return Fetch(world_->server->port(), target, headers);
  }

  static json GetJson(const std::string& target) {
    const Fetched fetched = Get(target);
    EXPECT_EQ(fetched.status, 200) << target << fetched.body;
    EXPECT_EQ(fetched.headers.at("content-type"), "application/json");
    return json::parse(fetched.body, nullptr, /*allow_exceptions=*/false);
  }

  // The rule of a refused request.
  static std::string RuleFor(const std::string& target, int status = 400) {
    const Fetched fetched = Get(target);
    EXPECT_EQ(fetched.status, status) << target << fetched.body;
    const json body = json::parse(fetched.body, nullptr, false);
    EXPECT_EQ(body["error"]["code"], status);
    EXPECT_FALSE(body["error"]["message"].get<std::string>().empty());
    return body["error"]["rule"];
  }

  static World* world_;
};

SiteTest::World* SiteTest::world_ = nullptr;

// Without what changes from one moment to the next.
std::string WithoutProcess(const std::string& text) {
  std::string rest;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, "process_")) absl::StrAppend(&rest, line, "\n");
  }
  return rest;
}

const char kSeries[] = "/api/v1/series?run=toy&metric=sink_attention";

TEST_F(SiteTest, MetricsPageIsServedPlainAndCompressed) {
  const Fetched plain = Get("/metrics");
  EXPECT_EQ(plain.status, 200);
  EXPECT_TRUE(absl::StrContains(plain.body, "sinkwatch_latest_step"));
  EXPECT_TRUE(absl::StrContains(plain.headers.at("content-type"),
                                "text/plain; version=0.0.4"));
  EXPECT_EQ(plain.headers.count("content-encoding"), 0u);
  const Fetched zipped = Get("/metrics", {"Accept-Encoding: gzip"});
  EXPECT_EQ(zipped.headers.at("content-encoding"), "gzip");
  EXPECT_EQ(WithoutProcess(Gunzip(zipped.body)), WithoutProcess(plain.body));
  EXPECT_TRUE(absl::StrContains(Get("/metrics/heads").body, "_by_head{"));
}

TEST_F(SiteTest, MetricsPageIsProtobufWhereThatIsAskedFor) {
  // As Prometheus 2.42 asks with --enable-feature=native-histograms.
  const std::string prometheus =
      "Accept: application/vnd.google.protobuf;proto=io.prometheus.client."
      "MetricFamily;encoding=delimited,application/openmetrics-text;version="
      "1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
  for (const char* path : {"/metrics", "/metrics/heads"}) {
    const Fetched fetched = Get(path, {prometheus});
    EXPECT_EQ(fetched.headers.at("content-type"),
              "application/vnd.google.protobuf; "
              "proto=io.prometheus.client.MetricFamily; encoding=delimited");
    EXPECT_EQ(fetched.headers.at("vary"), "Accept, Accept-Encoding");
    EXPECT_FALSE(absl::StrContains(fetched.body, "# HELP"));
  }
  for (const char* accept :
       {"*/*", "text/plain", "application/vnd.google.protobuf",
        "application/vnd.google.protobuf;proto=io.prometheus.client."
        "MetricFamily;encoding=delimited;q=0.4,text/plain;q=0.5",
        "application/vnd.google.protobuf;proto=io.prometheus.client."
        "MetricFamily;encoding=delimited;q=0"}) {
    const Fetched fetched = Get("/metrics", {absl::StrCat("Accept: ", accept)});
    EXPECT_TRUE(
        absl::StartsWith(fetched.headers.at("content-type"), "text/plain"))
        << accept;
  }
}

TEST_F(SiteTest, RoutesAreAClosedSet) {
  const auto route = [](const std::string& path) {
    Request request;
    request.path = path;
    return Site::RouteOf(request);
  };
  EXPECT_EQ(route("/metrics"), "/metrics");
  EXPECT_EQ(route("/api/v1/series"), "/api/v1/series");
  EXPECT_EQ(route("/api/v1/nothing"), "other");
  EXPECT_EQ(route("/x"), "other");
}

TEST_F(SiteTest, OtherOriginsMayReadOnlyWhereTheConfigurationSaysSo) {
  EXPECT_EQ(Get("/api/v1/runs").headers.count("access-control-allow-origin"),
            0u);
  SiteOptions options;
  options.cors_origin = "https://notebook.example";
  const Site site(&world_->queries, world_->exporter.get(), options);
  Request request;
  request.path = "/api/v1/runs";
  const Response response = site.Handle(request);
  const auto& headers = response.headers;
  EXPECT_NE(std::find(headers.begin(), headers.end(),
                      std::make_pair(std::string("Access-Control-Allow-Origin"),
                                     options.cors_origin)),
            headers.end());
}

TEST_F(SiteTest, HealthyAlwaysReadyWhenItIs) {
  EXPECT_EQ(Get("/-/healthy").status, 200);
  EXPECT_EQ(Get("/-/ready").status, 200);
  world_->ready = absl::UnavailableError("the store is being opened");
  const Fetched fetched = Get("/-/ready");
  EXPECT_EQ(fetched.status, 503);
  EXPECT_TRUE(absl::StrContains(fetched.body, "the store is being opened"));
  EXPECT_EQ(Get("/-/healthy").status, 200);
  world_->ready = absl::OkStatus();
}

TEST_F(SiteTest, PageLoadsNothingFromElsewhere) {
  const Fetched page = Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_TRUE(absl::StrContains(page.headers.at("content-type"), "text/html"));
  EXPECT_TRUE(absl::StrContains(page.headers.at("content-security-policy"),
                                "default-src 'none'"));
  for (const char* outside : {"src=", "@import", "url(", "//cdn", "https://"}) {
    EXPECT_FALSE(absl::StrContains(page.body, outside)) << outside;
  }
  EXPECT_FALSE(absl::StrContains(page.body, "innerHTML"));
}

TEST_F(SiteTest, UnknownPathsAreNotFound) {
  EXPECT_EQ(RuleFor("/nothing", 404), "not_found");
  EXPECT_EQ(RuleFor("/api/v1/nothing", 404), "not_found");
}

TEST_F(SiteTest, RunsTellStatesStagesAndDomains) {
  const json runs = GetJson("/api/v1/runs?shape=records");
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0]["name"], "toy");
  EXPECT_EQ(runs[0]["latest_step"], 1000);
  EXPECT_EQ(runs[0]["done"], 4);
  EXPECT_EQ(runs[0]["waiting"], 1);
  EXPECT_EQ(runs[0]["layers"], 2);
  EXPECT_EQ(runs[0]["discovery_error"], "root is gone");
  EXPECT_EQ(GetJson("/api/v1/runs?run=toy&shape=domains"),
            json::parse(R"([{"domain":"wiki"}])"));
  EXPECT_EQ(RuleFor("/api/v1/runs?run=none", 404), "not_found");
}

TEST_F(SiteTest, CheckpointsTellStateAndReason) {
  const json all = GetJson("/api/v1/checkpoints?run=toy&shape=records");
  EXPECT_EQ(all.size(), 5u);
  const json waiting =
      GetJson("/api/v1/checkpoints?run=toy&state=waiting&shape=records");
  ASSERT_EQ(waiting.size(), 1u);
  EXPECT_EQ(waiting[0]["step"], 900);
  EXPECT_EQ(waiting[0]["reason"], "model.safetensors is <not> there");
}

TEST_F(SiteTest, CheckpointsArePaged) {
  std::vector<int64_t> steps;
  std::string token;
  do {
    const json page =
        GetJson("/api/v1/checkpoints?run=toy&limit=2&page_token=" + token);
    EXPECT_LE(page["rows"].size(), 2u);
    for (const json& row : page["rows"]) steps.push_back(row[1]);
    token = page["next_page_token"];
  } while (!token.empty());
  EXPECT_EQ(steps.size(), 5u);
}

TEST_F(SiteTest, MetricsComeWithTheirDefinitions) {
  const json metrics = GetJson("/api/v1/metrics?run=toy&shape=records");
  EXPECT_EQ(metrics.size(), 5u);
  for (const json& metric : metrics) {
    EXPECT_FALSE(metric["meaning"].get<std::string>().empty());
  }
}

TEST_F(SiteTest, SeriesIsOneWideFrame) {
  const json series = GetJson(kSeries);
  EXPECT_EQ(series["columns"], json::parse(R"(["x","L0H0","L0H1","L0H2","L0H3",
                                "L1H0","L1H1","L1H2","L1H3"])"));
  ASSERT_EQ(series["rows"].size(), 3u);
  EXPECT_EQ(series["rows"][0][0], 100);
  EXPECT_EQ(series["rows"][2][0], 1000);
  // Layer 1, head 3 at step 500; float32 on the wire.
  EXPECT_NEAR(series["rows"][1][8].get<double>(), 0.65, 1e-6);
  EXPECT_EQ(series["metric"]["unit"], "ratio");
  EXPECT_EQ(series["revision"], world_->store->revision());
}

TEST_F(SiteTest, SeriesNamesItsGaps) {
  const json gaps = GetJson(kSeries)["gaps"];
  ASSERT_EQ(gaps.size(), 2u) << gaps;
  EXPECT_EQ(gaps[0]["step"], 900) << "newest first";
  EXPECT_EQ(gaps[0]["state"], "waiting");
  EXPECT_EQ(gaps[0]["reason"], "model.safetensors is <not> there");
  EXPECT_EQ(gaps[1]["step"], 700);
  EXPECT_EQ(gaps[1]["state"], "done");
  EXPECT_EQ(gaps[1]["reason"], "implausible");
}

TEST_F(SiteTest, ImplausibleMeasurementsComeOnRequest) {
  EXPECT_EQ(
      GetJson(absl::StrCat(kSeries, "&include_implausible=1"))["rows"].size(),
      4u);
}

TEST_F(SiteTest, SeriesSelectsAndAggregates) {
  const json one = GetJson(absl::StrCat(kSeries, "&layer=1&head=3"));
  EXPECT_EQ(one["columns"], json::parse(R"(["x","L1H3"])"));
  const std::pair<const char*, double> cases[] = {
      {"mean", 1.15}, {"median", 1.15}, {"max", 1.3}, {"min", 1.0}};
  for (const auto& [agg, value] : cases) {
    const json series = GetJson(absl::StrCat(kSeries, "&layer=1&agg=", agg));
    EXPECT_EQ(series["columns"].size(), 2u);
    EXPECT_NEAR(series["rows"][2][1].get<double>(), value, 1e-6) << agg;
  }
}

TEST_F(SiteTest, XMayBeTokensOrLogarithm) {
  EXPECT_EQ(GetJson(absl::StrCat(kSeries, "&x=tokens"))["rows"][2][0], 4096000);
  EXPECT_NEAR(GetJson(absl::StrCat(kSeries, "&x=log10_step"))["rows"][2][0]
                  .get<double>(),
              3.000434, 1e-6);
}

TEST_F(SiteTest, CsvAndRecordsHoldTheCellsOfTheTable) {
  const json table = GetJson(kSeries);
  const json records = GetJson(absl::StrCat(kSeries, "&shape=records"));
  const Fetched csv = Get(absl::StrCat(kSeries, "&format=csv"));
  EXPECT_TRUE(absl::StrContains(csv.headers.at("content-type"), "text/csv"));
  const std::vector<std::string> lines =
      absl::StrSplit(csv.body, "\r\n", absl::SkipEmpty());
  ASSERT_EQ(lines.size(), table["rows"].size() + 1);
  for (size_t r = 0; r < table["rows"].size(); ++r) {
    const std::vector<std::string> cells = absl::StrSplit(lines[r + 1], ',');
    for (size_t c = 0; c < table["columns"].size(); ++c) {
      const std::string column = table["columns"][c];
      EXPECT_EQ(records[r][column], table["rows"][r][c]);
      EXPECT_EQ(json::parse(cells[c]), table["rows"][r][c]) << column;
    }
  }
}

TEST_F(SiteTest, MatrixIsLayersByHeads) {
  const json latest = GetJson("/api/v1/matrix?run=toy&metric=sink_attention");
  EXPECT_EQ(latest["step"], 1000);
  EXPECT_EQ(latest["columns"], json::parse(R"(["layer","H0","H1","H2","H3"])"));
  EXPECT_NEAR(latest["rows"][1][4].get<double>(), 1.3, 1e-6);
  const json layers =
      GetJson("/api/v1/matrix?run=toy&metric=residual_norm_sink&step=100");
  EXPECT_EQ(layers["rows"], json::parse("[[-1,1.0],[0,10.0],[1,20.0]]"));
}

TEST_F(SiteTest, EmergenceIsAnInterval) {
  const json found = GetJson(
      "/api/v1/emergence?run=toy&metric=sink_attention&threshold=0.4&layer=1&"
      "head=0&shape=records");
  ASSERT_EQ(found.size(), 1u) << found;
  EXPECT_EQ(found[0]["series"], "L1H0");
  EXPECT_EQ(found[0]["after_step"], 100);
  EXPECT_EQ(found[0]["by_step"], 500);
  EXPECT_EQ(found[0]["censoring"], "none");
}

TEST_F(SiteTest, BadRequestsNameTheRule) {
  const std::pair<std::string, std::string> cases[] = {
      {"/api/v1/series?metric=sink_attention", "missing_parameter"},
      {"/api/v1/series?run=toy", "missing_parameter"},
      {absl::StrCat(kSeries, "&layers=1"), "unknown_parameter"},
      {absl::StrCat(kSeries, "&layer=x"), "not_a_list"},
      {absl::StrCat(kSeries, "&agg=average"), "unknown_value"},
      {absl::StrCat(kSeries, "&x=time"), "unknown_value"},
      {absl::StrCat(kSeries, "&format=xml"), "unknown_value"},
      {absl::StrCat(kSeries, "&x=step&x=step"), "repeated_parameter"},
      {absl::StrCat(kSeries, "&domain=%zz"), "encoding"},
      {absl::StrCat(kSeries, "&max_rows=0"), "out_of_range"},
      {"/api/v1/checkpoints?run=toy&state=happy", "unknown_value"},
      {"/api/v1/checkpoints?run=toy&limit=many", "not_a_number"},
      {"/api/v1/matrix?run=toy&metric=sink_attention&step=-3", "out_of_range"},
      {"/api/v1/emergence?run=toy&metric=sink_attention", "missing_parameter"},
      {"/api/v1/emergence?run=toy&metric=sink_attention&threshold=nan",
       "not_a_number"}};
  for (const auto& [target, rule] : cases) {
    EXPECT_EQ(RuleFor(target), rule) << target;
  }
}

TEST_F(SiteTest, CapsAreNamedWhenTheyBite) {
  EXPECT_EQ(RuleFor(absl::StrCat(kSeries, "&max_columns=7")), "max_columns");
  EXPECT_EQ(RuleFor(absl::StrCat(kSeries, "&max_rows=2")), "max_rows");
  EXPECT_EQ(Get(absl::StrCat(kSeries, "&max_columns=8&max_rows=3")).status,
            200);
}

TEST_F(SiteTest, UnknownRunIsNotFound) {
  EXPECT_EQ(RuleFor("/api/v1/series?run=none&metric=m", 404), "not_found");
  EXPECT_EQ(RuleFor("/api/v1/checkpoints?run=none", 404), "not_found");
  EXPECT_EQ(RuleFor("/api/v1/metrics?run=none", 404), "not_found");
}

TEST_F(SiteTest, UnchangedAnswersAreNotSentAgain) {
  for (const std::string& target :
       {std::string(kSeries), std::string("/api/v1/runs"),
        std::string("/api/v1/checkpoints?run=toy")}) {
    const std::string tag = Get(target).headers.at("etag");
    const Fetched again = Get(target, {"If-None-Match: " + tag});
    EXPECT_EQ(again.status, 304) << target;
    EXPECT_EQ(again.body, "");
    EXPECT_EQ(again.headers.at("etag"), tag);
    EXPECT_EQ(Get(target, {"If-None-Match: W/\"else\""}).status, 200);
  }
}

// A state of one run leaves the tags of the others alone.
TEST_F(SiteTest, TagChangesWithACommitAndWithAStateOfItsRun) {
  const std::string before = Get(kSeries).headers.at("etag");
  ASSERT_TRUE(
      exporter::Measure(world_->store.get(), "zz-later", 1, Shape()).ok());
  const std::string later = "/api/v1/series?run=zz-later&metric=sink_attention";
  const std::string committed = Get(kSeries).headers.at("etag");
  EXPECT_NE(committed, before);
  const std::string later_committed = Get(later).headers.at("etag");
  store::Observation waiting;
  waiting.checkpoint = exporter::MakeCheckpoint("zz-later", 2);
  waiting.probe = exporter::MakeProbe();
  ASSERT_TRUE(world_->store->Observe({waiting}).ok());
  EXPECT_NE(Get(later).headers.at("etag"), later_committed);
  EXPECT_EQ(Get(kSeries).headers.at("etag"), committed);
}

TEST_F(SiteTest, ApiIsCompressedWhereAsked) {
  const Fetched plain = Get(kSeries);
  const Fetched zipped = Get(kSeries, {"Accept-Encoding: br, gzip;q=0.8"});
  EXPECT_EQ(zipped.headers.at("content-encoding"), "gzip");
  EXPECT_EQ(Gunzip(zipped.body), plain.body);
  EXPECT_EQ(zipped.headers.at("vary"), "Accept-Encoding");
  const Fetched refused = Get(kSeries, {"Accept-Encoding: gzip;q=0"});
  EXPECT_EQ(refused.headers.count("content-encoding"), 0u);
}

// One rule on every endpoint: NOT_FOUND, with what there is and the nearest.
TEST_F(SiteTest, UnknownNamesAreNotFoundWithTheNearest) {
  const struct {
    std::string target, answer;
  } cases[] = {
      {"/api/v1/runs?run=tory", "did you mean toy?"},
      {"/api/v1/checkpoints?run=tory", "did you mean toy?"},
      {"/api/v1/metrics?run=tory", "did you mean toy?"},
      {"/api/v1/series?run=tory&metric=sink_attention", "did you mean toy?"},
      {"/api/v1/matrix?run=tory&metric=sink_attention", "did you mean toy?"},
      {"/api/v1/emergence?run=tory&metric=sink_attention&threshold=1",
       "did you mean toy?"},
      {"/api/v1/checkpoints?run=toy&stage=b", "has no stage \"b\""},
      {absl::StrCat(kSeries, "&stage=b"), "has no stage \"b\""},
      {absl::StrCat(kSeries, "&domain=wikki"), "did you mean wiki?"},
      {"/api/v1/matrix?run=toy&metric=sink_attention&domain=wikki",
       "did you mean wiki?"},
      {"/api/v1/emergence?run=toy&metric=sink_attention&threshold=1&"
       "domain=wikki",
       "did you mean wiki?"},
      {"/api/v1/series?run=toy&metric=sink_atention",
       "did you mean sink_attention?"},
      {"/api/v1/matrix?run=toy&metric=sink_atention",
       "did you mean sink_attention?"},
      {"/api/v1/emergence?run=toy&metric=sink_atention&threshold=1",
       "did you mean sink_attention?"},
      {absl::StrCat(kSeries, "&layer=99"), "has no layer 99; there are 0 to 1"},
      {absl::StrCat(kSeries, "&head=4"), "has no head 4; there are 0 to 3"},
      {"/api/v1/emergence?run=toy&metric=sink_attention&threshold=1&layer=2",
       "has no layer 2; there are 0 to 1"},
      {"/api/v1/matrix?run=toy&metric=sink_attention&step=450",
       "the nearest measured steps are 100 and 500"},
      {"/api/v1/chekpoints", "did you mean checkpoints?"}};
  for (const auto& [target, answer] : cases) {
    const Fetched fetched = Get(target);
    EXPECT_EQ(fetched.status, 404) << target;
    EXPECT_TRUE(absl::StrContains(
        json::parse(fetched.body)["error"]["message"].get<std::string>(),
        answer))
        << target << fetched.body;
  }
}

TEST_F(SiteTest, BandsAreFiveColumns) {
  const json band = GetJson(absl::StrCat(kSeries, "&agg=band&across_layers=1"));
  EXPECT_EQ(band["columns"],
            json::parse(R"(["x","min","p10","median","p90","max"])"));
  EXPECT_NEAR(band["rows"][2][5].get<double>(), 1.3, 1e-6);
  EXPECT_NEAR(band["rows"][2][3].get<double>(), .65, 1e-6);
  EXPECT_EQ(GetJson(absl::StrCat(kSeries, "&agg=band&layer=1"))["columns"][5],
            "L1 max");
}

TEST_F(SiteTest, StandardErrorsComeOnRequest) {
  const json series = GetJson(absl::StrCat(kSeries, "&layer=1&stderr=1"));
  ASSERT_EQ(series["columns"].size(), 9u);
  EXPECT_EQ(series["columns"][5], "L1H0 stderr");
  EXPECT_NEAR(series["rows"][0][5].get<double>(), .01, 1e-6);
  const json matrix =
      GetJson("/api/v1/matrix?run=toy&metric=sink_attention&stderr=1");
  EXPECT_EQ(matrix["columns"][5], "H0 stderr");
  EXPECT_NEAR(matrix["rows"][0][5].get<double>(), .01, 1e-6);
}

TEST_F(SiteTest, ThinningIsSaid) {
  const Fetched whole = Get(kSeries);
  EXPECT_EQ(json::parse(whole.body)["thinned"], false);
  EXPECT_EQ(whole.headers.at("x-total-count"), "3");
  EXPECT_EQ(RuleFor(absl::StrCat(kSeries, "&max_points=3")), "out_of_range");
}

TEST_F(SiteTest, TheApiDescribesItself) {
  const json index = GetJson("/api/v1");
  ASSERT_EQ(index["endpoints"].size(), 15u);
  const json described = GetJson("/api/v1/openapi.json");
  EXPECT_EQ(described["paths"].size(), 15u);
  for (const json& endpoint : index["endpoints"]) {
    const json get =
        described["paths"][endpoint["path"].get<std::string>()]["get"];
    EXPECT_EQ(get["parameters"].size(), endpoint["parameters"].size() + 2)
        << endpoint;
  }
}

TEST_F(SiteTest, AnalysesAnswerAsTables) {
  const json jumps = GetJson("/api/v1/jumps?run=toy&metric=residual_norm_sink");
  EXPECT_EQ(jumps["columns"][5], "after_step");
  EXPECT_EQ(jumps["rows"].size(), 0u);  // three steps tell none
  EXPECT_EQ(jumps["min_score"], 6);
  const json fits =
      GetJson("/api/v1/fits?run=toy&metric=residual_norm_sink&layer=1");
  EXPECT_EQ(fits["rows"].size(), 5u);
  const json summary = GetJson("/api/v1/summary?run=toy");
  ASSERT_GT(summary["rows"].size(), 0u);
  EXPECT_EQ(summary["rows"][0][0], "run");
  const Fetched csv = Get("/api/v1/summary?run=toy&format=csv");
  EXPECT_TRUE(absl::StartsWith(csv.body, "topic,run,metric,domain"));
  const json both = GetJson(
      "/api/v1/series?run=toy&metric=sink_attention&layer=0&head=1&with=toy");
  EXPECT_EQ(both["columns"], json::parse(R"(["x","toy L0H1","toy L0H1"])"));
}

TEST_F(SiteTest, AReportIsAPage) {
  const Fetched html = Get("/api/v1/report?run=toy");
  EXPECT_EQ(html.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_TRUE(absl::StrContains(html.headers.at("content-security-policy"),
                                "default-src 'none'"));
  EXPECT_TRUE(absl::StrContains(html.body, "<h1>toy</h1>"));
  const Fetched text = Get("/api/v1/report?run=toy&shape=markdown");
  EXPECT_TRUE(absl::StartsWith(text.body, "# toy")) << text.body;
  EXPECT_EQ(RuleFor("/api/v1/report?run=toy&shape=table"), "unknown_value");
  EXPECT_EQ(Get("/api/v1/report?run=tory").status, 404);
}

TEST_F(SiteTest, WithoutReferencesThereAreNone) {
  EXPECT_EQ(Get("/api/v1/references").status, 409);
}

TEST_F(SiteTest, AnalysesSayWhatIsMissing) {
  EXPECT_EQ(RuleFor("/api/v1/contrast?run=toy"), "missing_parameter");
  EXPECT_EQ(RuleFor("/api/v1/contrast?run=toy&domain=wiki"), "not_a_list");
  EXPECT_EQ(RuleFor("/api/v1/compare?runs=toy"), "missing_parameter");
  EXPECT_EQ(RuleFor("/api/v1/states?run=toy&dormant=x"), "not_a_number");
  EXPECT_EQ(RuleFor("/api/v1/jumps?run=toy"), "missing_parameter");
  EXPECT_EQ(Get("/api/v1/summary?run=tory").status, 404);
  // No metric of this run tells dormancy.
  EXPECT_EQ(Get("/api/v1/states?run=toy").status, 409);
}

// A store of `count` checkpoints that wait.
std::unique_ptr<store::Store> StoreOf(size_t count) {
  auto store = exporter::MakeStore();
  v1::RunConfig run;
  run.set_name("long");
  EXPECT_TRUE(store->PutRun(run).ok());
  std::vector<store::Observation> seen(count);
  for (size_t i = 0; i < seen.size(); ++i) {
    seen[i].checkpoint =
        exporter::MakeCheckpoint("long", static_cast<int64_t>(i));
    seen[i].probe = exporter::MakeProbe();
  }
  EXPECT_TRUE(store->Observe(seen).ok());
  return store;
}

Response Ask(const Api& api, const std::string& query) {
  Request request;
  request.path = "/api/v1/checkpoints";
  request.query = query;
  const Response response = api.Handle(request);
  EXPECT_EQ(response.status, 200) << response.body;
  return response;
}

std::string HeaderOf(const Response& response, const std::string& name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

// 1200 checkpoints are more than a page of the store.
TEST(ApiTest, ALimitAboveAPageOfTheStoreIsKept) {
  const auto store = StoreOf(1200);
  query::Queries queries(store.get(), nullptr);
  const Api api(&queries, nullptr, "1");
  const auto ask = [&](const std::string& more) {
    return json::parse(Ask(api, "run=long&order=oldest" + more).body);
  };
  for (int limit : {999, 1000, 1001, 1199}) {
    const json page = ask(absl::StrCat("&limit=", limit));
    EXPECT_EQ(page["rows"].size(), static_cast<size_t>(limit));
    const std::string token = page["next_page_token"];
    ASSERT_NE(token, "") << limit;
    const json rest = ask(absl::StrCat("&limit=5000&page_token=", token));
    EXPECT_EQ(rest["rows"].size(), static_cast<size_t>(1200 - limit));
    EXPECT_EQ(rest["rows"][0][1], limit);  // the step
  }
  for (int limit : {1200, 5000}) {
    const json all = ask(absl::StrCat("&limit=", limit));
    EXPECT_EQ(all["rows"].size(), 1200u);
    EXPECT_EQ(all["next_page_token"], "");
  }
}

TEST(ApiTest, ACutListHasTheNewestAndSaysSoInEveryForm) {
  const auto store = StoreOf(2500);
  query::Queries queries(store.get(), nullptr);
  const Api api(&queries, nullptr, "1");
  const std::string path = "</api/v1/checkpoints?";
  for (const std::string form : {"", "&shape=records", "&format=csv"}) {
    const Response response = Ask(api, "run=long" + form);
    EXPECT_EQ(HeaderOf(response, "X-Total-Count"), "2500") << form;
    const std::string link = HeaderOf(response, "Link");
    ASSERT_TRUE(absl::StrContains(link, "; rel=\"next\"")) << link;
    const std::string next =
        link.substr(path.size(), link.find('>') - path.size());
    const Response rest = Ask(api, next);
    EXPECT_TRUE(absl::StrContains(rest.body, "step1999")) << form;
    EXPECT_FALSE(absl::StrContains(rest.body, "step2000")) << form;
  }
  const json table = json::parse(Ask(api, "run=long").body);
  EXPECT_EQ(table["rows"][0][1], 2499);
  EXPECT_EQ(table["rows"].size(), 500u);
  const json records = json::parse(Ask(api, "run=long&shape=records").body);
  EXPECT_EQ(records[0]["step"], 2499);
  EXPECT_EQ(records[499]["step"], 2000);
  EXPECT_EQ(records[0]["not_before"], nullptr);
  EXPECT_EQ(HeaderOf(Ask(api, "run=long&limit=5000"), "Link"), "");
}

}  // namespace
}  // namespace sinkwatch::http
