#ifndef SINKWATCH_WORKER_MEASURE_NAMING_SCHEMES_TESTING_H_
#define SINKWATCH_WORKER_MEASURE_NAMING_SCHEMES_TESTING_H_

#include <map>
#include <string>

#include "ATen/core/Tensor.h"
#include "nlohmann/json.hpp"

// Golden models under other names: what tests of naming schemes share.
namespace sinkwatch::worker {

using Weights = std::map<std::string, at::Tensor>;
using Names = std::map<std::string, std::string>;

struct Model {
  nlohmann::json config;
  Weights weights;
};

// The golden model tests/data/hf/`name`.
Model Read(const std::string& name);

// That `config` and `weights` are the model `name`: its logits to the bit.
void ExpectSameLogits(const std::string& name, const nlohmann::json& config,
                      const Weights& weights);
void ExpectSameLogits(const std::string& name, const Weights& weights);

// q, k and v of a layer, taken out of `weights`, where they are called `qkv` +
// "wq.weight" and so on, in one matrix, group by group of heads.
at::Tensor ByGroup(const nlohmann::json& config, Weights& weights,
                   const std::string& qkv);

}  // namespace sinkwatch::worker

#endif  // SINKWATCH_WORKER_MEASURE_NAMING_SCHEMES_TESTING_H_
