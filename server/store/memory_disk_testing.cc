#include "server/store/memory_disk_testing.h"

#include <algorithm>
#include <cstring>
#include <memory>

namespace sinkwatch::store {
namespace {

constexpr int kSector = 512;

// A write, or (without data) a new size.
struct Change {
  int64_t offset = 0;
  std::string data;
  bool is_truncation = false;

  bool Overlaps(const Change& other) const {
    return is_truncation || other.is_truncation ||
           (offset < other.end() && other.offset < end());
  }
  int64_t end() const { return offset + static_cast<int64_t>(data.size()); }
  void ApplyTo(std::string& bytes) const {
    if (is_truncation) return bytes.resize(offset);
    if (bytes.size() < static_cast<size_t>(end())) bytes.resize(end());
    if (data.empty()) return;
    std::memcpy(&bytes[offset], data.data(), data.size());
  }
};

}  // namespace

struct MemoryDisk::File {
  std::string live;    // as the process reads it
  std::string synced;  // as a crash leaves it at least
  std::vector<Change> unsynced;
  std::vector<Change> never_synced;  // since a sync failed

  void Apply(Change change) {
    change.ApplyTo(live);
    unsynced.push_back(std::move(change));
  }
  void Sync() {
    for (const Change& change : unsynced) {
      change.ApplyTo(synced);
      // What was lost below it does not come up again.
      never_synced.erase(
          std::remove_if(
              never_synced.begin(), never_synced.end(),
              [&](const Change& lost) { return lost.Overlaps(change); }),
          never_synced.end());
    }
    unsynced.clear();
  }
  void LosePower(std::mt19937_64& random) {
    never_synced.insert(never_synced.end(), unsynced.begin(), unsynced.end());
    for (Change& change : never_synced) {
      if (random() % 2 == 0) continue;
      const size_t sectors = change.data.size() / kSector;
      if (sectors > 0 && random() % 4 == 0) {
        change.data.resize(random() % sectors * kSector);
      }
      change.ApplyTo(synced);
    }
    unsynced.clear();
    never_synced.clear();
    live = synced;
  }
};

// What SQLite holds; the first member makes it a sqlite3_file.
struct MemoryDisk::Handle {
  sqlite3_file base;
  MemoryDisk* disk;
  File* file;
  int64_t process;
  bool is_temporary;
};

struct MemoryDisk::Calls {
  static Handle& Of(sqlite3_file* file) {
    return *reinterpret_cast<Handle*>(file);
  }
  static bool IsDead(const Handle& handle) {
    return handle.process != handle.disk->process_;
  }

  static int Open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file,
                  int flags, int* out_flags) {
    Handle& handle = Of(file);
    auto* const disk = static_cast<MemoryDisk*>(vfs->pAppData);
    handle = {{Methods()}, disk, nullptr, disk->process_, name == nullptr};
    if (name == nullptr) {
      handle.file = new File;
    } else {
      const auto place = disk->files_.find(name);
      if (place != disk->files_.end()) {
        handle.file = place->second;
      } else if ((flags & SQLITE_OPEN_CREATE) != 0) {
        handle.file = disk->files_[name] = new File;
      } else {
        handle.base.pMethods = nullptr;
        return SQLITE_CANTOPEN;
      }
    }
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
  }
  static int Close(sqlite3_file* file) {
    if (Of(file).is_temporary) delete Of(file).file;
    return SQLITE_OK;
  }
  static int Read(sqlite3_file* file, void* to, int count,
                  sqlite3_int64 offset) {
    const Handle& handle = Of(file);
    if (IsDead(handle) || handle.disk->Fails(Fault::kReadError)) {
      return SQLITE_IOERR_READ;
    }
    const std::string& bytes = handle.file->live;
    const auto size = static_cast<int64_t>(bytes.size());
    const int64_t there = std::clamp<int64_t>(size - offset, 0, int64_t{count});
    std::memset(to, 0, count);
    if (there > 0) std::memcpy(to, &bytes[offset], there);
    return there == count ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
  }
  static int Write(sqlite3_file* file, const void* from, int count,
                   sqlite3_int64 offset) {
    const Handle& handle = Of(file);
    if (IsDead(handle) || handle.disk->Dies()) return SQLITE_IOERR_WRITE;
    std::string data(static_cast<const char*>(from), count);
    if (!handle.disk->Fails(Fault::kWriteError)) {
      handle.file->Apply({offset, std::move(data)});
      return SQLITE_OK;
    }
    const Fault fault = handle.disk->fault_;
    if (fault == Fault::kShortWrite || fault == Fault::kFullShort) {
      data.resize(count / 2);
      handle.file->Apply({offset, std::move(data)});
    }
    return fault == Fault::kFull || fault == Fault::kFullShort
               ? SQLITE_FULL
               : SQLITE_IOERR_WRITE;
  }
  static int Truncate(sqlite3_file* file, sqlite3_int64 size) {
    const Handle& handle = Of(file);
    if (IsDead(handle)) return SQLITE_IOERR_TRUNCATE;
    handle.file->Apply({size, "", true});
    return SQLITE_OK;
  }
  static int Sync(sqlite3_file* file, int) {
    const Handle& handle = Of(file);
    if (IsDead(handle) || handle.disk->Dies()) return SQLITE_IOERR_FSYNC;
    File& synced = *handle.file;
    if (handle.disk->Fails(Fault::kSyncError)) {
      synced.never_synced.insert(synced.never_synced.end(),
                                 synced.unsynced.begin(),
                                 synced.unsynced.end());
      synced.unsynced.clear();
      return SQLITE_IOERR_FSYNC;
    }
    synced.Sync();
    return SQLITE_OK;
  }
  static int FileSize(sqlite3_file* file, sqlite3_int64* size) {
    *size = static_cast<int64_t>(Of(file).file->live.size());
    return SQLITE_OK;
  }
  static int Lock(sqlite3_file*, int) { return SQLITE_OK; }
  static int CheckReservedLock(sqlite3_file*, int* reserved) {
    *reserved = 0;
    return SQLITE_OK;
  }
  static int FileControl(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int SectorSize(sqlite3_file*) { return kSector; }
  // As SQLite has it of the file systems of Unix: a torn write spoils nothing
  // beside it.
  static int DeviceCharacteristics(sqlite3_file*) {
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
  }

  static int Delete(sqlite3_vfs* vfs, const char* name, int) {
    auto* const disk = static_cast<MemoryDisk*>(vfs->pAppData);
    const auto place = disk->files_.find(name);
    if (place == disk->files_.end()) return SQLITE_IOERR_DELETE_NOENT;
    delete place->second;
    disk->files_.erase(place);
    return SQLITE_OK;
  }
  static int Access(sqlite3_vfs* vfs, const char* name, int, int* there) {
    auto* const disk = static_cast<MemoryDisk*>(vfs->pAppData);
    *there = static_cast<int>(disk->files_.count(name));
    return SQLITE_OK;
  }
  static int FullPathname(sqlite3_vfs*, const char* name, int size, char* to) {
    sqlite3_snprintf(size, to, "%s", name);
    return SQLITE_OK;
  }
  static int Randomness(sqlite3_vfs* vfs, int count, char* to) {
    auto* const disk = static_cast<MemoryDisk*>(vfs->pAppData);
    for (int i = 0; i < count; ++i) {
      to[i] = static_cast<char>(disk->salt_());
    }
    return count;
  }
  static int Sleep(sqlite3_vfs*, int microseconds) { return microseconds; }
  static int CurrentTime(sqlite3_vfs*, sqlite3_int64* milliseconds) {
    *milliseconds = 0;
    return SQLITE_OK;
  }

  static const sqlite3_io_methods* Methods() {
    static const sqlite3_io_methods methods = [] {
      sqlite3_io_methods m = {};
      m.iVersion = 1;
      m.xClose = Close;
      m.xRead = Read;
      m.xWrite = Write;
      m.xTruncate = Truncate;
      m.xSync = Sync;
      m.xFileSize = FileSize;
      m.xLock = Lock;
      m.xUnlock = Lock;
      m.xCheckReservedLock = CheckReservedLock;
      m.xFileControl = FileControl;
      m.xSectorSize = SectorSize;
      m.xDeviceCharacteristics = DeviceCharacteristics;
      return m;
    }();
    return &methods;
  }
};

MemoryDisk::MemoryDisk() : before_(sqlite3_vfs_find(nullptr)) {
  vfs_.iVersion = 2;
  vfs_.szOsFile = sizeof(Handle);
  vfs_.mxPathname = 512;
  vfs_.zName = "memory_disk";
  vfs_.pAppData = this;
  vfs_.xOpen = Calls::Open;
  vfs_.xDelete = Calls::Delete;
  vfs_.xAccess = Calls::Access;
  vfs_.xFullPathname = Calls::FullPathname;
  vfs_.xRandomness = Calls::Randomness;
  vfs_.xSleep = Calls::Sleep;
  vfs_.xCurrentTimeInt64 = Calls::CurrentTime;
  sqlite3_vfs_register(&vfs_, /*makeDflt=*/1);
}

MemoryDisk::~MemoryDisk() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(before_, /*makeDflt=*/1);
  for (const auto& [name, file] : files_) delete file;
}

void MemoryDisk::FailAt(int64_t nth, Fault fault, int64_t times) {
  nth_ = nth;
  times_ = times;
  fault_ = fault;
  has_failed_ = false;
}

void MemoryDisk::Kill() {
  ++process_;
  kill_at_ = 0;
  was_killed_ = false;
}

bool MemoryDisk::Dies() {
  if (kill_at_ == 0 || --kill_at_ > 0) return false;
  ++process_;
  was_killed_ = true;
  return true;
}

bool MemoryDisk::Fails(Fault kind_of_call) {
  const bool is_write = fault_ != Fault::kSyncError &&
                        fault_ != Fault::kReadError &&
                        kind_of_call == Fault::kWriteError;
  if (nth_ <= 0 || !(is_write || kind_of_call == fault_)) return false;
  if (nth_ > 1) {
    --nth_;
    return false;
  }
  if (--times_ <= 0) nth_ = 0;
  has_failed_ = true;
  return true;
}

void MemoryDisk::LosePower(std::mt19937_64& random) {
  Kill();
  for (const auto& [name, file] : files_) file->LosePower(random);
}

MemoryDisk::Image MemoryDisk::image() const {
  Image image;
  for (const auto& [name, file] : files_) image[name] = file->synced;
  return image;
}

void MemoryDisk::Restore(const Image& image) {
  Kill();
  for (const auto& [name, file] : files_) delete file;
  files_.clear();
  for (const auto& [name, bytes] : image) {
    files_[name] = new File{bytes, bytes, {}, {}};
  }
}

}  // namespace sinkwatch::store
