#include "server/discovery/left_alone.h"

#include <algorithm>
#include <iterator>

#include "proto/base/utf8.h"

namespace sinkwatch::discovery {
namespace {

constexpr size_t kExamples = 10;

struct Words {
  const char* kind;
  const char* reason;
};

Words WordsOf(WhyAlone why) {
  switch (why) {
    case WhyAlone::kNoStep:
      return {"no-step",
              "a checkpoint whose name tells no step: rename it, or give the "
              "run a step_pattern"};
    case WhyAlone::kBelow:
      return {"below",
              "a folder with checkpoints further down: give the run that "
              "folder as its root, or follow several with runs_below"};
    case WhyAlone::kConversion:
      return {"conversion",
              "a conversion for Hugging Face (-hf): include_hf_siblings "
              "follows it"};
    case WhyAlone::kUnderWay:
      return {"under-way", "under way by its name (tmp, -tmp, .part)"};
    case WhyAlone::kLink:
      return {"link",
              "a link to what is followed under its own name, or to no step"};
    case WhyAlone::kLinkOut:
      return {"link-out",
              "a link that leaves the run's root: make the folder that it "
              "leads to a root of its own, or put the checkpoint here"};
    case WhyAlone::kLinkBroken:
      return {"link-broken", "a link to nothing"};
    case WhyAlone::kNoCheckpoint:
      return {"no-checkpoint", "a folder without a checkpoint in it"};
    case WhyAlone::kTooDeep:
      return {"too-deep", "a stage folder more than three deep"};
    case WhyAlone::kSecond:
      return {"second", "another folder of its step is followed"};
    case WhyAlone::kNotListed:
      return {"not-listed", "the run's manifest does not name it"};
    case WhyAlone::kNoRun:
      return {"no-run", "the run's runs_below pattern does not mean it"};
    case WhyAlone::kForeign:
      return {"foreign",
              "a file of a form that is not read (a rank's, an adapter, GGUF, "
              "NumPy's, JAX's, an archive): gather, merge, convert or unpack "
              "it"};
    case WhyAlone::kFile:
      break;
  }
  return {"file", "a file that is no checkpoint"};
}

}  // namespace

void LeftAlone::Add(WhyAlone why, const std::string& path) {
  Kind& kind = kinds_[why];
  ++kind.count;
  kind.first.insert(path);
  if (kind.first.size() > kExamples)
    kind.first.erase(std::prev(kind.first.end()));
}

std::vector<v1::LeftAlone> LeftAlone::Report() const {
  std::vector<v1::LeftAlone> report;
  for (const auto& [why, kind] : kinds_) {
    v1::LeftAlone& entry = report.emplace_back();
    const Words words = WordsOf(why);
    entry.set_kind(words.kind);
    entry.set_reason(words.reason);
    entry.set_count(static_cast<int64_t>(kind.count));
    for (const std::string& path : kind.first) {
      entry.add_examples(base::EscapeBytes(path));
    }
  }
  std::sort(report.begin(), report.end(),
            [](const v1::LeftAlone& a, const v1::LeftAlone& b) {
              return a.kind() < b.kind();
            });
  return report;
}

size_t LeftAlone::CountOf(WhyAlone why) const {
  const auto kind = kinds_.find(why);
  return kind == kinds_.end() ? 0 : kind->second.count;
}

}  // namespace sinkwatch::discovery
