#ifndef SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_TOY_PROBE_H_
#define SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_TOY_PROBE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::bigram_backcopy {

// The probe of the task: domains "train" (the training mix), "A" (no triggers)
// and "B" (many), each of `sequences` sequences, with row classes "other" and
// "trigger". The same every time. Without `bos`, <s> is cut off.
std::vector<probe::Domain> ToyDomains(int64_t sequences, bool bos);

// What knowing the task itself leaves of the loss on one of those domains
// (nats a token): no model can be below it but by chance. The first token of a
// sequence without <s> counts as known.
double OracleLoss(const probe::Domain& domain);

// Writes it as a probe folder. OK without writing if the folder holds a probe
// that reads well already.
absl::Status WriteToyProbe(const std::string& folder, int64_t sequences,
                           bool bos);

}  // namespace sinkwatch::bigram_backcopy

#endif  // SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_TOY_PROBE_H_
