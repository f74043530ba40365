#include "worker/checkpoint/config/nanochat_meta.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "worker/files/fields.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMax = int64_t{1} << 20;

}  // namespace

bool IsNanochatMeta(const Json& root) {
  const auto model = root.find("model_config");
  return model != root.end() && model->is_object() &&
         model->contains("n_embd") && model->contains("sequence_len");
}

absl::StatusOr<Json> TranslateNanochatMeta(const Json& root) {
  files::Fields fields(root);
  files::Fields model = fields.RequiredSection("model_config");
  const int64_t width = model.Int("n_embd", 1, kMax);
  const int64_t heads = model.Int("n_head", 1, kMax);
  const std::string windows = model.StringOr("window_pattern", "L");
  if (windows.find_first_not_of("Ll") != std::string::npos) {
    model.Refuse("window_pattern",
                 absl::StrCat(files::Quoted(windows), " is not implemented"));
  }
  Json keys = {
      {"architectures", {"NanoChatForCausalLM"}},
      {"every_tensor_is_used", true},
      {"hidden_size", width},
      {"intermediate_size", 4 * width},
      {"num_hidden_layers", model.Int("n_layer", 1, kMax)},
      {"num_attention_heads", heads},
      {"num_key_value_heads", model.IntOr("n_kv_head", 1, kMax, heads)},
      {"vocab_size", model.Int("vocab_size", 1, int64_t{1} << 31)},
      // Angles are there for ten times the sequence.
      {"max_position_embeddings", 10 * model.Int("sequence_len", 1, kMax)},
      {"rope_theta", 10000.0},
      // That of torch's rms_norm where nobody says: float32's own.
      {"rms_norm_eps", 1.1920928955078125e-07},
      {"final_logit_softcapping", 15.0},
      {"hidden_act", "relu2"},
      {"tie_word_embeddings", false},
  };
  model.ExpectNoOther();
  if (!fields.status().ok()) return fields.status();
  return keys;
}

}  // namespace sinkwatch::checkpoint
