#ifndef SINKWATCH_SERVER_CTL_RUNNING_SERVER_TESTING_H_
#define SINKWATCH_SERVER_CTL_RUNNING_SERVER_TESTING_H_

#include <sys/types.h>

#include <functional>
#include <string>

#include "server/store/store.h"

// sinkctl against a server, both as their users start them.
namespace sinkwatch::ctl {

struct Said {
  int code = -1;
  std::string out;  // standard output and error
};

// Runs the binary. `arguments` are for a shell, and so is what is before it.
Said Sinkctl(const std::string& arguments, const std::string& before = "");

// The server's process, over a store that was filled before, with the run "toy"
// in its configuration. Killed at the end.
class RunningServer {
 public:
  using Fill = std::function<absl::Status(store::Store& store)>;

  // In a folder of its own below TEST_TMPDIR.
  explicit RunningServer(const std::string& folder, const Fill& fill);
  ~RunningServer();

  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

  // 0 if it did not start; a test failure says why.
  int grpc_port() const { return grpc_port_; }
  Said Ask(const std::string& arguments, const std::string& before = "") const;

 private:
  void Start(const std::string& folder, const Fill& fill);

  pid_t process_ = 0;
  int grpc_port_ = 0;
};

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_RUNNING_SERVER_TESTING_H_
