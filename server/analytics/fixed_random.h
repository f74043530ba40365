#ifndef SINKWATCH_SERVER_ANALYTICS_FIXED_RANDOM_H_
#define SINKWATCH_SERVER_ANALYTICS_FIXED_RANDOM_H_

#include <cstdint>

namespace sinkwatch::analytics {

// Numbers that look random and are the same on every machine (splitmix64): what
// is drawn with them is the same answer each time.
class FixedRandom {
 public:
  explicit FixedRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // In [0, 1).
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  // In [0, n).
  int Below(int n) { return static_cast<int>(Uniform() * n); }

 private:
  uint64_t state_;
};

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_FIXED_RANDOM_H_
