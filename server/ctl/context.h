#ifndef SINKWATCH_SERVER_CTL_CONTEXT_H_
#define SINKWATCH_SERVER_CTL_CONTEXT_H_

#include <functional>
#include <ostream>

#include "absl/status/status.h"
#include "server/answers/table.h"
#include "server/ctl/arguments.h"
#include "server/ctl/client.h"
#include "server/ctl/format.h"

namespace sinkwatch::ctl {

// What a command is given: its arguments, a server, a place to write.
struct Context {
  const Arguments& args;
  Client& client;
  std::ostream& out;
  Format format;
};

using Command = std::function<absl::Status(const Context&)>;

// Writes the table in the format asked for.
inline absl::Status Print(const Context& c, const answers::Table& table) {
  c.out << Formatted(table, c.format);
  return absl::OkStatus();
}

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_CONTEXT_H_
