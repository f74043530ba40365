#ifndef SINKWATCH_SERVER_CTL_COMPLETION_H_
#define SINKWATCH_SERVER_CTL_COMPLETION_H_

#include <string>

#include "proto/base/command_line.h"

namespace sinkwatch::ctl {

// A script for `shell` ("bash", "zsh" or "fish") that completes the program's
// commands, the flags of each, and the values of flags that have a choice.
std::string Completion(const base::ProgramSpec& program,
                       const std::string& shell);

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_COMPLETION_H_
