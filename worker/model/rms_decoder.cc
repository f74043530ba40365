#include "worker/model/rms_decoder.h"

#include "ATen/ops/embedding.h"
#include "worker/model/naming.h"

namespace sinkwatch::model {

std::vector<TensorSpec> RmsDecoder::EmbeddingTensors() const {
  return {TokenTensorsOf(shape_, tied_).embedding};
}

std::vector<TensorSpec> RmsDecoder::HeadTensors() const {
  return {FinalNormTensor(shape_), TokenTensorsOf(shape_, tied_).output};
}

at::Tensor RmsDecoder::Embed(const TensorMap& weights,
                             const at::Tensor& tokens_BT) const {
  return at::embedding(weights.at("embed_tokens"), tokens_BT);
}

at::Tensor RmsDecoder::Logits(const TensorMap& weights,
                              const at::Tensor& x_BTD) const {
  return Linear(Norm(x_BTD, weights.at("norm")), weights.at("lm_head"));
}

at::Tensor RmsDecoder::OutputProjection(int layer,
                                        const TensorMap& weights) const {
  return shape_.attention[layer].kind == AttentionKind::kNone
             ? at::Tensor()
             : weights.at("self_attn.o_proj.weight");
}

}  // namespace sinkwatch::model
