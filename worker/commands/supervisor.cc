#include "worker/commands/supervisor.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "spdlog/spdlog.h"

namespace sinkwatch::worker {
namespace {

// A wait does not follow the wall clock when somebody sets it.
using Clock = std::chrono::steady_clock;

constexpr int kBadUsage = 2;
constexpr int kDoNotRestart = 42;
constexpr int kCannotExecute = 127;

sigset_t HeardSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) {
    sigaddset(&signals, signal);
  }
  return signals;
}

// The cores of part `i` of `parts` of those that this process may use; empty
// where there are too few.
std::vector<int> CoresOf(size_t i, size_t parts) {
  cpu_set_t all;
  CPU_ZERO(&all);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof all, &all) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &all)) cores.push_back(core);
  }
  if (cores.size() < parts) return {};
  const auto begin = cores.begin() + cores.size() * i / parts;
  const auto end = cores.begin() + cores.size() * (i + 1) / parts;
  return {begin, end};
}

// One worker and its process.
class Child {
 public:
  Child(const WorkerCommand& command, std::vector<int> cores,
        const RestartPauses& pauses)
      : command_(command), cores_(std::move(cores)), policy_(pauses) {
    for (const std::string& word : command_.words) {
      argv_.push_back(const_cast<char*>(word.c_str()));
    }
    argv_.push_back(nullptr);
    CPU_ZERO(&cpu_set_);
    for (const int core : cores_) CPU_SET(core, &cpu_set_);
  }

  bool running() const { return pid_ > 0; }
  bool over() const { return !running() && !start_at_; }
  int exit_code() const { return exit_code_; }
  std::optional<Clock::time_point> start_at() const { return start_at_; }

  void StartIfTime(Clock::time_point now) {
    if (running() || !start_at_ || now < *start_at_) return;
    start_at_.reset();
    started_ = now;
    pid_ = Fork();
    if (pid_ > 0) {
      spdlog::info("worker started device={} pid={}", command_.device, pid_);
      return;
    }
    Plan(std::nullopt, std::strerror(errno), now);
  }

  // Takes note of an end; `stopping`: it is not started again.
  void Reap(bool stopping, Clock::time_point now) {
    int status = 0;
    if (!running() || ::waitpid(pid_, &status, WNOHANG) != pid_) return;
    pid_ = 0;
    const bool exited = WIFEXITED(status);
    exit_code_ = exited ? WEXITSTATUS(status) : 1;
    if (stopping) return;
    Plan(exited ? std::optional<int>(exit_code_) : std::nullopt,
         exited ? "code " + std::to_string(exit_code_)
                : "signal " + std::to_string(WTERMSIG(status)),
         now);
  }

  void Stop() {
    start_at_.reset();
    if (running()) ::kill(pid_, SIGTERM);
  }

 private:
  void Plan(std::optional<int> code, const std::string& how,
            Clock::time_point now) {
    if (!code) exit_code_ = 1;
    const auto pause = policy_.Ended(code, absl::FromChrono(now - started_));
    if (!pause) {
      spdlog::info("worker ended device={} by=\"{}\"", command_.device, how);
      return;
    }
    start_at_ = now + absl::ToChronoNanoseconds(*pause);
    spdlog::warn(
        "worker ended, to be started again device={} by=\"{}\" "
        "pause_seconds={:.3f}",
        command_.device, how, absl::ToDoubleSeconds(*pause));
  }

  // Between fork and exec only what is safe in a process of many threads.
  pid_t Fork() const {
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(0);  // it has ended meanwhile
    if (!cores_.empty()) ::sched_setaffinity(0, sizeof cpu_set_, &cpu_set_);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execv(argv_[0], argv_.data());
    ::_exit(kCannotExecute);
  }

  const WorkerCommand& command_;
  const std::vector<int> cores_;
  std::vector<char*> argv_;
  cpu_set_t cpu_set_;
  RestartPolicy policy_;
  pid_t pid_ = 0;  // 0: no process
  int exit_code_ = 0;
  Clock::time_point started_;
  std::optional<Clock::time_point> start_at_ = Clock::time_point::min();
};

// The next signal, or 0 once it is time to start a worker.
int NextSignal(const sigset_t& signals, const std::vector<Child>& children) {
  std::optional<Clock::time_point> until;
  for (const Child& child : children) {
    if (child.start_at() && (!until || *child.start_at() < *until)) {
      until = child.start_at();
    }
  }
  int signal = 0;
  if (!until) {
    sigwait(&signals, &signal);
    return signal;
  }
  const auto left = std::max(*until - Clock::now(), Clock::duration::zero());
  const timespec wait = absl::ToTimespec(absl::FromChrono(left));
  signal = sigtimedwait(&signals, nullptr, &wait);
  return signal < 0 ? 0 : signal;
}

}  // namespace

std::optional<absl::Duration> RestartPolicy::Ended(std::optional<int> exit_code,
                                                   absl::Duration ran) {
  if (exit_code == 0 || exit_code == kBadUsage || exit_code == kDoNotRestart) {
    return std::nullopt;
  }
  next_ = ran >= pauses_.steady || next_ == absl::ZeroDuration()
              ? pauses_.first
              : std::min(next_ * 2, pauses_.longest);
  return next_;
}

int Supervise(const std::vector<WorkerCommand>& workers,
              const RestartPauses& pauses) {
  const sigset_t signals = HeardSignals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::vector<Child> children;
  children.reserve(workers.size());  // they point into themselves
  for (size_t i = 0; i < workers.size(); ++i) {
    children.emplace_back(workers[i], CoresOf(i, workers.size()), pauses);
  }
  const auto over = [](const Child& child) { return child.over(); };
  bool stopping = false;
  for (Child& child : children) child.StartIfTime(Clock::now());
  while (!std::all_of(children.begin(), children.end(), over)) {
    const int signal = NextSignal(signals, children);
    if (signal == SIGTERM || signal == SIGINT) {
      spdlog::info("ending the workers signal={}", signal);
      stopping = true;
      for (Child& child : children) child.Stop();
    }
    for (Child& child : children) {
      child.Reap(stopping, Clock::now());
      child.StartIfTime(Clock::now());
    }
  }
  for (const Child& child : children) {
    if (child.exit_code() != 0) return child.exit_code();
  }
  return 0;
}

}  // namespace sinkwatch::worker
