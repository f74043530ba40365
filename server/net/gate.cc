#include "server/net/gate.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
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
#include "server/net/poller.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::net {
namespace {

using SteadyClock = std::chrono::steady_clock;
using SteadyTime = SteadyClock::time_point;

constexpr auto kTick = std::chrono::milliseconds(50);
constexpr uint64_t kListenerId = 0;
constexpr uint64_t kFirstLink = 1;
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
  constexpr int kFewest = 8;
  return std::min(wanted, std::max(kFewest, DescriptorsWithin(
                                                wanted, 4 * kDescriptorsEach)));
}

// A link and what is watched of its two sockets.
struct Watched {
  std::unique_ptr<Link> link;
  std::array<uint32_t, 2> watched = {};
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
        max_connections_(ConnectionsWithin(options_.max_connections)) {
    uint32_t watched = 0;
    poller_.Watch(listener, kListenerId, EPOLLIN, watched);
    thread_ = std::thread([this] { Run(); });
  }

  ~Loop() {
    stopping_ = true;
    poller_.Wake();
    thread_.join();
    links_.clear();
    StopAccepting();
  }

  int port() const { return port_; }

  void StopAccepting() {
    base::MutexLock lock(mutex_);
    if (listener_ < 0) return;
    close(listener_);
    listener_ = -1;
  }

 private:
  using Place = std::map<uint64_t, Watched>::iterator;
  using Since = Link::Time (Link::*)() const;

  void Run() {
    while (!stopping_) {
      poller_.Wait(kTick, [this](uint64_t id) { OnEvent(id); });
      if (SteadyClock::now() >= next_look_) LookAtAll();
    }
  }

  void OnEvent(uint64_t id) {
    if (id == kListenerId) return AcceptWaiting();
    const auto found = links_.find(id / 2);
    if (found != links_.end()) Move(found);
  }

  // --- clients -------------------------------------------------------------
  void AcceptWaiting() {
    base::MutexLock lock(mutex_);
    if (listener_ < 0) return;
    // Without descriptors, and if nobody goes, again at the next tick.
    AcceptAll(
        listener_,
        [this](int fd) {
          const absl::Status status = base::CatchAll([&] { return Add(fd); });
          if (!status.ok()) Complain(status);
        },
        [this] { return MakeRoom(); });
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
    const uint64_t id = next_id_++;
    Watched& watched = links_[id];
    watched.link = std::make_unique<Link>(client, pair[0], options_.frames,
                                          SteadyClock::now());
    serve_(pair[1]);
    SetInterest(id, watched);
    return absl::OkStatus();
  }

  // Closes who has been without a call for longest; where all have calls, who
  // has said and taken nothing for longest: somebody who holds calls open takes
  // nobody's place for ever. False if there is nobody.
  bool MakeRoom() {
    auto idle = links_.end(), silent = links_.end();
    const auto is_longer = [this](Place a, Place b, Since since) {
      return b == links_.end() ||
             (*a->second.link.*since)() < (*b->second.link.*since)();
    };
    for (auto it = links_.begin(); it != links_.end(); ++it) {
      if (it->second.link->guard().open_calls() > 0) {
        if (is_longer(it, silent, &Link::still_since)) silent = it;
      } else if (is_longer(it, idle, &Link::active)) {
        idle = it;
      }
    }
    if (idle == links_.end() && silent != links_.end() &&
        SteadyClock::now() - silent->second.link->still_since() >=
            options_.silence) {
      idle = silent;
    }
    if (idle == links_.end()) return false;
    Erase(idle);
    return true;
  }

  // --- bytes ---------------------------------------------------------------
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
    AcceptWaiting();
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

  void SetInterest(uint64_t id, Watched& watched) {
    Link& link = *watched.link;
    poller_.Watch(link.client(), 2 * id, link.ClientEvents(),
                  watched.watched[0]);
    poller_.Watch(link.server(), 2 * id + 1, link.ServerEvents(),
                  watched.watched[1]);
  }

  const GateOptions options_;
  const Serve serve_;
  base::Mutex mutex_;  // held while clients are taken
  int listener_ ABSL_GUARDED_BY(mutex_);
  const int port_;
  Poller poller_;
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
