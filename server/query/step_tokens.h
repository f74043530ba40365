#ifndef SINKWATCH_SERVER_QUERY_STEP_TOKENS_H_
#define SINKWATCH_SERVER_QUERY_STEP_TOKENS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/store/series.h"
#include "sinkwatch/v1/analysis_service.pb.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::query {

// Training tokens behind the steps of a run, as far as they are known.
class StepTokens {
 public:
  // Those of a series of the run.
  void Add(const store::Series& series);

  // How many steps there are, with or without tokens.
  size_t steps() const { return steps_.size(); }
  // At step 0 it is 0 where some other step has tokens.
  std::optional<int64_t> At(int64_t step) const;
  // " (4.194 B tokens)"; empty where they are not known.
  std::string TextAt(int64_t step) const;
  // " (4.194 B to 6.291 B tokens)"; empty unless both are known.
  std::string TextBetween(int64_t after, int64_t by) const;

 private:
  std::vector<int64_t> steps_;  // ascending
  std::vector<int64_t> tokens_;
  bool any_ = false;  // of a step above 0
};

// Sets the tokens of the ends that an interval has, where they are known.
void TellTokens(const StepTokens& tokens, v1::Emergence& emergence);
void TellTokens(const StepTokens& tokens, v1::Jump& jump);
void TellTokens(const StepTokens& tokens, v1::JumpInterval& interval);
void TellTokens(const StepTokens& tokens, v1::Fact& fact);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_STEP_TOKENS_H_
