#ifndef SINKWATCH_SERVER_STORE_CANCEL_SCOPE_H_
#define SINKWATCH_SERVER_STORE_CANCEL_SCOPE_H_

#include <functional>
#include <utility>

namespace sinkwatch::store {

// While it lives, what this thread reads of the store for long ends as
// CANCELLED once `cancelled` says true: for front ends, which know whether
// somebody still waits. Scopes nest; the innermost is asked.
class CancelScope {
 public:
  using Cancelled = std::function<bool()>;

  explicit CancelScope(Cancelled cancelled)
      : cancelled_(std::move(cancelled)), outer_(Innermost()) {
    Innermost() = this;
  }
  ~CancelScope() { Innermost() = outer_; }
  CancelScope(const CancelScope&) = delete;
  CancelScope& operator=(const CancelScope&) = delete;

  // Whether nobody waits for what this thread does any more; false outside of
  // every scope.
  static bool IsCancelled() {
    const CancelScope* const scope = Innermost();
    return scope != nullptr && scope->cancelled_ && scope->cancelled_();
  }

 private:
  static CancelScope*& Innermost() {
    thread_local CancelScope* innermost = nullptr;
    return innermost;
  }

  const Cancelled cancelled_;
  CancelScope* const outer_;
};

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_CANCEL_SCOPE_H_
