// The directory of a zip archive.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input_file.h"
#include "worker/checkpoint/container/zip_directory.h"

namespace sinkwatch::fuzz {
namespace {

using checkpoint::FindZipMember;
using checkpoint::ReadZipDirectory;
using checkpoint::ZipMember;

constexpr int64_t kLocalHeader = 30;  // bytes before the name

void ExpectName(const std::string& name) {
  Expect(!name.empty() && name.front() != '/' && name.back() != '/',
         "a name is a relative path");
  const std::string path = absl::StrCat("/", name, "/");
  Expect(!absl::StrContains(path, "/../") && !absl::StrContains(path, "/./") &&
             !absl::StrContains(path, "//"),
         "a name stays in the archive");
}

// Each member has its own local header and bytes, and shares none of either.
void ExpectApart(const std::vector<ZipMember>& members,
                 absl::string_view input) {
  std::vector<const ZipMember*> by_offset;
  for (const ZipMember& member : members) by_offset.push_back(&member);
  std::sort(by_offset.begin(), by_offset.end(),
            [](const ZipMember* a, const ZipMember* b) {
              return a->offset < b->offset;
            });
  int64_t end = 0;
  for (const ZipMember* member : by_offset) {
    const auto name_size = static_cast<int64_t>(member->name.size());
    Expect(member->offset >= end + kLocalHeader + name_size,
           "a member has room for its local header");
    Expect(
        member->size >= 0 &&
            member->size <= static_cast<int64_t>(input.size()) - member->offset,
        "a member is in the archive");
    const absl::string_view before = input.substr(end, member->offset - end);
    Expect(absl::StrContains(before, absl::StrCat("PK\3\4")) &&
               absl::StrContains(before, member->name),
           "a member follows its local header");
    end = member->offset + member->size;
  }
}

// The same archive as a part of a larger file.
void ExpectSameInside(const std::vector<ZipMember>& members,
                      absl::string_view input) {
  const std::string around(37, 'P');
  const auto file = OpenInput(absl::StrCat(around, input, around));
  const auto inside =
      ReadZipDirectory({file.get(), static_cast<int64_t>(around.size()),
                        static_cast<int64_t>(input.size())});
  Expect(inside.ok() && inside->size() == members.size(),
         "an archive is the same inside of a larger file");
  for (size_t i = 0; i < members.size(); ++i) {
    const ZipMember& member = (*inside)[i];
    Expect(member.name == members[i].name && member.size == members[i].size &&
               member.offset == members[i].offset + 37,
           "its members are the same, further back");
  }
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const auto file = OpenInput(input);
  const auto members =
      ReadZipDirectory({file.get(), 0, static_cast<int64_t>(input.size())});
  if (!members.ok()) return members.status();
  for (size_t i = 0; i < members->size(); ++i) {
    ExpectName((*members)[i].name);
    Expect(i == 0 || (*members)[i - 1].name < (*members)[i].name,
           "names ascend and none is there twice");
    Expect(FindZipMember(*members, (*members)[i].name) == &(*members)[i],
           "a member is found by its name");
  }
  ExpectApart(*members, input);
  ExpectSameInside(*members, input);
  if (input.find("PK\5\6") == input.rfind("PK\5\6")) {
    const absl::string_view cut = input.substr(0, input.size() - 1);
    const auto shorter = OpenInput(cut);
    Expect(absl::IsFailedPrecondition(
               ReadZipDirectory(
                   {shorter.get(), 0, static_cast<int64_t>(cut.size())})
                   .status()),
           "an archive that is cut short is incomplete");
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
