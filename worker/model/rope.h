#ifndef SINKWATCH_WORKER_MODEL_ROPE_H_
#define SINKWATCH_WORKER_MODEL_ROPE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "ATen/core/Tensor.h"
#include "worker/files/fields.h"
#include "worker/model/architecture.h"

namespace sinkwatch::model {

// Rotary positions of one kind of layer, as numbers: what RotaryEmbedding
// turns heads by. Immutable, so safe to share between threads.
struct Rope {
  // Angle per position of each pair, float32 on the CPU. Computed in float64,
  // so within a rounding of Hugging Face's, which are float32 throughout.
  at::Tensor inverse_F;
  // Factor of cosine and sine (YaRN); logits grow by its square.
  double attention_factor = 1.0;
  // Factor of all logits, rotated or not (YaRN with mscale_all_dim).
  double logit_factor = 1.0;

  // The first `width` elements of a head are turned, the rest pass through.
  int64_t width() const { return 2 * inverse_F.size(0); }
};

// What a family does where its config says nothing.
struct RopeFamily {
  double theta = 10000.0;
  // Share of the head that is turned. Not set: the family turns whole heads,
  // and a config that asks for less is refused.
  std::optional<double> partial_factor;
  // Sliding layers have rotary positions of their own (OLMo 3, Gemma 3): what
  // is not given by layer type is full_attention's alone.
  bool by_layer_type = false;
  // theta_key is of full_attention alone to transformers 5.24, and of all
  // layers to older versions and OLMo's trainers (OLMo 3): refused for other
  // layers where it is not `theta`.
  bool outer_theta_is_for_full_layers = false;
  // YaRN may have mscale and mscale_all_dim (DeepSeek).
  bool has_mscale = false;
  // Whose width is turned where that is not the head's: 0: the head's.
  int64_t rotated_head = 0;
  // What its configs call the two beside rope_parameters and rope_scaling.
  const char* theta_key = "rope_theta";
  const char* partial_key = "partial_rotary_factor";
};

// theta^(-2i/width), not scaled. `width` is even.
Rope PlainRope(int64_t width, double theta);

// The rotary positions of `layer_type` ("full_attention",
// "sliding_attention"), from either generation of keys:
//   - rope_parameters, one object or one per layer type (a type that is not in
//     it, or null, is plain);
//   - theta_key, beside rope_scaling with rope_type or type.
// transformers goes by rope_scaling where both objects are there; one that says
// anything else than rope_parameters is refused, so that neither hides the
// other.
//
// With by_layer_type, rope_scaling is the full layers' only; a rope_parameters
// without layer types is refused if it says anything (transformers 5.24 does
// not look at it, earlier ones did), and so is a truncate other than true,
// which transformers looks for beside the layer types.
//
// Types: default, linear, llama3, yarn, by the formulas of transformers 5.24.
// UNIMPLEMENTED, by name: any other type, YaRN with mscale or a partial factor
// that the family does not have. DATA_LOSS: a key that is missing, of the wrong
// type or out of range, or a rotated width that is no even number.
//
// The status of `config` says so; a plain Rope is returned then.
Rope ReadRope(files::Fields& config, const ModelShape& shape,
              const std::string& layer_type, const RopeFamily& family = {});

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_ROPE_H_
