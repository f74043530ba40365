#include "server/discovery/judged.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/discovery/flat_file.h"
#include "server/discovery/hub_cache.h"
#include "server/discovery/listing.h"
#include "server/discovery/unknown_folder.h"

namespace sinkwatch::discovery {
namespace {

Judged OfListing(Judged judged, Listing listing, const LookContext& context) {
  const Subject subject{judged.candidate.name, std::move(listing),
                        context.model_config.has_value(),
                        judged.candidate.is_download};
  const Layout* const layout = FindLayout(subject);
  judged.is_none = layout == nullptr;
  if (judged.is_none) return judged;
  judged.verdict = Judge(*layout, subject);
  judged.fingerprint = Fingerprint(
      subject.listing,
      context.model_config.has_value() ? &*context.model_config : nullptr);
  judged.changed_ns = LatestChange(subject.listing);
  judged.under_way_ns = LatestUnderWay(subject.listing);
  judged.has_folders = std::any_of(
      subject.listing.entries.begin(), subject.listing.entries.end(),
      [](const Entry& entry) { return entry.is_folder; });
  judged.was_listed = true;
  return judged;
}

Judged OfFile(Judged judged, const LookContext& context) {
  const Entry& file = *judged.candidate.file;
  const auto& config = judged.candidate.file_config;
  const Entry* const beside = config.has_value() ? &*config : nullptr;
  const Entry* const given =
      context.model_config.has_value() ? &*context.model_config : nullptr;
  judged.verdict = JudgeFile(file.name, beside, given != nullptr);
  judged.fingerprint =
      FingerprintOfFile(file, given != nullptr ? given : beside);
  judged.changed_ns = std::max(
      file.modified_ns, beside != nullptr ? beside->modified_ns : int64_t{0});
  judged.was_listed = true;
  return judged;
}

Judged OfBadRow(Judged judged) {
  judged.verdict.kind = Verdict::Kind::kUnsupported;
  judged.verdict.why = judged.candidate.why_bad;
  judged.verdict.code = kBadRow;
  return judged;
}

}  // namespace

std::optional<Judged> LookAt(Candidate candidate, const LookContext& context) {
  Judged judged;
  judged.candidate = std::move(candidate);
  if (!judged.candidate.why_bad.empty()) return OfBadRow(std::move(judged));
  if (!judged.candidate.why_missing.empty()) return judged;
  if (judged.candidate.file.has_value()) {
    return OfFile(std::move(judged), context);
  }
  auto listing = ListCheckpoint(judged.candidate.path, context.real_root,
                                CountedFolders());
  judged.status = listing.status();
  if (absl::IsNotFound(listing.status())) {
    if (!judged.candidate.is_listed) return std::nullopt;
    judged.candidate.why_missing =
        absl::StrCat("not there yet: ", judged.candidate.path);
    return judged;
  }
  if (!listing.ok()) return judged;
  MarkDownloads(context.downloads, &*listing);
  return OfListing(std::move(judged), *std::move(listing), context);
}

std::optional<Judged> LookAgain(Candidate candidate,
                                const LookContext& context) {
  if (candidate.file.has_value()) {
    const auto file = LookAtFile(candidate.path);
    if (!file.ok()) return std::nullopt;
    candidate.file->size = file->size;
    candidate.file->modified_ns = file->modified_ns;
  }
  return LookAt(std::move(candidate), context);
}

void LookBelow(const std::string& real_root, Judged* judged) {
  Verdict& verdict = judged->verdict;
  const bool waits =
      verdict.later == Verdict::Kind::kWaiting || verdict.code == kNothingKnown;
  if (verdict.kind != Verdict::Kind::kWaiting || !waits ||
      !judged->has_folders) {
    return;
  }
  const UnknownFolder below = FindBelow(judged->candidate.path, real_root);
  if (below.why != WhyAlone::kBelow) return;
  verdict.later = Verdict::Kind::kUnsupported;
  verdict.code = "weights-below";
  verdict.why_later = absl::StrCat(
      "no weights lie in it, though a checkpoint lies further down (",
      below.root, below.root.empty() ? "" : "/", below.checkpoint,
      "), which is not supported: move its files up, or give the run a root of "
      "such folders");
}

bool IsSameContent(const Judged& left, const Judged& right) {
  return left.was_listed == right.was_listed && left.status == right.status &&
         left.is_none == right.is_none &&
         left.fingerprint == right.fingerprint &&
         left.changed_ns == right.changed_ns &&
         left.under_way_ns == right.under_way_ns &&
         left.verdict.kind == right.verdict.kind &&
         left.verdict.why == right.verdict.why;
}

}  // namespace sinkwatch::discovery
