#include "server/ctl/running_server_testing.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/exporter/measured_store_testing.h"

namespace sinkwatch::ctl {
namespace {

namespace fs = std::filesystem;

constexpr int kStartMilliseconds = 30'000;

pid_t Run(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) {
    argv.push_back(const_cast<char*>(word.c_str()));
  }
  argv.push_back(nullptr);
  const pid_t process = fork();
  if (process == 0) {
    execv(argv[0], argv.data());
    _exit(127);
  }
  return process;
}

}  // namespace

Said Sinkctl(const std::string& arguments, const std::string& before) {
  FILE* pipe =
      popen((before + "server/ctl/sinkctl 2>&1 " + arguments).c_str(), "r");
  Said said;
  char buffer[4096];
  size_t count = 0;
  while ((count = fread(buffer, 1, sizeof(buffer), pipe)) > 0) {
    said.out.append(buffer, count);
  }
  said.code = WEXITSTATUS(pclose(pipe));
  return said;
}

RunningServer::RunningServer(const std::string& folder, const Fill& fill) {
  Start(folder, fill);
}

void RunningServer::Start(const std::string& folder, const Fill& fill) {
  const fs::path temp = fs::path(std::getenv("TEST_TMPDIR")) / folder;
  const fs::path probe = fs::absolute("tests/data/stories_probe");
  fs::create_directories(temp / "data");
  fs::create_directories(temp / "toy");
  {
    auto store = exporter::MakeStore((temp / "data/sinkwatch.db").string());
    ASSERT_NE(store, nullptr);
    const absl::Status status = fill(*store);
    ASSERT_TRUE(status.ok()) << status;
  }
  const std::string fifo = (temp / "ports").string();
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const int ports = open(fifo.c_str(), O_RDONLY | O_NONBLOCK);
  process_ = Run({"server/sinkwatch_server", "--grpc_address=127.0.0.1:0",
                  "--http_address=127.0.0.1:0",
                  absl::StrCat("--data_dir=", (temp / "data").string()),
                  absl::StrCat("--run=toy=", (temp / "toy").string(),
                               ",probe=", probe.string()),
                  "--ports_file=" + fifo});
  pollfd readable = {ports, POLLIN, 0};
  ASSERT_EQ(poll(&readable, 1, kStartMilliseconds), 1) << "no server";
  char text[64] = {};
  ASSERT_GT(read(ports, text, sizeof(text) - 1), 0);
  close(ports);
  grpc_port_ = std::atoi(text);
  ASSERT_GT(grpc_port_, 0) << text;
}

RunningServer::~RunningServer() {
  if (process_ <= 0) return;
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
}

Said RunningServer::Ask(const std::string& arguments,
                        const std::string& before) const {
  return Sinkctl(
      absl::StrCat("--server=127.0.0.1:", grpc_port_, " ", arguments), before);
}

}  // namespace sinkwatch::ctl
