#ifndef SINKWATCH_SERVER_DISCOVERY_STILLNESS_H_
#define SINKWATCH_SERVER_DISCOVERY_STILLNESS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace sinkwatch::discovery {

// Whether names came, went or changed in some folders, by their own times: a
// call a folder instead of one for each name in it. A time that is not two
// seconds old when the folder was listed tells nothing, since a clock of the
// file system that stands still for so long would hide what came next.
//
// Where times are found to stay although names change, as on some file systems
// that are none, nothing is still any more.
//
// Thread-compatible.
class Stillness {
 public:
  // The folders of a listing that begins at `now` by the wall clock, in place
  // of those of the last one.
  void Begin(absl::Time now);
  // A folder and its own time, as it was before it was listed.
  void Add(const std::string& path, int64_t modified_ns);
  // Ends the listing. `names` tells what it found, in short.
  void End(size_t names);
  // A folder that was listed once more, at `now` by the wall clock.
  void Renew(const std::string& path, int64_t modified_ns, absl::Time now);

  // Whether all folders are as they were when they were listed.
  bool AreStill() const;
  // Those that are not, or of which it cannot be told by their times.
  std::vector<std::string> Changed() const;
  // Whether times are gone by.
  bool TrustsTimes() const { return trusts_times_; }

  // The folder's own time; 0 if it cannot be told.
  static int64_t TimeOf(const std::string& path);

 private:
  struct Time {
    int64_t modified_ns = 0;
    bool tells = false;  // it was old enough when the folder was listed
  };
  using Times = std::map<std::string, Time>;
  static bool IsAsItWas(const Times::value_type& folder);
  static bool AreAsTheyWere(const Times& times);

  Times times_;
  Times before_;            // of the listing before
  bool was_still_ = false;  // at the beginning of the listing
  bool is_renewed_ = false;
  bool is_listed_ = false;  // to its end
  bool trusts_times_ = true;
  int64_t youngest_ns_ = 0;  // that tells anything
  size_t names_ = 0;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_STILLNESS_H_
