#include "server/run_paths.h"

#include <dirent.h>

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

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/discovery/digest.h"
#include "server/discovery/manifest.h"

namespace sinkwatch::server {
namespace {

namespace fs = std::filesystem;

using Errors = std::vector<std::string>;

constexpr std::chrono::seconds kPatience{5};
// Runs whose paths may be looked at over gRPC while others have not answered.
constexpr int kMaxUnanswered = 16;

// What a file system is asked. It may never answer, and who asks cannot be
// woken: that is a thread of its own, which is left behind then, and owns all
// that it touches.
class Question {
 public:
  explicit Question(std::function<Errors()> ask) {
    std::packaged_task<Errors()> task([ask = std::move(ask)] {
      const Counted counted;
      return ask();
    });
    answer_ = task.get_future();
    std::thread(std::move(task)).detach();
  }

  // None if nobody has answered until then.
  std::optional<Errors> WaitUntil(
      std::chrono::steady_clock::time_point deadline) {
    if (answer_.wait_until(deadline) != std::future_status::ready) {
      return std::nullopt;
    }
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

Errors WhyUnanswered(const v1::RunConfig& run, bool allow_missing) {
  if (allow_missing) return {};
  return {absl::StrCat("run \"", run.name(),
                       "\": the file system of its paths (root ", run.root(),
                       ") has not answered for ", kPatience.count(), " s")};
}

// Of every run; all are asked at once.
Errors PathErrorsOf(const std::vector<v1::RunConfig>& runs,
                    bool allow_missing) {
  std::vector<Question> questions;
  for (const v1::RunConfig& run : runs) {
    questions.emplace_back(
        [run, allow_missing] { return AskedPathErrors(run, allow_missing); });
  }
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  Errors errors;
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto answer = questions[i].WaitUntil(deadline);
    for (const std::string& error :
         answer.value_or(WhyUnanswered(runs[i], allow_missing))) {
      errors.push_back(error);
    }
  }
  return errors;
}

}  // namespace

std::vector<std::string> PathErrors(const v1::RunConfig& run,
                                    bool allow_missing) {
  return PathErrorsOf({run}, allow_missing);
}

absl::Status CheckPaths(const v1::RunConfig& run, bool allow_missing) {
  if (Question::Unanswered() >= kMaxUnanswered) {
    return absl::UnavailableError(absl::StrCat(
        "the file systems of ", kMaxUnanswered,
        " runs that were to be added have not answered yet: try again"));
  }
  const std::vector<std::string> errors = PathErrors(run, allow_missing);
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(absl::StrJoin(errors, "; "),
                   allow_missing ? "" : " (--allow-missing to insist)"));
}

std::vector<std::string> PathErrors(const v1::ServerConfig& config,
                                    bool allow_missing) {
  return PathErrorsOf({config.runs().begin(), config.runs().end()},
                      allow_missing);
}

}  // namespace sinkwatch::server
