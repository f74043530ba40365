#include "server/run_paths.h"

#include <dirent.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "proto/base/status_macros.h"
#include "server/discovery/digest.h"
#include "server/discovery/manifest.h"

namespace sinkwatch::server {
namespace {

namespace fs = std::filesystem;

using Errors = std::vector<std::string>;

constexpr std::chrono::seconds kPatience{5};
// What may be asked over gRPC while that many have not answered.
constexpr int kMaxUnanswered = 16;
// Each has a thread.
constexpr size_t kAskedAtOnce = 64;

// What a file system is asked. It may never answer, and who asks cannot be
// woken: that is a thread of its own, which is left behind then, and owns all
// that it touches. One that was answered is waited for, so that the process
// does not end in the middle of the thread's own end.
class Question {
 public:
  explicit Question(std::function<Errors()> ask) {
    std::packaged_task<Errors()> task([ask = std::move(ask)] {
      const Counted counted;
      return ask();
    });
    answer_ = task.get_future();
    thread_ = std::thread(std::move(task));
  }
  Question(Question&&) = default;
  ~Question() {
    if (thread_.joinable()) thread_.detach();
  }

  // None if nobody has answered until then.
  std::optional<Errors> WaitUntil(
      std::chrono::steady_clock::time_point deadline) {
    if (answer_.wait_until(deadline) != std::future_status::ready) {
      return std::nullopt;
    }
    thread_.join();
    return answer_.get();
  }

  static int Unanswered() { return unanswered_; }

 private:
  struct Counted {
    Counted() { ++unanswered_; }
    ~Counted() { --unanswered_; }
  };
  static inline std::atomic<int> unanswered_{0};

  std::future<Errors> answer_;
  std::thread thread_;
};

// Why a folder cannot be listed; empty if it can.
std::string FolderError(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) return path + " is missing";
  if (!fs::is_directory(status)) return path + " is no folder";
  DIR* const folder = opendir(path.c_str());
  if (folder == nullptr) return absl::StrCat(path, ": ", std::strerror(errno));
  closedir(folder);
  return "";
}

std::string ProbeError(const std::string& path) {
  std::string error = FolderError(path);
  if (!error.empty()) return error;
  const auto probe = discovery::ReadProbe(path);
  return probe.ok() ? "" : std::string(probe.status().message());
}

std::string ManifestError(const std::string& path) {
  const auto manifest = discovery::ReadManifest(path);
  return manifest.ok() ? "" : std::string(manifest.status().message());
}

std::string FileError(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) ? "" : path + " is no file";
}

Errors AskedPathErrors(const v1::RunConfig& run, bool allow_missing) {
  Errors errors;
  const auto check = [&](const char* field, const std::string& path,
                         std::string (*error_of)(const std::string&)) {
    const std::string error = path.empty() ? "" : error_of(path);
    if (error.empty()) return;
    errors.push_back(
        absl::StrCat("run \"", run.name(), "\": ", field, ": ", error));
  };
  if (!allow_missing) {
    check("root", run.root(), FolderError);
    check("probe", run.probe(), ProbeError);
  }
  check("manifest", run.manifest(), ManifestError);
  check("model_config", run.model_config(), FileError);
  return errors;
}

// Both are absolute and normal.
bool IsBelow(absl::string_view path, absl::string_view folder) {
  absl::ConsumeSuffix(&folder, "/");
  return absl::ConsumePrefix(&path, folder) &&
         (path.empty() || absl::StartsWith(path, "/"));
}

Errors WhyUnanswered(const v1::RunConfig& run, bool allow_missing) {
  if (allow_missing) return {};
  return {absl::StrCat("run \"", run.name(),
                       "\": the file system of its paths (root ", run.root(),
                       ") has not answered for ", kPatience.count(), " s")};
}

// Appends the errors of some runs, which are asked at once.
void AskRuns(const v1::RunConfig* runs, size_t count, bool allow_missing,
             Errors& errors) {
  std::vector<Question> questions;
  for (size_t i = 0; i < count; ++i) {
    questions.emplace_back([run = runs[i], allow_missing] {
      return AskedPathErrors(run, allow_missing);
    });
  }
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (size_t i = 0; i < count; ++i) {
    const auto answer = questions[i].WaitUntil(deadline);
    for (const std::string& error :
         answer.value_or(WhyUnanswered(runs[i], allow_missing))) {
      errors.push_back(error);
    }
  }
}

Errors PathErrorsOf(const std::vector<v1::RunConfig>& runs,
                    bool allow_missing) {
  Errors errors;
  for (size_t begin = 0; begin < runs.size(); begin += kAskedAtOnce) {
    AskRuns(runs.data() + begin, std::min(kAskedAtOnce, runs.size() - begin),
            allow_missing, errors);
  }
  return errors;
}

absl::Status CheckUnanswered() {
  if (Question::Unanswered() < kMaxUnanswered) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(kMaxUnanswered,
                   " file systems that were asked for others have not answered "
                   "yet: try again"));
}

}  // namespace

std::vector<std::string> PathErrors(const v1::RunConfig& run,
                                    bool allow_missing) {
  return PathErrorsOf({run}, allow_missing);
}

absl::Status CheckAnswers(const std::string& path) {
  RETURN_IF_ERROR(CheckUnanswered());
  Question question([folder = fs::path(path).parent_path().string()] {
    return Errors{FolderError(folder)};  // any answer is one
  });
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  if (question.WaitUntil(deadline).has_value()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("the file system of ", path,
                                             " has not answered for ",
                                             kPatience.count(), " s"));
}

absl::Status CheckPaths(const v1::RunConfig& run, bool allow_missing) {
  RETURN_IF_ERROR(CheckUnanswered());
  const std::vector<std::string> errors = PathErrors(run, allow_missing);
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(absl::StrJoin(errors, "; "),
                   allow_missing ? "" : " (--allow-missing to insist)"));
}

absl::Status CheckAllowed(const v1::RunConfig& run,
                          const std::vector<std::string>& roots) {
  const std::pair<const char*, const std::string&> fields[] = {
      {"root", run.root()},
      {"probe", run.probe()},
      {"manifest", run.manifest()},
      {"model_config", run.model_config()}};
  for (const auto& [field, path] : fields) {
    if (path.empty() || roots.empty()) continue;
    const bool is_below = std::any_of(roots.begin(), roots.end(),
                                      [&path = path](const std::string& root) {
                                        return IsBelow(path, root);
                                      });
    if (is_below) continue;
    return absl::PermissionDeniedError(
        absl::StrCat("run \"", run.name(), "\": ", field, ": ", path,
                     " does not lie below any --allowed_root of the server"));
  }
  return absl::OkStatus();
}

std::vector<std::string> PathErrors(const v1::ServerConfig& config,
                                    bool allow_missing) {
  return PathErrorsOf({config.runs().begin(), config.runs().end()},
                      allow_missing);
}

}  // namespace sinkwatch::server
