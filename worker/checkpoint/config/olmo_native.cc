#include "worker/checkpoint/config/olmo_native.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "worker/files/fields.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMax = int64_t{1} << 31;

// Fields that train, initialise or speed up, and those that an hf_olmo config
// has from Hugging Face.
void IgnoreHarmless(files::Fields& fields) {
  fields.Ignore({"alibi_bias_max", "attention_dropout", "embedding_dropout",
                 "emb_init_std", "eos_token_id", "flash_attention",
                 "init_cutoff_factor", "init_device", "init_fn", "init_std",
                 "low_cpu_fsdp", "pad_token_id", "precision",
                 "residual_dropout", "rope_full_precision", "scale_emb_init",
                 "fsdp_wrap"});
  fields.Ignore({"_name_or_path", "architectures", "auto_map", "bos_token_id",
                 "dtype", "model_type", "tokenizer_class", "torch_dtype",
                 "transformers_version", "use_cache"});
}

void ReadWidths(files::Fields& fields, Json& keys) {
  const int64_t width = fields.IntOr("d_model", 1, kMax, 768);
  const int64_t heads = fields.IntOr("n_heads", 1, kMax, 12);
  keys["hidden_size"] = width;
  keys["num_attention_heads"] = heads;
  keys["num_hidden_layers"] = fields.IntOr("n_layers", 1, kMax, 12);
  if (width % heads != 0) {
    fields.Fail("n_heads",
                absl::StrCat("d_model ", width, " is no multiple of ", heads));
  }
}

// n_kv_heads, or the older multi_query_attention, or both if they agree.
void ReadKeyValueHeads(files::Fields& fields, Json& keys) {
  const int64_t heads = keys["num_attention_heads"];
  const bool is_counted = fields.Has("n_kv_heads");
  const int64_t groups = fields.IntOr("n_kv_heads", 1, kMax, heads);
  keys["num_key_value_heads"] = groups;
  if (!fields.Has("multi_query_attention")) return;
  const int64_t meant =
      fields.BoolOr("multi_query_attention", false) ? 1 : heads;
  keys["num_key_value_heads"] = meant;
  if (is_counted && groups != meant) {
    fields.Fail("multi_query_attention",
                absl::StrCat("means ", meant,
                             " key/value heads, n_kv_heads is ", groups));
  }
}

void ReadMlp(files::Fields& fields, Json& keys) {
  fields.RequireString("activation_type", "swiglu", "swiglu");
  keys["hidden_act"] = "silu";
  const int64_t width = keys["hidden_size"];
  const int64_t ratio = fields.IntOr("mlp_ratio", 1, kMax, 4);
  const int64_t both =
      fields.IntOr("mlp_hidden_size", 1, 2 * kMax, ratio * width);
  const char* const key =
      fields.Has("mlp_hidden_size") ? "mlp_hidden_size" : "mlp_ratio";
  if (both % 2 != 0) {
    fields.Fail(key, absl::StrCat(both, " does not halve for swiglu"));
  }
  keys["intermediate_size"] = both / 2;
}

void ReadVocabulary(files::Fields& fields, Json& keys) {
  const int64_t vocabulary = fields.IntOr("vocab_size", 1, kMax, 50257);
  // Null is not absent here: it stands for vocab_size.
  const int64_t rows =
      fields.IntOr("embedding_size", 1, kMax,
                   fields.IsNull("embedding_size") ? vocabulary : 50304);
  if (rows < vocabulary) {
    fields.Fail("embedding_size",
                absl::StrCat(rows, " is below vocab_size ", vocabulary));
  }
  keys["vocab_size"] = rows;
  keys["tie_word_embeddings"] = fields.BoolOr("weight_tying", true);
}

void ReadPositions(files::Fields& fields, Json& keys) {
  fields.RequireBool("alibi", false, false);
  // Without it there are learned positions (wpe).
  fields.RequireBool("rope", true, false);
  keys["rope_theta"] = fields.PositiveOr("rope_theta", 10000);
  if (fields.Has("max_sequence_length")) {
    keys["max_position_embeddings"] =
        fields.Int("max_sequence_length", 1, kMax);
  }
}

// What the norms are like, and with that the family.
struct Norms {
  std::string type;
  bool affine = true;
  double epsilon = 1e-5;
  bool after = false;
  bool of_queries_and_keys = false;
};

Norms ReadNorms(files::Fields& fields) {
  Norms norms;
  norms.type = fields.StringOr("layer_norm_type", "default");
  // The low_precision one differs from the default under autocast only.
  if (norms.type == "low_precision") norms.type = "default";
  if (norms.type != "default" && norms.type != "rms") {
    fields.Refuse("layer_norm_type", absl::StrCat(files::Quoted(norms.type),
                                                  " is not implemented"));
  }
  fields.RequireBool("embedding_layer_norm", false, false);
  norms.affine = fields.BoolOr("layer_norm_with_affine", true);
  norms.epsilon = fields.PositiveOr("layer_norm_eps", 1e-5);
  norms.after = fields.BoolOr("norm_after", false);
  norms.of_queries_and_keys = fields.BoolOr("attention_layer_norm", false);
  // include_bias is false by now, and null inherits it.
  const bool bias = fields.BoolOr("bias_for_layer_norm", false);
  if (bias && norms.affine) {
    fields.Refuse("bias_for_layer_norm", "true is not implemented");
  }
  return norms;
}

void ReadOlmo1(files::Fields& fields, const Norms& norms, Json& keys) {
  keys["architectures"] = {"OlmoForCausalLM"};
  keys["olmo.layer_norm_affine"] = norms.affine;
  keys["olmo.scale_logits"] = fields.BoolOr("scale_logits", false);
  if (fields.Has("clip_qkv"))
    keys["clip_qkv"] = fields.PositiveOr("clip_qkv", 1);
  fields.RequireBool("norm_after", false, false);
  fields.RequireBool("attention_layer_norm", false, false);
  fields.RequireNumber("layer_norm_eps", 1e-5, 1e-5);
  fields.Ignore({"attention_layer_norm_with_affine"});
}

void ReadRmsFamily(files::Fields& fields, const Norms& norms, Json& keys) {
  keys["architectures"] = {norms.after ? "Olmo2ForCausalLM"
                                       : "LlamaForCausalLM"};
  keys["rms_norm_eps"] = norms.epsilon;
  fields.RequireBool("layer_norm_with_affine", true, true);
  fields.RequireBool("scale_logits", false, false);
  fields.RequireAbsent("clip_qkv", "clipping with RMSNorm");
  if (norms.after) {
    fields.RequireBool("attention_layer_norm", true, false);
    fields.RequireBool("attention_layer_norm_with_affine", true, true);
  } else {
    fields.RequireBool("attention_layer_norm", false, false);
    fields.Ignore({"attention_layer_norm_with_affine"});
  }
}

}  // namespace

absl::StatusOr<Json> TranslateOlmoNative(const Json& model,
                                         const std::string& where) {
  files::Fields fields(model, where);
  Json keys;
  // A block of type llama has projections of its own and other norms.
  fields.RequireString("block_type", "sequential", "sequential");
  // Groups of blocks have other names of weights.
  fields.RequireNumber("block_group_size", 1, 1);
  fields.RequireBool("include_bias", false, true);
  keys["attention_bias"] = false;
  ReadPositions(fields, keys);
  ReadWidths(fields, keys);
  ReadKeyValueHeads(fields, keys);
  ReadMlp(fields, keys);
  ReadVocabulary(fields, keys);
  const Norms norms = ReadNorms(fields);
  if (norms.type == "rms") {
    ReadRmsFamily(fields, norms, keys);
  } else {
    ReadOlmo1(fields, norms, keys);
  }
  IgnoreHarmless(fields);
  fields.ExpectNoOther();
  if (!fields.status().ok()) return fields.status();
  return keys;
}

}  // namespace sinkwatch::checkpoint
