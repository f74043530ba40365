#include "tests/fuzz/json_size.h"

#include <algorithm>

namespace sinkwatch::fuzz {

size_t DepthOf(const nlohmann::json& value) {
  size_t depth = 0;
  for (const nlohmann::json& child : value) {
    if (child.is_structured()) depth = std::max(depth, DepthOf(child));
  }
  return depth + 1;
}

size_t CountOf(const nlohmann::json& value) {
  size_t count = 1;
  if (!value.is_structured()) return count;
  for (const nlohmann::json& child : value) count += CountOf(child);
  return count;
}

}  // namespace sinkwatch::fuzz
