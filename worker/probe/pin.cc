#include "worker/probe/pin.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "proto/base/sha256.h"
#include "worker/files/durable_file.h"
#include "worker/files/file.h"
#include "worker/files/strict_json.h"
#include "worker/probe/corpus.h"
#include "worker/probe/probe_manifest.h"
#include "worker/probe/token_file.h"

namespace sinkwatch::probe {
namespace {

using Json = nlohmann::ordered_json;
using files::Quoted;

constexpr int64_t kMaxListBytes = 1 << 20;
// An end-of-text token that never occurs in so many ids is a wrong id.
constexpr int64_t kManyTokens = 100 * 1000;
// <|endoftext|> of OLMo's two tokenizers of 50280 ids; each has the other's
// number for |||IP_ADDRESS|||.
constexpr int64_t kOlderEos = 0;
constexpr int64_t kNewerEos = 50279;

struct ListedDomain {
  std::string label;
  std::vector<std::string> paths;  // absolute
};

std::string FolderOf(const std::string& path) {
  return std::filesystem::absolute(path).parent_path().string();
}

// The path of a line, absolute; or what is wrong with the line.
absl::StatusOr<std::string> ResolvePath(const PinOptions& options,
                                        absl::string_view text) {
  const std::string path =
      absl::StrReplaceAll(text, {{"{TOKENIZER}", options.tokenizer}});
  if (path.empty()) return absl::InvalidArgumentError("no path");
  if (absl::StrContains(path, "://")) {
    return absl::InvalidArgumentError(absl::StrCat(
        Quoted(path), " is not on this machine; copy or mount it"));
  }
  const std::string base = options.base_folder.empty()
                               ? FolderOf(options.list_file)
                               : options.base_folder;
  const std::filesystem::path joined = std::filesystem::path(base) / path;
  return std::filesystem::absolute(joined).lexically_normal().string();
}

absl::Status AddLine(const PinOptions& options, absl::string_view line,
                     std::vector<ListedDomain>& domains) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(line, absl::MaxSplits(',', 1));
  const std::string label(absl::StripAsciiWhitespace(parts.first));
  if (!IsLabel(label)) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(label), " is no label; a line is label,path"));
  }
  absl::StatusOr<std::string> path =
      ResolvePath(options, absl::StripAsciiWhitespace(parts.second));
  if (!path.ok()) return path.status();
  auto domain = std::find_if(
      domains.begin(), domains.end(),
      [&](const ListedDomain& known) { return known.label == label; });
  if (domain == domains.end()) domain = domains.insert(domain, {label, {}});
  const auto& paths = domain->paths;
  if (std::find(paths.begin(), paths.end(), *path) != paths.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(Quoted(*path), " is there twice"));
  }
  domain->paths.push_back(*std::move(path));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ListedDomain>> ReadList(const PinOptions& options) {
  absl::StatusOr<std::string> text =
      files::ReadWholeFile(options.list_file, kMaxListBytes);
  if (!text.ok()) return InvalidUnlessUnavailable(text.status());
  std::vector<ListedDomain> domains;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    absl::Status s = AddLine(options, line, domains);
    if (s.ok()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(options.list_file, ": line ", number, ": ", s.message()));
  }
  if (!domains.empty()) return domains;
  return absl::InvalidArgumentError(
      absl::StrCat(options.list_file, ": names no token file"));
}

// Counts what may be an end of text.
struct EosCounts {
  int64_t declared = 0;
  int64_t other = 0;
};

int64_t OtherEos(int64_t eos_id) {
  return eos_id == kNewerEos ? kOlderEos : kNewerEos;
}

void WarnOfEos(const PinOptions& options, const PinnedDomain& domain,
               const EosCounts& counts, std::vector<std::string>& warnings) {
  const bool is_either =
      options.eos_id == kOlderEos || options.eos_id == kNewerEos;
  const bool is_mixed_up = is_either && counts.other > 0;
  if (options.eos_id < 0 || counts.declared > 0) return;
  if (!is_mixed_up && domain.tokens < kManyTokens) return;
  std::string text =
      absl::StrCat("domain '", domain.label, "': eos_id ", options.eos_id,
                   " never occurs in ", domain.tokens, " ids");
  if (is_mixed_up) {
    absl::StrAppend(&text, ", id ", OtherEos(options.eos_id), " does, ",
                    counts.other,
                    " times: OLMo's two tokenizers of 50280 ids end texts "
                    "with 0 (older) and 50279");
  }
  warnings.push_back(std::move(text));
}

class Pinner {
 public:
  Pinner(const PinOptions& options, int64_t id_bytes)
      : options_(options), id_bytes_(id_bytes) {}

  // Reads the files of `domain` and returns its part of probe.json.
  absl::StatusOr<Json> Pin(const ListedDomain& domain, PinReport& report);

 private:
  // Adds the file's part, or nothing where the domain has enough.
  absl::Status AddFile(const std::string& path, PinnedDomain& pinned,
                       Json& files);
  int64_t Wanted(int64_t have, int64_t available) const;

  const PinOptions& options_;
  const int64_t id_bytes_;
  EosCounts counts_;
};

int64_t Pinner::Wanted(int64_t have, int64_t available) const {
  const int64_t most = options_.max_tokens_per_domain;
  return most == 0 ? available : std::min(available, most - have);
}

absl::Status Pinner::AddFile(const std::string& path, PinnedDomain& pinned,
                             Json& files) {
  auto file = OpenTokenFile(path, "");
  if (!file.ok()) return file.status();
  const int64_t size = (*file)->size();
  if (size == 0 || size % id_bytes_ != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": ", size, " bytes are no ids of ", DtypeOfBytes(id_bytes_)));
  }
  const int64_t available = size / id_bytes_;
  const int64_t wanted = Wanted(pinned.tokens, available);
  pinned.tokens_available += available;
  if (wanted == 0) return absl::OkStatus();
  if (wanted > kMaxTokens) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", wanted, " ids, a probe has at most ",
                     kMaxTokens, " (limit the tokens per domain)"));
  }
  std::string bytes(wanted * id_bytes_, '\0');
  absl::Status s = (*file)->ReadAt(0, bytes.size(), bytes.data());
  if (!s.ok()) return InvalidUnlessUnavailable(s);
  std::vector<int64_t> ids;
  s = AppendIds(path, bytes, id_bytes_, options_.vocabulary, ids);
  if (!s.ok()) return s;
  counts_.declared += std::count(ids.begin(), ids.end(), options_.eos_id);
  counts_.other +=
      std::count(ids.begin(), ids.end(), OtherEos(options_.eos_id));
  Json json = {
      {"path", path}, {"tokens", wanted}, {"sha256", base::Sha256Hex(bytes)}};
  if (wanted < available) json["prefix"] = true;
  files.push_back(std::move(json));
  pinned.tokens += wanted;
  ++pinned.files;
  return absl::OkStatus();
}

absl::StatusOr<Json> Pinner::Pin(const ListedDomain& domain,
                                 PinReport& report) {
  PinnedDomain pinned;
  pinned.label = domain.label;
  counts_ = {};
  Json files = Json::array();
  for (const std::string& path : domain.paths) {
    if (absl::Status s = AddFile(path, pinned, files); !s.ok()) return s;
  }
  WarnOfEos(options_, pinned, counts_, report.warnings);
  report.domains.push_back(std::move(pinned));
  return Json({{"label", domain.label}, {"files", std::move(files)}});
}

absl::StatusOr<std::string> MakeManifest(const PinOptions& options,
                                         PinReport& report) {
  absl::StatusOr<std::vector<ListedDomain>> listed = ReadList(options);
  if (!listed.ok()) return listed.status();
  Json json = {
      {"name", options.name},
      {"version", "1"},
      {"tokenizer",
       {{"name", options.tokenizer}, {"vocab_size", options.vocabulary}}},
      {"dtype", report.dtype},
      {"sequence_length", options.sequence_length},
      {"bos_policy", options.bos_policy}};
  if (options.bos_id >= 0) json["bos_id"] = options.bos_id;
  if (options.eos_id >= 0) json["eos_id"] = options.eos_id;
  json["domains"] = Json::array();
  Pinner pinner(options, BytesOfDtype(report.dtype));
  for (const ListedDomain& domain : *listed) {
    absl::StatusOr<Json> pinned = pinner.Pin(domain, report);
    if (!pinned.ok()) return pinned.status();
    json["domains"].push_back(*std::move(pinned));
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// What only the sequences show, once they are cut.
void AddFactsOf(const Corpus& corpus, PinReport& report) {
  report.digest = corpus.digest();
  for (size_t i = 0; i < report.domains.size(); ++i) {
    const Domain& domain = corpus.domains()[i];
    const int64_t count = domain.tokens_NT.size(0);
    report.domains[i].sequences = count;
    if (corpus.bos_policy() != "stored") continue;
    const int64_t* ids = domain.tokens_NT.const_data_ptr<int64_t>();
    for (int64_t n = 1; n < count; ++n) {
      if (ids[n * corpus.sequence_length()] == ids[0]) continue;
      report.warnings.push_back(absl::StrCat(
          "domain '", domain.label, "': bos_policy is stored, but sequence ", n,
          " begins with another id than sequence 0"));
      break;
    }
  }
}

absl::Status CheckOptions(const PinOptions& options) {
  if (options.vocabulary < 1 || options.vocabulary > int64_t{1} << 31) {
    return absl::InvalidArgumentError("the vocabulary must have 1 to 2^31 ids");
  }
  if (options.max_tokens_per_domain < 0) {
    return absl::InvalidArgumentError(
        "the most tokens per domain must not be negative");
  }
  if (options.dtype == "auto" || BytesOfDtype(options.dtype) > 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("dtype ", Quoted(options.dtype),
                   " is none of auto, uint8, uint16, uint32, uint64"));
}

}  // namespace

absl::StatusOr<PinReport> PinProbe(const PinOptions& options,
                                   const std::string& folder) {
  if (absl::Status s = CheckOptions(options); !s.ok()) return s;
  PinReport report;
  report.dtype = options.dtype == "auto"
                     ? DtypeOfBytes(SmallestIdBytes(options.vocabulary))
                     : options.dtype;
  absl::StatusOr<std::string> text = MakeManifest(options, report);
  if (!text.ok()) return text.status();
  if (absl::Status s = files::BeginFolder(folder); !s.ok()) return s;
  const std::string temporary = files::TemporaryName(folder);
  absl::Status s =
      files::WriteDurably(absl::StrCat(temporary, "/probe.json"), {*text});
  if (!s.ok()) return s;
  // What cannot be read back must not be published.
  absl::StatusOr<Corpus> corpus = Corpus::Read(temporary);
  if (!corpus.ok()) return corpus.status();
  AddFactsOf(*corpus, report);
  if (s = files::PublishFolder(folder); !s.ok()) return s;
  return report;
}

}  // namespace sinkwatch::probe
