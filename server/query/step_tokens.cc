#include "server/query/step_tokens.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "server/analytics/emergence.h"
#include "server/answers/token_text.h"

namespace sinkwatch::query {
namespace {

// Of a message with an interval of steps and one of tokens.
template <typename Interval>
void Fill(const StepTokens& tokens, bool has_after, bool has_by,
          Interval& interval) {
  const auto after = tokens.At(interval.after_step());
  const auto by = tokens.At(interval.by_step());
  if (has_after && after.has_value()) interval.set_after_tokens(*after);
  if (has_by && by.has_value()) interval.set_by_tokens(*by);
}

}  // namespace

void StepTokens::Add(const store::Series& series) {
  if (std::includes(steps_.begin(), steps_.end(), series.steps.begin(),
                    series.steps.end())) {
    return;
  }
  std::map<int64_t, int64_t> all;
  for (size_t i = 0; i < steps_.size(); ++i) all[steps_[i]] = tokens_[i];
  for (size_t i = 0; i < series.steps.size(); ++i) {
    all[series.steps[i]] = series.tokens[i];
    any_ = any_ || series.tokens[i] > 0;
  }
  steps_.clear();
  tokens_.clear();
  for (const auto& [step, tokens] : all) {
    steps_.push_back(step);
    tokens_.push_back(tokens);
  }
}

std::optional<int64_t> StepTokens::At(int64_t step) const {
  const auto at = std::lower_bound(steps_.begin(), steps_.end(), step);
  if (at == steps_.end() || *at != step) return std::nullopt;
  const int64_t tokens = tokens_[at - steps_.begin()];
  if (tokens > 0 || (step == 0 && any_)) return tokens;
  return std::nullopt;
}

std::string StepTokens::TextAt(int64_t step) const {
  const auto tokens = At(step);
  if (!tokens.has_value()) return "";
  return absl::StrCat(" (", answers::TokenText(*tokens), " tokens)");
}

std::string StepTokens::TextBetween(int64_t after, int64_t by) const {
  const auto from = At(after), to = At(by);
  if (!from.has_value() || !to.has_value()) return "";
  return absl::StrCat(" (", answers::TokenText(*from), " to ",
                      answers::TokenText(*to), " tokens)");
}

void TellTokens(const StepTokens& tokens, v1::Emergence& emergence) {
  const bool emerged = analytics::HasEmerged(emergence);
  const bool is_open = emergence.censoring() == v1::CENSORING_RIGHT;
  Fill(tokens, is_open || emergence.censoring() == v1::CENSORING_NONE, emerged,
       emergence);
}

void TellTokens(const StepTokens& tokens, v1::Jump& jump) {
  Fill(tokens, true, true, jump);
}

void TellTokens(const StepTokens& tokens, v1::JumpInterval& interval) {
  Fill(tokens, true, true, interval);
}

void TellTokens(const StepTokens& tokens, v1::Fact& fact) {
  Fill(tokens, fact.has_after_step(), fact.has_by_step(), fact);
}

}  // namespace sinkwatch::query
