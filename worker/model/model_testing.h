#ifndef SINKWATCH_WORKER_MODEL_MODEL_TESTING_H_
#define SINKWATCH_WORKER_MODEL_MODEL_TESTING_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "nlohmann/json.hpp"
#include "worker/model/architecture.h"
#include "worker/model/plain_math_testing.h"

// Random tiny models for tests. Everything random comes from a fixed seed.
namespace sinkwatch::model {

// Float32 values of a normal distribution.
at::Tensor RandomTensor(std::vector<int64_t> shape, unsigned seed,
                        double deviation = 1.0);
// Ids below `vocabulary`.
at::Tensor RandomTokens(int64_t sequences, int64_t length, int64_t vocabulary,
                        unsigned seed);

// The architecture that the config asks for; the test fails without one.
std::unique_ptr<Architecture> CreateFrom(const nlohmann::json& config);

// Weights by the checkpoint's names, in the family's own scheme, as they are
// stored. Norms lie around 1, all else around 0.
using Weights = std::map<std::string, at::Tensor>;
Weights RandomWeights(const Architecture& architecture, unsigned seed);
// What a part of the model asks for, from the first source that is there: rows
// cut and transposed, as its arrangement says. The test fails if a shape is not
// the spec's.
TensorMap Pick(const std::vector<TensorSpec>& specs, const Weights& weights);
PlainWeights PlainOfWeights(const Weights& weights);

// Keeps everything that is recorded.
class KeepingRecorder final : public Recorder {
 public:
  void Record(Point point, int layer, const at::Tensor& tensor) override {
    seen[{layer, point}].push_back(tensor);
  }
  // Shape of the one tensor that was recorded there; empty if there was none
  // or more than one.
  std::vector<int64_t> ShapeOf(int layer, Point point) const;

  std::map<std::pair<int, Point>, std::vector<at::Tensor>> seen;
};

// Embedding, all layers, head: logits_BTV.
at::Tensor Forward(const Architecture& architecture, const Weights& weights,
                   const at::Tensor& tokens_BT, Recorder& recorder);
at::Tensor Forward(const Architecture& architecture, const Weights& weights,
                   const at::Tensor& tokens_BT);

// Logits [T, V] of one sequence.
using PlainForward =
    std::function<Matrix(const PlainWeights&, const std::vector<int64_t>&)>;

// Fails the test unless the logits of two random sequences are those of
// `plain`.
void ExpectForwardEquals(const nlohmann::json& config,
                         const PlainForward& plain);

// Fails the test unless every weight gets a gradient and that of element 1 of
// `name` is the slope of `plain`.
void ExpectGradientEquals(const nlohmann::json& config, const std::string& name,
                          const PlainForward& plain);

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_MODEL_TESTING_H_
