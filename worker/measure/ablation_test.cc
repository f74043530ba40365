// Ablations of every architecture (tests/data/hf, tests/data/toy) against a
// full pass with the head edited: for `zero` with the head's columns of the
// output projection set to 0 and nothing else changed; for the others with the
// head's attention computed anew in float64 loops, all keys, straight from the
// definitions. And the attribution of heads of every architecture against one
// graph of the whole model, all its layers and its whole output matrix.
// (Against a second program without a backward pass: on_request_test.)
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "ATen/Parallel.h"
#include "ATen/TensorOperators.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/arange.h"
#include "ATen/ops/cat.h"
#include "ATen/ops/index_select.h"
#include "ATen/ops/log_softmax.h"
#include "ATen/ops/ones.h"
#include "gtest/gtest.h"
#include "worker/checkpoint/checkpoint.h"
#include "worker/executor/weight_loader.h"
#include "worker/measure/measure.h"
#include "worker/metrics/ablation_metrics.h"
#include "worker/model/intervention.h"
#include "worker/model/registry.h"
#include "worker/probe/corpus.h"

namespace sinkwatch::worker {
namespace {

using base::AblationMode;
using metrics::MetricVector;

constexpr char kHuggingFace[] = "tests/data/hf/";
constexpr char kToy[] = "tests/data/toy/";

struct Case {
  std::string checkpoint;
  std::string probe;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const auto& entry : std::filesystem::directory_iterator(kHuggingFace)) {
    if (std::filesystem::exists(entry.path() / "golden.json")) {
      cases.push_back({entry.path(), std::string(kHuggingFace) + "probe"});
    }
  }
  for (const char* name : {"adam/step800", "adam3/step1500", "relu/step800"}) {
    cases.push_back({std::string(kToy) + name, std::string(kToy) + "probe"});
  }
  std::sort(cases.begin(), cases.end(), [](const Case& a, const Case& b) {
    return a.checkpoint < b.checkpoint;
  });
  return cases;
}

std::string NameOf(const ::testing::TestParamInfo<Case>& info) {
  std::string name = info.param.checkpoint.substr(sizeof("tests/data"));
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
}

// One row of one head as the definitions have it.
class EditedHead final : public model::Intervention {
 public:
  EditedHead(int layer, int head, AblationMode mode)
      : layer_(layer), head_(head), mode_(mode) {}

  at::Tensor HeadOutput(const model::AttentionInputs& attention,
                        const at::Tensor& z_BHTE) override {
    if (attention.layer != layer_) return z_BHTE;
    ++calls;
    at::Tensor edited = z_BHTE.to(at::kDouble).contiguous();
    const at::Tensor q = attention.q_BHTE.to(at::kDouble).contiguous();
    const at::Tensor k = attention.k_BGTE.to(at::kDouble).contiguous();
    const at::Tensor v = attention.v_BGTE.to(at::kDouble).contiguous();
    for (int64_t b = 0; b < q.size(0); ++b) {
      for (int64_t t = 0; t < q.size(2); ++t) {
        EditRow(attention, q, k, v, b, t, edited);
      }
    }
    return edited.to(z_BHTE.scalar_type());
  }

  int calls = 0;

 private:
  void EditRow(const model::AttentionInputs& attention, const at::Tensor& q,
               const at::Tensor& k, const at::Tensor& v, int64_t b, int64_t t,
               at::Tensor& edited) const {
    const int64_t group = head_ * k.size(1) / q.size(1);
    const int64_t window = attention.shape.window;
    const int64_t first = window > 0 ? std::max<int64_t>(0, t - window + 1) : 0;
    if (first > 0) return;  // does not see key 0
    const bool to_sink = mode_ == AblationMode::kToSink;
    if (!to_sink && t == 0) return;
    std::vector<double> weights(t + 1, 0.0);
    if (to_sink) {
      weights[0] = 1;
    } else {
      Renormalise(attention, Row(q, b, head_, t), k, b, group, weights);
    }
    const int64_t width = v.size(3);
    double* const z = edited.data_ptr<double>() +
                      ((b * q.size(1) + head_) * q.size(2) + t) * width;
    std::fill_n(z, width, 0.0);
    for (int64_t s = 0; s <= t; ++s) {
      const double* const value = Row(v, b, group, s);
      for (int64_t e = 0; e < width; ++e) z[e] += weights[s] * value[e];
    }
  }

  static const double* Row(const at::Tensor& x, int64_t b, int64_t head,
                           int64_t t) {
    return x.data_ptr<double>() +
           ((b * x.size(1) + head) * x.size(2) + t) * x.size(3);
  }

  // Weights of the keys 1 to t of that query.
  void Renormalise(const model::AttentionInputs& attention, const double* query,
                   const at::Tensor& k, int64_t b, int64_t group,
                   std::vector<double>& weights) const {
    const bool relu = attention.shape.kind == model::AttentionKind::kRelu;
    std::vector<double> logits(weights.size());
    double most = -1e300, total = 0;
    for (size_t s = 1; s < weights.size(); ++s) {
      const double* const key = Row(k, b, group, s);
      for (int64_t e = 0; e < k.size(3); ++e) {
        logits[s] += attention.shape.scale * query[e] * key[e];
      }
      if (const double cap = attention.shape.soft_cap; cap > 0) {
        logits[s] = cap * std::tanh(logits[s] / cap);
      }
      most = std::max(most, logits[s]);
    }
    if (attention.learned_sinks_H.defined()) {
      const double sink = attention.learned_sinks_H[head_].item<double>();
      most = std::max(most, sink);
      total = std::exp(sink - most);
    }
    for (size_t s = 1; s < weights.size(); ++s) {
      weights[s] = relu ? std::max(logits[s], 0.0) : std::exp(logits[s] - most);
      total += weights[s];
    }
    if (relu) total = static_cast<double>(weights.size());  // t + 1
    for (double& weight : weights) weight /= total;
  }

  const int layer_, head_;
  const AblationMode mode_;
};

// Multiplies one head's output by a number that the loss is differentiated by.
class ScaledHead final : public model::Intervention {
 public:
  ScaledHead(int layer, int head) : layer_(layer), head_(head) {
    factor.set_requires_grad(true);
  }

  at::Tensor HeadOutput(const model::AttentionInputs& attention,
                        const at::Tensor& z_BHTE) override {
    if (attention.layer != layer_) return z_BHTE;
    const at::Tensor before = z_BHTE.slice(1, 0, head_);
    const at::Tensor scaled = z_BHTE.slice(1, head_, head_ + 1) * factor;
    return at::cat({before, scaled, z_BHTE.slice(1, head_ + 1)}, 1);
  }

  at::Tensor factor = at::ones({});

 private:
  const int layer_, head_;
};

// 16 sequences, evenly spaced, where there are more: those that are taken.
at::Tensor PickedOf(const at::Tensor& tokens_NT) {
  const int64_t all = tokens_NT.size(0);
  if (all <= 16) return tokens_NT;
  return tokens_NT.index_select(
      0, ((at::arange(16) * 2 + 1) * all).floor_divide(32));
}

class AblationTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    at::set_num_threads(1);  // matrices are small
    auto opened = checkpoint::Checkpoint::Open(GetParam().checkpoint);
    ASSERT_TRUE(opened.ok()) << opened.status();
    checkpoint_ = *std::move(opened);
    auto created = model::CreateArchitecture(checkpoint_->config());
    ASSERT_TRUE(created.ok()) << created.status();
    architecture_ = *std::move(created);
    auto corpus = probe::Corpus::Read(GetParam().probe);
    ASSERT_TRUE(corpus.ok()) << corpus.status();
    corpus_ = *std::move(corpus);
  }

  model::TensorMap Load(const std::vector<model::TensorSpec>& specs) {
    executor::WeightLoader loader(*checkpoint_, at::kCPU, at::kFloat);
    loader.Prefetch({specs, "", {}});
    auto loaded = loader.Take();
    if (!loaded.ok()) ADD_FAILURE() << loaded.status();
    if (!loaded.ok()) return {};
    // What was read in an InferenceMode cannot be in a graph.
    for (auto& entry : *loaded) entry.second = entry.second.clone();
    return *std::move(loaded);
  }

  // The layer's weights with the columns of the head that it writes through
  // at 0.
  model::TensorMap WithoutWrite(int layer, int head) {
    model::TensorMap weights = Load(architecture_->LayerTensors(layer));
    const at::Tensor projection =
        architecture_->OutputProjection(layer, weights);
    const int64_t width = projection.size(1) / architecture_->shape().heads;
    for (auto& [name, tensor] : weights) {
      if (!tensor.is_alias_of(projection)) continue;
      EXPECT_EQ(tensor.sizes(), projection.sizes());
      tensor = tensor.clone();
      tensor.slice(1, head * width, (head + 1) * width).zero_();
      return weights;
    }
    ADD_FAILURE() << "the output projection is none of the weights";
    return weights;
  }

  // Mean next-token loss of a domain in float64 from float32 logits, in a pass
  // of its own. `without`: a layer and a head that does not write.
  at::Tensor LossOf(const probe::Domain& domain, model::Recorder& recorder,
                    std::pair<int, int> without = {-1, 0}) {
    at::Tensor x_BTD = architecture_->Embed(
        Load(architecture_->EmbeddingTensors()), domain.tokens_NT);
    for (int l = 0; l < architecture_->shape().layers; ++l) {
      x_BTD = architecture_->Block(l,
                                   l == without.first
                                       ? WithoutWrite(l, without.second)
                                       : Load(architecture_->LayerTensors(l)),
                                   x_BTD, recorder);
    }
    const at::Tensor logits_BTV =
        architecture_->Logits(Load(architecture_->HeadTensors()), x_BTD)
            .slice(1, 0, -1)
            .to(at::kDouble);
    const at::Tensor target = domain.tokens_NT.slice(1, 1).unsqueeze(2);
    return -at::log_softmax(logits_BTV, 2).gather(2, target).mean();
  }

  // With the head edited; no mode: as it is.
  double Loss(const probe::Domain& domain, int layer, int head,
              std::optional<AblationMode> mode) {
    const at::NoGradGuard no_grad;
    model::NullRecorder nothing;
    if (!mode) return LossOf(domain, nothing).item<double>();
    if (*mode == AblationMode::kZero) {
      return LossOf(domain, nothing, {layer, head}).item<double>();
    }
    EditedHead edit(layer, head, *mode);
    model::InterveningRecorder intervening(edit);
    const double loss = LossOf(domain, intervening).item<double>();
    EXPECT_EQ(edit.calls, 1);
    return loss;
  }

  // d loss / d m of a head that is multiplied by m, at m = 1.
  double Slope(const probe::Domain& domain, int layer, int head) {
    ScaledHead scaled(layer, head);
    model::InterveningRecorder recorder(scaled);
    LossOf(domain, recorder).backward();
    return scaled.factor.grad().item<double>();
  }

  // The first, the last and one in between of the layers with attention, a head
  // of each.
  std::vector<std::pair<int, int>> Heads() const {
    const model::ModelShape& shape = architecture_->shape();
    std::vector<int> layers;
    for (int layer = 0; layer < shape.layers; ++layer) {
      if (shape.attention[layer].kind != model::AttentionKind::kNone) {
        layers.push_back(layer);
      }
    }
    std::set<std::pair<int, int>> heads = {
        {layers.front(), 0},
        {layers[layers.size() / 2], shape.heads / 2},
        {layers.back(), shape.heads - 1}};
    return {heads.begin(), heads.end()};
  }

  std::unique_ptr<checkpoint::Checkpoint> checkpoint_;
  std::unique_ptr<model::Architecture> architecture_;
  probe::Corpus corpus_;
};

using Values =
    std::map<std::tuple<std::string, std::string, int>, MetricVector>;

// `heads`: those that are ablated; empty: none.
Values MeasureHeads(const Case& test, const std::string& heads,
                    const std::string& metric = "probe_loss") {
  MeasureRequest request;
  request.checkpoint = test.checkpoint;
  request.probe = test.probe;
  request.metrics = {metric};
  if (!heads.empty()) {
    request.ablation.policy = *base::ReadAblationPolicy(heads, {}, 0);
  }
  Values values;
  MeasureCallbacks callbacks;
  callbacks.on_values = [&](const std::vector<MetricVector>& vectors) {
    for (const MetricVector& vector : vectors) {
      if (!vector.layer) continue;
      EXPECT_TRUE(
          values.insert({{vector.domain, vector.metric, *vector.layer}, vector})
              .second);
    }
    return absl::OkStatus();
  };
  const auto summary = Measure(request, callbacks);
  EXPECT_TRUE(summary.ok()) << summary.status();
  return values;
}

TEST_P(AblationTest, EqualsAFullPassWithTheHeadEdited) {
  std::string list;
  for (const auto& [layer, head] : Heads()) {
    list += (list.empty() ? "" : ",") + std::to_string(layer) + "." +
            std::to_string(head);
  }
  Values measured = MeasureHeads(GetParam(), list);
  double largest = 0;
  for (const probe::Domain& domain : corpus_.domains()) {
    const double loss = Loss(domain, 0, 0, std::nullopt);
    for (const auto& [layer, head] : Heads()) {
      for (AblationMode mode : base::kAblationModes) {
        SCOPED_TRACE(domain.label + " " + std::to_string(layer) + "." +
                     std::to_string(head) + " " + AblationModeName(mode));
        const double expected = Loss(domain, layer, head, mode) - loss;
        const MetricVector& vector =
            measured[{domain.label, metrics::HeadAblationMetric(mode), layer}];
        ASSERT_EQ(vector.values.size(),
                  static_cast<size_t>(architecture_->shape().heads));
        // Losses are around 5 and rounded to 2^-22 of that at each of some
        // hundred operations, independently in the two passes.
        EXPECT_LT(std::fabs(vector.values[head] - expected), 2e-5);
        largest = std::max(largest, std::fabs(expected));
      }
    }
  }
  EXPECT_GT(largest, 1e-3) << "the test would see nothing";
}

TEST_P(AblationTest, AttributionIsTheSlopeOfTheLoss) {
  Values measured = MeasureHeads(GetParam(), "", "head_attribution");
  probe::Domain domain = corpus_.domains()[0];
  domain.tokens_NT = PickedOf(domain.tokens_NT);
  double largest = 0;
  for (const auto& [layer, head] : Heads()) {
    SCOPED_TRACE(std::to_string(layer) + "." + std::to_string(head));
    const double expected = -Slope(domain, layer, head);
    const MetricVector& vector =
        measured[{domain.label, "head_attribution", layer}];
    ASSERT_EQ(vector.values.size(),
              static_cast<size_t>(architecture_->shape().heads));
    EXPECT_GT(vector.standard_error[head], 0);
    // Rounding of a few hundred float32 operations, forward and back.
    EXPECT_LT(std::fabs(vector.values[head] - expected),
              1e-5 + 1e-4 * std::fabs(expected));
    largest = std::max(largest, std::fabs(expected));
  }
  EXPECT_GT(largest, 1e-4) << "the test would see nothing";
}

INSTANTIATE_TEST_SUITE_P(Cases, AblationTest, ::testing::ValuesIn(Cases()),
                         NameOf);

TEST(AblationCoverageTest, EveryArchitectureHasACase) {
  std::set<std::string> covered;
  for (const Case& test : Cases()) {
    const auto checkpoint = checkpoint::Checkpoint::Open(test.checkpoint);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    covered.insert((*model::CreateArchitecture((*checkpoint)->config()))
                       ->shape()
                       .architecture);
  }
  for (const std::string& architecture : model::ArchitectureNames()) {
    EXPECT_EQ(covered.count(architecture), 1u) << architecture;
  }
}

}  // namespace
}  // namespace sinkwatch::worker
