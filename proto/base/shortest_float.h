#ifndef SINKWATCH_PROTO_BASE_SHORTEST_FLOAT_H_
#define SINKWATCH_PROTO_BASE_SHORTEST_FLOAT_H_

#include <string>

namespace sinkwatch::base {

// Appends the shortest decimal that reads back as the same number, which is
// valid JSON. False, appending nothing, for what is not finite.
bool AppendShortest(float value, std::string* out);
bool AppendShortest(double value, std::string* out);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_SHORTEST_FLOAT_H_
