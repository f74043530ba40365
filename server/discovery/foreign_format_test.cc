#include "server/discovery/foreign_format.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "server/discovery/layout.h"

namespace sinkwatch::discovery {
namespace {

// A name that ends in '/' is a folder's.
Listing ListingOf(const std::vector<std::string>& names) {
  Listing listing;
  for (const std::string& name : names) {
    const bool is_folder = absl::EndsWith(name, "/");
    listing.entries.push_back({std::string(absl::StripSuffix(name, "/")),
                               is_folder, is_folder ? 0 : 10, 1, "", ""});
  }
  return listing;
}

Verdict JudgeNamed(const char* name, const std::vector<std::string>& files,
                   bool has_model_config = false) {
  const Subject subject{*base::ParseStepName(name), ListingOf(files),
                        has_model_config, false};
  const Layout* const layout = FindLayout(subject);
  return layout == nullptr ? Verdict() : Judge(*layout, subject);
}

// What lies in a checkpoint folder of a format, and what is said of it.
TEST(ForeignFormatTest, KnowsWhatIsNotReadAndWhatToDo) {
  struct Case {
    std::vector<std::string> files;
    const char* code;
    const char* words;
  };
  const Case cases[] = {
      {{"adapter_config.json", "adapter_model.safetensors", "optimizer.pt"},
       "peft-adapter",
       "merge_and_unload"},
      {{"config.json", "adapter_model.bin", "trainer_state.json"},
       "peft-adapter",
       "LoRA"},
      {{"adapters.safetensors", "adapter_config.json"}, "peft-adapter", "base"},
      {{"adapters.npz"}, "mlx-adapter", "mlx_lm.fuse"},
      {{"config.json", "global_step10/", "latest", "zero_to_fp32.py",
        "trainer_state.json"},
       "deepspeed-zero",
       "zero_to_fp32.py"},
      {{"zero_pp_rank_0_mp_rank_00_optim_states.pt",
        "mp_rank_00_model_states.pt"},
       "deepspeed-zero",
       "ZeRO"},
      {{"pytorch_model/", "random_states_0.pkl"}, "deepspeed-zero", "ZeRO"},
      {{"config.json", "pytorch_model_fsdp_0/", "optimizer_0/"},
       "fsdp-shards",
       "merge"},
      {{"config.json", "pytorch_model_fsdp.bin"},
       "fsdp-full",
       "pytorch_model.bin"},
      {{"actor/", "critic/", "data.pt"}, "verl", "model_merger"},
      {{"mp_rank_00/", "mp_rank_01/"}, "megatron", "convert"},
      {{"mp_rank_00_000/"}, "megatron", "torch_dist"},
      {{"gpt.nemo"}, "nemo", "NeMo"},
      {{"weights/", "context/"}, "nemo", "NeMo"},
      {{"metadata.json", "common.pt",
        "model.decoder.layers.mlp.linear_fc1.weight/"},
       "megatron-zarr",
       "torch_dist"},
      {{"running_states.json", "modeling/", "optimizer/"},
       "colossalai",
       "ColossalAI"},
      {{"0000100_adapters.safetensors"}, "mlx-adapter", "mlx_lm.fuse"},
      {{"config.json", "tp0_pp1/", "tp1_pp1/"}, "ranks", "rank"},
      {{"config.json", "tp_rank_00/"}, "ranks", "rank"},
      {{"config.json", "model_tp0_pp0.safetensors"}, "rank-files", "gather"},
      {{"config.json", "rank_0.pt", "rank_1.pt"}, "rank-files", "gather"},
      {{"config.json", "model-tp-0-of-2.safetensors"}, "rank-files", "gather"},
      {{"config.json", "model.safetensors.dvc"}, "dvc", "dvc pull"},
      {{"config.json", "optimizer.pt", "trainer_state.json"},
       "no-weights",
       "weights"},
      {{"lit_model.pth", "model_config.yaml"}, "litgpt", "convert"},
      {{"consolidated.00.pth", "consolidated.01.pth", "params.json"},
       "meta-consolidated",
       "convert_llama_weights_to_hf"},
      {{"consolidated.pth", "params.json"}, "meta-consolidated", "Meta"},
      {{"hf_model_0001_0.pt", "recipe_state.pt"}, "torchtune", "torchtune"},
      {{"ep0-ba500-rank0.pt"}, "composer", "Composer"},
      {{"_CHECKPOINT_METADATA", "default/"}, "orbax", "Orbax"},
      {{"manifest.ocdbt", "d/"}, "tensorstore", "OCDBT"},
      {{"metadata.json", "model/", "training_state/", "manifest.ocdbt"},
       "tensorstore",
       "levanter"},
      {{"streaming_params_1000"}, "easylm", "EasyLM"},
      {{"model-q8.gguf"}, "gguf", "GGUF"},
      {{"weights.npz", "config.json"}, "mlx", "MLX"},
      {{"flax_model.msgpack", "config.json"}, "flax", "Flax"},
      {{"saved_model.pb", "variables/"}, "flax", "TensorFlow"},
      {{"model.weights.h5"}, "keras", "Keras"},
      {{"state.msgpack"}, "jax-arrays", "JAX"},
      {{"params.pkl", "opt_state.pkl"}, "jax-arrays", "JAX"},
      {{"params.npz"}, "arrays", "NumPy"},
      {{"rank_0/", "rank_1/"}, "ranks", "rank"},
      {{"iter_0000033/", "latest_checkpointed_iteration.txt"},
       "megatron-below",
       "root"},
      {{"default/"}, "form-below", "adapter"},
      {{"config.json", "model.safetensors.zst"}, "archive", "unpack"},
      {{"config.json", "model.safetensors-00001"}, "other-weights", "rename"},
      {{"model_state.pdparams"}, "paddle", "Paddle"},
      {{"model_index.json", "unet/"}, "diffusers", "diffusers"},
      {{"model.onnx"}, "onnx", "ONNX"},
      {{"hf/", "optim/"}, "hugging-face-below", "move the files up"},
      {{"model/", "trainer/", "data_reader/"},
       "fairseq2",
       "export_hugging_face"},
      {{"model/", "hg/"}, "hugging-face-below", "hg/"},
      {{"trainer/", "orchestrator/"}, "prime-rl", "weights/step_100"},
      {{"weights_tp_rank_world_size=0_2_pp_rank_world_size=0_1.pth"},
       "rank-files",
       "gather"},
      {{"config.json", "original/"}, "meta-below", "Meta"},
      {{"layer_00-model_00-model_states.pt"}, "gpt-neox", "Hugging Face"},
      {{"config.json", "policy/", "training_info.json"}, "nemo-rl", "NeMo-RL"},
      {{"config.json", "checkpoint_1000.mdl"}, "cerebras", "Cerebras"},
      {{"config.json", "checkpoint.pth.tar"}, "torch-tar", "model.pt"},
      {{"config.json", "model-shard0.pt"}, "rank-files", "gather"},
      {{"config.json", "model.pkl"}, "jax-arrays", "converter"},
      {{"config.json", "weights_final.safetensors"}, "other-weights", "rename"},
      {{"pytorch_lightning.ckpt"}, "other-weights", "rename"},
  };
  for (const Case& c : cases) {
    const ForeignFormat* const format = FindForeignFormat(ListingOf(c.files));
    ASSERT_NE(format, nullptr) << c.code;
    EXPECT_STREQ(format->code, c.code) << c.files[0];
    const Verdict verdict = JudgeNamed("step5", c.files);
    if (verdict.kind == Verdict::Kind::kUnsupported) continue;  // at once
    EXPECT_EQ(verdict.later, Verdict::Kind::kUnsupported) << c.files[0];
    EXPECT_EQ(verdict.code, c.code) << c.files[0];
    EXPECT_TRUE(absl::StrContains(verdict.why_later, c.words))
        << verdict.why_later;
    EXPECT_TRUE(absl::StrContains(verdict.why_later, "is not supported"))
        << verdict.why_later;
  }
}

TEST(ForeignFormatTest, LeavesASaveThatIsUnderWayAlone) {
  const std::vector<std::string> cases[] = {
      {},
      {"config.json"},
      {"config.json", "model-00001-of-00002.safetensors"},
      {"config.json", "model-00001-of-00002.safetensors", "zero_to_fp32.py"},
      {"config.json", "optimizer.pt", "scheduler.pt", "rng_state.pth"},
      {"config.json", "tokenizer.json", "eval_results.bin"},
      {"__0_0.distcp", "context/"},
      {"model_and_optim/", "train/"},
  };
  for (const auto& files : cases) {
    const Verdict verdict = JudgeNamed("step5", files);
    EXPECT_EQ(verdict.kind, Verdict::Kind::kWaiting);
    EXPECT_EQ(verdict.later, Verdict::Kind::kWaiting) << verdict.why_later;
  }
}

TEST(ForeignFormatTest, SaysOfAFileAloneWhoseItIs) {
  const std::pair<const char*, const char*> cases[] = {
      {"ep0-ba100-rank0.pt", "composer"},
      {"model-Q4_K_M.gguf", "gguf"},
      {"step5_rank3.pt", "rank-files"},
      {"adapter_model.safetensors", "peft-adapter"},
      {"last.ckpt", "other-weights"},
      {"step5.tar.gz", "archive"},
      {"step5.pth.tar", "torch-tar"},
      {"checkpoint_7_1000-model_part-0-shard3.pt", "rank-files"},
      {"step_1000.pkl", "jax-arrays"},
  };
  for (const auto& [name, code] : cases) {
    ASSERT_NE(FindForeignFile(name), nullptr) << name;
    EXPECT_STREQ(FindForeignFile(name)->code, code) << name;
  }
  for (const char* name : {"optim_000100_rank0.pt", "README.md", "config.json",
                           "model.safetensors", "common.pt"}) {
    EXPECT_EQ(FindForeignFile(name), nullptr) << name;
  }
}

// A folder of weights within the step's folder.
TEST(ForeignFormatTest, TellsWhatLiesInModelByItsNames) {
  Subject subject{*base::ParseStepName("step5"), ListingOf({"model/"}), false,
                  false};
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"chunk-00000.safetensors"}, "olmo-core-split"},
      {{"config.json", "model.safetensors"}, "hugging-face-below"},
      {{"config.json", "model-00001-of-00002.safetensors"},
       "hugging-face-below"},
      {{".metadata", "__0_0.distcp"}, "dcp-below"},
  };
  for (const auto& [files, code] : cases) {
    subject.listing.folders["model"] = ListingOf(files).entries;
    const Verdict verdict = Judge(*FindLayout(subject), subject);
    EXPECT_EQ(verdict.kind, Verdict::Kind::kUnsupported) << code;
    EXPECT_EQ(verdict.code, code);
  }
}

// Folders of which nothing says that a checkpoint will be in them.
TEST(ForeignFormatTest, EndsWaitingWhereNothingIsKnown) {
  const std::vector<std::string> cases[] = {
      {"optimizer.pt", "rng_state.pth"},
      {"README.md"},
      {"model/", "optimizer/", "metadata.json"},  // levanter before OCDBT
      {"trainer/", "progress.json"},
      {"tokenizer.json"},
  };
  for (const auto& files : cases) {
    const Verdict verdict = JudgeNamed("step5", files);
    EXPECT_EQ(verdict.kind, Verdict::Kind::kWaiting);
    EXPECT_EQ(verdict.later, Verdict::Kind::kUnsupported) << files[0];
    EXPECT_EQ(verdict.code, "nothing-known");
    EXPECT_TRUE(absl::StrContains(verdict.why_later, files[0]))
        << verdict.why_later;
    EXPECT_TRUE(absl::StrContains(verdict.why_later, "move them up"));
  }
  for (const char* under_way : {"sharded/", "results.json.tmp", "tmp_eval/"}) {
    EXPECT_EQ(JudgeNamed("step5", {under_way}).later, Verdict::Kind::kWaiting);
  }
}

TEST(ForeignFormatTest, NamesWhatIsThereInALateReason) {
  EXPECT_EQ(JudgeNamed("step5", {"config.json", "rng_state.pth"}).why_later,
            "model.safetensors is not there yet; what is there: config.json, "
            "rng_state.pth");
  EXPECT_EQ(JudgeNamed("step5", {}).why_later,
            "config.json is not there yet; nothing is there");
  std::vector<std::string> many(100, "config.json");
  EXPECT_TRUE(
      absl::EndsWith(JudgeNamed("step5", many).why_later, "and 95 more"));
}

// What is missing is what a model does without.
TEST(LaterTest, IsWholeWithoutWhatOnlyATrainerNeeds) {
  struct Case {
    const char* name;
    std::vector<std::string> files;
  };
  const Case cases[] = {
      {"checkpoint-5", {"config.json", "model.safetensors", "optimizer.pt"}},
      {"checkpoint-5", {"config.json", "pytorch_model.bin"}},
      {"step5", {"config.json", "model.safetensors", "results.json.tmp"}},
      {"step5", {"config.json", "model.safetensors", "tmp_eval/"}},
      {"step5", {"config.json", "model.safetensors", "config.yaml.part"}},
      // Shards that no index can mean.
      {"step5",
       {"config.json", "model.safetensors",
        "model-00001-of-00003.safetensors"}},
      {"step5-unsharded", {"config.json", "model.safetensors", "rank0.pt"}},
      {"step5", {"config.json", "model.safetensors", ".metadata"}},
      {"step5", {"config.json", "model.safetensors", "__0_0.distcp"}},
      {"step5", {"config.json", "model.safetensors", "train/"}},
      // A download of the weights without their index.
      {"step5",
       {"config.json", "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors"}},
      {"step5", {"config.json", "pytorch_model-00001-of-00001.bin"}},
  };
  for (const Case& c : cases) {
    const Verdict verdict = JudgeNamed(c.name, c.files);
    const bool complete = verdict.kind == Verdict::Kind::kComplete ||
                          verdict.later == Verdict::Kind::kComplete;
    EXPECT_TRUE(complete) << c.files.back() << ": " << verdict.why;
  }
}

TEST(LaterTest, IsNotWholeWithoutWhatAModelNeeds) {
  const std::vector<std::string> cases[] = {
      {"config.json", "model.safetensors.index.json"},
      {"config.json", "model.safetensors.index.json",
       "model-00001-of-00002.safetensors"},
      {"config.json", "model-00001-of-00002.safetensors"},
      // Which of two sets is the model's, nothing tells.
      {"config.json", "model-00001-of-00001.safetensors",
       "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"},
  };
  for (const auto& files : cases) {
    EXPECT_EQ(JudgeNamed("step5", files).later, Verdict::Kind::kWaiting)
        << files.back();
  }
}

TEST(LaterTest, TakesTheRunsConfigurationForOneThatNeverComes) {
  EXPECT_EQ(JudgeNamed("checkpoint-7", {"model.safetensors"}, true).later,
            Verdict::Kind::kComplete);
  EXPECT_EQ(JudgeNamed("checkpoint_7", {"model.safetensors"}, true).kind,
            Verdict::Kind::kComplete);
}

TEST(LaterTest, EndsWaitingForAConfigurationThatNobodyWrites) {
  const std::vector<std::string> cases[] = {
      {"model.safetensors", "random_states_0.pkl"},  // accelerate's save_state
      {".metadata", "__0_0.distcp"},                 // torchtitan
      {".metadata", "__0_0.distcp", "common.pt"},    // Megatron-LM
      {".metadata", "__0_0.distcp", "params.json"},  // lingua
      // torchtitan's last one
      {"model-00001-of-00001.safetensors", "model.safetensors.index.json"},
  };
  for (const auto& files : cases) {
    const Verdict verdict = JudgeNamed("step5", files);
    EXPECT_EQ(verdict.kind, Verdict::Kind::kWaiting) << files[0];
    EXPECT_EQ(verdict.later, Verdict::Kind::kUnsupported) << files[0];
    EXPECT_EQ(verdict.code, "no-config") << files[0];
    const std::string& why = verdict.why_later;
    EXPECT_TRUE(absl::StartsWith(why, "config.json ")) << why;
    EXPECT_TRUE(absl::EndsWith(why, "give the run a model_config")) << why;
    for (const std::string& file : files) {
      EXPECT_EQ(absl::StrContains(why, file), file == "params.json") << why;
    }
    EXPECT_EQ(JudgeNamed("step5", files, true).kind, Verdict::Kind::kComplete);
  }
  // OLMo-core writes one, last.
  Subject subject{*base::ParseStepName("step5"), ListingOf({"train/"}), false,
                  false};
  subject.listing.folders["model_and_optim"] =
      ListingOf({".metadata", "__0_0.distcp"}).entries;
  EXPECT_EQ(Judge(*FindLayout(subject), subject).later,
            Verdict::Kind::kWaiting);
}

TEST(LaterTest, TakesTorchtunesShards) {
  const std::vector<std::string> files = {"config.json",
                                          "ft-model-00001-of-00002.safetensors",
                                          "model.safetensors.index.json"};
  EXPECT_EQ(JudgeNamed("epoch_1", files).kind, Verdict::Kind::kWaiting);
  std::vector<std::string> whole = files;
  whole.push_back("ft-model-00002-of-00002.safetensors");
  EXPECT_EQ(JudgeNamed("epoch_1", whole).kind, Verdict::Kind::kComplete);
}

TEST(LaterTest, EndsWaitingForALinkThatLeavesTheRoot) {
  Subject subject{*base::ParseStepName("step5"),
                  ListingOf({"config.json", "model.safetensors"}), false,
                  false};
  Entry& link = subject.listing.entries[1];
  link.broken = "is a link to ../x, which leaves the run's root";
  const Verdict out = Judge(*FindLayout(subject), subject);
  EXPECT_EQ(out.kind, Verdict::Kind::kWaiting);
  EXPECT_EQ(out.later, Verdict::Kind::kUnsupported);
  EXPECT_EQ(out.code, "link-out");
  link.broken = "is a link to ../x, which is not there";  // it may come
  EXPECT_EQ(Judge(*FindLayout(subject), subject).later,
            Verdict::Kind::kWaiting);
}

TEST(DownloadTest, WaitsForNoFileThatAHubDoesNotHave) {
  Subject subject{*base::ParseStepName("checkpoint-400"),
                  ListingOf({"config.json", "model.safetensors"}), false, true};
  EXPECT_EQ(Judge(*FindLayout(subject), subject).kind,
            Verdict::Kind::kComplete);
  subject.listing = ListingOf({"model.safetensors"});
  const Verdict verdict = Judge(*FindLayout(subject), subject);
  EXPECT_EQ(verdict.later, Verdict::Kind::kUnsupported);
  EXPECT_EQ(verdict.code, "no-config");
}

TEST(EvidenceTest, AsksALooseNameForWeights) {
  const std::vector<std::string> none[] = {
      {},      {"results.json"},       {"config.json"}, {"optimizer.pt"},
      {"hf/"}, {"trainer_state.json"}, {"weights/"},    {"tp0/"}};
  for (const auto& files : none) {
    for (const char* name : {"1000", "epoch_3", "run-a_step5"}) {
      const Subject subject{*base::ParseStepName(name), ListingOf(files), false,
                            false};
      EXPECT_EQ(FindLayout(subject), nullptr) << name;
    }
  }
  const std::vector<std::string> some[] = {{"config.json", "model.safetensors"},
                                           {".metadata", "params.json"},
                                           {"__0_0.distcp"},
                                           {"lit_model.pth"},
                                           {"model_config.json"},
                                           {"pytorch_model-00001-of-00002.bin"},
                                           {"default/"},
                                           {"weights/", "context/"},
                                           {"running_states.json"},
                                           {"actor/"}};
  for (const auto& files : some) {
    const Subject subject{*base::ParseStepName("1000"), ListingOf(files), false,
                          false};
    EXPECT_NE(FindLayout(subject), nullptr) << files[0];
  }
}

}  // namespace
}  // namespace sinkwatch::discovery
