#ifndef SINKWATCH_SERVER_CTL_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_COMMANDS_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/ctl/arguments.h"
#include "server/ctl/client.h"

namespace sinkwatch::ctl {

// What sinkctl can do, and the flags of every command.
const std::vector<CommandSpec>& Commands();
const std::vector<FlagSpec>& CommonFlags();

// Runs one command against `client`, writing its answer to `out`. The status
// keeps the server's code; wrong arguments are INVALID_ARGUMENT.
absl::Status RunCommand(const Arguments& arguments, Client& client,
                        std::ostream& out);

// The whole program: reads `words`, connects, answers on `out`, complains on
// `err`. Returns the exit code: 0 done, 1 failed, 2 bad usage, 3 not found,
// 4 server not reachable.
int Sinkctl(const std::vector<std::string>& words, std::ostream& out,
            std::ostream& err);

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_COMMANDS_H_
