#include "server/discovery/presence.h"

#include <sys/stat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/base/utf8.h"

namespace sinkwatch::discovery {
namespace {

// So many checkpoints are not deleted between two looks without one that stays.
constexpr size_t kMany = 3;

// "device:inode"; empty if there is no such folder.
std::string IdentityOf(const std::string& path) {
  struct stat status;
  if (stat(base::UnescapeBytes(path).c_str(), &status) != 0) return "";
  return absl::StrCat(status.st_dev, ":", status.st_ino);
}

}  // namespace

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

Presence::Presence(std::string root, absl::Duration grace,
                   std::map<std::string, std::string> identities)
    : root_(std::move(root)),
      grace_(grace),
      identities_(std::move(identities)) {}

std::set<std::string> Presence::Doubted(
    const std::map<std::string, Folder>& folders, absl::Time now) {
  std::set<std::string> doubted;
  doubt_.clear();
  for (const auto& [path, counted] : folders) {
    Folder folder = counted;
    std::string place = path, identity = IdentityOf(path);
    if (identity.empty()) {
      // Deleted with what was in it, if the root is the one that it was.
      const auto root = folders.find(root_);
      if (root != folders.end()) folder = root->second;
      folder.gone = counted.gone;
      identity = IdentityOf(place = root_);
    }
    if (folder.gone == 0 || WasDeleted(place, folder, identity, now)) {
      if (folder.has_any) identities_[place] = identity;
      all_gone_since_.erase(path);
      continue;
    }
    doubted.insert(path);
    doubt_ = absl::StrCat(
        "none of the ", folder.gone, " checkpoints that were in ", path,
        " is there: is its file system mounted? Nothing is taken for deleted");
  }
  return doubted;
}

bool Presence::WasDeleted(const std::string& path, const Folder& folder,
                          const std::string& identity, absl::Time now) {
  if (folder.has_known) return true;
  const auto known = identities_.find(path);
  if (known == identities_.end()) return folder.has_any;
  if (known->second != identity) return false;
  if (folder.gone < kMany) return true;
  const absl::Time since = all_gone_since_.try_emplace(path, now).first->second;
  return now - since > grace_;
}

}  // namespace sinkwatch::discovery
