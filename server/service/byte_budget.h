#ifndef SINKWATCH_SERVER_SERVICE_BYTE_BUDGET_H_
#define SINKWATCH_SERVER_SERVICE_BYTE_BUDGET_H_

#include <atomic>
#include <cstdint>

namespace sinkwatch::service {

// How much memory many calls may hold together. Thread-safe.
class ByteBudget {
 public:
  explicit ByteBudget(int64_t most) : most_(most) {}

  // False, and nothing is taken, where so much is not left; but one holder
  // alone gets what it asks for, so that nothing waits for ever.
  bool Take(int64_t bytes) {
    const int64_t before = held_.fetch_add(bytes);
    if (before == 0 || before + bytes <= most_) return true;
    held_.fetch_sub(bytes);
    return false;
  }
  void Give(int64_t bytes) { held_.fetch_sub(bytes); }

  int64_t held() const { return held_.load(); }
  int64_t most() const { return most_; }

 private:
  const int64_t most_;
  std::atomic<int64_t> held_{0};
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_BYTE_BUDGET_H_
