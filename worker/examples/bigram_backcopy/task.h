#ifndef SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_TASK_H_
#define SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_TASK_H_

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "ATen/core/Tensor.h"

namespace sinkwatch::bigram_backcopy {

// The Bigram-Backcopy task of arXiv 2410.13835 over 24 tokens and <s>: a
// sequence is <s>, then a Markov chain; but after a trigger (one of the last
// three tokens) comes the token before the trigger again, x_t = x_{t-2}. A
// model needs the previous token everywhere, and the one before that after
// triggers only, which is what makes a head active on triggers and dormant
// elsewhere.
inline constexpr int kTokens = 24;
inline constexpr int kTriggers = 3;  // ids 21, 22, 23
inline constexpr int kBos = 24;
inline constexpr int kVocabulary = 25;

inline bool IsTrigger(int64_t token) {
  return token >= kTokens - kTriggers && token < kTokens;
}

// One chain: its rows are drawn once, from a seed of the task's own, so that
// every run and every domain speaks the same language.
//
// Thread-compatible. Draws are ours bit for bit: nothing depends on the
// distributions of a standard library.
class Task {
 public:
  // `trigger_share` is the probability that a token other than a trigger is
  // followed by a trigger: .25 to train, 0 for domain A, .6 for domain B.
  explicit Task(double trigger_share);

  // count x length token ids (int64), beginning with <s>.
  at::Tensor Draw(int64_t count, int64_t length, std::mt19937_64& random) const;

  // Log-probability (nats) that the task gives to each next token: [N, T-1]
  // float64, entry t for token t + 1. 0 where it is certain (after a trigger).
  at::Tensor OracleLogProbability(const at::Tensor& tokens_NT) const;

 private:
  using Row = std::array<double, kTokens>;

  std::array<Row, kTokens> rows_;  // next token, by token; unused for triggers
};

// Class of each row t: 1 where x_t is a trigger whose successor is copied (t >=
// 2), else 0. uint8, of the shape of the tokens.
at::Tensor RowClasses(const at::Tensor& tokens_NT);

}  // namespace sinkwatch::bigram_backcopy

#endif  // SINKWATCH_WORKER_EXAMPLES_BIGRAM_BACKCOPY_TASK_H_
