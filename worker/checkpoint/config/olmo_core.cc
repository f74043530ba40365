#include "worker/checkpoint/config/olmo_core.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/base/status_macros.h"
#include "worker/checkpoint/config/olmo_core_delta.h"
#include "worker/checkpoint/config/olmo_core_rope.h"
#include "worker/files/fields.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMax = int64_t{1} << 31;
constexpr int64_t kMaxLayers = 1024;
constexpr size_t kMaxName = 64;

// `block`, one of several that have names, or one of block_overrides.
struct Block {
  bool is_delta = false;  // a gated delta network in the place of attention
  Json keys;  // canonical; the same in every layer of a model we read
  Json rope;  // rope_parameters of its layers
  // Window of layer i is pattern[i % size]; -1 and no pattern are none.
  std::vector<int64_t> pattern;
  bool is_first_full = true;
  bool is_last_full = true;
};

// 0 if the layer sees everything before it. The rule is the trainer's: forced
// layers first, and the pattern starts after a first layer that was forced.
int64_t WindowOf(const Block& block, int64_t layer, int64_t num_layers) {
  if (block.pattern.empty()) return 0;
  if (block.is_first_full && layer == 0) return 0;
  if (block.is_last_full && layer == num_layers - 1) return 0;
  const int64_t i = block.is_first_full ? layer - 1 : layer;
  const int64_t window =
      block.pattern[i % static_cast<int64_t>(block.pattern.size())];
  return window == -1 ? 0 : window;
}

// Every object of the dump names its class; another one is another model.
void ExpectClass(files::Fields& fields, absl::string_view expected) {
  const std::string path = fields.StringOr("_CLASS_", "");
  const std::string name = path.substr(path.rfind('.') + 1);
  if (name.empty() || name == expected) return;
  fields.Refuse("_CLASS_",
                absl::StrCat(files::Quoted(path), " is not implemented"));
}

// Takes an RMSNorm with a weight and without a bias; returns its eps.
double ReadNorm(files::Fields& parent, const char* key) {
  files::Fields norm = parent.RequiredSection(key);
  const std::string name = norm.StringOr("name", "default");
  if (name != "rms" && name != "fused_rms" && name != "cute_rms" &&
      name != "qwen_rms") {
    norm.Refuse("name",
                absl::StrCat(files::Quoted(name), " is not implemented"));
  }
  norm.RequireBool("elementwise_affine", true, true);
  norm.RequireBool("bias", false, true);
  const double epsilon = norm.PositiveOr("eps", 1e-5);
  norm.Ignore({"full_precision", "dtype", "_CLASS_", "type"});
  norm.ExpectNoOther();
  return epsilon;
}

// The same where Hugging Face has one eps for all norms.
void ReadNormOfSameEps(files::Fields& parent, const char* key, double epsilon) {
  const double found = ReadNorm(parent, key);
  if (found == epsilon) return;
  parent.Refuse(key, absl::StrCat("eps ", found, " beside ", epsilon,
                                  " in the block's layer_norm is not "
                                  "implemented"));
}

void ReadSlidingWindow(files::Fields& attention, Block& block) {
  if (!attention.Has("sliding_window")) return;
  files::Fields window = attention.RequiredSection("sliding_window");
  block.is_first_full =
      window.BoolOr("force_full_attention_on_first_layer", true);
  block.is_last_full =
      window.BoolOr("force_full_attention_on_last_layer", true);
  for (const Json& size : window.Array("pattern")) {
    const bool is_size =
        size.is_number_integer() && (size == -1 || (size >= 1 && size <= kMax));
    if (!is_size) window.Fail("pattern", "must hold sizes and -1");
    block.pattern.push_back(is_size ? size.get<int64_t>() : -1);
  }
  if (block.pattern.empty()) window.Fail("pattern", "must not be empty");
  window.Ignore({"_CLASS_", "type"});
  window.ExpectNoOther();
}

// "none", "width" (over all heads together) or "head".
std::string ReadQkNorm(files::Fields& attention, double epsilon) {
  const bool by_head = attention.BoolOr("use_head_qk_norm", false);
  if (!attention.Has("qk_norm")) return "none";
  ReadNormOfSameEps(attention, "qk_norm", epsilon);
  return by_head ? "head" : "width";
}

int64_t ReadHeads(files::Fields& attention, int64_t width, Json& keys) {
  const int64_t heads = attention.Int("n_heads", 1, kMax);
  keys["num_attention_heads"] = heads;
  keys["num_key_value_heads"] = attention.IntOr("n_kv_heads", 1, kMax, heads);
  if (!attention.Has("head_dim") && width % heads != 0) {
    attention.Fail("n_heads", absl::StrCat("d_model ", width,
                                           " is no multiple of ", heads));
  }
  const int64_t head_dim =
      attention.IntOr("head_dim", 1, kMax, std::max<int64_t>(width / heads, 1));
  keys["head_dim"] = head_dim;
  return head_dim;
}

void ReadGate(files::Fields& attention, Json& keys) {
  if (!attention.Has("gate")) return;
  files::Fields gate = attention.RequiredSection("gate");
  ExpectClass(gate, "GateConfig");
  const std::string granularity = gate.StringOr("granularity", "headwise");
  if (granularity != "headwise" && granularity != "elementwise") {
    gate.Refuse("granularity", absl::StrCat(files::Quoted(granularity),
                                            " is not implemented"));
  }
  keys["attention_gate"] = granularity;
  // In float32 everything is of full precision.
  gate.Ignore({"full_precision", "type"});
  gate.ExpectNoOther();
}

// rope_parameters; with a theta of null where there are no rotary positions,
// which only a hybrid may do without.
Json ReadRope(files::Fields& attention, int64_t head_dim, bool in_hybrid) {
  if (in_hybrid && !attention.Has("rope")) {
    return {{"rope_theta", nullptr}, {"rope_type", "default"}};
  }
  return ReadOlmoCoreRope(attention, head_dim);
}

// Returns what ReadQkNorm does.
std::string ReadAttention(files::Fields& parent, const char* key, int64_t width,
                          bool in_hybrid, Block& block) {
  files::Fields attention = parent.RequiredSection(key);
  attention.RequireString("type", "attention", "attention");
  ExpectClass(attention, "AttentionConfig");
  const std::string name = attention.StringOr("name", "default");
  if (name != "default") {
    attention.Refuse("name",
                     absl::StrCat(files::Quoted(name), " is not implemented"));
  }
  attention.RequireAbsent("clip_qkv", "clipping with this block");
  attention.RequireBool("scalable_softmax", false, false);
  if (attention.BoolOr("attention_sinks", false)) {
    block.keys["attention_sinks"] = true;
  }
  ReadGate(attention, block.keys);
  const int64_t head_dim = ReadHeads(attention, width, block.keys);
  block.keys["attention_bias"] = attention.BoolOr("bias", true);
  const std::string qk_norm = ReadQkNorm(attention, block.keys["rms_norm_eps"]);
  block.rope = ReadRope(attention, head_dim, in_hybrid);
  ReadSlidingWindow(attention, block);
  attention.Ignore({"dropout", "use_flash", "backend", "dtype"});
  attention.ExpectNoOther();
  return qk_norm;
}

// Returns whether it has biases.
bool ReadFeedForward(files::Fields& parent, Json& keys) {
  files::Fields feed_forward = parent.RequiredSection("feed_forward");
  feed_forward.RequireString("name", "default", "default");
  keys["intermediate_size"] = feed_forward.Int("hidden_size", 1, kMax);
  feed_forward.RequireString("activation", "silu", "silu");
  keys["hidden_act"] = "silu";
  const bool bias = feed_forward.BoolOr("bias", true);
  feed_forward.Ignore({"dtype", "_CLASS_", "type"});
  feed_forward.ExpectNoOther();
  return bias;
}

// Which family has these norms.
void ChooseFamily(files::Fields& fields, const std::string& name,
                  const std::string& qk_norm, bool mlp_bias, Json& keys) {
  if (name == "default" && qk_norm == "none") {
    keys["architectures"] = {"LlamaForCausalLM"};
    keys["mlp_bias"] = mlp_bias;
    return;
  }
  if (name == "default" && qk_norm == "head") {
    keys["architectures"] = {"Qwen3ForCausalLM"};
  } else if (name == "reordered_norm" && qk_norm == "width") {
    keys["architectures"] = {"Olmo2ForCausalLM"};
  } else {
    fields.Refuse("name",
                  absl::StrCat(files::Quoted(name), " with qk_norm over ",
                               qk_norm, " is not implemented"));
  }
  if (mlp_bias) {
    fields.Refuse("feed_forward.bias",
                  "true, which absent means, is not implemented here");
  }
}

const char* AttentionKey(files::Fields& fields) {
  const bool has_old = fields.Has("attention");
  if (fields.Has("sequence_mixer") && has_old) {
    fields.Fail("attention", "is the old name of sequence_mixer, both are set");
  }
  return has_old ? "attention" : "sequence_mixer";
}

// The mixer and what follows it.
void ReadDeltaBlock(files::Fields& fields, int64_t width, Block& block) {
  block.is_delta = true;
  block.keys.update(ReadOlmoCoreDeltaNet(fields, AttentionKey(fields), width));
  if (ReadFeedForward(fields, block.keys)) {
    fields.Refuse("feed_forward.bias",
                  "true, which absent means, is not implemented here");
  }
}

absl::StatusOr<Block> ReadBlock(const Json& json, const std::string& where,
                                int64_t width, bool in_hybrid = false) {
  files::Fields fields(json, where);
  ExpectClass(fields, "TransformerBlockConfig");
  const std::string name = fields.StringOr("name", "default");
  if (name != "default" && name != "reordered_norm") {
    fields.Refuse("name",
                  absl::StrCat(files::Quoted(name), " is not implemented"));
  }
  fields.RequireAbsent("feed_forward_moe", "a mixture of experts");
  fields.RequireNumber("attention_residual_alpha", 1, 1);
  fields.RequireNumber("feed_forward_residual_alpha", 1, 1);
  Block block;
  block.keys["rms_norm_eps"] = ReadNorm(fields, "layer_norm");
  if (in_hybrid && IsOlmoCoreDeltaNet(json, AttentionKey(fields))) {
    ReadDeltaBlock(fields, width, block);
  } else {
    const std::string qk_norm =
        ReadAttention(fields, AttentionKey(fields), width, in_hybrid, block);
    const bool mlp_bias = ReadFeedForward(fields, block.keys);
    ChooseFamily(fields, name, qk_norm, mlp_bias, block.keys);
  }
  fields.Ignore({"dropout", "type"});
  fields.ExpectNoOther();
  RETURN_IF_ERROR(fields.status());
  return block;
}

// The object of that name among `named`; nullptr if there is none. A name goes
// into errors as it is, so it is short and plain.
const Json* FindBlock(const Json& named, const Json& name) {
  if (!name.is_string()) return nullptr;
  const std::string& key = name.get_ref<const std::string&>();
  const bool is_plain =
      key.size() <= kMaxName &&
      std::all_of(key.begin(), key.end(), [](unsigned char c) {
        return absl::ascii_isalnum(c) || c == '_' || c == '-';
      });
  const auto found = named.find(key);
  return is_plain && found != named.end() && found->is_object() ? &*found
                                                                : nullptr;
}

// Blocks by name, and a pattern of names that is repeated.
absl::StatusOr<std::vector<Block>> ReadNamedBlocks(files::Fields& model,
                                                   int64_t width,
                                                   int64_t num_layers) {
  const Json& named = model.Object("block");
  const Json& pattern = model.Array("block_pattern", kMaxLayers);
  RETURN_IF_ERROR(model.status());
  std::vector<Block> blocks;
  if (num_layers % static_cast<int64_t>(pattern.size()) != 0) {
    model.Fail("block_pattern", "does not divide n_layers");
  }
  for (int64_t layer = 0; layer < num_layers; ++layer) {
    const Json& name = pattern.at(layer % pattern.size());
    const Json* const found = FindBlock(named, name);
    if (found == nullptr) {
      model.Fail(
          "block_pattern",
          absl::StrCat(files::Quoted(name.is_string() ? name.get<std::string>()
                                                      : name.dump()),
                       " is none of the blocks"));
      return model.status();
    }
    ASSIGN_OR_RETURN(Block block,
                     ReadBlock(*found,
                               absl::StrCat(model.PlaceOf("block"), ".",
                                            name.get_ref<const std::string&>()),
                               width, /*in_hybrid=*/true));
    blocks.push_back(std::move(block));
  }
  model.RequireAbsent("block_overrides", "overrides of named blocks");
  RETURN_IF_ERROR(model.status());
  return blocks;
}

// One block for each layer. Overrides are whole blocks.
absl::StatusOr<std::vector<Block>> ReadBlocks(files::Fields& model,
                                              int64_t width,
                                              int64_t num_layers) {
  if (model.Has("block_pattern")) {
    return ReadNamedBlocks(model, width, num_layers);
  }
  const Json& block = model.Object("block");
  RETURN_IF_ERROR(model.status());
  ASSIGN_OR_RETURN(const Block base,
                   ReadBlock(block, model.PlaceOf("block"), width));
  std::vector<Block> blocks(num_layers, base);
  if (!model.Has("block_overrides")) return blocks;
  const std::string where = model.PlaceOf("block_overrides");
  for (const auto& [key, json] : model.Object("block_overrides").items()) {
    int64_t layer = -1;
    if (!absl::SimpleAtoi(key, &layer) || layer < 0 || layer >= num_layers) {
      model.Fail("block_overrides",
                 absl::StrCat(files::Quoted(key), " is no layer"));
      break;
    }
    ASSIGN_OR_RETURN(Block layer_block,
                     ReadBlock(json, absl::StrCat(where, ".", key), width));
    if (layer_block.keys != base.keys) {
      model.Refuse("block_overrides",
                   absl::StrCat("layer ", key,
                                " that differs from the others in more than "
                                "window and rope is not implemented"));
    }
    blocks[layer] = std::move(layer_block);
  }
  RETURN_IF_ERROR(model.status());
  return blocks;
}

// The keys of blocks of two kinds; layers of one kind have the same.
Json KeysOfBlocks(files::Fields& model, const std::vector<Block>& blocks) {
  const Block* kinds[2] = {nullptr, nullptr};
  for (const Block& block : blocks) {
    const Block*& kind = kinds[block.is_delta ? 1 : 0];
    if (kind == nullptr) kind = &block;
    if (kind->keys == block.keys) continue;
    model.Refuse("block",
                 "blocks that differ in more than window and rope are not "
                 "implemented");
  }
  const auto [attention, delta] = std::pair(kinds[0], kinds[1]);
  if (delta == nullptr) return attention->keys;
  if (attention == nullptr) {
    model.Refuse("block_pattern", "without attention is not implemented");
    return delta->keys;
  }
  Json keys = attention->keys;
  const bool is_known = keys["architectures"][0] == "Olmo2ForCausalLM" &&
                        !keys.contains("attention_sinks") &&
                        !keys.contains("attention_gate");
  if (!is_known) {
    model.Refuse("block",
                 "a hybrid whose attention is not OLMo 2's is not implemented");
  }
  for (const char* key : {"rms_norm_eps", "intermediate_size"}) {
    if (keys[key] == delta->keys[key]) continue;
    model.Refuse("block", absl::StrCat(key,
                                       " that differs between blocks is "
                                       "not implemented"));
  }
  keys.update(delta->keys);
  keys["architectures"] = {"OlmoHybridForCausalLM"};
  return keys;
}

// Keys of windows and rope, where layers may differ.
void AddLayerKeys(files::Fields& model, const std::vector<Block>& blocks,
                  Json& keys) {
  const auto num_layers = static_cast<int64_t>(blocks.size());
  Json full_rope, sliding_rope, layer_types = Json::array();
  int64_t common_window = 0;
  const bool is_hybrid = keys["architectures"][0] == "OlmoHybridForCausalLM";
  for (int64_t i = 0; i < num_layers; ++i) {
    if (blocks[i].is_delta) {
      layer_types.push_back("linear_attention");
      continue;
    }
    const int64_t window = WindowOf(blocks[i], i, num_layers);
    layer_types.push_back(window > 0 ? "sliding_attention" : "full_attention");
    if (window > 0 && common_window > 0 && window != common_window) {
      model.Refuse("block", "windows of different sizes are not implemented");
    }
    common_window = std::max(common_window, window);
    Json& rope = window > 0 ? sliding_rope : full_rope;
    if (rope.is_null()) rope = blocks[i].rope;
    if (rope != blocks[i].rope) {
      model.Refuse("block_overrides",
                   "rope that differs between layers of one kind is not "
                   "implemented");
    }
  }
  if (common_window > 0) {
    if (keys["architectures"][0] != "Olmo2ForCausalLM") {
      model.Refuse("block",
                   "a sliding window with block 'default' is not "
                   "implemented");
    }
    keys["architectures"] = {"Olmo3ForCausalLM"};
    keys["sliding_window"] = common_window;
    keys["layer_types"] = layer_types;
  }
  if (is_hybrid) keys["layer_types"] = layer_types;
  const Json& some = full_rope.is_null() ? sliding_rope : full_rope;
  keys["rope_theta"] = some["rope_theta"];
  if (keys["rope_theta"].is_null() && !is_hybrid) {
    model.Refuse("block",
                 "attention without rotary positions is not implemented");
  }
  const bool scaled = some["rope_type"] != "default";
  if (common_window > 0 && (scaled || full_rope != sliding_rope)) {
    keys["rope_parameters"] = Json::object();
    if (!full_rope.is_null()) {
      keys["rope_parameters"]["full_attention"] = full_rope;
    }
    keys["rope_parameters"]["sliding_attention"] = sliding_rope;
  } else if (scaled) {
    keys["rope_parameters"] = some;
  }
}

// Before release 1.7 the head was two keys of the model.
void ReadOlderHead(files::Fields& model, double epsilon) {
  ReadNormOfSameEps(model, "layer_norm", epsilon);
  model.RequireBool("bias", false, true);
}

void ReadLmHead(files::Fields& model, double epsilon) {
  if (!model.Has("lm_head") && model.Has("layer_norm")) {
    return ReadOlderHead(model, epsilon);
  }
  files::Fields head = model.RequiredSection("lm_head");
  head.RequireString("name", "default", "default");
  ReadNormOfSameEps(head, "layer_norm", epsilon);
  head.RequireBool("bias", false, true);
  head.Ignore({"dtype", "loss_implementation", "_CLASS_", "type"});
  head.ExpectNoOther();
}

void RefuseWhatIsNotTransformer(files::Fields& model) {
  ExpectClass(model, "TransformerConfig");
  model.RequireString("name", "default", "default");
  model.RequireAbsent("embedding_norm", "a norm of the embedding");
  model.RequireNumber("embed_scale", 1, 1);
  model.Ignore({"dtype", "init_method", "init_seed", "init_std", "init_device",
                "embedding_init_std", "freeze_params", "compile", "dp_config",
                "tp_config", "cp_config", "ep_config", "pp_config", "ac_config",
                "float8_config", "type"});
}

}  // namespace

absl::StatusOr<Json> TranslateOlmoCore(const Json& root) {
  files::Fields fields(root);
  const Json& object = fields.Object("model");
  RETURN_IF_ERROR(fields.status());
  files::Fields model(object, "model");
  RefuseWhatIsNotTransformer(model);
  const int64_t width = model.Int("d_model", 1, kMax);
  const int64_t num_layers = model.Int("n_layers", 1, kMaxLayers);
  const int64_t vocabulary = model.Int("vocab_size", 1, kMax);
  const bool tied = model.BoolOr("tie_word_embeddings", false);
  RETURN_IF_ERROR(model.status());
  ASSIGN_OR_RETURN(const std::vector<Block> blocks,
                   ReadBlocks(model, width, num_layers));
  Json keys = KeysOfBlocks(model, blocks);
  RETURN_IF_ERROR(model.status());
  keys["hidden_size"] = width;
  keys["num_hidden_layers"] = num_layers;
  keys["vocab_size"] = vocabulary;  // padded already
  keys["tie_word_embeddings"] = tied;
  AddLayerKeys(model, blocks, keys);
  ReadLmHead(model, keys["rms_norm_eps"]);
  model.ExpectNoOther();
  RETURN_IF_ERROR(model.status());
  return keys;
}

}  // namespace sinkwatch::checkpoint
