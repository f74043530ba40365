// sinkctl against a server, both as their users start them.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/ctl/running_server_testing.h"
#include "server/exporter/measured_store_testing.h"

namespace sinkwatch::ctl {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class SinkctlTest : public testing::Test {
 protected:
  // A store with three measured steps of the run "toy", then a server on it.
  static void SetUpTestSuite() {
    server_ = new RunningServer("server", [](store::Store& store) {
      for (int64_t step : {100, 500, 1000}) {
        const absl::Status status =
            exporter::Measure(&store, "toy", step, exporter::Shape());
        if (!status.ok()) return status;
      }
      return absl::OkStatus();
    });
    ASSERT_GT(server_->grpc_port(), 0);
  }

  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  static Said Ask(const std::string& arguments) {
    return server_->Ask(arguments);
  }

  // With a variable of the environment set.
  static Said AskWith(const std::string& variable,
                      const std::string& arguments) {
    return server_->Ask(arguments, variable + " ");
  }

  static json AskJson(const std::string& arguments) {
    // What is said beside the answer goes to standard error.
    const Said said = Ask(arguments + " --format=json 2>/dev/null");
    EXPECT_EQ(said.code, 0) << said.out;
    return json::parse(said.out, nullptr, /*allow_exceptions=*/false);
  }

  static RunningServer* server_;
};

RunningServer* SinkctlTest::server_ = nullptr;

TEST_F(SinkctlTest, RunsTellWhatIsThere) {
  const json runs = AskJson("runs");
  ASSERT_EQ(runs.size(), 1u) << runs;
  EXPECT_EQ(runs[0]["name"], "toy");
  EXPECT_EQ(runs[0]["latest_step"], 1000);
  EXPECT_EQ(runs[0]["done"], 3);
  EXPECT_TRUE(absl::StrContains(Ask("runs").out, "OlmoForCausalLM"));
}

TEST_F(SinkctlTest, CheckpointsTellTheirStates) {
  const json all = AskJson("checkpoints toy");
  ASSERT_EQ(all.size(), 3u);
  for (const json& checkpoint : all) EXPECT_EQ(checkpoint["state"], "done");
  EXPECT_EQ(AskJson("checkpoints --run=toy --state=dead"), json::array());
}

TEST_F(SinkctlTest, MetricsComeWithDefinitions) {
  const Said said = Ask("metrics toy");
  EXPECT_TRUE(absl::StrContains(said.out,
                                "sink_attention  [ratio, one value per head]"))
      << said.out;
  EXPECT_TRUE(absl::StrContains(said.out, "Attention that rows give to key 0"));
}

TEST_F(SinkctlTest, SeriesIsTheSameInEveryForm) {
  const std::string query = "series toy sink_attention --layer=1 --head=3";
  const json records = AskJson(query);
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[1]["x"], 500);
  // Made so; float32 on the wire.
  EXPECT_NEAR(records[1]["L1H3"].get<double>(), 0.65, 1e-6);
  EXPECT_EQ(Ask(query + " --format=csv").out,
            "x,L1H3\r\n100,0.13\r\n500,0.65\r\n1000,1.3\r\n");
  const Said chart = Ask(query + " --chart");
  EXPECT_TRUE(absl::StrContains(chart.out, "0=L1H3")) << chart.out;
  EXPECT_FALSE(absl::StrContains(chart.out, " 500  0.65")) << chart.out;
  const Said both = Ask(query + " --chart --table");
  EXPECT_TRUE(absl::StrContains(both.out, "0=L1H3")) << both.out;
  EXPECT_TRUE(absl::StrContains(both.out, " 500  0.65")) << both.out;
}

TEST_F(SinkctlTest, HeadsAreSortedByTheFirstMetric) {
  const json heads =
      AskJson("heads toy sink_attention,key_norm_ratio --limit=3");
  ASSERT_EQ(heads.size(), 3u);
  EXPECT_EQ(heads[0]["layer"], 1);
  EXPECT_EQ(heads[0]["head"], 3);
  // Heads 2 and 3 of 4 share the second of 2 key/value heads.
  EXPECT_EQ(heads[0]["key_norm_ratio"], 1.5);
  EXPECT_EQ(heads[2]["head"], 1);
  EXPECT_EQ(heads[2]["key_norm_ratio"], 0.5);
  const json lowest = AskJson("heads toy sink_attention --ascending --limit=1");
  EXPECT_EQ(lowest[0]["layer"], 0);
  EXPECT_EQ(lowest[0]["head"], 0);
}

TEST_F(SinkctlTest, MatrixIsLayersByHeads) {
  const json matrix = AskJson("matrix toy sink_attention --step=500");
  ASSERT_EQ(matrix.size(), 2u);
  EXPECT_EQ(matrix[1]["layer"], 1);
  EXPECT_NEAR(matrix[1]["H1"].get<double>(), 0.55, 1e-6);
}

TEST_F(SinkctlTest, EmergenceIsAnInterval) {
  const json found = AskJson(
      "emergence toy sink_attention --threshold=0.4 --layer=1 --head=0");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0]["after_step"], 100);
  EXPECT_EQ(found[0]["by_step"], 500);
}

TEST_F(SinkctlTest, EmergenceIsToldInWordsTheFirstFirst) {
  const Said said = Ask("emergence toy sink_attention --threshold=0.4");
  EXPECT_EQ(said.code, 0) << said.out;
  EXPECT_TRUE(absl::StrContains(said.out, "at or above 0.4 at 2 checkpoints"))
      << said.out;
  EXPECT_TRUE(absl::StrContains(said.out, "(100, 500]")) << said.out;
  EXPECT_TRUE(absl::StrContains(said.out, "of 8 series never")) << said.out;
  for (const char* word : {"left", "right", "none"}) {
    EXPECT_FALSE(absl::StrContains(said.out, word)) << said.out;
  }
}

TEST_F(SinkctlTest, MeasurementHasTheFormOfTheWorkers) {
  const json m = AskJson("measurement toy 1000");
  EXPECT_EQ(m["checkpoint"]["step"], 1000);
  bool found = false;
  for (const json& vector : m["measurements"]) {
    if (vector["metric"] != "probe_loss") continue;
    found = true;
    EXPECT_EQ(vector["values"], json::array({2.5}));
    EXPECT_EQ(vector["layer"], nullptr);
  }
  EXPECT_TRUE(found);
}

TEST_F(SinkctlTest, MeasurementIsASummaryForPeople) {
  const Said summary = Ask("measurement toy 1000");
  EXPECT_TRUE(absl::StrContains(summary.out, "sink_attention [ratio]"))
      << summary.out;
  const Said all = Ask("measurement toy 1000 --all");
  EXPECT_TRUE(absl::StrContains(all.out, "stderr")) << all.out;
}

TEST_F(SinkctlTest, RunsAreAddedChangedAndRemoved) {
  const fs::path temp = std::getenv("TEST_TMPDIR");
  fs::create_directories(temp / "second");
  const std::string probe = fs::absolute("tests/data/stories_probe").string();
  const Said added =
      Ask(absl::StrCat("add-run second --root=", (temp / "second").string(),
                       " --probe=", probe, " --steps=latest:3"));
  EXPECT_EQ(added.code, 0) << added.out;
  EXPECT_EQ(AskJson("runs").size(), 2u);
  EXPECT_TRUE(absl::StrContains(Ask("config").out, "latest: 3"));
  EXPECT_EQ(Ask("update-run second --steps=10,20").code, 0);
  const std::string changed = Ask("config").out;
  EXPECT_FALSE(absl::StrContains(changed, "latest: 3")) << changed;
  EXPECT_TRUE(absl::StrContains(changed, "steps: 20")) << changed;
  EXPECT_TRUE(absl::StrContains(changed, (temp / "second").string()));
  EXPECT_EQ(Ask("remove-run second").code, 0);
}

TEST_F(SinkctlTest, ARunThatCannotBeOpenedIsRefusedUnlessInsistedOn) {
  const std::string run = "add-run third --root=/x --probe=/y";
  const Said refused = Ask(run);
  EXPECT_EQ(refused.code, 2) << refused.out;
  for (const char* words :
       {"root: /x is missing", "probe: /y is missing", "--allow-missing"}) {
    EXPECT_TRUE(absl::StrContains(refused.out, words)) << refused.out;
  }
  EXPECT_EQ(AskJson("runs").size(), 1u);
  EXPECT_EQ(Ask(run + " --allow-missing").code, 0);
  EXPECT_EQ(Ask("remove-run third").code, 0);
}

TEST_F(SinkctlTest, NamesThatAreNotThereAreAnsweredWithTheNearest) {
  const std::pair<const char*, const char*> cases[] = {
      {"checkpoints toi", "toy"},
      {"metrics toi", "toy"},
      {"measurement toi 1000", "toy"},
      {"series toi sink_attention", "toy"},
      {"series toy sink_atention", "sink_attention"},
      {"heads toy sink_atention", "sink_attention"},
      {"matrix toi sink_attention", "toy"},
      {"emergence toi sink_attention", "toy"},
      {"watch toi", "toy"},
      {"requeue toi", "toy"},
      {"update-run toi --steps=all", "toy"},
      {"remove-run toi", "toy"}};
  for (const auto& [arguments, nearest] : cases) {
    const Said said = Ask(arguments);
    EXPECT_EQ(said.code, 3) << arguments << ": " << said.out;
    EXPECT_TRUE(absl::StrContains(said.out, nearest)) << said.out;
  }
}

TEST_F(SinkctlTest, MisspeltWordsOfTheLineAreAnsweredWithTheNearest) {
  const std::pair<const char*, const char*> cases[] = {
      {"runz", "did you mean runs?"},
      {"series toy m --chrt", "did you mean --chart?"},
      {"runs --format=jsn", "did you mean json?"},
      {"checkpoints toy --state=ded", "did you mean dead?"},
      {"series toy m --agg=maxx", "did you mean max?"},
      {"help runz", "did you mean runs?"}};
  for (const auto& [arguments, words] : cases) {
    const Said said = Ask(arguments);
    EXPECT_EQ(said.code, 2) << arguments << ": " << said.out;
    EXPECT_TRUE(absl::StrContains(said.out, words)) << said.out;
  }
}

TEST_F(SinkctlTest, AnAnswerThatCannotBeWrittenIsAFailure) {
  for (const char* arguments :
       {"runs", "measurement toy 1000 --format=csv", "help", "config"}) {
    const Said said = Ask(absl::StrCat(arguments, " 3>&1 >/dev/full 2>&3"));
    EXPECT_EQ(said.code, 1) << arguments;
    EXPECT_TRUE(absl::StrContains(said.out, "cannot write: ")) << said.out;
  }
}

TEST_F(SinkctlTest, WhatIsCutIsSaid) {
  const Said newest = Ask("checkpoints toy --limit=2");
  EXPECT_TRUE(absl::StrContains(newest.out, "the newest 2 of 3")) << newest.out;
  EXPECT_TRUE(absl::StrContains(newest.out, "1000")) << newest.out;
  EXPECT_FALSE(absl::StrContains(newest.out, " 100 ")) << newest.out;
  const Said heads = Ask("heads toy sink_attention --limit=3");
  EXPECT_TRUE(absl::StrContains(heads.out, "3 of 8 heads")) << heads.out;
  const Said narrow = AskWith("COLUMNS=40", "series toy sink_attention");
  EXPECT_TRUE(absl::StrContains(narrow.out, "columns are cut")) << narrow.out;
  const Said wide = AskWith("COLUMNS=40", "series toy sink_attention --all");
  EXPECT_FALSE(absl::StrContains(wide.out, "are cut")) << wide.out;
}

TEST_F(SinkctlTest, VersionsOfBothEndsAreTold) {
  const Said both = Ask("version");
  EXPECT_EQ(both.code, 0) << both.out;
  EXPECT_TRUE(absl::StrContains(both.out, "sinkctl 0.")) << both.out;
  EXPECT_TRUE(absl::StrContains(both.out, "server  0.")) << both.out;
  const Said own = Sinkctl("--version --server=127.0.0.1:1");
  EXPECT_EQ(own.code, 0) << own.out;
  const Said alone = Sinkctl("version --server=127.0.0.1:1");
  EXPECT_EQ(alone.code, 4);
  EXPECT_TRUE(absl::StrContains(alone.out, "sinkctl 0.")) << alone.out;
}

TEST_F(SinkctlTest, ReadyTellsWhetherItServes) {
  EXPECT_EQ(Ask("ready").code, 0);
  EXPECT_EQ(Sinkctl("ready --server=127.0.0.1:1").code, 4);
}

TEST_F(SinkctlTest, TheShortFormOfFormatIsTheSame) {
  EXPECT_EQ(Ask("runs -o json").out, Ask("runs --format=json").out);
}

// What bash offers for the words of a line, the last being completed.
std::string Complete(const std::string& words) {
  const std::string script = absl::StrCat(
      "source <(server/ctl/sinkctl completion bash); COMP_WORDS=(", words,
      "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _sinkctl; echo "
      "\"${COMPREPLY[@]}\"");
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/try.sh";
  std::ofstream(path) << script;
  FILE* pipe = popen(("bash " + path + " 2>&1").c_str(), "r");
  char buffer[4096] = {};
  const size_t count = fread(buffer, 1, sizeof(buffer) - 1, pipe);
  pclose(pipe);
  return std::string(buffer, count);
}

TEST_F(SinkctlTest, BashCompletesCommandsFlagsAndValues) {
  EXPECT_EQ(Complete("sinkctl me"), "metrics measurement\n");
  EXPECT_EQ(Complete("sinkctl series toy --ch"), "--chart\n");
  EXPECT_EQ(Complete("sinkctl --server = x:1 series --la"), "--layer=\n");
  EXPECT_EQ(Complete("sinkctl runs --format = js"), "json\n");
  EXPECT_EQ(Complete("sinkctl runs --format ="), "table json csv\n");
  EXPECT_EQ(Complete("sinkctl completion f"), "fish\n");
}

TEST_F(SinkctlTest, RequeueSaysHowMany) {
  EXPECT_EQ(AskJson("requeue toy")[0]["requeued"], 0);
}

TEST_F(SinkctlTest, AStoreIsCheckedRepairedAndBackedUp) {
  const Said sound = Ask("store check --whole-file");
  EXPECT_EQ(sound.code, 0) << sound.out;
  EXPECT_TRUE(absl::StrContains(sound.out, "sound: 3 measurements"))
      << sound.out;
  EXPECT_EQ(AskJson("store check").size(), 0u);
  const Said repaired = Ask("store repair");
  EXPECT_EQ(repaired.code, 0) << repaired.out;
  EXPECT_TRUE(absl::StrContains(repaired.out, "0 measurements set aside"));
  const auto backup = AskJson("store backup monday.db");
  EXPECT_EQ(backup[0]["measurements"], 3);
  EXPECT_EQ(fs::file_size(std::string(backup[0]["path"])), backup[0]["bytes"]);
  EXPECT_EQ(Ask("store backup monday.db").code, 1);
  EXPECT_EQ(Ask("store backup ../monday.db").code, 2);
  EXPECT_EQ(Ask("store backup").code, 2);
}

TEST_F(SinkctlTest, ExitCodesTellMistakesApart) {
  const std::pair<const char*, int> cases[] = {
      {"runs", 0},
      {"run", 2},
      {"series toy", 2},
      {"series toy sink_attention --layer=x", 2},
      {"checkpoints nobody", 3},
      {"measurement toy 123", 3},
      {"matrix toy sink_attention --step=123", 3},
      {"remove-run nobody", 3}};
  for (const auto& [arguments, code] : cases) {
    const Said said = Ask(arguments);
    EXPECT_EQ(said.code, code) << arguments << ": " << said.out;
  }
}

TEST_F(SinkctlTest, UnreachableServerIsNamedWithARemedy) {
  const Said said = Sinkctl("runs --server=127.0.0.1:1");
  EXPECT_EQ(said.code, 4);
  EXPECT_TRUE(absl::StrContains(said.out, "127.0.0.1:1")) << said.out;
  EXPECT_TRUE(absl::StrContains(said.out, "sinkwatch_server")) << said.out;
}

TEST_F(SinkctlTest, HelpNeedsNoServer) {
  const Said said = Sinkctl("help series --server=127.0.0.1:1");
  EXPECT_EQ(said.code, 0);
  EXPECT_TRUE(absl::StrContains(said.out, "examples:"));
}

}  // namespace
}  // namespace sinkwatch::ctl
