#include "server/references/reference_shelf.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/base/nearest.h"
#include "proto/base/status_macros.h"
#include "proto/base/utf8.h"
#include "server/references/reference_table.h"
#include "server/references/shipped.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::references {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxTables = 100;
constexpr char kExtension[] = ".csv";

absl::Status Failed(const char* what, const std::string& path) {
  return absl::UnavailableError(
      absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(errno)));
}

absl::StatusOr<std::string> ReadWhole(const fs::path& path) {
  std::error_code error;
  if (fs::file_size(path, error) > kMaxBytes || error) {
    return absl::InvalidArgumentError(
        absl::StrCat(path.string(), " is no file of at most 1 MiB"));
  }
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)),
                   std::istreambuf_iterator<char>());
  if (!file.good() && !file.eof()) return Failed("read", path.string());
  return text;
}

absl::StatusOr<std::vector<v1::ReferencePoint>> ReadTable(
    const std::string& name, const fs::path& path) {
  ASSIGN_OR_RETURN(const std::string csv, ReadWhole(path));
  auto points = ParseReference(name, csv);
  if (points.ok()) return points;
  // Bytes of the file may be in it.
  return absl::InvalidArgumentError(base::EscapeBytes(
      absl::StrCat(path.string(), ": ", points.status().message())));
}

void Complain(const fs::path& path, absl::string_view why) {
  spdlog::warn("reference left out file=\"{}\" why=\"{}\"",
               base::EscapeBytes(path.string()), absl::Utf8SafeCEscape(why));
}

// Writes and syncs a file or a folder's list of names.
absl::Status Sync(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return Failed("open", path);
  const bool synced = fsync(file) == 0;
  close(file);
  return synced ? absl::OkStatus() : Failed("sync", path);
}

// In place of what was there, whole or not at all.
absl::Status WriteWhole(const std::string& path, const std::string& text) {
  const std::string draft = path + ".new";
  {
    std::ofstream file(draft, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) return Failed("write", draft);
  }
  RETURN_IF_ERROR(Sync(draft));
  std::error_code error;
  fs::rename(draft, path, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot rename ", draft, ": ", error.message()));
  }
  return Sync(fs::path(path).parent_path().string());
}

absl::Status Shipped(const std::string& name) {
  return absl::FailedPreconditionError(
      absl::StrCat("reference \"", name, "\" is shipped: it stays as it is"));
}

bool Matches(const v1::ReferencePoint& point, const std::string& model,
             const std::string& metric) {
  return (model.empty() || point.model() == model) &&
         (metric.empty() || point.metric() == metric);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReferenceShelf>> ReferenceShelf::Open(
    const std::string& folder) {
  std::unique_ptr<ReferenceShelf> shelf(new ReferenceShelf(folder));
  RETURN_IF_ERROR(shelf->ReadShipped());
  RETURN_IF_ERROR(shelf->ReadFolder());
  return shelf;
}

std::string ReferenceShelf::PathOf(const std::string& name) const {
  return (fs::path(folder_) / (name + kExtension)).string();
}

absl::Status ReferenceShelf::ReadShipped() {
  base::MutexLock lock(mutex_);
  for (const auto& [name, csv] : kShipped) {
    ASSIGN_OR_RETURN(auto points, ParseReference(name, csv));
    tables_[name] = {true, std::move(points), {}};
  }
  return absl::OkStatus();
}

absl::Status ReferenceShelf::ReadFolder() {
  std::error_code error;
  if (folder_.empty() || !fs::exists(folder_, error)) return absl::OkStatus();
  base::MutexLock lock(mutex_);
  for (const fs::directory_entry& entry :
       fs::directory_iterator(folder_, error)) {
    const fs::path& path = entry.path();
    if (path.extension() != kExtension) continue;
    const std::string name = path.stem().string();
    if (!CheckReferenceName(name).ok() || tables_.size() >= kMaxTables) {
      Complain(path, "its name is none, or there are 100 already");
      continue;
    }
    Table& table = tables_[name];
    if (table.shipped) continue;  // shipped since
    auto points = ReadTable(name, path);
    if (points.ok()) {
      table.points = *std::move(points);
    } else {
      table.why_none = points.status();
      Complain(path, table.why_none.message());
    }
  }
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot list ", folder_, ": ", error.message()));
}

absl::StatusOr<int64_t> ReferenceShelf::Add(const std::string& name,
                                            const std::string& csv) {
  RETURN_IF_ERROR(CheckReferenceName(name));
  ASSIGN_OR_RETURN(auto points, ParseReference(name, csv));
  base::MutexLock lock(mutex_);
  const auto found = tables_.find(name);
  if (found != tables_.end() && found->second.shipped) return Shipped(name);
  if (found == tables_.end() && tables_.size() >= kMaxTables) {
    return absl::ResourceExhaustedError("there are 100 references already");
  }
  if (!folder_.empty()) {
    std::error_code error;
    fs::create_directories(folder_, error);
    RETURN_IF_ERROR(WriteWhole(PathOf(name), csv));
  }
  const int64_t count = static_cast<int64_t>(points.size());
  tables_[name] = {false, std::move(points), {}};
  return count;
}

absl::Status ReferenceShelf::Remove(const std::string& name) {
  base::MutexLock lock(mutex_);
  const auto found = tables_.find(name);
  if (found == tables_.end()) {
    return absl::NotFoundError(
        absl::StrCat("there is no reference \"", name, "\""));
  }
  if (found->second.shipped) return Shipped(name);
  if (!folder_.empty() && unlink(PathOf(name).c_str()) != 0 &&
      errno != ENOENT) {
    return Failed("remove", PathOf(name));
  }
  tables_.erase(found);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::ReferencePoint>> ReferenceShelf::Points(
    const std::string& reference, const std::string& model,
    const std::string& metric) const {
  base::MutexLock lock(mutex_);
  std::vector<v1::ReferencePoint> points;
  std::vector<std::string> names;
  for (const auto& [name, table] : tables_) {
    names.push_back(name);
    if (!reference.empty() && name != reference) continue;
    for (const v1::ReferencePoint& point : table.points) {
      if (Matches(point, model, metric)) points.push_back(point);
    }
  }
  const auto found = tables_.find(reference);
  if (found != tables_.end() && !found->second.why_none.ok()) {
    return found->second.why_none;
  }
  if (reference.empty() || found != tables_.end()) return points;
  return absl::NotFoundError(absl::StrCat("there is no reference \"", reference,
                                          "\"",
                                          base::DidYouMean(reference, names)));
}

}  // namespace sinkwatch::references
