#include "worker/executor/executor.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ATen/TensorOperators.h"
#include "ATen/ops/logsumexp.h"
#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/checkpoint/checkpoint.h"
#include "worker/executor/tiny_run_testing.h"
#include "worker/files/files_testing.h"
#include "worker/model/model_testing.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::executor {
namespace {

using files::ExpectError;
using metrics::MetricVector;

// An execution of what lies in `run` right now.
class Executed {
 public:
  explicit Executed(const TinyRun& run) {
    auto opened = checkpoint::Checkpoint::Open(run.checkpoint());
    EXPECT_TRUE(opened.ok()) << opened.status().ToString();
    checkpoint_ = *std::move(opened);
    architecture_ = model::CreateFrom(checkpoint_->config().json());
    auto corpus = probe::Corpus::Read(run.probe());
    EXPECT_TRUE(corpus.ok()) << corpus.status().ToString();
    corpus_ = *std::move(corpus);
    callbacks.on_values = [this](std::vector<MetricVector> part) {
      ++parts;
      values.insert(values.end(), part.begin(), part.end());
      return absl::OkStatus();
    };
  }

  absl::Status Run() {
    const auto done =
        Execute(*architecture_, *checkpoint_, corpus_, options, callbacks);
    if (done.ok()) summary = *done;
    return done.status();
  }

  // nullptr if there is none.
  const MetricVector* Find(const std::string& metric, std::optional<int> layer,
                           const std::string& domain = "plain") const {
    for (const MetricVector& vector : values) {
      if (vector.metric == metric && vector.layer == layer &&
          vector.domain == domain) {
        return &vector;
      }
    }
    return nullptr;
  }

  ExecuteOptions options;
  ExecuteCallbacks callbacks;
  ExecuteSummary summary;
  std::vector<MetricVector> values;
  int parts = 0;

 private:
  std::unique_ptr<checkpoint::Checkpoint> checkpoint_;
  std::unique_ptr<model::Architecture> architecture_;
  probe::Corpus corpus_;
};

// Mean next-token loss of the first domain from one plain forward pass.
double MeanLoss(const TinyRun& run) {
  const auto corpus = probe::Corpus::Read(run.probe());
  const at::Tensor tokens_BT = corpus->domains()[0].tokens_NT;
  const auto llama = model::CreateFrom(TinyLlama());
  const at::Tensor logits_BTV = model::Forward(*llama, run.weights(), tokens_BT)
                                    .slice(1, 0, kTinyTokens - 1)
                                    .to(at::kDouble);
  const at::Tensor hit_BT =
      logits_BTV.gather(2, tokens_BT.slice(1, 1).unsqueeze(2)).squeeze(2);
  return (at::logsumexp(logits_BTV, 2) - hit_BT).mean().item<double>();
}

TEST(ExecutorTest, HandsOutEveryLayerOnceInOrderAndTheModelLast) {
  const TinyRun run;
  Executed executed(run);
  std::vector<std::optional<int>> layers;
  executed.callbacks.on_values = [&](std::vector<MetricVector> part) {
    EXPECT_FALSE(part.empty());
    for (const MetricVector& vector : part) {
      EXPECT_EQ(vector.layer, part[0].layer);
      EXPECT_EQ(vector.values.size(), vector.standard_error.size());
    }
    layers.push_back(part[0].layer);
    return absl::OkStatus();
  };
  ASSERT_TRUE(executed.Run().ok());
  EXPECT_EQ(layers, (std::vector<std::optional<int>>{-1, 0, 1, std::nullopt}));
}

TEST(ExecutorTest, ProbeLossIsTheMeanOfAWholeForwardPass) {
  const TinyRun run;
  Executed executed(run);
  ASSERT_TRUE(executed.Run().ok());
  const MetricVector* const loss = executed.Find("probe_loss", std::nullopt);
  ASSERT_NE(loss, nullptr);
  EXPECT_NEAR(loss->values[0], MeanLoss(run), 1e-5);
  EXPECT_EQ(loss->count, kTinySequences * (kTinyTokens - 1));
}

TEST(ExecutorTest, ValuesDoNotDependOnTheBatchSize) {
  const TinyRun run;
  Executed whole(run);
  ASSERT_TRUE(whole.Run().ok());
  ASSERT_FALSE(whole.values.empty());
  for (int64_t tokens : {int64_t{1}, 2 * kTinyTokens, 3 * kTinyTokens + 1}) {
    Executed cut(run);
    cut.options.tokens_per_batch = tokens;
    ASSERT_TRUE(cut.Run().ok());
    ASSERT_EQ(cut.values.size(), whole.values.size());
    for (size_t i = 0; i < whole.values.size(); ++i) {
      const MetricVector &a = whole.values[i], &b = cut.values[i];
      ASSERT_EQ(a.metric + a.domain, b.metric + b.domain);
      EXPECT_EQ(a.count, b.count);
      ASSERT_EQ(a.values.size(), b.values.size());
      for (size_t n = 0; n < a.values.size(); ++n) {
        // A product of other shape may round differently in float32.
        EXPECT_LE(std::fabs(a.values[n] - b.values[n]),
                  1e-6 + 1e-5 * std::fabs(a.values[n]))
            << a.metric << " with batches of " << tokens;
      }
    }
  }
}

TEST(ExecutorTest, ProgressRisesToOne) {
  const TinyRun run;
  Executed executed(run);
  executed.options.tokens_per_batch = kTinyTokens;
  std::vector<double> shares = {0.0};
  executed.callbacks.on_progress = [&](double share) {
    EXPECT_GT(share, shares.back());
    shares.push_back(share);
  };
  ASSERT_TRUE(executed.Run().ok());
  EXPECT_DOUBLE_EQ(shares.back(), 1.0);
  // Seven batches, each through embedding, two layers and head.
  EXPECT_EQ(shares.size(), 1 + 7 * 4u);
}

TEST(ExecutorTest, RowClassesBecomeDomainsOfTheirOwn) {
  const TinyRun run;
  Executed executed(run);
  ASSERT_TRUE(executed.Run().ok());
  EXPECT_NE(executed.Find("sink_attention", 1, "classed/even"), nullptr);
  EXPECT_NE(executed.Find("sink_attention", 1, "classed/odd"), nullptr);
  EXPECT_EQ(executed.Find("sink_attention", 1, "plain/even"), nullptr);
}

TEST(ExecutorTest, OnlyTheMetricsAskedForComeAndTheLoss) {
  const TinyRun run;
  Executed executed(run);
  executed.options.metrics = {"sink_attention"};
  ASSERT_TRUE(executed.Run().ok());
  for (const MetricVector& vector : executed.values) {
    EXPECT_TRUE(vector.metric == "sink_attention" ||
                vector.metric == "probe_loss")
        << vector.metric;
  }
  EXPECT_NE(executed.Find("sink_attention", 0), nullptr);
  EXPECT_NE(executed.Find("probe_loss", std::nullopt), nullptr);
}

TEST(ExecutorTest, DigestFollowsTheWeights) {
  TinyRun run;
  Executed first(run), second(run);
  ASSERT_TRUE(first.Run().ok());
  ASSERT_TRUE(second.Run().ok());
  EXPECT_FALSE(first.summary.content_digest.empty());
  EXPECT_EQ(first.summary.content_digest, second.summary.content_digest);
  model::Weights weights = run.weights();
  weights.at("model.norm.weight") = weights.at("model.norm.weight") + 1;
  run.WriteAgain(weights);
  Executed other(run);
  ASSERT_TRUE(other.Run().ok());
  EXPECT_NE(first.summary.content_digest, other.summary.content_digest);
}

bool HasDigestOf(const std::string& name, const ExecuteSummary& summary) {
  return std::any_of(summary.tensors.begin(), summary.tensors.end(),
                     [&](const auto& tensor) { return tensor.name == name; });
}

// Of an embedding just the rows of the probe's tokens are read, unless it is
// the output matrix as well.
TEST(ExecutorTest, DigestsDoNotDependOnTheProbe) {
  const std::string embedding = "model.embed_tokens.weight";
  for (const bool tied : {false, true}) {
    SCOPED_TRACE(tied);
    nlohmann::json config = TinyLlama();
    config["tie_word_embeddings"] = tied;
    TinyRun run(config);
    Executed first(run);
    ASSERT_TRUE(first.Run().ok());
    run.WriteProbeAgain(7, 11);
    Executed other(run);
    ASSERT_TRUE(other.Run().ok());
    EXPECT_EQ(first.summary.content_digest, other.summary.content_digest);
    for (const ExecuteSummary* summary : {&first.summary, &other.summary}) {
      EXPECT_EQ(HasDigestOf(embedding, *summary), tied);
      EXPECT_TRUE(HasDigestOf("model.layers.1.mlp.up_proj.weight", *summary));
      EXPECT_EQ(summary->tensors.size(), run.weights().size() - (tied ? 0 : 1));
    }
  }
}

TEST(ExecutorTest, AChangedTensorChangesItsOwnDigest) {
  TinyRun run;
  Executed first(run);
  ASSERT_TRUE(first.Run().ok());
  const std::string changed = "model.layers.0.self_attn.k_proj.weight";
  model::Weights weights = run.weights();
  weights.at(changed) = weights.at(changed).clone();
  weights.at(changed)[3][2] += 1;
  run.WriteAgain(weights);
  Executed other(run);
  ASSERT_TRUE(other.Run().ok());
  ASSERT_EQ(first.summary.tensors.size(), other.summary.tensors.size());
  for (size_t i = 0; i < first.summary.tensors.size(); ++i) {
    const auto& before = first.summary.tensors[i];
    const auto& after = other.summary.tensors[i];
    EXPECT_EQ(before.name, after.name);
    EXPECT_EQ(before.digest == after.digest, before.name != changed);
  }
}

TEST(ExecutorTest, CancellationEndsItAfterTheBatch) {
  const TinyRun run;
  Executed executed(run);
  int polls = 0;
  executed.callbacks.cancelled = [&] { return ++polls == 2; };
  ExpectError(executed.Run(), absl::StatusCode::kCancelled, {});
  EXPECT_EQ(polls, 2);
}

TEST(ExecutorTest, ErrorOfACallbackEndsIt) {
  const TinyRun run;
  Executed executed(run);
  int calls = 0;
  executed.callbacks.on_values = [&](std::vector<MetricVector>) {
    ++calls;
    return absl::ResourceExhaustedError("enough");
  };
  ExpectError(executed.Run(), absl::StatusCode::kResourceExhausted, {"enough"});
  EXPECT_EQ(calls, 1);
}

TEST(ExecutorTest, EmptyCallbacksAreLeftOut) {
  const TinyRun run;
  Executed executed(run);
  executed.callbacks = {};
  EXPECT_TRUE(executed.Run().ok());
}

TEST(ExecutorTest, CheckpointRewrittenMeanwhileIsDataLoss) {
  TinyRun run;
  // Also at the very end, when nothing is read any more.
  for (int when : {1, 4}) {
    run.WriteAgain(run.weights());
    Executed executed(run);
    executed.callbacks.on_values = [&](std::vector<MetricVector>) {
      const std::string file = run.checkpoint() + "/model.safetensors";
      if (++executed.parts == when) {
        files::WriteFile(file, files::ReadFile(file) + " ");
      }
      return absl::OkStatus();
    };
    ExpectError(executed.Run(), absl::StatusCode::kDataLoss,
                {"model.safetensors"});
  }
}

TEST(ExecutorTest, CheckpointDeletedMeanwhileIsNotFound) {
  TinyRun run;
  for (int when : {1, 4}) {
    run.WriteAgain(run.weights());
    Executed executed(run);
    executed.callbacks.on_values = [&](std::vector<MetricVector>) {
      if (++executed.parts == when) {
        std::filesystem::remove_all(run.checkpoint());
      }
      return absl::OkStatus();
    };
    ExpectError(executed.Run(), absl::StatusCode::kNotFound, {"step7"});
  }
}

TEST(ExecutorTest, WeightThatIsNotANumberIsDataLossByName) {
  TinyRun run;
  model::Weights weights = run.weights();
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  weights.at(name) = weights.at(name).clone();
  weights.at(name).data_ptr<float>()[5] =
      std::numeric_limits<float>::quiet_NaN();
  run.WriteAgain(weights);
  Executed executed(run);
  ExpectError(executed.Run(), absl::StatusCode::kDataLoss, {name});
}

TEST(ExecutorTest, ActivationsThatOverflowAreDataLossWithTheLayer) {
  TinyRun run;
  model::Weights weights = run.weights();
  const std::string name = "model.layers.1.mlp.down_proj.weight";
  weights.at(name) = weights.at(name) * 3e38;
  weights.at(name).clamp_(-3e38, 3e38);
  run.WriteAgain(weights);
  Executed executed(run);
  ExpectError(executed.Run(), absl::StatusCode::kDataLoss, {"layer 1"});
}

TEST(ExecutorTest, IdAboveTheEmbeddingIsInvalidArgument) {
  TinyRun run;
  run.WriteProbeAgain(kTinyVocabulary + 1, kTinyTokens);
  Executed executed(run);
  ExpectError(executed.Run(), absl::StatusCode::kInvalidArgument, {"plain"});
}

TEST(ExecutorTest, SequencesLongerThanThePositionsAreInvalidArgument) {
  TinyRun run;
  run.WriteProbeAgain(kTinyVocabulary, 33);
  Executed executed(run);
  ExpectError(executed.Run(), absl::StatusCode::kInvalidArgument, {"32", "33"});
}

TEST(ExecutorTest, UnknownMetricIsInvalidArgumentByName) {
  const TinyRun run;
  Executed executed(run);
  executed.options.metrics = {"sink_attention", "no_such_metric"};
  ExpectError(executed.Run(), absl::StatusCode::kInvalidArgument,
              {"no_such_metric"});
}

TEST(ExecutorTest, Bfloat16IsCloseToFloat32) {
  const TinyRun run;
  Executed wide(run), narrow(run);
  narrow.options.dtype = at::kBFloat16;
  ASSERT_TRUE(wide.Run().ok());
  ASSERT_TRUE(narrow.Run().ok());
  // bfloat16 keeps 8 bits: 0.4 % per rounding, some dozens of them on the way
  // of a value here.
  for (int layer : {0, 1}) {
    const auto *a = wide.Find("sink_attention", layer),
               *b = narrow.Find("sink_attention", layer);
    ASSERT_NE(b, nullptr);
    for (int head = 0; head < 4; ++head) {
      EXPECT_NEAR(a->values[head], b->values[head], 0.03);
    }
    EXPECT_NEAR(narrow.Find("residual_norm_sink", layer)->values[0] /
                    wide.Find("residual_norm_sink", layer)->values[0],
                1.0, 0.03);
  }
  EXPECT_NEAR(narrow.Find("probe_loss", std::nullopt)->values[0],
              wide.Find("probe_loss", std::nullopt)->values[0], 0.1);
}

TEST(ExecutorTest, LayerWithoutAttentionGivesNoAttentionMetrics) {
  const TinyRun run({{"architectures", {"BigramBackcopyForCausalLM"}},
                     {"hidden_size", 8},
                     {"intermediate_size", 8},
                     {"num_hidden_layers", 2},
                     {"num_attention_heads", 2},
                     {"vocab_size", kTinyVocabulary},
                     {"max_position_embeddings", 16},
                     {"layer_attention", {true, false}}});
  Executed executed(run);
  ASSERT_TRUE(executed.Run().ok());
  EXPECT_NE(executed.Find("sink_attention", 0), nullptr);
  EXPECT_NE(executed.Find("residual_norm_sink", 1), nullptr);
  for (const MetricVector& vector : executed.values) {
    if (vector.layer == 1) {
      EXPECT_EQ(vector.values.size(), 1u) << vector.metric;
    }
  }
}

}  // namespace
}  // namespace sinkwatch::executor
