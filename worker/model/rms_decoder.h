#ifndef SINKWATCH_WORKER_MODEL_RMS_DECODER_H_
#define SINKWATCH_WORKER_MODEL_RMS_DECODER_H_

#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/model/architecture.h"
#include "worker/model/layers.h"

namespace sinkwatch::model {

// What decoders with RMS norms have around their blocks, in every scheme of
// naming.h: a token embedding as it is stored, a final norm, and an output
// matrix without a bias. A family derives from it, says its norm and adds its
// layers' tensors and block; what differs it overrides.
//
// B sequences, T tokens, D width, V vocabulary.
class RmsDecoder : public Architecture {
 public:
  // `tied`: the output matrix is the embedding.
  RmsDecoder(ModelShape shape, bool tied)
      : shape_(std::move(shape)), tied_(tied) {}

  const ModelShape& shape() const final { return shape_; }

  std::vector<TensorSpec> EmbeddingTensors() const override;
  std::vector<TensorSpec> HeadTensors() const override;
  at::Tensor Embed(const TensorMap& weights,
                   const at::Tensor& tokens_BT) const override;
  at::Tensor Logits(const TensorMap& weights,
                    const at::Tensor& x_BTD) const override;
  // "self_attn.o_proj.weight", of layers with attention.
  at::Tensor OutputProjection(int layer,
                              const TensorMap& weights) const override;

 protected:
  // The family's norm over the last dimension.
  virtual at::Tensor Norm(const at::Tensor& x,
                          const at::Tensor& weight) const = 0;

  // The block whose sub-layers read the stream normed: x + attention(norm(x)),
  // then y + mlp(norm(y)), by the norms input_layernorm and
  // post_attention_layernorm.
  template <typename Attention, typename Mlp>
  at::Tensor PreNormBlock(int layer, const TensorMap& weights,
                          const at::Tensor& x_BTD, Recorder& recorder,
                          const Attention& attention, const Mlp& mlp) const {
    const auto normed = [&](const char* name, const at::Tensor& stream_BTD) {
      return Norm(stream_BTD, weights.at(name));
    };
    return Residual(
        layer, x_BTD, recorder,
        [&](const at::Tensor& stream_BTD) {
          return attention(normed("input_layernorm.weight", stream_BTD));
        },
        [&](const at::Tensor& stream_BTD) {
          return mlp(normed("post_attention_layernorm.weight", stream_BTD));
        });
  }

 private:
  const ModelShape shape_;
  const bool tied_;
};

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_RMS_DECODER_H_
