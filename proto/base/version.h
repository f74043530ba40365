#ifndef SINKWATCH_PROTO_BASE_VERSION_H_
#define SINKWATCH_PROTO_BASE_VERSION_H_

#include <cstdint>

namespace sinkwatch::base {

// Of this release, as every program of it says.
inline constexpr char kVersion[] = "0.1.0";

// Version of the metric definitions. A server gives work to workers of its own
// version only; measurements of different versions are kept and never mixed.
inline constexpr int32_t kSpecVersion = 2;

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_VERSION_H_
