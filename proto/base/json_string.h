#ifndef SINKWATCH_PROTO_BASE_JSON_STRING_H_
#define SINKWATCH_PROTO_BASE_JSON_STRING_H_

#include <string>

namespace sinkwatch::base {

// `text` as a JSON string, quotes included. Bytes that are not UTF-8 become
// U+FFFD.
std::string JsonString(const std::string& text);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_JSON_STRING_H_
