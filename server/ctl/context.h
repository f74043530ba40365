#ifndef SINKWATCH_SERVER_CTL_CONTEXT_H_
#define SINKWATCH_SERVER_CTL_CONTEXT_H_

#include <functional>
#include <optional>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "proto/base/command_line.h"
#include "server/answers/table.h"
#include "server/ctl/client.h"
#include "server/ctl/format.h"

namespace sinkwatch::ctl {

// What a command is given: its arguments, a server, places to write.
struct Context {
  const base::Arguments& args;
  Client& client;
  std::ostream& out;
  std::ostream& err;
  Format format;
  // Of a line; none: without an end.
  std::optional<int> width;

  bool for_people() const { return format == Format::kTable; }
};

// A command: what its line may hold, and what it does. Its status keeps the
// server's code.
struct Command {
  base::CommandSpec spec;
  std::function<absl::Status(const Context&)> run;
};

// Writes the table in the format asked for. For people it has the columns that
// fit, unless --all is given, and says what is cut.
inline absl::Status Print(const Context& c, const answers::Table& table) {
  if (c.for_people() && c.width.has_value() && !c.args.Has("all")) {
    c.out << FittedTable(table, *c.width);
  } else {
    c.out << Formatted(table, c.format);
  }
  return absl::OkStatus();
}

// Says something about an answer: below a table, else on standard error.
inline void Note(const Context& c, const std::string& text) {
  (c.for_people() ? c.out : c.err) << "(" << text << ")\n";
}

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_CONTEXT_H_
