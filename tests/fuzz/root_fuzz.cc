// What lies under a run's root, of whatever names and kinds, under a pattern of
// steps and one of runs: everything at its top is told of.
//
// The input is a line with the step_pattern (empty: none), one with the pattern
// of runs below (empty: none), and a line an entry:
//
//   name/            a folder          name=text      a file of that text
//   name             a file            name>target    a link
//
// Folders on the way to an entry are made.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/base/utf8.h"
#include "server/discovery/run_scan.h"
#include "server/discovery/runs_below.h"
#include "server/name_pattern.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input_file.h"

namespace sinkwatch::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxEntries = 24;
constexpr size_t kMaxName = 80;
constexpr size_t kDeepest = 5;

constexpr char kProbe[] =
    R"({"name":"p","version":"1","tokenizer":{"name":"t","vocab_size":9},)"
    R"("dtype":"uint16","sequence_length":2,"eos_id":1,"bos_policy":"none",)"
    R"("domains":[]})";

// The way of an entry below the root; empty if it is none.
std::string WayOf(absl::string_view text) {
  std::vector<std::string> parts;
  for (const absl::string_view part : absl::StrSplit(text, '/')) {
    if (part.empty() || part == "." || part == "..") continue;
    if (absl::StrContains(part, '\0') || part.size() > kMaxName) return "";
    parts.emplace_back(part);
  }
  return parts.size() > kDeepest ? "" : absl::StrJoin(parts, "/");
}

void WriteFile(const fs::path& path, absl::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

void MakeEntry(const fs::path& root, absl::string_view line) {
  const size_t mark = std::min(line.find('='), line.find('>'));
  const std::string way = WayOf(line.substr(0, mark));
  if (way.empty()) return;
  const fs::path path = root / way;
  std::error_code ignored;
  if (mark == absl::string_view::npos && absl::EndsWith(line, "/")) {
    fs::create_directories(path, ignored);
    return;
  }
  fs::create_directories(path.parent_path(), ignored);
  if (fs::symlink_status(path, ignored).type() != fs::file_type::not_found) {
    return;
  }
  if (mark == absl::string_view::npos) return WriteFile(path, "x");
  const absl::string_view rest = line.substr(mark + 1, kMaxName);
  if (line[mark] == '=') return WriteFile(path, rest);
  if (absl::StartsWith(rest, "/") || absl::StrContains(rest, '\0')) return;
  fs::create_symlink(fs::path(std::string(rest)), path, ignored);
}

// The entries at the top that must be told of by their own names: a link may be
// told of as what it leads to, and folders of a download cache as what is in
// them.
std::set<std::string> TopOf(const fs::path& root) {
  const bool is_cache =
      fs::is_directory(root / "refs") && fs::is_directory(root / "snapshots");
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (!entry.is_symlink()) names.insert(entry.path().filename().string());
  }
  if (!is_cache) return names;
  for (const char* own :
       {"refs", "snapshots", "blobs", ".no_exist", "trees", ".locks"}) {
    names.erase(own);
  }
  return names;
}

// The first part of a path below the root, as it is shown.
std::string FirstPart(absl::string_view path, const std::string& root) {
  if (absl::StartsWith(path, root + "/")) path.remove_prefix(root.size() + 1);
  return std::string(path.substr(0, path.find('/')));
}

class Told {
 public:
  explicit Told(std::string root) : root_(std::move(root)) {}

  void Add(absl::string_view path) { names_.insert(FirstPart(path, root_)); }
  void Add(const discovery::Survey& survey) {
    for (const v1::LeftAlone& kind : survey.left_alone) {
      Expect(kind.count() >= kind.examples_size(), "examples are counted");
      for (const std::string& example : kind.examples()) Add(example);
      cut_ = cut_ || kind.count() > kind.examples_size();
    }
    for (const std::string& note : survey.notes) {
      Expect(base::IsUtf8(note), "a note is text");
    }
  }
  void ExpectAll(const std::set<std::string>& top) const {
    if (cut_) return;
    for (const std::string& name : top) {
      Expect(names_.count(base::EscapeBytes(name)) != 0,
             absl::StrCat("told of: ", absl::CHexEscape(name)));
    }
  }

 private:
  const std::string root_;
  std::set<std::string> names_;
  bool cut_ = false;  // of more than ten of a kind not all are named
};

void ExpectObserved(const store::Observation& seen, const std::string& root) {
  Expect(absl::StartsWith(seen.checkpoint.path(), root + "/") ||
             seen.checkpoint.path() == root,
         "a checkpoint lies in the root");
  Expect(seen.checkpoint.step() >= 0 && seen.checkpoint.tokens() >= 0,
         "counts are not negative");
  Expect(base::IsUtf8(seen.checkpoint.path()) &&
             base::IsUtf8(seen.checkpoint.stage()) && base::IsUtf8(seen.reason),
         "what is stored is text");
  Expect((seen.state == v1::JOB_STATE_QUEUED) == seen.reason.empty() ||
             seen.state == v1::JOB_STATE_SKIPPED,
         "what is not queued has a reason");
}

absl::Status LookTwice(const v1::RunConfig& run,
                       const std::set<std::string>& top) {
  discovery::RunScan scan(run, {});
  const absl::Time first = absl::Now() + absl::Hours(1);
  for (const absl::Time now : {first, first + absl::Hours(1)}) {
    const auto seen = scan.Look(now);
    if (!seen.ok()) return seen.status();
    Told told(run.root());
    for (const store::Observation& one : *seen) {
      ExpectObserved(one, run.root());
      told.Add(one.checkpoint.path());
    }
    told.Add(scan.survey());
    told.ExpectAll(top);
  }
  return absl::OkStatus();
}

absl::Status LookForRuns(const v1::RunConfig& run,
                         const std::set<std::string>& top) {
  const auto found = discovery::FindRunsBelow(run);
  if (!found.ok()) return found.status();
  Told told(run.root());
  std::set<std::string> names;
  for (const v1::RunConfig& one : found->runs) {
    Expect(names.insert(one.name()).second, "a run's name is its own");
    Expect(one.name().size() <= 64, "a run's name is short");
    for (const auto& [label, value] : one.labels()) {
      Expect(base::IsUtf8(value), "a label is text");
    }
    told.Add(base::EscapeBytes(one.root()));
  }
  told.Add(found->survey);
  told.ExpectAll(top);
  return absl::OkStatus();
}

// Of a message that repeats a pattern or a name.
absl::Status Escaped(const absl::Status& status) {
  if (status.ok()) return status;
  // The file system's own words: not of the parser.
  const auto code = absl::IsInvalidArgument(status)
                        ? absl::StatusCode::kInvalidArgument
                        : absl::StatusCode::kFailedPrecondition;
  return absl::Status(code, absl::CHexEscape(status.message().substr(0, 400)));
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  static const std::string folder = WriteInput(kProbe, "probe.json");
  const fs::path root = fs::path(folder) / "root";
  std::error_code ignored;
  fs::remove_all(root, ignored);
  fs::create_directories(root);
  const std::vector<absl::string_view> lines = absl::StrSplit(input, '\n');
  for (size_t i = 2; i < std::min(lines.size(), 2 + kMaxEntries); ++i) {
    MakeEntry(root, lines[i]);
  }
  v1::RunConfig run;
  run.set_name("run");
  run.set_root(root.string());
  run.set_probe(folder);
  run.set_step_pattern(std::string(lines[0]));
  if (lines.size() > 1 && !lines[1].empty()) {
    run.mutable_runs_below()->set_pattern(std::string(lines[1]));
  }
  absl::Status status = server::CheckPatterns(run);
  if (!status.ok()) return Escaped(status);
  return Escaped(run.has_runs_below() ? LookForRuns(run, TopOf(root))
                                      : LookTwice(run, TopOf(root)));
}

}  // namespace sinkwatch::fuzz
