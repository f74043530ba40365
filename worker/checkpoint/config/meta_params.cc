#include "worker/checkpoint/config/meta_params.h"

#include <cstdint>

#include "worker/files/fields.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMax = int64_t{1} << 31;

int64_t FeedForwardWidth(files::Fields& fields, int64_t width) {
  const int64_t multiple = fields.IntOr("multiple_of", 1, kMax, 256);
  int64_t hidden = 2 * (4 * width) / 3;
  if (fields.Has("ffn_dim_multiplier")) {
    const double factor = fields.PositiveOr("ffn_dim_multiplier", 1);
    const double wide = factor * static_cast<double>(hidden);
    if (!(wide < static_cast<double>(kMax))) {
      fields.Fail("ffn_dim_multiplier", "is too large");
      return 1;
    }
    hidden = static_cast<int64_t>(wide);
  }
  return (hidden + multiple - 1) / multiple * multiple;
}

}  // namespace

absl::StatusOr<Json> TranslateMetaParams(const Json& root) {
  files::Fields fields(root);
  const int64_t width = fields.Int("dim", 1, kMax);
  const int64_t heads = fields.Int("n_heads", 1, kMax);
  const int64_t vocabulary = fields.Int("vocab_size", -1, kMax);
  if (vocabulary < 1) {
    fields.Refuse("vocab_size",
                  "stands for the tokenizer's size; write that number here");
  }
  fields.RequireBool("use_scaled_rope", false, false);
  fields.RequireAbsent("moe", "a mixture of experts");
  Json keys = {
      {"architectures", {"LlamaForCausalLM"}},
      {"hidden_size", width},
      {"intermediate_size", FeedForwardWidth(fields, width)},
      {"num_hidden_layers", fields.Int("n_layers", 1, kMax)},
      {"num_attention_heads", heads},
      {"num_key_value_heads", fields.IntOr("n_kv_heads", 1, kMax, heads)},
      {"vocab_size", vocabulary},
      {"rms_norm_eps", fields.PositiveOr("norm_eps", 1e-5)},
      {"rope_theta", fields.PositiveOr("rope_theta", 10000)},
      {"hidden_act", "silu"},
      {"attention_bias", false},
      {"mlp_bias", false},
      {"tie_word_embeddings", false},
  };
  fields.Ignore({"max_batch_size", "max_seq_len", "model_parallel_size"});
  fields.ExpectNoOther();
  if (!fields.status().ok()) return fields.status();
  return keys;
}

}  // namespace sinkwatch::checkpoint
