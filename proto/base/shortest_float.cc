#include "proto/base/shortest_float.h"

#include <charconv>
#include <cmath>

namespace sinkwatch::base {
namespace {

template <typename Number>
bool Append(Number value, std::string* out) {
  if (!std::isfinite(value)) return false;
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value);
  out->append(buffer, end.ptr - buffer);
  return true;
}

}  // namespace

bool AppendShortest(float value, std::string* out) {
  return Append(value, out);
}

bool AppendShortest(double value, std::string* out) {
  return Append(value, out);
}

}  // namespace sinkwatch::base
