#ifndef SINKWATCH_SERVER_DISCOVERY_MANY_STEPS_TESTING_H_
#define SINKWATCH_SERVER_DISCOVERY_MANY_STEPS_TESTING_H_

#include <string>

#include "server/discovery/watched_folder_testing.h"

namespace sinkwatch::discovery {

// A folder of the checkpoints step0 to step599, which tests of one program lend
// one another: making them takes a slow file system ten seconds. What a test
// has changed, added or deleted is as it was for the next one.
class ManySteps {
 public:
  static constexpr int kSteps = 600;

  // Moves it to `name` of `folder`.
  ManySteps(const WatchedFolder& folder, std::string name);
  // Mends it and takes it back.
  ~ManySteps();
  ManySteps(const ManySteps&) = delete;
  ManySteps& operator=(const ManySteps&) = delete;

 private:
  const WatchedFolder& folder_;
  const std::string name_;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_MANY_STEPS_TESTING_H_
