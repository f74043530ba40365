#include "server/net/poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace sinkwatch::net {
namespace {

constexpr uint64_t kWakeId = UINT64_MAX;

}  // namespace

Poller::Poller()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  Control(EPOLL_CTL_ADD, wake_, kWakeId, EPOLLIN);
}

Poller::~Poller() {
  close(epoll_);
  close(wake_);
}

void Poller::Control(int operation, int fd, uint64_t id, uint32_t events) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = id;
  epoll_ctl(epoll_, operation, fd, &event);
}

void Poller::Watch(int fd, uint64_t id, uint32_t wanted, uint32_t& watched) {
  if (watched == wanted) return;
  const int operation = wanted == 0    ? EPOLL_CTL_DEL
                        : watched == 0 ? EPOLL_CTL_ADD
                                       : EPOLL_CTL_MOD;
  Control(operation, fd, id, wanted);
  watched = wanted;
}

void Poller::Wait(std::chrono::milliseconds most,
                  absl::FunctionRef<void(uint64_t id)> tell) {
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_, events.data(), events.size(),
                               static_cast<int>(most.count()));
  for (int i = 0; i < count; ++i) {
    if (events[i].data.u64 != kWakeId) {
      tell(events[i].data.u64);
      continue;
    }
    uint64_t ignored = 0;
    while (read(wake_, &ignored, sizeof(ignored)) > 0) {
    }
  }
}

void Poller::Wake() {
  const uint64_t one = 1;
  // A full counter wakes as well.
  while (write(wake_, &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

}  // namespace sinkwatch::net
