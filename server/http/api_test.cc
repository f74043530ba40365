#include "server/http/api.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/exporter/measured_store_testing.h"
#include "server/http/site_testing.h"
#include "server/query/queries.h"

namespace sinkwatch::http {
namespace {

using nlohmann::json;

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

TEST_F(SiteTest, UnknownRunIsNotFound) {
  EXPECT_EQ(RuleFor("/api/v1/series?run=none&metric=m", 404), "not_found");
  EXPECT_EQ(RuleFor("/api/v1/checkpoints?run=none", 404), "not_found");
  EXPECT_EQ(RuleFor("/api/v1/metrics?run=none", 404), "not_found");
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
  EXPECT_NE(jumps["notes"].dump().find("fewer than 6 checkpoints"),
            std::string::npos);
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
  EXPECT_EQ(Get("/api/v1/report?run=toy&reference=mine").status, 409);
  EXPECT_EQ(RuleFor("/api/v1/report?run=toy&relative=x"), "not_a_number");
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
