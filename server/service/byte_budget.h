#ifndef SINKWATCH_SERVER_SERVICE_BYTE_BUDGET_H_
#define SINKWATCH_SERVER_SERVICE_BYTE_BUDGET_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <set>

#include "absl/base/thread_annotations.h"
#include "proto/base/mutex.h"

namespace sinkwatch::service {

// How much memory many calls may hold together, a share each. Where one is
// refused, those whose client has been silent for `patience` are made to let go
// of theirs: a client that stops in the middle keeps nobody else out.
// Thread-safe; must outlive its shares.
class ByteBudget {
 public:
  // What one call holds, until its end.
  class Share {
   public:
    // `let_go` ends the call. It is called at most once, on the thread of
    // somebody who was refused, perhaps when the share has gone already.
    Share(ByteBudget* budget, std::function<void()> let_go);
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // False, and nothing is taken, where so much is not left; but one holder
    // alone gets what it asks for, so that nothing waits for ever. A sign of
    // life of its client.
    bool Take(int64_t bytes);
    // Nothing more is to come of its client: it is not made to let go.
    void Keep();

   private:
    friend class ByteBudget;
    ByteBudget* const budget_;
    std::function<void()> let_go_;
    int64_t held_ = 0;  // this and the next are guarded by the budget's lock
    std::chrono::steady_clock::time_point heard_;
  };

  explicit ByteBudget(int64_t most, std::chrono::milliseconds patience =
                                        std::chrono::seconds(10))
      : most_(most), patience_(patience) {}

  int64_t held() const {
    base::MutexLock lock(mutex_);
    return held_;
  }

 private:
  void FreeSilent();

  const int64_t most_;
  const std::chrono::milliseconds patience_;
  mutable base::Mutex mutex_;
  int64_t held_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<Share*> shares_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_BYTE_BUDGET_H_
