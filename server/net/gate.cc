#include "server/net/gate.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <deque>
#include <iterator>
#include <map>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "proto/base/catch_all.h"
#include "proto/base/mutex.h"
#include "server/net/link.h"
#include "server/net/listener.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::net {
namespace {

using SteadyClock = std::chrono::steady_clock;
using SteadyTime = SteadyClock::time_point;

constexpr auto kTick = std::chrono::milliseconds(50);
constexpr uint64_t kListenerId = 0;
constexpr uint64_t kWakeId = 1;
constexpr uint64_t kFirstLink = 2;
// Calls that a connection may have open however many others have: a flood from
// elsewhere does not keep a worker from renewing its lease.
constexpr size_t kAlwaysMay = 4;
// How long the calls of a connection that was closed go on counting, because
// the server is still at them.
constexpr std::chrono::seconds kClosedCounts(1);
// A connection is its socket and the pair behind it.
constexpr int kDescriptorsEach = 3;

// So many that a quarter of the descriptors is theirs.
int ConnectionsWithin(int wanted) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  const rlim_t most = limit.rlim_cur / (4 * kDescriptorsEach);
  return static_cast<int>(std::min<rlim_t>(std::max<rlim_t>(most, 8), wanted));
}

// A link and what epoll watches of its two sockets; 0: not there.
struct Watched {
  std::unique_ptr<Link> link;
  std::array<uint32_t, 2> interest = {};
};

}  // namespace

// All but `accepting_`'s and `stopping_` belongs to the one thread.
class Gate::Loop {
 public:
  Loop(GateOptions options, Serve serve, int listener)
      : options_(std::move(options)),
        serve_(std::move(serve)),
        listener_(listener),
        port_(PortOf(listener)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        max_connections_(ConnectionsWithin(options_.max_connections)) {
    Watch(wake_, kWakeId, EPOLLIN, EPOLL_CTL_ADD);
    Watch(listener_, kListenerId, EPOLLIN, EPOLL_CTL_ADD);
    thread_ = std::thread([this] { Run(); });
  }

  ~Loop() {
    stopping_ = true;
    Wake();
    thread_.join();
    links_.clear();
    StopAccepting();
    for (int fd : {epoll_, wake_}) close(fd);
  }

  int port() const { return port_; }

  void StopAccepting() {
    base::MutexLock lock(mutex_);
    if (listener_ < 0) return;
    close(listener_);
    listener_ = -1;
  }

 private:
  void Run() {
    std::array<epoll_event, 64> events;
    const int tick = static_cast<int>(kTick.count());
    while (!stopping_) {
      const int count = epoll_wait(epoll_, events.data(), events.size(), tick);
      for (int i = 0; i < count; ++i) OnEvent(events[i].data.u64);
      if (SteadyClock::now() >= next_look_) LookAtAll();
    }
  }

  void OnEvent(uint64_t id) {
    if (id == kListenerId) return AcceptAll();
    if (id == kWakeId) return;
    const auto found = links_.find(id / 2);
    if (found != links_.end()) Move(found);
  }

  // --- clients -------------------------------------------------------------
  void AcceptAll() {
    base::MutexLock lock(mutex_);
    while (listener_ >= 0) {
      const int fd =
          accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        const absl::Status status = base::CatchAll([&] { return Add(fd); });
        if (!status.ok()) Complain(status);
      } else if (errno == EMFILE || errno == ENFILE) {
        // Either somebody goes, or it is tried again at the next tick.
        if (!MakeRoom()) return;
      } else if (errno != EINTR && errno != ECONNABORTED) {
        return;
      }
    }
  }

  // Owns `client`.
  absl::Status Add(int client) {
    std::array<int, 2> pair;
    const bool full = static_cast<int>(links_.size()) >= max_connections_;
    if ((full && !MakeRoom()) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   pair.data()) != 0) {
      close(client);
      return absl::ResourceExhaustedError("there are too many connections");
    }
    const int on = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const uint64_t id = next_id_++;
    Watched& watched = links_[id];
    watched.link = std::make_unique<Link>(client, pair[0], options_.frames,
                                          SteadyClock::now());
    serve_(pair[1]);
    SetInterest(id, watched);
    return absl::OkStatus();
  }

  // Closes who has been without a call for longest. False if all have calls.
  bool MakeRoom() {
    auto longest = links_.end();
    for (auto it = links_.begin(); it != links_.end(); ++it) {
      if (it->second.link->guard().open_calls() > 0) continue;
      const bool longer =
          longest == links_.end() ||
          it->second.link->active() < longest->second.link->active();
      if (longer) longest = it;
    }
    if (longest == links_.end()) return false;
    Erase(longest);
    return true;
  }

  // --- bytes ---------------------------------------------------------------
  using Place = std::map<uint64_t, Watched>::iterator;

  // Whatever goes wrong (no memory, at worst) is this client's alone.
  void Move(Place place) {
    Link& link = *place->second.link;
    const size_t before = link.guard().open_calls();
    const size_t left = options_.max_calls_together -
                        std::min(options_.max_calls_together, calls_);
    const size_t most =
        std::min(options_.max_calls, std::max(before + left, kAlwaysMay));
    const absl::Status status =
        base::CatchAll([&] { return link.Move(SteadyClock::now(), most); });
    calls_ = calls_ - before + link.guard().open_calls();
    if (status.ok()) return SetInterest(place->first, place->second);
    if (!absl::IsCancelled(status)) Complain(status);
    Erase(place);
  }

  void Erase(Place place) {
    const size_t open = place->second.link->guard().open_calls();
    if (open > 0) closed_calls_.emplace_back(SteadyClock::now(), open);
    links_.erase(place);
  }

  void ForgetClosed(SteadyTime now) {
    while (!closed_calls_.empty() &&
           now - closed_calls_.front().first >= kClosedCounts) {
      calls_ -= closed_calls_.front().second;
      closed_calls_.pop_front();
    }
  }

  // What waits for its time or for others' calls to end goes on; what stood
  // still for too long ends.
  void LookAtAll() {
    const SteadyTime now = SteadyClock::now();
    next_look_ = now + kTick;
    ForgetClosed(now);
    AcceptAll();
    for (auto it = links_.begin(); it != links_.end();) {
      const auto place = it++;
      const Link& link = *place->second.link;
      if (IsLate(link, now)) {
        Complain(absl::DeadlineExceededError("a client stands still"));
        Erase(place);
      } else if (link.waits()) {
        Move(place);
      }
    }
  }

  bool IsLate(const Link& link, SteadyTime now) const {
    if (!link.guard().greeted()) return now - link.since() > options_.greeting;
    return link.waits() && now - link.still_since() > options_.standstill;
  }

  // At most one line a second: who attacks writes no log.
  void Complain(const absl::Status& status) {
    ++closed_;
    const SteadyTime now = SteadyClock::now();
    if (now < next_complaint_) return;
    next_complaint_ = now + std::chrono::seconds(1);
    spdlog::warn("event=grpc_connections_closed count={} last=\"{}\"", closed_,
                 std::string(status.message()));
    closed_ = 0;
  }

  // --- epoll ---------------------------------------------------------------
  void Watch(int fd, uint64_t id, uint32_t events, int operation) {
    epoll_event event = {};
    event.events = events;
    event.data.u64 = id;
    epoll_ctl(epoll_, operation, fd, &event);
  }

  // A socket that is not looked at is taken out: epoll would go on telling that
  // it was hung up.
  void SetInterest(uint64_t id, Watched& watched) {
    const std::array<int, 2> sockets = {watched.link->client(),
                                        watched.link->server()};
    const std::array<uint32_t, 2> wanted = {watched.link->ClientEvents(),
                                            watched.link->ServerEvents()};
    for (size_t side = 0; side < sockets.size(); ++side) {
      uint32_t& interest = watched.interest[side];
      if (interest == wanted[side]) continue;
      const int operation = wanted[side] == 0 ? EPOLL_CTL_DEL
                            : interest == 0   ? EPOLL_CTL_ADD
                                              : EPOLL_CTL_MOD;
      Watch(sockets[side], 2 * id + side, wanted[side], operation);
      interest = wanted[side];
    }
  }

  void Wake() {
    const uint64_t one = 1;
    while (write(wake_, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
  }

  const GateOptions options_;
  const Serve serve_;
  base::Mutex mutex_;  // held while clients are taken
  int listener_ ABSL_GUARDED_BY(mutex_);
  const int port_;
  const int epoll_;
  const int wake_;
  const int max_connections_;
  std::map<uint64_t, Watched> links_;
  uint64_t next_id_ = kFirstLink;
  size_t calls_ = 0;  // open ones, of all links and of those just closed
  std::deque<std::pair<SteadyTime, size_t>> closed_calls_;
  SteadyTime next_look_;
  SteadyTime next_complaint_;
  int64_t closed_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

Gate::Gate(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}

Gate::~Gate() = default;

absl::StatusOr<std::unique_ptr<Gate>> Gate::Open(GateOptions options,
                                                 Serve serve) {
  const auto listener = Listen(options.address, "grpc_address");
  if (!listener.ok()) return listener.status();
  return std::unique_ptr<Gate>(new Gate(
      std::make_unique<Loop>(std::move(options), std::move(serve), *listener)));
}

int Gate::port() const { return loop_->port(); }

void Gate::StopAccepting() { loop_->StopAccepting(); }

}  // namespace sinkwatch::net
