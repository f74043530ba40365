#include "server/http/http_server.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <map>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "proto/base/mutex.h"
#include "server/http/connection.h"
#include "server/http/handler_pool.h"
#include "server/net/listener.h"
#include "server/net/poller.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::http {
namespace {

using SteadyClock = std::chrono::steady_clock;
using SteadyTime = SteadyClock::time_point;

constexpr int kUrgentThreads = 2;
constexpr auto kTick = std::chrono::milliseconds(50);
// How long a client that is told goodbye may take to hear it.
constexpr auto kLinger = std::chrono::seconds(1);
// However steadily a client takes an answer, it must be through by then.
constexpr auto kMaxAnswer = std::chrono::seconds(60);
// Answers up to that leave in one packet.
constexpr size_t kSmallBody = 16 * 1024;

constexpr uint64_t kListenerId = 0;
// Other users of descriptors (the store, workers' connections) keep half.
constexpr int kDescriptorParts = 2;

SteadyClock::duration Steady(absl::Duration duration) {
  return absl::ToChronoNanoseconds(duration);
}

enum class State {
  kReading,    // for a request, or the rest of one
  kWorking,    // the handler has it
  kSending,    // an answer
  kLingering,  // nothing more to be said; the client may still be sending
};

struct Client {
  Client(uint64_t id, int fd) : id(id), connection(fd) {}
  ~Client() { *gone = true; }

  const uint64_t id;
  Connection connection;
  State state = State::kReading;
  uint32_t watched = 0;  // as Poller has it
  bool keep_alive = false;
  std::shared_ptr<void> held;  // the bytes of its answer
  // For the handler that works for it.
  const std::shared_ptr<std::atomic<bool>> gone =
      std::make_shared<std::atomic<bool>>(false);
  SteadyTime since;  // of the state
  SteadyTime deadline;
};

}  // namespace

// All but `finished_`, `stopping_` and the pools belongs to the one thread.
class HttpServer::Loop {
 public:
  Loop(HttpServerOptions options, Handler handler, int listener)
      : options_(std::move(options)),
        handler_(std::move(handler)),
        listener_(listener),
        port_(net::PortOf(listener)),
        own_host_(HostName(net::HostOf(options_.address) + ":")),
        max_connections_(
            net::DescriptorsWithin(options_.max_connections, kDescriptorParts)),
        pool_(std::make_unique<HandlerPool>(options_.threads)),
        urgent_pool_(std::make_unique<HandlerPool>(kUrgentThreads)) {
    WatchListener(EPOLLIN);
    thread_ = std::thread([this] { Run(); });
  }

  ~Loop() {
    stopping_ = true;
    poller_.Wake();
    thread_.join();
    pool_.reset();
    urgent_pool_.reset();
    close(listener_);
  }

  int port() const { return port_; }

 private:
  struct Finished {
    uint64_t client = 0;
    std::string head;
    std::shared_ptr<const std::string> prefix;
    std::string body;
    std::shared_ptr<void> held;
  };

  void Run() {
    while (!stopping_) {
      poller_.Wait(kTick, [this](uint64_t id) { OnEvent(id); });
      SendFinished();
      CloseLate(SteadyClock::now());
    }
    Drain();
  }

  // Answers what is under way.
  void Drain() {
    WatchListener(0);
    const SteadyTime cut = SteadyClock::now() + kLinger;
    while (true) {
      const bool late = SteadyClock::now() > cut;
      CloseIf([late](const Client& client) {
        return client.state != State::kWorking &&
               (late || client.state != State::kSending);
      });
      if (clients_.empty()) return;
      poller_.Wait(kTick, [this](uint64_t id) { OnEvent(id); });
      SendFinished();
    }
  }

  void OnEvent(uint64_t id) {
    if (id == kListenerId) return AcceptAll();
    WithClient(id, [this](Client& client) {
      if (client.state == State::kReading) return Read(client);
      if (client.state == State::kSending) return Send(client);
      // Nothing else is watched of one whose request is being answered.
      if (client.state == State::kWorking) return Close(client);
      if (client.connection.Discard() == Connection::Io::kDone) Close(client);
    });
  }

  // Whatever goes wrong (no memory, at worst) is this client's alone.
  template <typename Step>
  void WithClient(uint64_t id, Step step) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) return;
    try {
      step(*found->second);
    } catch (const std::exception& error) {
      spdlog::error("event=http_connection_failed error=\"{}\"", error.what());
      clients_.erase(id);
    }
  }

  // --- connections ---------------------------------------------------------
  void AcceptAll() {
    const bool all = net::AcceptAll(
        listener_, [this](int fd) { Add(fd); }, [this] { return MakeRoom(); });
    if (!all) PauseAccepting();
  }

  void Add(int fd) {
    if (static_cast<int>(clients_.size()) >= max_connections_ && !MakeRoom()) {
      close(fd);
      return;
    }
    const uint64_t id = next_id_++;
    const auto added =
        clients_.emplace(id, std::make_unique<Client>(id, fd)).first;
    Enter(*added->second, State::kReading, Steady(options_.timeout));
    SetInterest(*added->second, EPOLLIN);
  }

  // Closes who has kept us waiting longest. False if nobody does.
  bool MakeRoom() {
    Client* longest = nullptr;
    for (const auto& [id, client] : clients_) {
      if (client->state == State::kWorking) continue;
      if (longest == nullptr || client->since < longest->since) {
        longest = client.get();
      }
    }
    if (longest == nullptr) return false;
    Close(*longest);
    return true;
  }

  void PauseAccepting() {
    WatchListener(0);
    accept_again_ = SteadyClock::now() + kTick;
  }

  void CloseLate(SteadyTime now) {
    if (now >= accept_again_) WatchListener(EPOLLIN);
    if (now < next_look_) return;
    next_look_ = now + kTick;
    CloseIf([now](const Client& client) {
      return client.state != State::kWorking && client.deadline <= now;
    });
  }

  template <typename Condition>
  void CloseIf(Condition condition) {
    for (auto it = clients_.begin(); it != clients_.end();) {
      it = condition(*it->second) ? clients_.erase(it) : std::next(it);
    }
  }

  void Close(const Client& client) { clients_.erase(client.id); }

  void Enter(Client& client, State state, SteadyClock::duration time) {
    client.state = state;
    client.since = SteadyClock::now();
    client.deadline = client.since + time;
  }

  void WatchListener(uint32_t events) {
    poller_.Watch(listener_, kListenerId, events, listener_watched_);
  }

  void SetInterest(Client& client, uint32_t events) {
    poller_.Watch(client.connection.fd(), client.id, events, client.watched);
  }

  // --- requests and answers ------------------------------------------------
  void Read(Client& client) {
    const bool first = client.connection.received() == 0;
    const size_t limit = static_cast<size_t>(options_.max_request_bytes);
    const Connection::Io io = client.connection.Receive(limit);
    if (io == Connection::Io::kClosed) return Close(client);
    // The time for a request begins with its first byte, not with its last.
    if (first) Enter(client, State::kReading, Steady(options_.timeout));
    TakeRequest(client, io == Connection::Io::kBlocked);
  }

  void TakeRequest(Client& client, bool more_may_come) {
    const auto text = client.connection.TakeRequest();
    if (text.has_value()) return Dispatch(client, ParseRequest(*text));
    if (more_may_come) return SetInterest(client, EPOLLIN);
    const bool large = client.connection.received() >=
                       static_cast<size_t>(options_.max_request_bytes);
    AnswerNow(client, Request(),
              large ? TurnAway(431, absl::StrCat("a request has at most ",
                                                 options_.max_request_bytes,
                                                 " bytes"))
                    : TurnAway(400, "half a request"));
  }

  void Dispatch(Client& client, ParsedRequest parsed) {
    if (parsed.status != 0) {
      return AnswerNow(client, parsed.request,
                       TurnAway(parsed.status, parsed.reason));
    }
    const std::string host = HostName(parsed.request.host);
    if (!IsAllowed(host)) {
      return AnswerNow(
          client, parsed.request,
          TurnAway(403,
                   "this server does not go by the name in the Host "
                   "header; http.allowed_hosts of its configuration "
                   "lists the names it has"));
    }
    client.keep_alive = parsed.keep_alive && !stopping_;
    Enter(client, State::kWorking, {});
    SetInterest(client, EPOLLRDHUP);
    parsed.request.gone = client.gone;
    const bool urgent = options_.urgent && options_.urgent(parsed.request);
    (urgent ? urgent_pool_ : pool_)
        ->Submit([this, urgent, id = client.id, keep_alive = client.keep_alive,
                  request = std::move(parsed.request)] {
          Work(id, request, keep_alive, urgent);
        });
  }

  bool IsAllowed(const std::string& host) const {
    if (IsLocalName(host) || host == own_host_) return true;
    return std::any_of(options_.allowed_hosts.begin(),
                       options_.allowed_hosts.end(),
                       [&host](const std::string& allowed) {
                         return allowed == "*" || HostName(allowed) == host;
                       });
  }

  // In a thread of a pool.
  void Work(uint64_t id, const Request& request, bool keep_alive, bool urgent) {
    if (request.IsGone()) return;
    Finished finished;
    try {
      const SteadyTime begin = SteadyClock::now();
      const bool has_room = urgent || held_bytes_ < options_.max_answer_bytes;
      Response response =
          has_room ? Handle(request)
                   : TurnAway(503,
                              "too many answers wait for their clients to read "
                              "them; ask again");
      finished = Finish(id, request, std::move(response), keep_alive);
      Tell(request, response.status, SteadyClock::now() - begin);
    } catch (const std::exception& error) {
      // Without memory even for a refusal: the client is closed.
      finished = Finished();
      finished.client = id;
    }
    {
      base::MutexLock lock(finished_mutex_);
      finished_.push_back(std::move(finished));
    }
    poller_.Wake();
  }

  Response Handle(const Request& request) const {
    try {
      return handler_(request);
    } catch (const std::exception& error) {
      spdlog::error("event=http_handler_failed path=\"{}\" error=\"{}\"",
                    request.path.substr(0, 200), error.what());
      return TurnAway(500, absl::StrCat("internal error: ", error.what()));
    }
  }

  // So many bytes count until all copies of it are gone.
  std::shared_ptr<void> Hold(size_t bytes) {
    held_bytes_ += static_cast<int64_t>(bytes);
    return {this, [this, bytes](void*) {
              held_bytes_ -= static_cast<int64_t>(bytes);
            }};
  }

  Finished Finish(uint64_t id, const Request& request, Response&& response,
                  bool keep_alive) {
    Finished finished;
    finished.client = id;
    finished.head = HeadOf(response, keep_alive);
    if (request.method == "HEAD" || response.status == 304) return finished;
    if (response.prefix == nullptr && response.body.size() <= kSmallBody) {
      finished.head += response.body;
      return finished;
    }
    finished.prefix = std::move(response.prefix);
    finished.body = std::move(response.body);
    finished.held = Hold(finished.body.size());
    return finished;
  }

  void Tell(const Request& request, int status,
            SteadyClock::duration time) const {
    if (options_.on_answer) {
      options_.on_answer(request, status, absl::FromChrono(time));
    }
  }

  // Says goodbye to a client whose request cannot be taken.
  void AnswerNow(Client& client, const Request& request, Response response) {
    client.keep_alive = false;
    Tell(request, response.status, {});
    StartSending(client, Finish(client.id, request, std::move(response),
                                /*keep_alive=*/false));
  }

  void SendFinished() {
    std::vector<Finished> finished;
    {
      base::MutexLock lock(finished_mutex_);
      finished.swap(finished_);
    }
    for (Finished& answer : finished) {
      WithClient(answer.client, [&](Client& client) {
        if (answer.head.empty()) return Close(client);
        StartSending(client, std::move(answer));
      });
    }
  }

  void StartSending(Client& client, Finished answer) {
    client.held = std::move(answer.held);
    client.connection.Answer(std::move(answer.head), std::move(answer.prefix),
                             std::move(answer.body));
    Enter(client, State::kSending, Steady(options_.timeout));
    Send(client);
  }

  void Send(Client& client) {
    switch (client.connection.Send()) {
      case Connection::Io::kClosed:
        return Close(client);
      case Connection::Io::kBlocked:
        client.deadline =
            std::min(SteadyClock::now() + Steady(options_.timeout),
                     client.since + kMaxAnswer);
        return SetInterest(client, EPOLLOUT);
      case Connection::Io::kDone:
        client.held = nullptr;
        break;
    }
    if (!client.keep_alive) {
      client.connection.EndSending();
      Enter(client, State::kLingering, kLinger);
      return SetInterest(client, EPOLLIN);
    }
    const bool pipelined = client.connection.received() > 0;
    Enter(client, State::kReading,
          Steady(pipelined ? options_.timeout : options_.keep_alive));
    TakeRequest(client, /*more_may_come=*/true);
  }

  const HttpServerOptions options_;
  const Handler handler_;
  const int listener_;
  net::Poller poller_;
  uint32_t listener_watched_ = 0;
  const int port_;
  const std::string own_host_;
  const int max_connections_;

  std::atomic<int64_t> held_bytes_{0};  // of answers that are on their way
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
  uint64_t next_id_ = kListenerId + 1;
  SteadyTime accept_again_;
  SteadyTime next_look_;

  base::Mutex finished_mutex_;
  std::vector<Finished> finished_ ABSL_GUARDED_BY(finished_mutex_);
  std::atomic<bool> stopping_{false};
  std::unique_ptr<HandlerPool> pool_;
  std::unique_ptr<HandlerPool> urgent_pool_;
  std::thread thread_;
};

HttpServer::HttpServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}

HttpServer::~HttpServer() = default;

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    HttpServerOptions options, Handler handler) {
  const auto listener = net::Listen(options.address, "http_address");
  if (!listener.ok()) return listener.status();
  return std::unique_ptr<HttpServer>(new HttpServer(std::make_unique<Loop>(
      std::move(options), std::move(handler), *listener)));
}

int HttpServer::port() const { return loop_->port(); }

}  // namespace sinkwatch::http
