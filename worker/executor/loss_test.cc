#include "worker/executor/loss.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/model/model_testing.h"
#include "worker/model/plain_math_testing.h"

namespace sinkwatch::executor {
namespace {

nlohmann::json ToyConfig(int64_t vocabulary) {
  return {{"architectures", {"BigramBackcopyForCausalLM"}},
          {"hidden_size", 4},
          {"intermediate_size", 4},
          {"num_hidden_layers", 1},
          {"num_attention_heads", 1},
          {"vocab_size", vocabulary},
          {"max_position_embeddings", 1024}};
}

// -log softmax(logits)[id] of row t in float64.
double PlainLoss(const model::Matrix& logits, int64_t t, int64_t id) {
  double most = -INFINITY, total = 0;
  for (int64_t v = 0; v < logits.columns; ++v) {
    most = std::max(most, logits(t, v));
  }
  for (int64_t v = 0; v < logits.columns; ++v) {
    total += std::exp(logits(t, v) - most);
  }
  return most + std::log(total) - logits(t, id);
}

class NextTokenLossTest : public ::testing::Test {
 protected:
  void Make(int64_t vocabulary, int64_t sequences, int64_t length) {
    toy_ = model::CreateFrom(ToyConfig(vocabulary));
    head_ = model::Pick(toy_->HeadTensors(), model::RandomWeights(*toy_, 1));
    x_BTD_ = model::RandomTensor({sequences, length, 4}, 2);
    tokens_BT_ = model::RandomTokens(sequences, length, vocabulary, 3);
  }

  // The loss at (b, t) from one row of logits.
  double Expected(int64_t b, int64_t t) const {
    const at::Tensor x_1D = x_BTD_.select(0, b).slice(0, t, t + 1);
    return PlainLoss(model::PlainOf(toy_->Logits(head_, x_1D)), 0,
                     tokens_BT_.select(0, b).select(0, t + 1).item<int64_t>());
  }

  // With the vocabulary in slices of so many rows, the last slice first.
  at::Tensor Loss(int64_t rows = 1 << 20) const {
    const at::Tensor matrix_VD = head_.at("lm_head");
    NextTokenLoss loss(tokens_BT_);
    for (int64_t first = (matrix_VD.size(0) - 1) / rows * rows; first >= 0;
         first -= rows) {
      model::TensorMap slice = head_;
      slice["lm_head"] = matrix_VD.slice(0, first, first + rows);
      loss.AddSlice(*toy_, slice, first, x_BTD_);
    }
    return loss.Finish();
  }

  std::unique_ptr<model::Architecture> toy_;
  model::TensorMap head_;
  at::Tensor x_BTD_;
  at::Tensor tokens_BT_;
};

TEST_F(NextTokenLossTest, IsTheNegativeLogProbabilityOfTheNextToken) {
  Make(/*vocabulary=*/23, /*sequences=*/3, /*length=*/6);
  const at::Tensor loss_BT = Loss();
  ASSERT_EQ(loss_BT.sizes().vec(), (std::vector<int64_t>{3, 5}));
  EXPECT_EQ(loss_BT.scalar_type(), at::kFloat);
  const model::Matrix loss = model::PlainOf(loss_BT);
  for (int64_t b = 0; b < 3; ++b) {
    for (int64_t t = 0; t < 5; ++t)
      EXPECT_NEAR(loss(b, t), Expected(b, t), 1e-5);
  }
}

TEST_F(NextTokenLossTest, BlocksThatEndInsideASequenceChangeNothing) {
  // 2 x 500 rows of 40000 logits: blocks of 104 rows.
  Make(/*vocabulary=*/40000, /*sequences=*/2, /*length=*/501);
  const model::Matrix loss = model::PlainOf(Loss());
  for (int64_t t : {0, 103, 104, 499}) {
    // Sums of 40000 float32 terms.
    EXPECT_NEAR(loss(0, t), Expected(0, t), 1e-4);
    EXPECT_NEAR(loss(1, t), Expected(1, t), 1e-4);
  }
}

TEST_F(NextTokenLossTest, SlicesOfTheVocabularyChangeNothing) {
  Make(/*vocabulary=*/23, /*sequences=*/3, /*length=*/6);
  const model::Matrix loss = model::PlainOf(Loss(/*rows=*/5));
  for (int64_t b = 0; b < 3; ++b) {
    for (int64_t t = 0; t < 5; ++t)
      EXPECT_NEAR(loss(b, t), Expected(b, t), 1e-5);
  }
}

TEST_F(NextTokenLossTest, OneTokenHasNoNext) {
  Make(/*vocabulary=*/5, /*sequences=*/2, /*length=*/1);
  EXPECT_EQ(Loss().sizes().vec(), (std::vector<int64_t>{2, 0}));
}

TEST_F(NextTokenLossTest, BigLogitsDoNotOverflow) {
  Make(/*vocabulary=*/23, /*sequences=*/1, /*length=*/6);
  head_.at("lm_head").mul_(1000.0);
  const model::Matrix loss = model::PlainOf(Loss());
  for (int64_t t = 0; t < 5; ++t) {
    EXPECT_NEAR(loss(0, t), Expected(0, t), 1e-5 * (1 + Expected(0, t)));
  }
}

}  // namespace
}  // namespace sinkwatch::executor
