#include "server/discovery/unknown_folder.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proto/base/step_name.h"
#include "server/discovery/layout.h"
#include "server/discovery/listing.h"

namespace sinkwatch::discovery {
namespace {

constexpr int64_t kLooksBetween = 16;
constexpr size_t kMaxListed = 32;
constexpr int kDeepest = 3;

std::string Join(const std::string& path, const std::string& name) {
  return path.empty() ? name : absl::StrCat(path, "/", name);
}

bool IsPartOfCheckpoint(const std::string& folder) {
  return CountedFolders().count(folder) != 0 || folder == "sharded" ||
         folder == "train" || absl::StartsWith(folder, "optim");
}

bool HasNameOfStep(const std::string& folder) {
  const auto name = base::ParseStepName(folder);
  return name.has_value() && name->form != base::NameForm::kLoose;
}

// Breadth first, so that what it names is what lies highest.
class Search {
 public:
  // What it is that is looked into: a folder around checkpoints, where a name
  // is enough, or one that should hold weights itself.
  enum class Around { kCheckpoints, kWeights };
  Search(std::string path, const std::string& real_root, Around around)
      : path_(std::move(path)), real_root_(real_root), around_(around) {}

  UnknownFolder Run() {
    Place place;
    open_.push_back(place);
    for (size_t listed = 0; !open_.empty() && listed < kMaxListed; ++listed) {
      place = std::move(open_.front());
      open_.pop_front();
      if (LookInto(place)) return found_;
    }
    return {};
  }

 private:
  struct Place {
    std::string path;  // below the folder
    std::string name;
    std::string parent;
    int depth = 0;
  };

  bool LookInto(const Place& place) {
    const auto listing =
        ListCheckpoint(place.depth == 0 ? path_ : Join(path_, place.path),
                       real_root_, CountedFolders());
    if (!listing.ok()) return false;
    if (IsCache(*listing)) {
      FoundIn(place.path, "refs and snapshots");
      return true;
    }
    for (const Entry& entry : listing->entries) {
      if (around_ == Around::kWeights) break;
      if (entry.is_folder || !base::ParseStepFile(entry.name)) continue;
      FoundIn(place.path, entry.name);
      return true;
    }
    if (HoldsCheckpoint(*listing) || IsByItsName(place, *listing)) {
      if (place.depth == 0) {
        found_.why = WhyAlone::kNoStep;
      } else {
        FoundIn(place.parent, place.name);
      }
      return true;
    }
    for (const Entry& entry : listing->entries) {
      if (!entry.is_folder || base::IsUnderWay(entry.name)) continue;
      if (around_ == Around::kWeights) {
        if (place.depth == 0 && IsPartOfCheckpoint(entry.name)) continue;
      } else if (HasNameOfStep(entry.name)) {
        FoundIn(place.path, entry.name);
        return true;
      }
      if (place.depth < kDeepest && open_.size() < kMaxListed) {
        open_.push_back({Join(place.path, entry.name), entry.name, place.path,
                         place.depth + 1});
      }
    }
    return false;
  }

  // Whether it is one once its name counts too: a form of folders alone (NeMo).
  static bool IsByItsName(const Place& place, const Listing& listing) {
    const auto name = base::ParseStepName(place.name);
    return place.depth > 0 && name.has_value() &&
           name->form == base::NameForm::kLoose &&
           FindLayout({*name, listing, false, false}) != nullptr;
  }

  // A repository of Hugging Face's download cache (hub_cache.h).
  static bool IsCache(const Listing& listing) {
    const auto has = [&](const char* name) {
      return std::any_of(listing.entries.begin(), listing.entries.end(),
                         [&](const Entry& entry) {
                           return entry.is_folder && entry.name == name;
                         });
    };
    return has("refs") && has("snapshots");
  }

  void FoundIn(const std::string& root, const std::string& checkpoint) {
    found_.why = WhyAlone::kBelow;
    found_.root = root;
    found_.checkpoint = checkpoint;
  }

  const std::string path_;
  const std::string& real_root_;
  const Around around_;
  std::deque<Place> open_;
  UnknownFolder found_;
};

}  // namespace

UnknownFolder FindBelow(const std::string& path, const std::string& real_root) {
  const UnknownFolder found =
      Search(path, real_root, Search::Around::kWeights).Run();
  return found.why == WhyAlone::kBelow ? found : UnknownFolder();
}

const UnknownFolder& UnknownFolders::LookInto(const std::string& path,
                                              int64_t modified_ns,
                                              const std::string& real_root) {
  Known& known = known_[path];
  if (known.asked == 0 || known.modified_ns != modified_ns ||
      look_ - known.looked >= kLooksBetween) {
    known.folder = Search(path, real_root, Search::Around::kCheckpoints).Run();
    known.modified_ns = modified_ns;
    known.looked = look_;
  }
  known.asked = look_ + 1;
  return known.folder;
}

void UnknownFolders::NextLook() {
  ++look_;
  for (auto place = known_.begin(); place != known_.end();) {
    place =
        place->second.asked < look_ ? known_.erase(place) : std::next(place);
  }
}

}  // namespace sinkwatch::discovery
