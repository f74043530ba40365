#ifndef SINKWATCH_SERVER_CTL_TERMINAL_H_
#define SINKWATCH_SERVER_CTL_TERMINAL_H_

#include <optional>

namespace sinkwatch::ctl {

// Columns that a line of standard output may have: of $COLUMNS, else of the
// terminal; none where it goes to a file or a pipe, whose lines have no end.
std::optional<int> OutputWidth();

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_TERMINAL_H_
