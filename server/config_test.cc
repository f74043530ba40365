#include "server/config.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace sinkwatch::server {
namespace {

std::string Written(const std::string& text) {
  const std::string path =
      absl::StrCat(std::getenv("TEST_TMPDIR"), "/server.textproto");
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  return path;
}

v1::RunConfig Run(const std::string& name) {
  v1::RunConfig run;
  run.set_name(name);
  run.set_root("/runs/" + name);
  run.set_probe("/probes/text");
  return run;
}

v1::ServerConfig Good() {
  v1::ServerConfig config;
  *config.add_runs() = Run("one");
  *config.add_runs() = Run("two");
  ApplyDefaults(config);
  return config;
}

TEST(ConfigTest, EveryFieldOfTheFileIsRead) {
  const auto config = ReadConfig(Written(R"(
      # A comment.
      grpc_address: "0.0.0.0:1" http_address: "[::]:2" data_dir: "/data"
      lease { ttl_seconds: 3 max_attempts: 4 backoff_seconds: 5
              max_backoff_seconds: 6 stall_seconds: 7 }
      prometheus { detail: DETAIL_HEAD max_series: 8 metrics: ["x", "*"] }
      http { cors_origin: "https://a.example" allowed_hosts: ["a.example"]
             max_connections: 12 threads: 13 }
      grpc { max_connections: 14 threads: 15 }
      backup_dir: "/backups" max_added_runs: 16
      poll_seconds: 0.5
      runs { name: "a" root: "/a" probe: "/p" steps { latest: 9 }
             dtype: "bfloat16" metrics: ["x", "y"] quiescence_seconds: 10
             grace_seconds: 11 stage: "s" protocol: "paper-olmo"
             ablation { heads: "auto" modes: "zero" budget: 0.1 } })"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->lease().stall_seconds(), 7);
  EXPECT_EQ(config->prometheus().detail(), v1::PrometheusConfig::DETAIL_HEAD);
  ASSERT_EQ(config->runs_size(), 1);
  EXPECT_EQ(config->runs(0).steps().latest(), 9);
  EXPECT_EQ(config->runs(0).metrics(1), "y");
  EXPECT_EQ(config->runs(0).ablation().heads(), "auto");
  EXPECT_EQ(config->runs(0).protocol(), "paper-olmo");
  v1::ServerConfig whole = *config;
  ApplyDefaults(whole);
  EXPECT_EQ(whole.DebugString(), config->DebugString());
  EXPECT_TRUE(ConfigErrors(whole).empty());
}

TEST(ConfigTest, WhatIsAbsentHasTheDefaultsOfTheDesign) {
  v1::ServerConfig config;
  v1::RunConfig& run = *config.add_runs();
  run.set_name("a");
  run.set_root("runs/../a");
  run.set_probe("p");
  ApplyDefaults(config);
  EXPECT_EQ(config.grpc_address(), "127.0.0.1:17461");
  EXPECT_EQ(config.http_address(), "127.0.0.1:17460");
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(config.data_dir(), here + "/sinkwatch-data");
  EXPECT_EQ(config.lease().max_attempts(), 5);
  EXPECT_EQ(config.prometheus().max_series(), 40000);
  EXPECT_EQ(config.http().max_connections(), 4096);
  EXPECT_EQ(config.http().threads(), 4);
  EXPECT_EQ(config.prometheus().detail(), v1::PrometheusConfig::DETAIL_LAYER);
  EXPECT_EQ(run.root(), here + "/a");
  EXPECT_EQ(run.dtype(), "float32");
  EXPECT_TRUE(run.steps().all());
  EXPECT_TRUE(ConfigErrors(config).empty());
}

struct BadText {
  const char* name;
  const char* text;
  std::vector<std::string> words;  // besides the file
};

const std::vector<BadText>& BadTexts() {
  static const auto* const cases = new std::vector<BadText>{
      {"UnknownField", "\n  polls: 1", {":2:", "polls"}},
      {"UnknownFieldOfARun", "runs { nam: \"a\" }", {":1:", "nam"}},
      {"WrongType", "poll_seconds: \"2\"", {":1:15", "\"2\""}},
      {"FractionForAnInteger", "lease { max_attempts: 1.5 }", {"1.5"}},
      {"IntegerAboveItsType", "prometheus { max_series: 2147483648 }", {":1:"}},
      {"UnknownDetail",
       "prometheus { detail: DETAIL_TOKEN }",
       {"DETAIL_TOKEN"}},
      {"TwoPolicies", "runs { steps { latest: 1 all: true } }", {"all"}},
      {"FieldTwice", "poll_seconds: 1\npoll_seconds: 2", {":2:"}},
      {"OpenBrace", "lease {", {":1:"}},
      {"OpenString", "data_dir: \"/data", {":1:"}},
      {"NotText", "\x01\xff", {":1:"}},
  };
  return *cases;
}

class BadTextTest : public ::testing::TestWithParam<BadText> {};

TEST_P(BadTextTest, IsRefusedWithFileLineAndColumn) {
  const std::string path = Written(GetParam().text);
  const absl::Status status = ReadConfig(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string message(status.message());
  EXPECT_TRUE(absl::StartsWith(message, path + ":")) << message;
  for (const std::string& word : GetParam().words) {
    EXPECT_TRUE(absl::StrContains(message, word)) << message;
  }
}

INSTANTIATE_TEST_SUITE_P(All, BadTextTest, ::testing::ValuesIn(BadTexts()),
                         [](const auto& info) { return info.param.name; });

TEST(ConfigTest, AFileThatIsNotThereIsNamed) {
  const absl::Status status = ReadConfig("/nowhere/x.textproto").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(status.message(), "/nowhere/x.textproto"));
}

struct BadValue {
  const char* name;
  std::function<void(v1::ServerConfig&)> spoil;
  std::vector<std::string> words;
};

const std::vector<BadValue>& BadValues() {
  static const auto* const cases = new std::vector<BadValue>{
      {"AddressWithoutPort",
       [](auto& c) { c.set_grpc_address("localhost"); },
       {"grpc_address", "localhost"}},
      {"AddressWithoutHost",
       [](auto& c) { c.set_http_address(":80"); },
       {"http_address", ":80"}},
      {"PortAbove65535",
       [](auto& c) { c.set_http_address("a:65536"); },
       {"http_address", "65536"}},
      {"NegativePoll",
       [](auto& c) { c.set_poll_seconds(-1); },
       {"poll_seconds", "-1"}},
      {"PollIsNoNumber",
       [](auto& c) { c.set_poll_seconds(std::nan("")); },
       {"poll_seconds", "nan"}},
      {"NegativeTtl",
       [](auto& c) { c.mutable_lease()->set_ttl_seconds(-60); },
       {"lease.ttl_seconds"}},
      {"NegativeAttempts",
       [](auto& c) { c.mutable_lease()->set_max_attempts(-1); },
       {"lease.max_attempts"}},
      {"InfiniteBackoff",
       [](auto& c) { c.mutable_lease()->set_backoff_seconds(HUGE_VAL); },
       {"lease.backoff_seconds", "inf"}},
      {"NegativeLongestBackoff",
       [](auto& c) { c.mutable_lease()->set_max_backoff_seconds(-1); },
       {"lease.max_backoff_seconds"}},
      {"NegativeStall",
       [](auto& c) { c.mutable_lease()->set_stall_seconds(-1); },
       {"lease.stall_seconds"}},
      {"NegativeSeries",
       [](auto& c) { c.mutable_prometheus()->set_max_series(-1); },
       {"prometheus.max_series"}},
      {"MetricThatIsNoName",
       [](auto& c) { c.mutable_prometheus()->add_metrics("Sink-Attention"); },
       {"prometheus.metrics", "Sink-Attention"}},
      {"MetricTwice",
       [](auto& c) {
         c.mutable_prometheus()->add_metrics("probe_loss");
         c.mutable_prometheus()->add_metrics("probe_loss");
       },
       {"prometheus.metrics", "probe_loss", "twice"}},
      {"NegativeConnections",
       [](auto& c) { c.mutable_http()->set_max_connections(-1); },
       {"http.max_connections"}},
      {"NegativeThreads",
       [](auto& c) { c.mutable_http()->set_threads(-1); },
       {"http.threads"}},
      {"OriginWithoutScheme",
       [](auto& c) { c.mutable_http()->set_cors_origin("notebook"); },
       {"http.cors_origin", "notebook"}},
      {"OriginThatWouldEndItsHeader",
       [](auto& c) {
         c.mutable_http()->set_cors_origin("https://a\r\nSet-Cookie: x");
       },
       {"http.cors_origin"}},
      {"NoName", [](auto& c) { c.mutable_runs(0)->clear_name(); }, {"name"}},
      {"CapitalInAName",
       [](auto& c) { c.mutable_runs(0)->set_name("One"); },
       {"\"One\"", "[a-z0-9]"}},
      {"SlashInAName",
       [](auto& c) { c.mutable_runs(0)->set_name("a/b"); },
       {"\"a/b\""}},
      {"NameBeginsWithADot",
       [](auto& c) { c.mutable_runs(0)->set_name(".a"); },
       {"\".a\""}},
      {"LongName",
       [](auto& c) { c.mutable_runs(0)->set_name(std::string(65, 'a')); },
       {"{0,63}"}},
      {"NameTwice",
       [](auto& c) { c.mutable_runs(1)->set_name("one"); },
       {"\"one\"", "twice"}},
      {"NoRoot",
       [](auto& c) { c.mutable_runs(1)->clear_root(); },
       {"\"two\"", "root"}},
      {"NoProbe",
       [](auto& c) { c.mutable_runs(1)->clear_probe(); },
       {"\"two\"", "probe"}},
      {"UnknownDtype",
       [](auto& c) { c.mutable_runs(0)->set_dtype("float8"); },
       {"float8", "bfloat16"}},
      {"NegativeQuiescence",
       [](auto& c) { c.mutable_runs(0)->set_quiescence_seconds(-1); },
       {"\"one\"", "quiescence_seconds"}},
      {"NegativeGrace",
       [](auto& c) { c.mutable_runs(0)->set_grace_seconds(-1); },
       {"\"one\"", "grace_seconds"}},
      {"HeadsThatAreNone",
       [](auto& c) {
         c.mutable_runs(0)->mutable_ablation()->set_heads("3.5,some");
       },
       {"\"one\"", "ablation", "\"some\""}},
      {"UnknownAblationMode",
       [](auto& c) { c.mutable_runs(0)->mutable_ablation()->add_modes("off"); },
       {"\"one\"", "\"off\"", "to_sink"}},
      {"ProtocolThatIsNoName",
       [](auto& c) { c.mutable_runs(0)->set_protocol("gu et al."); },
       {"\"one\"", "protocol", "\"gu et al.\""}},
      {"LatestNone",
       [](auto& c) { c.mutable_runs(0)->mutable_steps()->set_latest(0); },
       {"steps.latest"}},
      {"NonePerDecade",
       [](auto& c) { c.mutable_runs(0)->mutable_steps()->set_per_decade(0); },
       {"steps.per_decade"}},
      {"TooManyPerDecade",
       [](auto& c) {
         c.mutable_runs(0)->mutable_steps()->set_per_decade(1001);
       },
       {"steps.per_decade", "1000"}},
      {"PathWithAByteOfZero",
       [](auto& c) {
         c.mutable_runs(0)->set_manifest(std::string("/a\0b", 4));
       },
       {"\"one\"", "manifest", "byte of 0"}},
      {"PathThatIsNone",
       [](auto& c) { c.mutable_runs(0)->set_root(std::string(4096, '/')); },
       {"\"one\"", "root", "4096"}},
      {"LongStage",
       [](auto& c) { c.mutable_runs(0)->set_stage(std::string(301, 's')); },
       {"\"one\"", "stage", "300"}},
      {"LongMetric",
       [](auto& c) { c.mutable_runs(0)->add_metrics(std::string(301, 'm')); },
       {"\"one\"", "metrics", "300"}},
      {"TooManyMetrics",
       [](auto& c) {
         for (int i = 0; i < 1001; ++i) c.mutable_runs(0)->add_metrics("m");
       },
       {"\"one\"", "metrics", "1000"}},
      {"TooManyLabels",
       [](auto& c) {
         for (int i = 0; i < 65; ++i) {
           (*c.mutable_runs(0)->mutable_labels())[absl::StrCat(i)] = "x";
         }
       },
       {"\"one\"", "labels", "64"}},
      {"LongLabel",
       [](auto& c) {
         (*c.mutable_runs(0)->mutable_labels())["a"] = std::string(301, 'x');
       },
       {"\"one\"", "labels", "300"}},
      {"EmptyList",
       [](auto& c) { c.mutable_runs(0)->mutable_steps()->mutable_listed(); },
       {"steps.listed"}},
  };
  return *cases;
}

class BadValueTest : public ::testing::TestWithParam<BadValue> {};

TEST_P(BadValueTest, IsTheOneThingThatIsWrong) {
  v1::ServerConfig config = Good();
  ASSERT_TRUE(ConfigErrors(config).empty());
  GetParam().spoil(config);
  const std::vector<std::string> errors = ConfigErrors(config);
  ASSERT_EQ(errors.size(), 1u) << absl::StrJoin(errors, "\n");
  for (const std::string& word : GetParam().words) {
    EXPECT_TRUE(absl::StrContains(errors[0], word)) << errors[0];
  }
}

INSTANTIATE_TEST_SUITE_P(All, BadValueTest, ::testing::ValuesIn(BadValues()),
                         [](const auto& info) { return info.param.name; });

TEST(ConfigTest, EverythingThatIsWrongIsSaidAtOnce) {
  v1::ServerConfig config = Good();
  config.set_grpc_address("x");
  config.mutable_runs(0)->clear_root();
  config.mutable_runs(1)->set_dtype("int8");
  EXPECT_EQ(ConfigErrors(config).size(), 3u);
}

TEST(ConfigTest, TheRunFlagSaysWhatTheFileSays) {
  const auto run = ParseRunFlag("a=/runs/a=b,probe=/p,stage=s,dtype=bfloat16");
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->name(), "a");
  EXPECT_EQ(run->root(), "/runs/a=b");
  EXPECT_EQ(run->probe(), "/p");
  EXPECT_EQ(run->stage(), "s");
  EXPECT_EQ(run->dtype(), "bfloat16");
  const absl::Status status = ParseRunFlag("a=/a,prob=/p").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(status.message(), "\"prob\"")) << status;
}

}  // namespace
}  // namespace sinkwatch::server
