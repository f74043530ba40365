#include "worker/measure/self_test.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ATen/ops/empty.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"
#include "worker/checkpoint/checkpoint.h"
#include "worker/checkpoint/writer.h"
#include "worker/executor/executor.h"
#include "worker/model/registry.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::worker {
namespace {

constexpr int kLayers = 2;
constexpr int kHeads = 4;
constexpr int kKvHeads = 2;
constexpr int kHeadDim = 4;
constexpr int kWidth = 16;
constexpr int kFeedForward = 24;
constexpr int kVocabulary = 32;
constexpr int kSequences = 4;
constexpr int kTokens = 24;

// float32 against float64: about 1e-6 relative per operation, and a dozen of
// them in a row.
constexpr double kRelativeTolerance = 1e-4;
constexpr double kAbsoluteTolerance = 1e-5;

struct Expected {
  std::string metric;
  std::optional<int> layer;
  std::vector<double> values;
};

// Printed by self_test_golden.py.
std::vector<Expected> ExpectedValues() {
  return {
      {"sink_attention",
       0,
       {0.121186188, 0.117349061, 0.106370056, 0.219353167}},
      {"value_norm_ratio", 0, {1.02166207, 1.02621537, 1.00691094, 1.00287936}},
      {"sink_logit_margin",
       0,
       {-18.2533302, -11.8031597, -11.7889756, -11.4472194}},
      {"residual_norm_sink", 0, {31.3765999}},
      {"sink_attention",
       1,
       {0.117537253, 0.114749905, 0.112611672, 0.129049479}},
      {"value_norm_ratio",
       1,
       {0.705514803, 0.708281181, 0.798233763, 0.793013368}},
      {"sink_logit_margin",
       1,
       {-2.26453929, -2.31027053, -2.32259402, -2.19899909}},
      {"residual_norm_sink", 1, {31.1601886}},
      {"probe_loss", std::nullopt, {3.57274347}},
  };
}

// A folder that goes away with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern =
        std::filesystem::temp_directory_path() / "sinkwatch-self-test.XXXXXX";
    if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

at::Tensor SineWeight(int index, std::vector<int64_t> shape, double offset) {
  at::Tensor weight = at::empty(shape, at::kFloat);
  float* values = weight.data_ptr<float>();
  for (int64_t n = 0; n < weight.numel(); ++n) {
    const float value = static_cast<float>(0.4 * std::sin(1.7 * n + index));
    values[n] = static_cast<float>(offset + value);
  }
  return weight;
}

std::map<std::string, at::Tensor> Weights() {
  std::map<std::string, at::Tensor> weights;
  weights["model.embed_tokens.weight"] =
      SineWeight(0, {kVocabulary, kWidth}, 0);
  weights["model.norm.weight"] = SineWeight(1, {kWidth}, 1);
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::string prefix = absl::StrCat("model.layers.", layer, ".");
    const int base = 10 * (layer + 1);
    const int query = kHeads * kHeadDim, key = kKvHeads * kHeadDim;
    weights[prefix + "input_layernorm.weight"] = SineWeight(base, {kWidth}, 1);
    weights[prefix + "self_attn.q_proj.weight"] =
        SineWeight(base + 1, {query, kWidth}, 0);
    weights[prefix + "self_attn.k_proj.weight"] =
        SineWeight(base + 2, {key, kWidth}, 0);
    weights[prefix + "self_attn.v_proj.weight"] =
        SineWeight(base + 3, {key, kWidth}, 0);
    weights[prefix + "self_attn.o_proj.weight"] =
        SineWeight(base + 4, {kWidth, query}, 0);
    weights[prefix + "post_attention_layernorm.weight"] =
        SineWeight(base + 5, {kWidth}, 1);
    weights[prefix + "mlp.gate_proj.weight"] =
        SineWeight(base + 6, {kFeedForward, kWidth}, 0);
    weights[prefix + "mlp.up_proj.weight"] =
        SineWeight(base + 7, {kFeedForward, kWidth}, 0);
    weights[prefix + "mlp.down_proj.weight"] =
        SineWeight(base + 8, {kWidth, kFeedForward}, 0);
  }
  return weights;
}

nlohmann::json Config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"hidden_size", kWidth},
          {"intermediate_size", kFeedForward},
          {"num_hidden_layers", kLayers},
          {"num_attention_heads", kHeads},
          {"num_key_value_heads", kKvHeads},
          {"head_dim", kHeadDim},
          {"vocab_size", kVocabulary},
          {"max_position_embeddings", kTokens},
          {"rms_norm_eps", 1e-5},
          {"rope_theta", 10000.0},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", true}};
}

probe::ProbeText Text() {
  at::Tensor tokens_NT = at::empty({kSequences, kTokens}, at::kLong);
  int64_t* ids = tokens_NT.data_ptr<int64_t>();
  for (int64_t n = 0; n < kSequences; ++n) {
    for (int64_t t = 0; t < kTokens; ++t) {
      ids[n * kTokens + t] = (n * 5 + t * t) % kVocabulary;
    }
  }
  probe::ProbeText text;
  text.name = "self_test";
  text.tokenizer = "none";
  text.vocabulary = kVocabulary;
  text.bos_policy = "none";
  text.domains = {{"text", tokens_NT, at::Tensor(), {}}};
  return text;
}

absl::StatusOr<std::vector<metrics::MetricVector>> Measure(
    const std::string& folder, const at::Device& device) {
  auto opened = checkpoint::Checkpoint::Open(folder + "/step0");
  if (!opened.ok()) return opened.status();
  auto architecture = model::CreateArchitecture((*opened)->config());
  if (!architecture.ok()) return architecture.status();
  auto corpus = probe::Corpus::Read(folder + "/probe");
  if (!corpus.ok()) return corpus.status();

  executor::ExecuteOptions options;
  options.device = device;
  std::vector<metrics::MetricVector> measured;
  executor::ExecuteCallbacks callbacks;
  callbacks.on_values = [&](std::vector<metrics::MetricVector> values) {
    measured.insert(measured.end(), values.begin(), values.end());
    return absl::OkStatus();
  };
  auto summary =
      executor::Execute(**architecture, **opened, *corpus, options, callbacks);
  if (!summary.ok()) return summary.status();
  return measured;
}

absl::Status CompareValues(const Expected& expected,
                           const std::vector<float>& values) {
  for (size_t head = 0; head < expected.values.size(); ++head) {
    const double want = expected.values[head];
    const double got = head < values.size() ? values[head] : NAN;
    const double tolerance =
        std::max(kAbsoluteTolerance, kRelativeTolerance * std::fabs(want));
    if (std::fabs(got - want) <= tolerance) continue;
    return absl::InternalError(absl::StrFormat(
        "self-test: %s of layer %d, value %d is %.9g and should be %.9g",
        expected.metric, expected.layer.value_or(-1), head, got, want));
  }
  return absl::OkStatus();
}

absl::Status Compare(const Expected& expected,
                     const std::vector<metrics::MetricVector>& measured) {
  for (const metrics::MetricVector& vector : measured) {
    if (vector.metric == expected.metric && vector.layer == expected.layer) {
      return CompareValues(expected, vector.values);
    }
  }
  return absl::InternalError(
      absl::StrCat("self-test: ", expected.metric, " was not measured"));
}

}  // namespace

absl::StatusOr<std::vector<metrics::MetricVector>> MeasureBuiltInModel(
    const at::Device& device) {
  const TemporaryFolder folder;
  if (folder.path().empty()) {
    return absl::UnavailableError(
        "self-test: no folder can be made in the temporary directory");
  }
  absl::Status written = checkpoint::WriteCheckpoint(folder.path() + "/step0",
                                                     Config(), Weights());
  if (!written.ok()) return written;
  written = probe::WriteProbe(folder.path() + "/probe", Text());
  if (!written.ok()) return written;
  return Measure(folder.path(), device);
}

absl::Status CompareWithGolden(
    const std::vector<metrics::MetricVector>& measured) {
  for (const Expected& expected : ExpectedValues()) {
    absl::Status same = Compare(expected, measured);
    if (!same.ok()) return same;
  }
  return absl::OkStatus();
}

absl::Status RunSelfTest(const at::Device& device) {
  const auto measured = MeasureBuiltInModel(device);
  return measured.ok() ? CompareWithGolden(*measured) : measured.status();
}

}  // namespace sinkwatch::worker
