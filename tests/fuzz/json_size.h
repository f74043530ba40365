#ifndef SINKWATCH_TESTS_FUZZ_JSON_SIZE_H_
#define SINKWATCH_TESTS_FUZZ_JSON_SIZE_H_

#include <cstddef>

#include "nlohmann/json.hpp"

namespace sinkwatch::fuzz {

// How deep a value is, 1 for one that holds no other, and how many values it
// has, itself included.
size_t DepthOf(const nlohmann::json& value);
size_t CountOf(const nlohmann::json& value);

}  // namespace sinkwatch::fuzz

#endif  // SINKWATCH_TESTS_FUZZ_JSON_SIZE_H_
