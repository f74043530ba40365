#ifndef SINKWATCH_TESTS_CONTAINERS_REWRITTEN_TESTING_H_
#define SINKWATCH_TESTS_CONTAINERS_REWRITTEN_TESTING_H_

#include <map>
#include <string>

#include "ATen/core/Tensor.h"

// Checkpoints of transformers written again in the containers that trainers
// leave models of any architecture in. torch and the trainers wrote those of
// tests/data/containers; these follow the same bytes, so that every
// architecture can be had in each.
namespace sinkwatch {

enum class Container {
  kShards,  // two safetensors files and an index: save_pretrained
  kTorch,   // pytorch_model.bin: transformers before version 5
  kTorchShards,
  kDcp,  // .metadata and __0_0.distcp: torch.distributed.checkpoint
};

inline constexpr Container kContainers[] = {
    Container::kShards, Container::kTorch, Container::kTorchShards,
    Container::kDcp};
const char* NameOf(Container container);

// Writes the tensors (float32 or bfloat16), by name, and `config_path` as
// config.json into `folder`, which is there.
void WriteAs(Container container, const std::string& folder,
             const std::string& config_path,
             const std::map<std::string, at::Tensor>& weights);

}  // namespace sinkwatch

#endif  // SINKWATCH_TESTS_CONTAINERS_REWRITTEN_TESTING_H_
