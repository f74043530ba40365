#ifndef SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_PROGRAM_H_
#define SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_PROGRAM_H_

#include "proto/base/command_line.h"

namespace sinkwatch::bigram_backcopy {

// The flags of bigram_backcopy, which has no commands; its help comes from it.
const base::ProgramSpec& TrainerProgram();

}  // namespace sinkwatch::bigram_backcopy

#endif  // SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_PROGRAM_H_
