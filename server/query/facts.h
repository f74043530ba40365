#ifndef SINKWATCH_SERVER_QUERY_FACTS_H_
#define SINKWATCH_SERVER_QUERY_FACTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/query/head_history.h"
#include "server/query/run_onsets.h"
#include "server/query/run_series.h"
#include "sinkwatch/v1/analysis_service.pb.h"

// What is to be said of one run, sentence by sentence.
namespace sinkwatch::query {

using Facts = std::vector<v1::Fact>;

// A fact of a topic, without what it says yet.
v1::Fact FactOf(const char* topic, const RunSeries& run,
                const std::string& metric, const std::string& domain);

// "1 layer", "3 layers".
std::string Counted(int64_t count, const char* what);

// "in (1000, 1500] (4.194 B to 6.291 B tokens)", "at the first checkpoint, 0",
// "at no step up to 5000", "was not measured"; with ", provisional" behind it.
std::string IntervalText(const v1::Emergence& emergence);

// How many checkpoints, heads and domains there are.
absl::Status AddRunFact(RunSeries& run, Facts& facts);

// When each metric with a threshold emerged, how wide its rise is, and whether
// it fell back.
void AddOnsetFacts(const RunSeries& run, const std::vector<RunOnset>& onsets,
                   Facts& facts);

// Layer by layer, which of sinks, drains and peaks came first.
void AddOrderFacts(const RunSeries& run, const std::vector<RunOnset>& onsets,
                   Facts& facts);

// How many heads are in each state, which switch, how the set of dormant heads
// changed. Nothing where no metric tells dormancy.
absl::Status AddStateFacts(RunSeries& run, Facts& facts);
// The same of a history that is there.
void AddStateFacts(const RunSeries& run, const HeadHistory& history,
                   Facts& facts);

// Intervals in which layer and model metrics jumped; with heads also those in
// which a twentieth of the heads did, by a headline metric with a threshold.
absl::Status AddJumpFacts(RunSeries& run, bool with_heads, Facts& facts);

// What curves the sink logit, the residual norm and the drain follow, how
// logit, drain and residual peak go together, and which of them changes first.
absl::Status AddFitFacts(RunSeries& run, const std::vector<RunOnset>& onsets,
                         Facts& facts);

// The newest and the least loss.
absl::Status AddLossFacts(RunSeries& run, Facts& facts);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_FACTS_H_
