#ifndef SINKWATCH_SERVER_DISCOVERY_LEFT_ALONE_H_
#define SINKWATCH_SERVER_DISCOVERY_LEFT_ALONE_H_

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::discovery {

// Why an entry under a run's root is no checkpoint of the run. The README has
// the table.
enum class WhyAlone {
  kNoStep,
  kBelow,
  kConversion,
  kUnderWay,
  kLink,
  kLinkOut,
  kLinkBroken,
  kNoCheckpoint,
  kTooDeep,
  kSecond,
  kNotListed,
  kNoRun,
  kForeign,
  kFile,
};

// What one look at a root left alone: counts, and the first names of each kind.
// Its memory does not grow with the number of entries.
class LeftAlone {
 public:
  // `path` is that below the root.
  void Add(WhyAlone why, const std::string& path);

  // By kind, ascending; names escaped where they are no text.
  std::vector<v1::LeftAlone> Report() const;
  size_t CountOf(WhyAlone why) const;

 private:
  struct Kind {
    size_t count = 0;
    std::set<std::string> first;
  };
  std::map<WhyAlone, Kind> kinds_;
};

// What a person should know of a root beside its checkpoints.
struct Survey {
  std::vector<v1::LeftAlone> left_alone;
  std::vector<std::string> notes;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_LEFT_ALONE_H_
