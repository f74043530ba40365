#ifndef SINKWATCH_SERVER_STORE_MEMORY_DISK_TESTING_H_
#define SINKWATCH_SERVER_STORE_MEMORY_DISK_TESTING_H_

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "sqlite3.h"

namespace sinkwatch::store {

// A disk in memory, below SQLite: as long as it lives, every database of the
// process that is opened lies on it. It loses on a crash what was not synced,
// and fails where the test wants it to. At most one at a time; thread-
// compatible.
class MemoryDisk {
 public:
  // What a call fails with.
  enum class Fault {
    kWriteError,  // EIO, nothing was written
    kShortWrite,  // EIO after a part of it was
    kFull,        // ENOSPC, nothing was written
    kFullShort,   // ENOSPC after a part of it was
    // EIO; as on Linux, what was to be synced is never synced any more, though
    // it can be read until the crash, and later syncs succeed.
    kSyncError,
    kReadError,
  };
  static constexpr int kNumFaults = 6;

  MemoryDisk();
  ~MemoryDisk();
  MemoryDisk(const MemoryDisk&) = delete;
  MemoryDisk& operator=(const MemoryDisk&) = delete;

  // The `nth` call from now on (from 1) that can fail so does, and the
  // `times - 1` after it.
  void FailAt(int64_t nth, Fault fault, int64_t times = 1);
  void FailNoMore() { nth_ = 0; }
  // Whether a call failed since FailAt.
  bool has_failed() const { return has_failed_; }

  // The `nth` write or sync from now on (from 1) is the process's last, and
  // does not happen; 0: none is.
  void KillAt(int64_t nth) { kill_at_ = nth; }
  bool was_killed() const { return was_killed_; }

  // The process is killed: nothing that it does any more reaches the disk.
  void Kill();
  // The power goes as well: of the writes that were not synced some are lost,
  // each by itself, and some are torn at a sector. Close everything before.
  void LosePower(std::mt19937_64& random);

  // Everything on it, synced; it can be put back.
  using Image = std::map<std::string, std::string>;
  Image image() const;
  void Restore(const Image& image);

  struct File;
  struct Handle;

 private:
  struct Calls;  // SQLite's, for which the members below are
  friend struct Calls;

  // Whether the process is killed in this call.
  bool Dies();
  // Whether this call fails.
  bool Fails(Fault kind_of_call);

  sqlite3_vfs vfs_ = {};
  sqlite3_vfs* before_ = nullptr;
  std::map<std::string, File*> files_;
  std::mt19937 salt_;
  int64_t process_ = 0;
  int64_t nth_ = 0;
  int64_t times_ = 0;
  Fault fault_ = Fault::kWriteError;
  bool has_failed_ = false;
  int64_t kill_at_ = 0;
  bool was_killed_ = false;
};

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_MEMORY_DISK_TESTING_H_
