#include "worker/examples/bigram_backcopy/toy_probe.h"

#include <limits>
#include <random>
#include <utility>

#include "worker/examples/bigram_backcopy/preset.h"
#include "worker/examples/bigram_backcopy/task.h"

namespace sinkwatch::bigram_backcopy {
namespace {

constexpr uint64_t kProbeSeed = 27;

struct Mix {
  const char* label;
  double trigger_share;
};
constexpr Mix kMixes[] = {{"train", 0.25}, {"A", 0.0}, {"B", 0.6}};

}  // namespace

std::vector<probe::Domain> ToyDomains(int64_t sequences, bool bos) {
  std::mt19937_64 random(kProbeSeed);
  std::vector<probe::Domain> domains;
  for (const Mix& mix : kMixes) {
    probe::Domain domain;
    domain.label = mix.label;
    const at::Tensor tokens =
        Task(mix.trigger_share)
            .Draw(sequences, bos ? kLength : kLength + 1, random);
    domain.tokens_NT = bos ? tokens : tokens.slice(1, 1).contiguous();
    domain.row_classes_NT =
        RowClasses(tokens).slice(1, bos ? 0 : 1).contiguous();
    domain.class_names = {"other", "trigger"};
    domains.push_back(std::move(domain));
  }
  return domains;
}

double OracleLoss(const probe::Domain& domain) {
  for (const Mix& mix : kMixes) {
    if (domain.label != mix.label) continue;
    return -Task(mix.trigger_share)
                .OracleLogProbability(domain.tokens_NT)
                .mean()
                .item<double>();
  }
  return std::numeric_limits<double>::quiet_NaN();
}

absl::Status WriteToyProbe(const std::string& folder, int64_t sequences,
                           bool bos) {
  if (probe::Corpus::Read(folder).ok()) return absl::OkStatus();
  probe::ProbeText text;
  text.name = "bigram_backcopy";
  text.tokenizer = "bigram_backcopy";
  text.vocabulary = kVocabulary;
  text.bos_policy = bos ? "stored" : "none";
  text.domains = ToyDomains(sequences, bos);
  return probe::WriteProbe(folder, text);
}

}  // namespace sinkwatch::bigram_backcopy
