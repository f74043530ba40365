#include "worker/checkpoint/container/zip_directory.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "proto/base/utf8.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

// Sections of PKWARE's APPNOTE.TXT 6.3.10 in brackets. All numbers are
// little-endian.
constexpr uint32_t kLocalSignature = 0x04034b50;      // [4.3.7]
constexpr uint32_t kCentralSignature = 0x02014b50;    // [4.3.12]
constexpr uint32_t kEnd64Signature = 0x06064b50;      // [4.3.14]
constexpr uint32_t kLocator64Signature = 0x07064b50;  // [4.3.15]
constexpr uint32_t kEndSignature = 0x06054b50;        // [4.3.16]
constexpr int64_t kLocalBytes = 30;
constexpr int64_t kCentralBytes = 46;
constexpr int64_t kEnd64Bytes = 56;
constexpr int64_t kLocator64Bytes = 20;
constexpr int64_t kEndBytes = 22;
constexpr int64_t kMaxCommentBytes = 0xffff;
constexpr uint32_t kIn64 = 0xffffffff;  // the number is in a ZIP64 field
constexpr uint16_t kEntriesIn64 = 0xffff;
constexpr uint16_t kId64 = 0x0001;  // of the extra field [4.5.3]
// Encrypted, strongly encrypted, directory encrypted [4.4.4].
constexpr uint16_t kEncryptedFlags = 1 << 0 | 1 << 6 | 1 << 13;
constexpr uint16_t kSizesFollowFlag = 1 << 3;

uint64_t Number(absl::string_view bytes, size_t at, size_t num_bytes) {
  uint64_t value = 0;
  for (size_t i = num_bytes; i > 0; --i) {
    value = value << 8 | static_cast<uint8_t>(bytes[at + i - 1]);
  }
  return value;
}
uint16_t Number16(absl::string_view bytes, size_t at) {
  return static_cast<uint16_t>(Number(bytes, at, 2));
}
uint32_t Number32(absl::string_view bytes, size_t at) {
  return static_cast<uint32_t>(Number(bytes, at, 4));
}
uint64_t Number64(absl::string_view bytes, size_t at) {
  return Number(bytes, at, 8);
}

// Where the directory is, offsets from the start of the slice.
struct Directory {
  uint64_t num_entries = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
};

// What the directory says of a member.
struct Entry {
  std::string name;
  uint16_t flags = 0;
  uint64_t size = 0;
  uint64_t local_offset = 0;  // of its local header, in the slice
};

absl::Status CheckName(absl::string_view name) {
  if (name.size() > kMaxZipNameBytes) {
    return absl::UnimplementedError(
        absl::StrCat("a name of ", name.size(), " bytes"));
  }
  if (!base::IsUtf8(name)) return absl::DataLossError("name is not UTF-8");
  const bool plain = name.find('\0') == absl::string_view::npos &&
                     name.find('\\') == absl::string_view::npos;
  for (absl::string_view part : absl::StrSplit(name, '/')) {
    if (plain && !part.empty() && part != "." && part != "..") continue;
    return absl::DataLossError("name is not a path inside the archive");
  }
  return absl::OkStatus();
}

// Numbers of the ZIP64 extra field replace those that say so, in this order.
absl::Status Read64(absl::string_view extra, std::vector<uint64_t*> numbers) {
  if (numbers.empty()) return absl::OkStatus();
  while (extra.size() >= 4) {
    const size_t size = Number16(extra, 2);
    const bool is_64 = Number16(extra, 0) == kId64;
    extra.remove_prefix(4);
    if (size > extra.size()) break;
    if (is_64 && size < 8 * numbers.size()) break;
    for (size_t i = 0; is_64 && i < numbers.size(); ++i) {
      *numbers[i] = Number64(extra, 8 * i);
    }
    if (is_64) return absl::OkStatus();
    extra.remove_prefix(size);
  }
  return absl::DataLossError("no ZIP64 field that holds its numbers");
}

class Reader {
 public:
  explicit Reader(const FileSlice& slice)
      : slice_(slice), length_(slice.length) {}

  absl::StatusOr<std::vector<ZipMember>> Read() {
    absl::StatusOr<Directory> directory = FindDirectory();
    if (!directory.ok()) return Named("", directory.status());
    absl::StatusOr<std::vector<Entry>> entries = ReadEntries(*directory);
    if (!entries.ok()) return entries.status();
    return Locate(*entries, directory->offset);
  }

 private:
  // `error` with the file and, if it is about one, the member.
  absl::Status Named(absl::string_view member, const absl::Status& error) {
    // File has named itself.
    if (absl::StartsWith(error.message(), slice_.file->path())) return error;
    std::string place = slice_.file->path();
    if (slice_.offset != 0 || slice_.length != slice_.file->size()) {
      absl::StrAppend(&place, ": zip at byte ", slice_.offset);
    }
    if (!member.empty())
      absl::StrAppend(&place, ": member ", files::Quoted(member));
    return absl::Status(error.code(),
                        absl::StrCat(place, ": ", error.message()));
  }

  absl::StatusOr<std::string> Bytes(uint64_t offset, uint64_t size) {
    if (offset > length_ || size > length_ - offset) {
      return absl::DataLossError(absl::StrCat("bytes ", offset, " + ", size,
                                              " are not in its ", length_));
    }
    std::string bytes(size, '\0');
    absl::Status status =
        slice_.file->ReadAt(slice_.offset + static_cast<int64_t>(offset),
                            static_cast<int64_t>(size), bytes.data());
    if (!status.ok()) return status;
    return bytes;
  }

  // Why the slice does not end with the record that ends an archive.
  absl::Status NoEndError() {
    const uint64_t tail =
        std::min<uint64_t>(length_, kEndBytes + kMaxCommentBytes);
    absl::StatusOr<std::string> bytes = Bytes(length_ - tail, tail);
    if (!bytes.ok()) return bytes.status();
    const size_t end = bytes->rfind("PK\5\6");
    if (end == std::string::npos || end + kEndBytes > bytes->size()) {
      return absl::FailedPreconditionError(
          "incomplete: does not end with the directory of a zip archive");
    }
    return absl::DataLossError(
        absl::StrCat(bytes->size() - end - kEndBytes,
                     " bytes after the end of the zip directory; an archive "
                     "comment is not read"));
  }

  absl::StatusOr<Directory> FindDirectory() {
    if (length_ < kEndBytes) return NoEndError();
    const uint64_t end_offset = length_ - kEndBytes;
    absl::StatusOr<std::string> end = Bytes(end_offset, kEndBytes);
    if (!end.ok()) return end.status();
    if (Number32(*end, 0) != kEndSignature) return NoEndError();
    if (Number16(*end, 20) != 0) {
      return absl::DataLossError("the archive's comment is beyond its end");
    }
    if (Number16(*end, 4) != 0 || Number16(*end, 6) != 0) {
      return absl::UnimplementedError("an archive in several parts");
    }
    Directory directory = {Number16(*end, 10), Number32(*end, 16),
                           Number32(*end, 12)};
    if (Number16(*end, 8) != directory.num_entries) {
      return absl::DataLossError("two numbers of members");
    }
    absl::StatusOr<uint64_t> begin = Use64(end_offset, &directory);
    if (!begin.ok()) return begin.status();
    if (absl::Status s = CheckDirectory(directory, *begin); !s.ok()) return s;
    return directory;
  }

  // Replaces numbers by those of the ZIP64 records if they are there. The
  // offset of what follows the directory.
  absl::StatusOr<uint64_t> Use64(uint64_t end_offset, Directory* directory) {
    const Directory in_32 = *directory;
    const bool must = in_32.num_entries == kEntriesIn64 ||
                      in_32.offset == kIn64 || in_32.size == kIn64;
    std::string locator;
    if (end_offset >= kLocator64Bytes) {
      absl::StatusOr<std::string> bytes =
          Bytes(end_offset - kLocator64Bytes, kLocator64Bytes);
      if (!bytes.ok()) return bytes.status();
      locator = *std::move(bytes);
    }
    if (locator.empty() || Number32(locator, 0) != kLocator64Signature) {
      if (!must) return end_offset;
      return absl::DataLossError("no ZIP64 records for its numbers");
    }
    const uint64_t offset = Number64(locator, 8);
    absl::StatusOr<std::string> end = Bytes(offset, kEnd64Bytes);
    if (!end.ok()) return end.status();
    const bool adjacent = offset + kEnd64Bytes + kLocator64Bytes == end_offset;
    if (!adjacent || Number32(*end, 0) != kEnd64Signature ||
        Number64(*end, 4) != kEnd64Bytes - 12) {
      return absl::DataLossError("the ZIP64 locator does not lead to a record");
    }
    if (Number32(locator, 4) != 0 || Number32(locator, 16) != 1 ||
        Number32(*end, 16) != 0 || Number32(*end, 20) != 0) {
      return absl::UnimplementedError("an archive in several parts");
    }
    *directory = {Number64(*end, 32), Number64(*end, 48), Number64(*end, 40)};
    const bool agree =
        Number64(*end, 24) == directory->num_entries &&
        (in_32.num_entries == kEntriesIn64 ||
         in_32.num_entries == directory->num_entries) &&
        (in_32.offset == kIn64 || in_32.offset == directory->offset) &&
        (in_32.size == kIn64 || in_32.size == directory->size);
    if (agree) return offset;
    return absl::DataLossError("its ZIP64 record says otherwise than its end");
  }

  static absl::Status CheckDirectory(const Directory& directory, uint64_t end) {
    if (directory.num_entries > kMaxZipMembers) {
      return absl::UnimplementedError(
          absl::StrCat(directory.num_entries, " members, above the ",
                       kMaxZipMembers, " that are read"));
    }
    if (directory.size > kMaxZipDirectoryBytes) {
      return absl::UnimplementedError(
          absl::StrCat("a directory of ", directory.size, " bytes, above the ",
                       kMaxZipDirectoryBytes, " that are read"));
    }
    if (directory.offset <= end && directory.size == end - directory.offset) {
      return absl::OkStatus();
    }
    return absl::DataLossError(
        absl::StrCat("the directory (bytes ", directory.offset, " + ",
                     directory.size, ") does not end at ", end));
  }

  absl::StatusOr<std::vector<Entry>> ReadEntries(const Directory& directory) {
    absl::StatusOr<std::string> bytes = Bytes(directory.offset, directory.size);
    if (!bytes.ok()) return Named("", bytes.status());
    absl::string_view rest = *bytes;
    std::vector<Entry> entries;
    for (uint64_t i = 0; i < directory.num_entries; ++i) {
      Entry entry;
      absl::Status status = TakeEntry(&rest, &entry);
      if (!status.ok()) return Named(entry.name, status);
      entries.push_back(std::move(entry));
    }
    if (rest.empty()) return entries;
    return Named("", absl::DataLossError(absl::StrCat(
                         rest.size(), " bytes in the directory after its ",
                         directory.num_entries, " members")));
  }

  static absl::Status TakeEntry(absl::string_view* rest, Entry* entry) {
    if (rest->size() < kCentralBytes ||
        Number32(*rest, 0) != kCentralSignature) {
      return absl::DataLossError(
          "the directory has fewer members than it says");
    }
    const absl::string_view fixed = rest->substr(0, kCentralBytes);
    const size_t name_size = Number16(fixed, 28);
    const size_t extra_size = Number16(fixed, 30);
    const size_t comment_size = Number16(fixed, 32);
    rest->remove_prefix(kCentralBytes);
    if (name_size + extra_size + comment_size > rest->size()) {
      return absl::DataLossError("the directory ends inside a member's name");
    }
    entry->name = std::string(rest->substr(0, name_size));
    const absl::string_view extra = rest->substr(name_size, extra_size);
    rest->remove_prefix(name_size + extra_size + comment_size);
    if (absl::Status s = CheckName(entry->name); !s.ok()) return s;
    return FillEntry(fixed, extra, entry);
  }

  static absl::Status FillEntry(absl::string_view fixed,
                                absl::string_view extra, Entry* entry) {
    entry->flags = Number16(fixed, 8);
    if ((entry->flags & kEncryptedFlags) != 0) {
      return absl::UnimplementedError("encrypted members are not read");
    }
    if (const uint16_t method = Number16(fixed, 10); method != 0) {
      return absl::UnimplementedError(absl::StrCat(
          "compressed (method ", method, "); only stored members are read"));
    }
    if (Number16(fixed, 34) != 0) {
      return absl::UnimplementedError("an archive in several parts");
    }
    uint64_t stored_size = Number32(fixed, 20);
    entry->size = Number32(fixed, 24);
    entry->local_offset = Number32(fixed, 42);
    std::vector<uint64_t*> in_64;
    for (uint64_t* number :
         {&entry->size, &stored_size, &entry->local_offset}) {
      if (*number == kIn64) in_64.push_back(number);
    }
    if (absl::Status s = Read64(extra, in_64); !s.ok()) return s;
    if (stored_size == entry->size) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("stored in ", stored_size,
                                            " bytes, but has ", entry->size));
  }

  // Where the bytes of the members are, by their local headers.
  absl::StatusOr<std::vector<ZipMember>> Locate(std::vector<Entry>& entries,
                                                uint64_t directory_offset) {
    std::sort(entries.begin(), entries.end(),
              [](const Entry& a, const Entry& b) {
                return a.local_offset < b.local_offset;
              });
    std::vector<ZipMember> members;
    members.reserve(entries.size());
    for (size_t i = 0; i < entries.size(); ++i) {
      const uint64_t next = i + 1 < entries.size() ? entries[i + 1].local_offset
                                                   : directory_offset;
      absl::StatusOr<ZipMember> member =
          LocateOne(entries[i], std::min(next, directory_offset));
      if (!member.ok()) return Named(entries[i].name, member.status());
      members.push_back(*std::move(member));
    }
    std::sort(
        members.begin(), members.end(),
        [](const ZipMember& a, const ZipMember& b) { return a.name < b.name; });
    for (size_t i = 1; i < members.size(); ++i) {
      if (members[i].name != members[i - 1].name) continue;
      return Named(members[i].name, absl::DataLossError("is there twice"));
    }
    return members;
  }

  // The member's record begins at its local header and ends before `limit`.
  absl::StatusOr<ZipMember> LocateOne(const Entry& entry, uint64_t limit) {
    const uint64_t header_end = entry.local_offset + kLocalBytes;
    if (entry.local_offset > limit || header_end > limit) {
      return absl::DataLossError(absl::StrCat(
          "its record at byte ", entry.local_offset,
          " overlaps what begins at ", limit, " or is not in the archive"));
    }
    absl::StatusOr<std::string> local = Bytes(
        entry.local_offset, std::min<uint64_t>(kLocalBytes + entry.name.size(),
                                               limit - entry.local_offset));
    if (!local.ok()) return local.status();
    if (absl::Status s = CheckLocal(*local, entry); !s.ok()) return s;
    const uint64_t data = header_end + entry.name.size() + Number16(*local, 28);
    if (data > limit || entry.size > limit - data) {
      return absl::DataLossError(
          absl::StrCat("its bytes (", data, " + ", entry.size,
                       ") overlap what begins at ", limit));
    }
    return ZipMember{entry.name, slice_.offset + static_cast<int64_t>(data),
                     static_cast<int64_t>(entry.size)};
  }

  static absl::Status CheckLocal(absl::string_view local, const Entry& entry) {
    if (Number32(local, 0) != kLocalSignature) {
      return absl::DataLossError(
          absl::StrCat("no local header at byte ", entry.local_offset));
    }
    if (Number16(local, 26) != entry.name.size() ||
        local.substr(kLocalBytes) != entry.name) {
      return absl::DataLossError("its local header has another name");
    }
    if (Number16(local, 6) != entry.flags || Number16(local, 8) != 0) {
      return absl::DataLossError("its local header has other flags or method");
    }
    const bool sizes_follow = (entry.flags & kSizesFollowFlag) != 0;
    for (size_t at : {18, 22}) {
      const uint32_t size = Number32(local, at);
      if (size == entry.size || size == kIn64) continue;
      if (sizes_follow && size == 0) continue;
      return absl::DataLossError(absl::StrCat("its local header says ", size,
                                              " bytes, the directory ",
                                              entry.size));
    }
    return absl::OkStatus();
  }

  const FileSlice slice_;
  const uint64_t length_;
};

}  // namespace

absl::StatusOr<std::vector<ZipMember>> ReadZipDirectory(
    const FileSlice& slice) {
  return Reader(slice).Read();
}

const ZipMember* FindZipMember(const std::vector<ZipMember>& members,
                               absl::string_view name) {
  auto found = std::lower_bound(
      members.begin(), members.end(), name,
      [](const ZipMember& a, absl::string_view b) { return a.name < b; });
  return found == members.end() || found->name != name ? nullptr : &*found;
}

}  // namespace sinkwatch::checkpoint
