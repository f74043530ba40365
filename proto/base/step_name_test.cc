#include "proto/base/step_name.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

TEST(StepNameTest, ReadsTheNamesOfKnownTrainers) {
  struct Case {
    const char* name;
    const char* stage;
    int64_t step;
    int64_t tokens;
  };
  const Case cases[] = {
      {"step0", "", 0, 0},
      {"step1000", "", 1000, 0},
      {"step-1000", "", 1000, 0},
      {"step_1000", "", 1000, 0},
      {"step0001000", "", 1000, 0},
      {"step1000-tokens4B", "", 1000, 4000000000},
      {"step10-tokens512K", "", 10, 512000},
      {"step10-tokens5M", "", 10, 5000000},
      {"step900000-tokens2T", "", 900000, 2000000000000},
      {"checkpoint-1000", "", 1000, 0},
      {"stage1-step150-tokens1B", "stage1", 150, 1000000000},
      {"stage1-step-40000", "stage1", 40000, 0},
      {"stage2-ingredient1-step11931-tokens50B", "stage2-ingredient1", 11931,
       50000000000},
      {"stage2-ingredient1+2-step23842", "stage2-ingredient1+2", 23842, 0},
      {"ingredient3-step5", "ingredient3", 5, 0},
      {"ckpt_12", "", 12, 0},
      {"ckpt_356", "", 356, 0},
      {"step9223372036854775807", "", INT64_MAX, 0},
      // A count that does not fit is not known; the step is.
      {"step5-tokens9223372036854775807T", "", 5, 0},
  };
  for (const Case& c : cases) {
    const auto parsed = ParseStepName(c.name);
    ASSERT_TRUE(parsed.has_value()) << c.name;
    EXPECT_EQ(parsed->stage, c.stage) << c.name;
    EXPECT_EQ(parsed->step, c.step) << c.name;
    EXPECT_EQ(parsed->tokens, c.tokens) << c.name;
    EXPECT_EQ(parsed->variant, "") << c.name;
    EXPECT_FALSE(parsed->unsharded || parsed->converted) << c.name;
  }
}

TEST(StepNameTest, LeavesNamesWithoutAStepAlone) {
  const std::string names[] = {"",
                               "step",
                               "step1000-tmp",
                               "tmp-step1000",
                               "tmp-checkpoint-1000",
                               "step1000.tmp",
                               "step1000.incomplete",
                               "step1000.part",
                               "step1000-unsharded-tmp",
                               "step1000-hf-tmp",
                               "step1000 ",
                               " step1000",
                               "step1000 (copy)",
                               ".step1000",
                               "step-",
                               "step--5",
                               "step1.5",
                               "step1e3",
                               "step9223372036854775808",
                               "step99999999999999999999999K",
                               "stepping5",
                               "mystep5",
                               "bandstep5x",
                               "Llama-3.2-1B",
                               "global-batch",
                               "run-a",
                               "lr3e-4",
                               "28f8e9a9",
                               "20251101",
                               "20251101101010",
                               "checkpoint_20251101",
                               "checkpoint_20251101_101500",
                               "ckpt-2025-11-01_10-00-00",
                               "checkpoint_2025_11_01",
                               "save_1730000000",
                               "1730000000",
                               "saved5",
                               "mysteps_5",
                               "step_1_000",
                               "step_1,000",
                               "iter=12_500_000",
                               "latest",
                               "latest-unsharded",
                               "main",
                               "logs",
                               "soup",
                               "global_step",
                               "global_step5-tmp",
                               "..",
                               "step5/../step6",
                               "step5\n",
                               absl::StrCat("step", std::string(300, '0'))};
  for (const std::string& name : names) {
    EXPECT_FALSE(ParseStepName(name).has_value()) << name;
  }
}

// Names of folders and revisions, whose they are, and what they say.
TEST(StepNameTest, ReadsRealNames) {
  constexpr int64_t kMillion = 1000000, kBillion = 1000000000;
  struct Case {
    const char* project;
    const char* name;
    int64_t step;
    int64_t tokens;
    const char* stage;
    const char* seed;
    const char* variant;
  };
  const Case cases[] = {
      {"OLMo 1", "step1000-tokens4B", 1000, 4 * kBillion, "", "", ""},
      {"OLMo 2", "stage1-step150-tokens1B", 150, kBillion, "stage1", "", ""},
      {"OLMo 2", "stage2-ingredient1-step11931-tokens50B", 11931, 50 * kBillion,
       "stage2-ingredient1", "", ""},
      {"OLMo 3", "step11921+11000+10000-nooptim-reshard32", 11921, 0, "", "",
       "+11000+10000-nooptim-reshard32"},
      {"OLMo", "step1000-unsharded", 1000, 0, "", "", ""},
      {"OLMo cookbook", "olmo-cookbook-core-28f8e9a9_step60900-hf", 60900, 0,
       "olmo-cookbook-core-28f8e9a9", "", ""},
      {"OLMoE", "step5000-tokens20B", 5000, 20 * kBillion, "", "", ""},
      {"DataDecide", "step69369-seed-default", 69369, 0, "", "default", ""},
      {"DataDecide", "step69369-seed-small-aux-2", 69369, 0, "", "small-aux-2",
       ""},
      {"Pythia", "step143000", 143000, 0, "", "", ""},
      {"PolyPythias", "seed3-step512", 512, 0, "", "3", ""},
      {"SmolLM3", "stage1-step-40000", 40000, 0, "stage1", "", ""},
      {"SmolLM3", "lc-4k-to-32k-step-4000", 4000, 0, "lc-4k-to-32k", "", ""},
      {"SmolLM2", "step-125000", 125000, 0, "", "", ""},
      {"Amber", "ckpt_356", 356, 0, "", "", ""},
      {"CrystalCoder", "CrystalCoder_phase1_checkpoint_055500", 55500, 0,
       "CrystalCoder_phase1", "", ""},
      {"K2", "spike_ckpt_186", 186, 0, "spike", "", ""},
      {"FineWeb ablations", "step-001000-2BT", 1000, 2 * kBillion, "", "", ""},
      {"TinyLlama", "iter-9080000-ckpt", 9080000, 0, "", "", ""},
      {"TinyLlama", "TinyLlama-1.1B-intermediate-step-1431k-3T", 1431000,
       3000 * kBillion, "TinyLlama-1.1B-intermediate", "", ""},
      {"TinyLlama", "TinyLlama-1.1B-step-50K-105b", 50000, 105 * kBillion,
       "TinyLlama-1.1B", "", ""},
      {"TinyLlama", "TinyLlama-1.1B-intermediate-step-715k-1.5T", 715000,
       1500 * kBillion, "TinyLlama-1.1B-intermediate", "", ""},
      {"Ray Train", "checkpoint_000010", 10, 0, "", "", ""},
      {"by hand", "checkpoint_20251101_step500", 500, 0, "20251101", "", ""},
      {"by hand", "checkpoint-2024", 2024, 0, "", "", ""},
      {"OpenEuroLLM", "checkpoint_0050000", 50000, 0, "", "", ""},
      {"Apertus", "step50000-tokens210B", 50000, 210 * kBillion, "", "", ""},
      {"Stanford CRFM", "checkpoint-400", 400, 0, "", "", ""},
      {"Marin", "hf-step-100000", 100000, 0, "", "", ""},
      {"BLOOM", "global_step5000", 5000, 0, "", "", ""},
      {"verl", "global_step_100", 100, 0, "", "", ""},
      {"OpenRLHF", "global_step100_hf", 100, 0, "", "", ""},
      {"AReaL", "epoch0epochstep11globalstep11", 11, 0, "", "", ""},
      {"Megatron-LM", "iter_0058000", 58000, 0, "", "", ""},
      {"slime", "hf_iter_0000100", 100, 0, "", "", ""},
      {"NeMo",
       "megatron_gpt--val_loss=2.31-step=1000-consumed_samples=256000.0", 1000,
       0, "megatron_gpt", "", ""},
      {"torchtitan", "step-1000", 1000, 0, "", "", ""},
      {"lingua", "0000001000", 1000, 0, "", "", ""},
      {"nanotron", "1000", 1000, 0, "", "", ""},
      {"levanter", "step-20000", 20000, 0, "", "", ""},
      {"Composer", "ba5000", 5000, 0, "", "", ""},
      {"Composer", "ep1-ba4800", 4800, 0, "", "", ""},
      {"Lightning", "epoch=3-step=1000", 1000, 0, "", "", ""},
      {"fairseq", "checkpoint_3_50000", 50000, 0, "", "", ""},
      {"XTuner", "iter_500_hf", 500, 0, "", "", ""},
      {"T5X", "checkpoint_10000", 10000, 0, "", "", ""},
      {"LLaVA", "checkpoint-5197", 5197, 0, "", "", ""},
      {"accelerate", "step_500", 500, 0, "", "", ""},
      {"trl", "policy_update_40", 40, 0, "policy", "", ""},
      {"modded-nanogpt", "state_step001750", 1750, 0, "", "", ""},
      {"Stable LM ablations", "model_100k_steps", 100000, 0, "", "", ""},
      {"averages", "step1000-ema", 1000, 0, "", "", "ema"},
      {"sweeps", "lr3e-4_seed_7_step_2K", 2000, 0, "lr3e-4", "7", ""},
      {"counts", "step10-tokens5M", 10, 5 * kMillion, "", "", ""},
      {"losses", "step-000100_loss-2.31", 100, 0, "", "", ""},
      {"losses", "model_step_600_ppl_12.3", 600, 0, "", "", ""},
      {"losses", "loss2.31_step500", 500, 0, "", "", ""},
      {"losses", "step_200_val_loss_2.11-lr3e-4", 200, 0, "", "", "lr3e-4"},
      {"NeMo 2", "model_name=0--val_loss=2.31-step=999-consumed_samples=8000.0",
       999, 0, "", "", ""},
      {"ColossalAI", "epoch-0_step-1000", 1000, 0, "", "", ""},
      {"XTuner", "iter_500.pth", 500, 0, "", "", ""},
      {"by hand", "step_1000_001", 1000, 0, "", "", "001"},
      {"by hand", "step_500_tokens_10_billion", 500, 10 * kBillion, "", "", ""},
      {"by hand", "steps_25000", 25000, 0, "", "", ""},
      {"by hand", "num_steps_21k", 21000, 0, "", "", ""},
      {"by hand", "chkpt-8000", 8000, 0, "", "", ""},
      {"by hand", "ablation_snapshot_11000", 11000, 0, "ablation", "", ""},
  };
  std::set<std::string> projects;
  for (const Case& c : cases) {
    projects.insert(c.project);
    const auto parsed = ParseStepName(c.name);
    ASSERT_TRUE(parsed.has_value()) << c.name;
    EXPECT_EQ(parsed->step, c.step) << c.name;
    EXPECT_EQ(parsed->tokens, c.tokens) << c.name;
    EXPECT_EQ(parsed->stage, c.stage) << c.name;
    EXPECT_EQ(parsed->seed, c.seed) << c.name;
    EXPECT_EQ(parsed->variant, c.variant) << c.name;
    EXPECT_EQ(parsed->axis, StepAxis::kSteps) << c.name;
  }
  EXPECT_GE(std::size(cases), 40u);
  EXPECT_GE(projects.size(), 15u);
}

TEST(StepNameTest, SaysWhatTheStepCountsWhereItIsNoStep) {
  struct Case {
    const char* name;
    StepAxis axis;
    int64_t step;
    int64_t tokens;
  };
  const Case cases[] = {
      {"240b_tokens", StepAxis::kTokens, 240000000000, 240000000000},  // INCITE
      {"tokens_10_billion", StepAxis::kTokens, 10000000000, 10000000000},
      {"1.5-trillion-tokens", StepAxis::kTokens, 1500000000000, 1500000000000},
      {"tokens-1.5T", StepAxis::kTokens, 1500000000000, 1500000000000},
      {"100BT", StepAxis::kTokens, 100000000000, 100000000000},
      {"checkpoint-10B", StepAxis::kTokens, 10000000000, 10000000000},
      {"tok10B", StepAxis::kTokens, 10000000000, 10000000000},
      {"10b_tok", StepAxis::kTokens, 10000000000, 10000000000},
      {"n_tokens=1000000", StepAxis::kTokens, 1000000, 1000000},
      {"epoch_3", StepAxis::kEpochs, 3, 0},  // torchtune, OpenLM
      {"ep2", StepAxis::kEpochs, 2, 0},
      // The step speaks where there is one.
      {"epoch_3_step_40", StepAxis::kSteps, 40, 0},
      {"tokens-2B_iter-9", StepAxis::kSteps, 9, 2000000000},
  };
  for (const Case& c : cases) {
    const auto parsed = ParseStepName(c.name);
    ASSERT_TRUE(parsed.has_value()) << c.name;
    EXPECT_EQ(parsed->axis, c.axis) << c.name;
    EXPECT_EQ(parsed->step, c.step) << c.name;
    EXPECT_EQ(parsed->tokens, c.tokens) << c.name;
    EXPECT_EQ(parsed->form, NameForm::kLoose) << c.name;
    EXPECT_EQ(parsed->stage, "") << c.name;
  }
}

TEST(StepNameTest, TakesTheLastNumberThatAWordNames) {
  EXPECT_EQ(ParseStepName("checkpoint5_step9")->step, 9);
  EXPECT_EQ(ParseStepName("step5-iter3")->step, 3);
  EXPECT_EQ(ParseStepName("stage1step5")->stage, "stage1");
  EXPECT_EQ(ParseStepName("step5-ckpt")->step, 5);
  EXPECT_EQ(ParseStepName("iter_3_of_run7")->step, 3);
}

TEST(StepNameTest, TellsHowMuchANameProves) {
  for (const char* name :
       {"1000", "epoch_3", "run-a_step5", "step5-ema", "steps_5", "chkpt-5"}) {
    EXPECT_EQ(ParseStepName(name)->form, NameForm::kLoose) << name;
  }
  for (const char* name : {"iter_0001000", "ba5000", "checkpoint_7", "step5"}) {
    EXPECT_EQ(ParseStepName(name)->form, NameForm::kStep) << name;
  }
}

TEST(StepFileTest, ReadsFilesThatAreACheckpointEach) {
  const std::pair<const char*, int64_t> cases[] = {
      {"model_000100.pt", 100},          // nanochat
      {"state_step001750.pt", 1750},     // modded-nanogpt
      {"epoch=3-step=1000.ckpt", 1000},  // Lightning
      {"iter-9080000-ckpt.pth", 9080000},
      {"ckpt_500.pt", 500},
      {"checkpoint_1_10000.pt", 10000},  // fairseq
      {"0001000.pt", 1000},              // by hand
      {"step500.safetensors", 500},
      {"stories_step500.bin", 500},
  };
  for (const auto& [name, step] : cases) {
    const auto parsed = ParseStepFile(name);
    ASSERT_TRUE(parsed.has_value()) << name;
    EXPECT_EQ(parsed->step, step) << name;
  }
  for (const char* name :
       {"meta_000100.json", "optim_000100_rank0.pt", "optim_000100.pt",
        "optimizer_step500.pt", "model-00001-of-00002.safetensors", "model.pt",
        "ckpt.pt", "20251101.pt", "00001.bin", "tok512.bin", "tok32k.bin",
        "step500",
        "checkpoint_7_1000-model_part-0-shard3.pt",  // metaseq
        "step500.pt.tmp", "rank0.pt", "checkpoint_last.pt", "step500.log"}) {
    EXPECT_FALSE(ParseStepFile(name).has_value()) << name;
  }
}

TEST(CountTest, ReadsUnits) {
  EXPECT_EQ(ParseCount("240B"), 240000000000);
  EXPECT_EQ(ParseCount("1431k"), 1431000);
  EXPECT_EQ(ParseCount("0050"), 50);
  EXPECT_EQ(ParseCount("1.5T"), 1500000000000);
  for (const char* text : {"", "B", "1.5", "-5", "1e3", "5X", "99999999T"}) {
    EXPECT_EQ(ParseCount(text), std::nullopt) << text;
  }
}

TEST(StepNameTest, TellsFormsAndVariantsOfAStepApart) {
  struct Case {
    const char* name;
    NameForm form;
    const char* variant;
    bool unsharded;
    bool converted;
  };
  const Case cases[] = {
      {"step5", NameForm::kStep, "", false, false},
      {"checkpoint-5", NameForm::kCheckpoint, "", false, false},
      {"global_step5", NameForm::kGlobalStep, "", false, false},
      {"5", NameForm::kLoose, "", false, false},
      {"step5-unsharded", NameForm::kStep, "", true, false},
      {"step5-hf", NameForm::kStep, "", false, true},
      {"step5-unsharded-hf", NameForm::kStep, "", true, true},
      {"step5-nooptim", NameForm::kStep, "nooptim", false, false},
      {"step5+4+3", NameForm::kStep, "+4+3", false, false},
      {"step5+4+3-nooptim-reshard32", NameForm::kStep, "+4+3-nooptim-reshard32",
       false, false},
  };
  for (const Case& c : cases) {
    const auto parsed = ParseStepName(c.name);
    ASSERT_TRUE(parsed.has_value()) << c.name;
    EXPECT_EQ(parsed->step, 5) << c.name;
    EXPECT_EQ(parsed->form, c.form) << c.name;
    EXPECT_EQ(parsed->variant, c.variant) << c.name;
    EXPECT_EQ(parsed->unsharded, c.unsharded) << c.name;
    EXPECT_EQ(parsed->converted, c.converted) << c.name;
  }
}

TEST(StageFolderTest, KnowsTheFoldersOfPublishedSeries) {
  for (const char* name :
       {"stage1", "stage2", "olmo-7b-1124_stage2_ingredient1", "ingredient2",
        "soup", "souped"}) {
    EXPECT_TRUE(IsStageFolder(name)) << name;
  }
  for (const char* name :
       {"logs", "stage", "stage1-tmp", ".stage1", "wandb", "soups", "train"}) {
    EXPECT_FALSE(IsStageFolder(name)) << name;
  }
}

TEST(StepNameTest, WhatIsUnderWayByItsNameIsNoStep) {
  for (const char* name :
       {"step5-tmp", "tmp-step5", "step5.tmp", "step5_tmp", "step5_temp",
        "_temp_step5", "step5.partial", "step5._COPYING_", "step5.lock",
        "100.orbax-checkpoint-tmp-1699"}) {
    EXPECT_TRUE(IsUnderWay(name)) << name;
    EXPECT_FALSE(ParseStepName(name).has_value()) << name;
  }
  const std::pair<const char*, const char*> later[] = {
      {"model.safetensors.tmp", "model.safetensors"},
      {"tmp-model.safetensors", "model.safetensors"},
      {"_tmp_config.json", "config.json"},
      {".tmp.model.pt", ".model.pt"},
      {"model.safetensors.partial", "model.safetensors"},
      {"tmp-model.safetensors.part", "model.safetensors"},
      {"model.safetensors", "model.safetensors"},
  };
  for (const auto& [name, end] : later) {
    EXPECT_EQ(WithoutUnderWay(name), end) << name;
  }
  for (const char* name : {"temp0.7-step5", "step5-attempt", "step5_old",
                           "contemp_step5", "template-step5"}) {
    EXPECT_FALSE(IsUnderWay(name)) << name;
  }
}

}  // namespace
}  // namespace sinkwatch::base
