#ifndef SINKWATCH_PROTO_BASE_STDERR_LOG_H_
#define SINKWATCH_PROTO_BASE_STDERR_LOG_H_

#include <memory>
#include <string>

#include "spdlog/formatter.h"

namespace sinkwatch::base {

// What the process logs goes to standard error from now on, by the program's
// name. For main.
void LogToStderr(const std::string& program);

// The form of its lines: spdlog's own, and of each message OneLine: whatever
// names, paths and reasons of others it repeats, it is one line.
std::unique_ptr<spdlog::formatter> LogFormatter();

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_STDERR_LOG_H_
