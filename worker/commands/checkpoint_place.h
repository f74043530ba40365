#ifndef SINKWATCH_WORKER_COMMANDS_CHECKPOINT_PLACE_H_
#define SINKWATCH_WORKER_COMMANDS_CHECKPOINT_PLACE_H_

#include <string>

#include "sinkwatch/v1/checkpoint.pb.h"

namespace sinkwatch::worker {

// What the names on the way to a checkpoint say of it: its absolute path, the
// step of its folder ("step1000", "step1000-tokens4B", "checkpoint-1000"; -1 if
// there is none), and as run the name of the folder that it is in.
v1::Checkpoint PlaceOf(const std::string& path);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_COMMANDS_CHECKPOINT_PLACE_H_
