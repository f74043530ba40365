#ifndef SINKWATCH_SERVER_CTL_COMMANDS_H_
#define SINKWATCH_SERVER_CTL_COMMANDS_H_

#include <ostream>
#include <string>
#include <vector>

namespace sinkwatch::ctl {

// The whole program: reads `words`, connects, answers on `out`, complains on
// `err`. Returns the exit code: 0 done, 1 failed, which is also an answer that
// could not be written, 2 bad usage, 3 not found, 4 server not reachable.
int Sinkctl(const std::vector<std::string>& words, std::ostream& out,
            std::ostream& err);

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_COMMANDS_H_
