#ifndef SINKWATCH_WORKER_CHECKPOINT_CONTAINER_ZIP_TESTING_H_
#define SINKWATCH_WORKER_CHECKPOINT_CONTAINER_ZIP_TESTING_H_

// Small zip archives for tests.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {

// An archive of stored members, and where its records are, so that a test can
// make one of them lie.
struct ZipBytes {
  std::string bytes;
  std::vector<size_t> local;    // headers of the members
  std::vector<size_t> central;  // entries of the directory
  size_t end64 = 0;             // 0 without ZIP64
  size_t locator = 0;
  size_t end = 0;

  ZipBytes& Put(size_t at, uint64_t value, int num_bytes) {
    bytes.replace(at, num_bytes, files::LittleEndian(value, num_bytes));
    return *this;
  }
};

using ZipMembers = std::vector<std::pair<std::string, std::string>>;

// The archive as torch writes it: sizes in the directory only, then in a
// descriptor after the member.
inline ZipBytes MakeZip(const ZipMembers& members, bool zip64 = true) {
  ZipBytes zip;
  std::string directory;
  for (const auto& [name, data] : members) {
    const std::string shared =
        files::LittleEndian(0x0808, 2) + std::string(6, '\0');
    const std::string sizes = files::LittleEndian(0, 4) +
                              files::LittleEndian(data.size(), 4) +
                              files::LittleEndian(data.size(), 4);
    zip.local.push_back(zip.bytes.size());
    zip.central.push_back(directory.size());
    directory += "PK\1\2" + files::LittleEndian(0, 4) + shared + sizes +
                 files::LittleEndian(name.size(), 2) + std::string(12, '\0') +
                 files::LittleEndian(zip.bytes.size(), 4) + name;
    zip.bytes += "PK\3\4" + files::LittleEndian(0, 2) + shared +
                 std::string(12, '\0') + files::LittleEndian(name.size(), 2) +
                 files::LittleEndian(6, 2) + name + "FB\2" +
                 std::string(1, '\0') + "ZZ" + data + "PK\7\b" + sizes;
  }
  const size_t offset = zip.bytes.size();
  for (size_t& central : zip.central) central += offset;
  zip.bytes += directory;
  if (zip64) {
    zip.end64 = zip.bytes.size();
    zip.bytes += "PK\6\6" + files::LittleEndian(44, 8) + std::string(12, '\0') +
                 files::LittleEndian(members.size(), 8) +
                 files::LittleEndian(members.size(), 8) +
                 files::LittleEndian(directory.size(), 8) +
                 files::LittleEndian(offset, 8);
    zip.locator = zip.bytes.size();
    zip.bytes += "PK\6\7" + files::LittleEndian(0, 4) +
                 files::LittleEndian(zip.end64, 8) + files::LittleEndian(1, 4);
  }
  zip.end = zip.bytes.size();
  const uint64_t count = std::min<uint64_t>(members.size(), 0xffff);
  zip.bytes += "PK\5\6" + files::LittleEndian(0, 4) +
               files::LittleEndian(count, 2) + files::LittleEndian(count, 2) +
               files::LittleEndian(directory.size(), 4) +
               files::LittleEndian(offset, 4) + files::LittleEndian(0, 2);
  return zip;
}

}  // namespace sinkwatch::checkpoint

#endif  // SINKWATCH_WORKER_CHECKPOINT_CONTAINER_ZIP_TESTING_H_
