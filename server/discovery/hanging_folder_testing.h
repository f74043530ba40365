#ifndef SINKWATCH_SERVER_DISCOVERY_HANGING_FOLDER_TESTING_H_
#define SINKWATCH_SERVER_DISCOVERY_HANGING_FOLDER_TESTING_H_

#include <string>

namespace sinkwatch::discovery {

// A folder of a file system that does not answer: while this lives, whoever
// opens it, in this process, waits. This library's open and opendir stand in
// for the system's. At most one at a time.
class HangingFolder {
 public:
  explicit HangingFolder(const std::string& path);
  // Answers whoever waits, and everybody else from now on.
  ~HangingFolder();
  HangingFolder(const HangingFolder&) = delete;
  HangingFolder& operator=(const HangingFolder&) = delete;

  // Blocks until `count` of them wait.
  static void AwaitWaiting(int count);
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_HANGING_FOLDER_TESTING_H_
