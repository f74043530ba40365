#ifndef SINKWATCH_SERVER_NET_POLLER_H_
#define SINKWATCH_SERVER_NET_POLLER_H_

#include <chrono>
#include <cstdint>

#include "absl/functional/function_ref.h"

namespace sinkwatch::net {

// What one thread waits for: any number of sockets, its time, and a word from
// other threads. Over epoll.
class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // From now on Wait tells `id` when one of `wanted` (EPOLLIN, EPOLLOUT) is
  // true of the socket. `watched` is what was wanted of it before, 0 at first,
  // and becomes `wanted`. A socket of which nothing is wanted is taken out:
  // epoll would go on telling that it was hung up. A socket that is closed is
  // out.
  void Watch(int fd, uint64_t id, uint32_t wanted, uint32_t& watched);

  // Waits no longer than `most`; returns sooner when something is told or Wake
  // is called. One that was told and then closed, or whose `id` is another's by
  // now, is the caller's to pass over.
  void Wait(std::chrono::milliseconds most,
            absl::FunctionRef<void(uint64_t id)> tell);

  // Ends the Wait that is under way, or the next one. From any thread.
  void Wake();

 private:
  void Control(int operation, int fd, uint64_t id, uint32_t events);

  const int epoll_;
  const int wake_;
};

}  // namespace sinkwatch::net

#endif  // SINKWATCH_SERVER_NET_POLLER_H_
