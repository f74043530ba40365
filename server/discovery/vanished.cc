// The methods of RunScan about what is gone.
#include <string>
#include <utility>

#include "proto/base/utf8.h"
#include "server/discovery/run_scan.h"

namespace sinkwatch::discovery {

std::map<std::string, Presence::Folder> RunScan::CountFolders(
    const Best& best) const {
  const std::string root = base::EscapeBytes(run_.root());
  std::map<std::string, Presence::Folder> folders;
  const auto is_there = [&](const StepKey& key) {
    const auto place = best.find(key);
    return place != best.end() &&
           place->second->candidate.why_missing.empty() &&
           place->second->candidate.why_bad.empty();
  };
  for (const auto& [key, judged] : best) {
    if (!is_there(key)) continue;
    const std::string path = base::EscapeBytes(judged->candidate.path);
    const auto followed = followed_.find(key);
    const bool is_known = followed != followed_.end() &&
                          followed->second == path && strays_.count(path) == 0;
    for (const std::string& parent : {ParentOf(path), root}) {
      folders[parent].has_any = true;
      folders[parent].has_known |= is_known;
    }
  }
  for (const auto& [key, seen] : seen_) {
    if (is_there(key) || seen.checkpoint.fingerprint() == kMissing) continue;
    ++folders[ParentOf(seen.checkpoint.path())].gone;
  }
  return folders;
}

void RunScan::NoteStrays(const std::set<std::string>& doubted,
                         const Best& best) {
  strays_.clear();
  if (doubted.empty()) return;
  for (const auto& [key, judged] : best) {
    const std::string path = base::EscapeBytes(judged->candidate.path);
    if (doubted.count(ParentOf(path)) != 0) strays_.insert(path);
  }
}

void RunScan::AddVanished(const std::set<std::string>& doubted,
                          const AsTold& as_told, Observed& found) {
  for (auto place = seen_.begin(); place != seen_.end();) {
    const StepKey key = place->first;
    if (found.count(key) != 0 || Has(as_told, key) ||
        (place->second.checkpoint.fingerprint() != kMissing &&
         doubted.count(ParentOf(place->second.checkpoint.path())) != 0)) {
      ++place;
      continue;
    }
    store::Observation gone = NewObservation(place->second.checkpoint);
    gone.state = v1::JOB_STATE_VANISHED;
    gone.reason = gone.checkpoint.fingerprint() == kMissing
                      ? "not listed any more"
                      : "deleted before it was measured";
    found.emplace(key, std::move(gone));
    followed_.erase(key);
    ended_.insert(key);
    place = seen_.erase(place);
  }
}

}  // namespace sinkwatch::discovery
