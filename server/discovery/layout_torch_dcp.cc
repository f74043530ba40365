// torch.distributed.checkpoint at the top of the folder: torchtitan (step-1000,
// no configuration at all), OLMo-core's model-only checkpoints (with
// config.json), Megatron's torch_dist (with run_config.yaml, written after it,
// where Megatron Bridge trains). Data files first, .metadata last.
#include "server/discovery/layout_rules.h"
#include "server/discovery/layouts.h"

namespace sinkwatch::discovery {
namespace {

constexpr char kRunConfig[] = "run_config.yaml";

constexpr const char* kFiles[] = {".metadata", "*.distcp", "config.json",
                                  kRunConfig};

bool Recognises(const Subject& subject) {
  return HasDcpFiles(subject.listing.entries);
}

Verdict Judge(const Subject& subject) {
  Verdict verdict = JudgeDcp(subject.listing.entries, "");
  const Entry* const run_config = FindFile(subject.listing.entries, kRunConfig);
  if (verdict.kind != Verdict::Kind::kComplete ||
      (run_config != nullptr && run_config->size > 0)) {
    return verdict;
  }
  verdict = WaitingForConfig(subject, "the weights are whole");
  if (verdict.why_later.empty()) return verdict;
  // torchtitan, Megatron and lingua never write one.
  verdict.later = Verdict::Kind::kUnsupported;
  verdict.code = "no-config";
  return verdict;
}

}  // namespace

const Layout kTorchDcp = {"torch.distributed.checkpoint", kFiles, Recognises,
                          Judge};

}  // namespace sinkwatch::discovery
