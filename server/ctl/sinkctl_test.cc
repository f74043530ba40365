// sinkctl against a server, both as their users start them.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/exporter/measured_store_testing.h"

namespace sinkwatch::ctl {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kStartMilliseconds = 30'000;

struct Said {
  int code = -1;
  std::string out;  // standard output and error
};

// Runs the binary. `arguments` are for a shell.
Said Sinkctl(const std::string& arguments) {
  FILE* pipe =
      popen(("server/ctl/sinkctl " + arguments + " 2>&1").c_str(), "r");
  Said said;
  char buffer[4096];
  size_t count = 0;
  while ((count = fread(buffer, 1, sizeof(buffer), pipe)) > 0) {
    said.out.append(buffer, count);
  }
  said.code = WEXITSTATUS(pclose(pipe));
  return said;
}

class SinkctlTest : public testing::Test {
 protected:
  // A store with three measured steps of the run "toy", then a server on it.
  static void SetUpTestSuite() {
    const fs::path temp = std::getenv("TEST_TMPDIR");
    const fs::path probe = fs::absolute("tests/data/stories_probe");
    fs::create_directories(temp / "data");
    fs::create_directories(temp / "toy");
    {
      auto store = exporter::MakeStore((temp / "data/sinkwatch.db").string());
      ASSERT_NE(store, nullptr);
      for (int64_t step : {100, 500, 1000}) {
        const absl::Status status =
            exporter::Measure(store.get(), "toy", step, exporter::Shape());
        ASSERT_TRUE(status.ok()) << status;
      }
    }
    const std::string fifo = (temp / "ports").string();
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    const int ports = open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
    const std::vector<std::string> words = {
        "server/sinkwatch_server",
        "--grpc_address=127.0.0.1:0",
        "--http_address=127.0.0.1:0",
        absl::StrCat("--data_dir=", (temp / "data").string()),
        absl::StrCat("--run=toy=", (temp / "toy").string(),
                     ",probe=", probe.string()),
        "--ports_file=" + fifo};
    std::vector<char*> argv;
    for (const std::string& word : words) {
      argv.push_back(const_cast<char*>(word.c_str()));
    }
    argv.push_back(nullptr);
    server_ = fork();
    if (server_ == 0) {
      execv(argv[0], argv.data());
      _exit(127);
    }
    pollfd readable = {ports, POLLIN, 0};
    ASSERT_EQ(poll(&readable, 1, kStartMilliseconds), 1) << "no server";
    char text[64] = {};
    ASSERT_GT(read(ports, text, sizeof(text) - 1), 0);
    close(ports);
    grpc_port_ = std::atoi(text);
    ASSERT_GT(grpc_port_, 0) << text;
  }

  static void TearDownTestSuite() {
    if (server_ <= 0) return;
    kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
  }

  static Said Ask(const std::string& arguments) {
    return Sinkctl(
        absl::StrCat("--server=127.0.0.1:", grpc_port_, " ", arguments));
  }

  static json AskJson(const std::string& arguments) {
    const Said said = Ask(arguments + " --format=json");
    EXPECT_EQ(said.code, 0) << said.out;
    return json::parse(said.out, nullptr, /*allow_exceptions=*/false);
  }

  static pid_t server_;
  static int grpc_port_;
};

pid_t SinkctlTest::server_ = 0;
int SinkctlTest::grpc_port_ = 0;

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
  EXPECT_TRUE(absl::StrContains(chart.out, " 500  0.65")) << chart.out;
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

TEST_F(SinkctlTest, RunsAreAddedAndRemoved) {
  const fs::path temp = std::getenv("TEST_TMPDIR");
  fs::create_directories(temp / "second");
  const Said added = Ask(absl::StrCat(
      "add-run second --root=", (temp / "second").string(), " --probe=",
      fs::absolute("tests/data/stories_probe").string(), " --steps=latest:3"));
  EXPECT_EQ(added.code, 0) << added.out;
  EXPECT_EQ(AskJson("runs").size(), 2u);
  EXPECT_TRUE(absl::StrContains(Ask("config").out, "latest: 3"));
  EXPECT_EQ(Ask("remove-run second").code, 0);
}

TEST_F(SinkctlTest, RequeueSaysHowMany) {
  EXPECT_EQ(AskJson("requeue toy")[0]["requeued"], 0);
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
