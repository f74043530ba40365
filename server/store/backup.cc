// The methods of Store that copy its file and look whether it is sound.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "openssl/evp.h"
#include "server/store/cancel_scope.h"
#include "server/store/database.h"
#include "server/store/statement.h"
#include "server/store/store.h"

namespace sinkwatch::store {
namespace {

// Pages of 4 KiB that are copied while others wait.
constexpr int kPagesAtOnce = 64;
constexpr int kMaxLines = 100;

absl::Status Errno(const std::string& path, const char* what) {
  const int error = errno;
  const std::string text =
      absl::StrCat(path, ": ", what, ": ", std::strerror(error));
  if (error == EEXIST) return absl::AlreadyExistsError(text);
  if (error == ENOSPC) return absl::ResourceExhaustedError(text);
  return absl::UnavailableError(text);
}

// A database that is nobody else's, closed at the end.
using Handle = std::unique_ptr<sqlite3, int (*)(sqlite3*)>;

absl::StatusOr<Handle> OpenOwn(const std::string& path, int flags) {
  sqlite3* opened = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &opened,
                                   flags | SQLITE_OPEN_EXRESCODE, nullptr);
  Handle handle(opened, sqlite3_close);
  if (code != SQLITE_OK) return SqliteError(opened, path);
  return handle;
}

// A file that is removed at the end, unless it was published.
class Draft {
 public:
  explicit Draft(std::string path) : path_(std::move(path)) {}
  ~Draft() {
    for (const char* part : {"", "-journal", "-wal", "-shm"}) {
      unlink((path_ + part).c_str());
    }
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  const std::string& path() const { return path_; }

  // Gives it its name, for good; never in another file's place.
  absl::Status Publish(const std::string& name) {
    absl::Status status = Sync(path_);
    if (!status.ok()) return status;
    // A link, not a rename: it refuses a name that is taken.
    if (link(path_.c_str(), name.c_str()) != 0) {
      return Errno(name, "cannot be made");
    }
    return Sync(std::filesystem::path(name).parent_path());
  }

 private:
  static absl::Status Sync(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return Errno(path, "cannot be opened");
    const bool synced = fsync(fd) == 0;
    absl::Status status = synced ? absl::OkStatus() : Errno(path, "fsync");
    close(fd);
    return status;
  }

  const std::string path_;
};

// SQLite's own copy, a few pages while `mutex` is held; what is written to the
// source meanwhile goes into both.
class Copy {
 public:
  Copy(StoreMutex& mutex, sqlite3* from, sqlite3* to) : mutex_(mutex), to_(to) {
    StoreLock lock(mutex_);
    backup_ = sqlite3_backup_init(to, "main", from, "main");
  }
  ~Copy() {
    StoreLock lock(mutex_);
    sqlite3_backup_finish(backup_);
  }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;

  absl::Status Run() {
    if (backup_ == nullptr) return SqliteError(to_, "backup");
    int code = SQLITE_OK;
    while (code == SQLITE_OK) {
      if (CancelScope::IsCancelled()) {
        return absl::CancelledError("nobody waits for the copy any more");
      }
      StoreLock lock(mutex_);
      code = sqlite3_backup_step(backup_, kPagesAtOnce);
    }
    return code == SQLITE_DONE ? absl::OkStatus() : CodeError(code);
  }

 private:
  static absl::Status CodeError(int code) {
    const std::string text =
        absl::StrCat("store: backup: ", sqlite3_errstr(code));
    switch (code & 0xff) {
      case SQLITE_FULL:
      case SQLITE_NOMEM:
        return absl::ResourceExhaustedError(text);
      case SQLITE_CORRUPT:
      case SQLITE_NOTADB:
        return absl::DataLossError(text);
      default:
        return absl::UnavailableError(text);
    }
  }

  StoreMutex& mutex_;
  sqlite3* const to_;
  sqlite3_backup* backup_ = nullptr;
};

absl::Status CopyTo(StoreMutex& mutex, sqlite3* from, const std::string& path) {
  auto to = OpenOwn(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (!to.ok()) return to.status();
  // It is nothing until it is whole, so no journal and no fsync on the way.
  for (const char* pragma :
       {"PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF"}) {
    absl::Status status = Statement(to->get(), pragma).Run();
    if (!status.ok()) return status;
  }
  absl::Status status = Copy(mutex, from, to->get()).Run();
  if (!status.ok()) return status;
  // One file, that needs no other beside it.
  return Statement(to->get(), "PRAGMA journal_mode = DELETE").Run();
}

absl::StatusOr<std::vector<std::string>> IntegrityErrors(sqlite3* connection) {
  Statement check(connection,
                  absl::StrCat("PRAGMA integrity_check(", kMaxLines, ")"));
  std::vector<std::string> lines;
  while (check.Step()) {
    std::string line = check.Text();
    if (line != "ok") lines.push_back(std::move(line));
  }
  if (absl::IsDataLoss(check.status())) {
    lines.emplace_back(check.status().message());
  } else if (!check.status().ok()) {
    return check.status();
  }
  return lines;
}

// Opens a copy anew, as whoever restores it will.
absl::StatusOr<std::vector<std::string>> ReadBack(const std::string& path,
                                                  int64_t* measurements) {
  const auto copy = OpenOwn(path, SQLITE_OPEN_READONLY);
  if (!copy.ok()) return copy.status();
  auto errors = IntegrityErrors(copy->get());
  if (!errors.ok() || !errors->empty()) return errors;
  Statement count(copy->get(), "SELECT count(*) FROM measurement");
  if (count.Step()) *measurements = count.Int();
  if (!count.status().ok()) return count.status();
  return errors;
}

absl::Status HashFile(const std::string& path, Store::BackupReport& report) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(
      std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) return Errno(path, "cannot be read");
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> hash(
      EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr);
  std::string block(1 << 20, '\0');
  while (const size_t count =
             std::fread(block.data(), 1, block.size(), file.get())) {
    EVP_DigestUpdate(hash.get(), block.data(), count);
    report.bytes += static_cast<int64_t>(count);
  }
  if (std::ferror(file.get()) != 0) return Errno(path, "cannot be read");
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(hash.get(), digest, &size);
  report.sha256 = absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), size));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Store::BackupReport> Store::Backup(const std::string& path)
    ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (std::error_code error; std::filesystem::exists(path, error)) {
    return absl::AlreadyExistsError(absl::StrCat(path, " exists already"));
  }
  Draft draft(absl::StrCat(path, ".partial"));
  absl::Status status =
      CopyTo(database_->mutex, database_->connection, draft.path());
  if (!status.ok()) return status;
  BackupReport report;
  const auto errors = ReadBack(draft.path(), &report.measurements);
  if (!errors.ok()) return errors.status();
  if (!errors->empty()) {
    return absl::DataLossError(absl::StrCat(
        "the store is not sound, and so is no copy of it: ", errors->front(),
        "; see `sinkctl store check --whole-file`"));
  }
  status = HashFile(draft.path(), report);
  if (status.ok()) status = draft.Publish(path);
  if (!status.ok()) return status;
  return report;
}

absl::StatusOr<std::vector<std::string>> Store::CheckFile(
    const std::string& scratch) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const Draft draft(absl::StrCat(scratch, ".partial"));
  absl::Status status =
      CopyTo(database_->mutex, database_->connection, draft.path());
  if (absl::IsDataLoss(status)) {
    return std::vector<std::string>{std::string(status.message())};
  }
  if (!status.ok()) return status;
  int64_t measurements = 0;
  return ReadBack(draft.path(), &measurements);
}

}  // namespace sinkwatch::store
