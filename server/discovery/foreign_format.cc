#include "server/discovery/foreign_format.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "re2/re2.h"
#include "server/discovery/layout.h"

namespace sinkwatch::discovery {
namespace {

constexpr size_t kMaxNames = 5;

using Kind = ForeignFormat::Kind;

constexpr char kNemo[] =
    "export it to the Hugging Face form (nemo.export, "
    "scripts/checkpoint_converters)";

// What is most particular stands first: a LoRA beside DeepSpeed's state is a
// LoRA. The last rows are of any tool.
constexpr ForeignFormat kFormats[] = {
    {"peft-adapter", Kind::kCheckpoint, "a PEFT adapter (LoRA)",
     R"(adapter_(config\.json|model\.(safetensors|bin)))",
     "merge it into its base model (merge_and_unload) and save that"},
    {"mlx-adapter", Kind::kCheckpoint, "an MLX adapter (LoRA)",
     R"((\d+_)?adapters\.(safetensors|npz))",
     "merge it into its base model (mlx_lm.fuse)"},
    {"deepspeed-zero", Kind::kCheckpoint, "DeepSpeed's ZeRO shards",
     R"(zero_to_fp32\.py|zero_pp_rank_.*|bf16_zero_pp_rank_.*|.*_optim_states\.pt|global_step\d+/|pytorch_model/|mp_rank_\d+_model_states\.pt)",
     "gather the weights: python zero_to_fp32.py . pytorch_model.bin, or train "
     "with stage3_gather_16bit_weights_on_model_save"},
    {"fsdp-shards", Kind::kCheckpoint, "FSDP's shards",
     R"(pytorch_model_fsdp(_\d+)?/|fsdp_model\.pt)",
     "merge them (accelerate merge-weights), or train with FULL_STATE_DICT"},
    {"fsdp-full", Kind::kCheckpoint,
     "FSDP's whole state under accelerate's name", R"(pytorch_model_fsdp\.bin)",
     "rename it to pytorch_model.bin, beside the model's config.json"},
    {"verl", Kind::kCheckpoint, "verl's FSDP or Megatron state",
     R"(actor/|critic/|model_world_size_\d+_rank_\d+\.pt)",
     "merge it (python -m verl.model_merger merge), or follow "
     "actor/huggingface "
     "where it holds weights"},
    {"nemo-rl", Kind::kAnyFolder, "NeMo-RL's state of a trainer", R"(policy/)",
     "convert it (NeMo-RL's examples/converters), or follow a folder of such"},
    {"megatron", Kind::kCheckpoint, "a Megatron checkpoint of ranks",
     R"(mp_rank_\d+(_\d+)*/|model_optim_rng\.pt|model_rng\.pt)",
     "convert it to the Hugging Face form (tools/checkpoint/convert.py, or "
     "Megatron Bridge), or save with --ckpt-format torch_dist"},
    {"megatron-zarr", Kind::kCheckpoint, "a Megatron checkpoint in zarr's form",
     R"((model|optimizer.*)\.(module\.)?(decoder|embedding|output_layer)\..*/)",
     "save with --ckpt-format torch_dist, or convert it to the Hugging Face "
     "form (Megatron Bridge)"},
    {"nemo", Kind::kFile, "NeMo's", R"(.*\.nemo)", kNemo},
    {"nemo", Kind::kWeightsAndContext, "NeMo's",
     R"(model_weights/|weights/|context/)", kNemo},
    {"litgpt", Kind::kCheckpoint, "litgpt's",
     R"(lit_model(\..*)?\.pth|lit_model\.pth/|model_config\.yaml)",
     "convert it: litgpt convert_from_litgpt, or litgpt convert pretrained"},
    {"meta-consolidated", Kind::kCheckpoint, "Meta's consolidated form",
     R"(consolidated(\.\d+)?\.(pth|pt|safetensors)|consolidated/)",
     "convert it to the Hugging Face form "
     "(convert_llama_weights_to_hf.py)"},
    {"meta-below", Kind::kAnyFolder, "Meta's form in a folder of its own",
     R"(original/)",
     "convert it to the Hugging Face form "
     "(convert_llama_weights_to_hf.py)"},
    {"torchtune", Kind::kCheckpoint, "torchtune's",
     R"((hf|meta)_model_\d+(_\d+)?\.pt)",
     "save with its FullModelHFCheckpointer and safe_serialization"},
    {"prime-rl", Kind::kCheckpoint, "prime-rl's state of a trainer",
     R"(orchestrator/|train_dataloader/)",
     "follow its folder of weights (weights/step_100), which has the Hugging "
     "Face form"},
    {"composer", Kind::kFile, "Composer's file of a rank",
     R"((ep\d+-ba\d+|latest|ba\d+)-rank\d+(\.pt)?)",
     "convert it (llm-foundry's convert_composer_to_hf.py)"},
    {"colossalai", Kind::kCheckpoint, "ColossalAI's", R"(running_states\.json)",
     "save the model with save_pretrained, or gather modeling/ into "
     "model.safetensors beside its config.json"},
    {"orbax", Kind::kCheckpoint, "Orbax's (JAX)",
     R"(_METADATA|_CHECKPOINT_METADATA|_sharding|array_metadatas/)",
     "export it to the Hugging Face form with the trainer's own converter "
     "(MaxText: to_huggingface.py)"},
    {"tensorstore", Kind::kCheckpoint, "OCDBT or TensorStore (levanter, JAX)",
     R"(manifest\.ocdbt|ocdbt\.process_\d+/|d/|\.zarray|training_state/|target\..*)",
     "export it to the Hugging Face form (levanter: hf_save_path, or "
     "export_lm_to_hf)"},
    {"easylm", Kind::kFile, "EasyLM's", R"(streaming_(params|train_state).*)",
     "convert it (EasyLM's convert_easylm_to_hf.py)"},
    {"gguf", Kind::kFile, "GGUF (llama.cpp)", R"(.*\.gguf|ggml-.*\.bin)",
     "follow the checkpoint that it was made of"},
    {"mlx", Kind::kCheckpoint, "MLX's own form",
     R"(weights(\.\d+)?\.(npz|safetensors)|model\.npz)",
     "save it as model.safetensors (mlx_lm.convert)"},
    {"flax", Kind::kCheckpoint, "Flax's or TensorFlow's",
     R"(flax_model.*\.msgpack|tf_model\.h5|.*\.data-\d+-of-\d+|checkpoint|saved_model\.pb)",
     "load it with transformers (from_flax, from_tf) and save_pretrained"},
    {"keras", Kind::kAnyFile, "Keras's", R"(.*\.(h5|hdf5|keras))",
     "load it with the code that wrote it and save its tensors as "
     "model.safetensors"},
    {"jax-arrays", Kind::kAnyFile,
     "JAX's arrays in a file of their own (Flax, Equinox, pickle)",
     R"(.*\.(msgpack|eqx)|(.*[-_.=])?(params|state|train_state|checkpoint|model|weights|step|ckpt)([-_.=]?\d+)?\.(pkl|pickle|npy))",
     "export it to the Hugging Face form with the trainer's own converter"},
    {"arrays", Kind::kAnyFile, "NumPy's arrays", R"(.*\.npz)",
     "save them as model.safetensors under the names that the model has"},
    {"paddle", Kind::kFile, "Paddle's",
     R"(.*\.pdparams|model_state.*\.safetensors)",
     "convert it to the Hugging Face form (PaddleNLP's merge and convert)"},
    {"diffusers", Kind::kAnyFolder, "a pipeline of diffusers",
     R"(model_index\.json|unet/|vae/)",
     "it is no language model: leave it out"},
    {"onnx", Kind::kAnyFile, "ONNX or an engine made of it",
     R"(.*\.(onnx|engine|plan)|onnx/)",
     "follow the checkpoint that it was made of"},
    {"hugging-face-below", Kind::kAnyFolder,
     "a Hugging Face checkpoint in a folder of its own",
     R"((hf|hg|huggingface|hf_model|hf_checkpoint|hf_ckpt)/)",
     "give the run a root of such folders, or move the files up"},
    {"fairseq2", Kind::kCheckpoint, "fairseq2's", R"(data_reader/)",
     "let it save the Hugging Face form too (export_hugging_face)"},
    {"ranks", Kind::kAnyFolder, "a folder for each rank",
     R"((tp|pp|dp|cp|mp|rank|shard)([-_]?rank)?[-_]?\d+([-_]?(tp|pp|ep|dp|cp)([-_]?rank)?[-_]?\d+)*/)",
     "gather the weights with the trainer's own tool"},
    {"megatron-below", Kind::kAnyFolder, "a folder of Megatron's steps",
     R"(iter_\d+/|latest_checkpointed_iteration\.txt)",
     "give the run this folder as its root"},
    {"form-below", Kind::kCheckpoint,
     "a form whose weights lie in a folder of their own (Orbax's, t5x's, a "
     "PEFT adapter of a name)",
     R"((default|items|params|train_state)/)",
     "export it to the Hugging Face form with the trainer's own converter, or "
     "merge the adapter into its base"},
    {"torch-tar", Kind::kFile, "torch.save's file under another name",
     R"(.*\.(pt|pth|ckpt)\.tar)",
     "rename it to model.pt, beside its config.json: it is no archive"},
    {"cerebras", Kind::kFile, "Cerebras's", R"(.*\.mdl)",
     "convert it (Cerebras's convert_checkpoint.py)"},
    {"archive", Kind::kArchive, "an archive",
     R"(.*\.(tar|tgz|zip|zst|gz|xz|bz2|7z|mar))", "unpack it in its place"},
    {"gpt-neox", Kind::kCheckpoint, "gpt-neox's (DeepSpeed's)",
     R"(layer_\d+-model_\d+-model_states\.pt)",
     "convert it to the Hugging Face form"},
    {"dvc", Kind::kFile, "a pointer of DVC",
     R"((model|pytorch_model|weights)\.dvc|.*\.(safetensors|bin|pt|pth|ckpt)\.dvc)",
     "fetch the weights: dvc pull"},
    {"rank-files", Kind::kRankFile, "a file for each rank",
     R"((.*[-_.])?(tp|pp|dp|cp|mp|rank|shard|model_part)([-_]?rank)?[-_]?\d+([-_.].*)?\.(pt|pth|bin|ckpt|safetensors)|.*_rank_world_size=.*)",
     "gather the weights with the trainer's own tool"},
    {"other-weights", Kind::kWeightsFile,
     "a file of weights under a name that is not known",
     R"(.*\.(safetensors|pt|pth|ckpt|bin)|.*\.safetensors-\d+.*)",
     "rename it to model.safetensors or model.pt if it holds the model's "
     "tensors, beside its config.json"},
    // Hugging Face's Trainer writes it last.
    {"no-weights", Kind::kState, "a trainer's state without weights",
     R"(trainer_state\.json)", "put the model's weights beside it"},
};

struct Compiled {
  const ForeignFormat* format;
  std::unique_ptr<const re2::RE2> evidence;
};

const std::vector<Compiled>& Table() {
  static const auto* const kTable = [] {
    auto* table = new std::vector<Compiled>;
    for (const ForeignFormat& format : kFormats) {
      table->push_back(
          {&format, std::make_unique<const re2::RE2>(format.evidence)});
    }
    return table;
  }();
  return *kTable;
}

// What a trainer keeps beside the weights of any form.
bool IsState(const std::string& name) {
  static const auto& kState = *new re2::RE2(
      R"((common|recipe|optim|scheduler|rng|scaler|trainer|training|random_states|dataloader|sampler|step_|tokenizer|vocab|merges|events|eval|results|metrics).*|.*[-_.](optim(izer)?|rng|scheduler|state)\.(pt|pth|bin))");
  return re2::RE2::FullMatch(name, kState);
}

bool HasFolder(const Listing& listing, absl::string_view name) {
  return std::any_of(listing.entries.begin(), listing.entries.end(),
                     [&](const Entry& entry) {
                       return entry.is_folder && entry.name == name;
                     });
}

std::string NameOf(const Entry& entry) {
  return entry.is_folder ? entry.name + "/" : entry.name;
}

// The entry that speaks for `row`; nullptr if none does.
const Entry* EvidenceOf(const Compiled& row, const Listing& listing) {
  const bool is_any = row.format->kind == Kind::kRankFile ||
                      row.format->kind == Kind::kWeightsFile;
  for (const Entry& entry : listing.entries) {
    if (!re2::RE2::FullMatch(NameOf(entry), *row.evidence)) continue;
    if (is_any && IsState(entry.name)) continue;
    if (!BelongsToCheckpoint("", entry)) return &entry;
  }
  return nullptr;
}

}  // namespace

bool IsProof(const ForeignFormat& format, const Listing& listing) {
  switch (format.kind) {
    case Kind::kCheckpoint:
    case Kind::kFile:
    case Kind::kRankFile:
    case Kind::kWeightsFile:
      return true;
    case Kind::kWeightsAndContext:
      return HasFolder(listing, "weights") && HasFolder(listing, "context");
    case Kind::kAnyFolder:
    case Kind::kAnyFile:
    case Kind::kArchive:
    case Kind::kState:
      break;
  }
  return false;
}

bool IsOfOneFile(const ForeignFormat& format) {
  return format.kind != Kind::kCheckpoint && format.kind != Kind::kAnyFolder &&
         format.kind != Kind::kWeightsAndContext;
}

const ForeignFormat* FindForeignFormat(const Listing& listing) {
  for (const Compiled& row : Table()) {
    if (EvidenceOf(row, listing) != nullptr) return row.format;
  }
  return nullptr;
}

const ForeignFormat* FindForeignFile(const std::string& name) {
  Listing alone;
  alone.entries.push_back({name, false, 1, 0, "", ""});
  return FindForeignFormat(alone);
}

std::string WhyForeign(const ForeignFormat& format, const Listing& listing) {
  std::string evidence;
  for (const Compiled& row : Table()) {
    if (row.format != &format) continue;
    const Entry* const entry = EvidenceOf(row, listing);
    if (entry != nullptr) evidence = NameOf(*entry);
  }
  return absl::StrCat(evidence, " is ", format.name,
                      ", which is not supported: ", format.advice);
}

std::string WhatIsThere(const Listing& listing) {
  std::vector<std::string> names;
  for (const Entry& entry : listing.entries) {
    if (names.size() < kMaxNames) names.push_back(NameOf(entry));
  }
  if (names.empty()) return "nothing is there";
  const size_t more = listing.entries.size() - names.size();
  return absl::StrCat("what is there: ", absl::StrJoin(names, ", "),
                      more > 0 ? absl::StrCat(" and ", more, " more") : "");
}

}  // namespace sinkwatch::discovery
