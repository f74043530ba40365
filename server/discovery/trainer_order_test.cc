// Each trainer's write order, file by file: what a watcher that looks at any
// point of it is told. Nothing is whole before the last file that matters.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "server/discovery/layout.h"

namespace sinkwatch::discovery {
namespace {

// A path in the checkpoint's folder; "-x" deletes it, "x=0" makes it empty.
struct Write {
  const char* path;
  // What the reason must hold after it; "" is whole, "!" is unsupported.
  const char* why;
};

struct Trainer {
  const char* what;
  const char* folder;
  const char* layout;
  std::vector<Write> order;
  bool has_model_config = false;
};

const std::vector<Trainer>& Trainers() {
  static const auto* const kTrainers = new std::vector<Trainer>{
      {"save_pretrained, one file",
       "step5",
       "Hugging Face",
       {{"config.json=0", "config.json is empty"},
        {"config.json", "model.safetensors is not there yet"},
        {"generation_config.json", "model.safetensors is not there yet"},
        {"model.safetensors=0", "model.safetensors is empty"},
        {"model.safetensors", ""}}},
      {"save_pretrained, shards and index",
       "stage1-step5-tokens1B",
       "Hugging Face",
       {{"config.json", "model.safetensors is not there yet"},
        {"model-00001-of-00002.safetensors", "index.json is not there yet"},
        {"model-00002-of-00002.safetensors", "index.json is not there yet"},
        {"model.safetensors.index.json=0", "index.json is empty"},
        {"model.safetensors.index.json", ""}}},
      {"an index that comes before its shards (a download)",
       "step5",
       "Hugging Face",
       {{"config.json", "not there yet"},
        {"model.safetensors.index.json", "no shards beside it yet"},
        {"model-00002-of-00002.safetensors", "1 of 2 shards are there"},
        {"model-00001-of-00002.safetensors", ""}}},
      {"torch .bin, one file",
       "step5",
       "Hugging Face",
       {{"config.json", "not there yet"},
        {"pytorch_model.bin=0", "pytorch_model.bin is empty"},
        {"pytorch_model.bin", ""}}},
      {"torch .bin, shards and index",
       "step5",
       "Hugging Face",
       {{"config.json", "not there yet"},
        {"pytorch_model-00001-of-00002.bin",
         "pytorch_model.bin.index.json is not there yet"},
        {"pytorch_model-00002-of-00002.bin",
         "pytorch_model.bin.index.json is not there yet"},
        {"pytorch_model.bin.index.json", ""}}},
      {"Hugging Face Trainer",
       "checkpoint-5",
       "Hugging Face Trainer",
       {{"config.json", "model.safetensors is not there yet"},
        {"model.safetensors", "trainer_state.json is not there yet"},
        {"optimizer.pt", "trainer_state.json is not there yet"},
        {"scheduler.pt", "trainer_state.json is not there yet"},
        {"rng_state.pth", "trainer_state.json is not there yet"},
        {"trainer_state.json=0", "trainer_state.json is empty"},
        {"trainer_state.json", ""}}},
      {"Hugging Face Trainer, FSDP's shards",
       "checkpoint-5",
       "Hugging Face Trainer",
       {{"config.json", "model.safetensors is not there yet"},
        {"pytorch_model_fsdp_0/__0_0.distcp", "!pytorch_model_fsdp_*"},
        {"pytorch_model_fsdp_0/.metadata", "!merge them"},
        {"model.safetensors", "trainer_state.json is not there yet"},
        {"trainer_state.json", ""}}},
      {"torch.distributed.checkpoint in a folder named like a Trainer's",
       "checkpoint-5",
       "torch.distributed.checkpoint",
       {{"__0_0.distcp", ".metadata is not there yet"},
        {".metadata", "config.json is not there yet"},
        {"config.json", ""}}},
      {"OLMo, unsharded, uploaded",
       "step5-unsharded",
       "OLMo (legacy trainer)",
       {{"model.safetensors", "config.yaml is not there yet"},
        {"optim.safetensors", "config.yaml is not there yet"},
        {"train.pt", "config.yaml is not there yet"},
        {"config.yaml=0", "config.yaml is empty"},
        {"config.yaml", ""}}},
      {"OLMo, unsharded, as torch files",
       "step5-unsharded",
       "OLMo (legacy trainer)",
       {{"model.pt", "config.yaml is not there yet"},
        {"optim.pt", "config.yaml is not there yet"},
        {"train.pt", "config.yaml is not there yet"},
        {"config.yaml", ""}}},
      {"OLMo, a configuration without weights",
       "step5-unsharded",
       "OLMo (legacy trainer)",
       {{"config.yaml", "model.safetensors is not there yet"}}},
      {"OLMo, sharded: torch_new",
       "step5",
       "OLMo (legacy trainer)",
       {{"model_and_optim/__0_0.distcp", ".metadata is not there yet"},
        {"model_and_optim/.metadata", "config.json is not there yet"},
        {"train/rank0.pt", "config.json is not there yet"},
        {"config.yaml", ""}}},
      {"OLMo, sharded: olmo_core",
       "step5",
       "OLMo (legacy trainer)",
       {{"__0_0.distcp", ".metadata is not there yet"},
        {".metadata", "config.json is not there yet"},
        {"train/rank0.pt", "config.json is not there yet"},
        {"config.yaml", ""}}},
      {"OLMo, sharded: torch_legacy (a worker refuses it)",
       "step5",
       "OLMo (legacy trainer)",
       {{"rank0.pt", "config.yaml is not there yet"}, {"config.yaml", ""}}},
      {"OLMo, sharded: local (a worker refuses it)",
       "step5",
       "OLMo (legacy trainer)",
       {{"model/rank0.pt", "config.yaml is not there yet"},
        {"optim/rank0.pt", "config.yaml is not there yet"},
        {"train/rank0.pt", "config.yaml is not there yet"},
        {"metadata.yaml", "config.yaml is not there yet"},
        {"config.yaml", ""}}},
      {"OLMo-core, synchronous",
       "step5",
       "OLMo-core",
       {{"train/rank0.pt", "model_and_optim/.metadata is not there yet"},
        {"model_and_optim/__0_0.distcp",
         "model_and_optim/.metadata is not there yet"},
        {"model_and_optim/.metadata",
         "config.json is not there yet; model_and_optim is whole"},
        {".metadata.json", "config.json is not there yet"},
        {"config.json=0", "config.json is empty"},
        {"config.json", ""},
        {"data_paths.txt", ""}}},
      {"OLMo-core, asynchronous, with strays",
       "step5",
       "OLMo-core",
       {{"train/rank0.pt", "model_and_optim/.metadata is not there yet"},
        {"model_and_optim/tmpab12.distcp",
         "model_and_optim/.metadata is not there yet"},
        {"model_and_optim/__0_0.distcp",
         "model_and_optim/.metadata is not there yet"},
        {"model_and_optim/__1_0.distcp=0",
         "model_and_optim/.metadata is not there yet"},
        {"model_and_optim/tmpcd34.tmp",
         "model_and_optim/.metadata is not there yet"},
        {"model_and_optim/.metadata", "config.json is not there yet"},
        {".metadata.json", "config.json is not there yet"},
        {"config.json", ""}}},
      {"OLMo-core, asynchronous, failed",
       "step5",
       "OLMo-core",
       {{"train/rank0.pt", "model_and_optim/.metadata is not there yet"},
        {"model_and_optim/__0_0.distcp",
         "model_and_optim/.metadata is not there yet"},
        {".metadata.json", ".metadata.json is no proof"}}},
      {"OLMo-core with the run's configuration",
       "step5",
       "OLMo-core",
       {{"model_and_optim/__0_0.distcp", ".metadata is not there yet"},
        {"model_and_optim/.metadata", ""}},
       true},
      {"OLMo-core, retention: .metadata.json goes first",
       "step5",
       "OLMo-core",
       {{"model_and_optim/__0_0.distcp", "not there yet"},
        {"model_and_optim/.metadata", "not there yet"},
        {"config.json", ""},
        {"-.metadata.json", ""},
        {"-model_and_optim/.metadata",
         "model_and_optim/.metadata is not there yet"}}},
      {"OLMo-core, model only",
       "step5",
       "torch.distributed.checkpoint",
       {{"__0_0.distcp", ".metadata is not there yet"},
        {".metadata", "config.json is not there yet"},
        {"config.json", ""}}},
      {"OLMo-core, unsharded",
       "step5-unsharded",
       "Hugging Face",
       {{"config.json", "model.safetensors is not there yet"},
        {"model.pt", ""}}},
      {"OLMo-core, split",
       "step5",
       "Hugging Face",
       {{"config.json", "model.safetensors is not there yet"},
        {"model/chunk-00000.safetensors", "!split weights"}}},
      {"torchtitan",
       "step-5",
       "torch.distributed.checkpoint",
       {{"__0_0.distcp", ".metadata is not there yet"},
        {"__1_0.distcp", ".metadata is not there yet"},
        {".metadata.tmp", ".metadata is not there yet"},
        {".metadata", ""}},
       true},
      {"torchtitan without the run's configuration",
       "step-5",
       "torch.distributed.checkpoint",
       {{"__0_0.distcp", ".metadata is not there yet"},
        {".metadata", "config.json is not there yet"}}},
      {"torch.distributed.checkpoint without collectives: .metadata per rank",
       "step-5",
       "torch.distributed.checkpoint",
       {{"__0_0.distcp", ".metadata is not there yet"},
        {"__1_0.distcp", ".metadata is not there yet"},
        {"__1.metadata.tmp", ".metadata is not there yet"},
        {"__1.metadata", "!__<rank>.metadata, a save without collectives"},
        {"__0.metadata", "!__<rank>.metadata, a save without collectives"}},
       true},
      {"the same in OLMo-core's folder",
       "step5",
       "OLMo-core",
       {{"model_and_optim/__0_0.distcp", ".metadata is not there yet"},
        {".metadata.json", ".metadata.json is no proof"},
        {"model_and_optim/__0.metadata", "!model_and_optim/__<rank>.metadata"},
        {"config.json", "!model_and_optim/__<rank>.metadata"}}},
      {"a save with collectives over one without (__0.metadata is left over)",
       "step-5",
       "torch.distributed.checkpoint",
       {{"__0_0.distcp", ".metadata is not there yet"},
        {"__0.metadata", "!save with use_collectives"},
        {"__0_0.distcp", "!save with use_collectives"},
        {".metadata", ""}},
       true},
      {"Hugging Face writer",
       "step-5",
       "torch.distributed.checkpoint, Hugging Face writer",
       {{"model-00001-of-00002.safetensors", "not there yet"},
        {"model-00002-of-00002.safetensors", "not there yet"},
        {"model.safetensors.index.json", ""}},
       true},
      {"Hugging Face writer without the run's configuration",
       "step-5",
       "torch.distributed.checkpoint, Hugging Face writer",
       {{"model-00001-of-00001.safetensors", "not there yet"},
        {"model.safetensors.index.json", "config.json is not there yet"}}},
      {"Hugging Face writer, a file per rank, consolidated",
       "step-5",
       "torch.distributed.checkpoint, Hugging Face writer",
       {{"sharded/shard-00001-model-00001-of-00001.safetensors",
         "model.safetensors is not there yet"},
        {"model-00001-of-00001.safetensors", "index.json is not there yet"},
        {"model.safetensors.index.json", ""}},
       true},
      {"Hugging Face writer, a file per rank, consolidated in place by hand",
       "step-5",
       "torch.distributed.checkpoint, Hugging Face writer",
       {{"shard-00002-model-00001-of-00001.safetensors", "!consolidate"},
        {"shard-00001-model-00001-of-00001.safetensors", "!consolidate"},
        {"config.json", "!consolidate"},
        {"model-00001-of-00001.safetensors", "index.json is not there yet"},
        {"model.safetensors.index.json", ""}}},
      {"mlx: an index of one file, and the configuration last",
       "step5",
       "Hugging Face",
       {{"model.safetensors=0", "config.json is not there yet"},
        {"model.safetensors", "config.json is not there yet"},
        {"model.safetensors.index.json=0", "index.json is empty"},
        {"model.safetensors.index.json", "config.json is not there yet"},
        {"config.json", ""}}},
      {"nanotron",
       "5",
       "nanotron",
       {{"model/model_weight_pp-rank-0.safetensors", "!nanotron"},
        {"model_config.json", "!nanotron"}}},
      {"gpt-neox",
       "global_step5",
       "gpt-neox",
       {{"layer_00-model_00-model_states.pt", "!gpt-neox"}}},
  };
  return *kTrainers;
}

void Apply(std::string path, Listing* listing) {
  const bool deletes = absl::StartsWith(path, "-");
  const bool is_empty = absl::EndsWith(path, "=0");
  if (deletes) path.erase(0, 1);
  if (is_empty) path.resize(path.size() - 2);
  const std::vector<std::string> parts = absl::StrSplit(path, '/');
  std::vector<Entry>* entries = &listing->entries;
  const auto erase = [](std::vector<Entry>* from, const std::string& name) {
    for (size_t i = from->size(); i-- > 0;) {
      if ((*from)[i].name == name) {
        from->erase(from->begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
  };
  if (parts.size() == 2) {
    erase(entries, parts[0]);
    entries->push_back({parts[0], true, 0, 1, "", ""});
    // The listing has the sub-folders that it knows.
    if (parts[0] != "model" && parts[0] != "model_and_optim") return;
    entries = &listing->folders[parts[0]];
  }
  erase(entries, parts.back());
  if (deletes) return;
  entries->push_back({parts.back(), false, is_empty ? 0 : 10, 1, "", ""});
}

std::string Told(const Verdict& verdict) {
  switch (verdict.kind) {
    case Verdict::Kind::kComplete:
      return "";
    case Verdict::Kind::kUnsupported:
      return "!" + verdict.why;
    default:
      return verdict.why;
  }
}

TEST(TrainerOrderTest, NothingIsWholeBeforeItsLastFileAndEveryWaitHasAReason) {
  for (const Trainer& trainer : Trainers()) {
    Subject subject{
        *base::ParseStepName(trainer.folder), {}, trainer.has_model_config};
    const Layout* layout = nullptr;
    for (const Write& write : trainer.order) {
      SCOPED_TRACE(absl::StrCat(trainer.what, ", after ", write.path));
      Apply(write.path, &subject.listing);
      layout = FindLayout(subject);
      ASSERT_NE(layout, nullptr);
      const std::string told = Told(Judge(*layout, subject));
      const std::string want = write.why;
      if (want.empty()) {
        EXPECT_EQ(told, "");
      } else {
        EXPECT_TRUE(absl::StrContains(told, absl::StripPrefix(want, "!")))
            << told;
        EXPECT_EQ(absl::StartsWith(told, "!"), absl::StartsWith(want, "!"));
      }
    }
    EXPECT_STREQ(layout->name, trainer.layout) << trainer.what;
  }
}

TEST(TrainerOrderTest, AFolderThatIsNewIsWaitedForWhateverItsName) {
  for (const char* name :
       {"step5", "step-5", "step5-unsharded", "checkpoint-5"}) {
    for (const bool has_model_config : {false, true}) {
      const Subject subject{*base::ParseStepName(name), {}, has_model_config};
      const Layout* layout = FindLayout(subject);
      ASSERT_NE(layout, nullptr) << name;
      const Verdict verdict = Judge(*layout, subject);
      EXPECT_EQ(verdict.kind, Verdict::Kind::kWaiting) << name;
      EXPECT_NE(verdict.why, "") << name;
    }
  }
}

TEST(TrainerOrderTest, AFolderNamedByANumberAloneIsOneOnceWeightsLieInIt) {
  Subject subject{*base::ParseStepName("2024"), {}, false};
  EXPECT_EQ(FindLayout(subject), nullptr);
  Apply("config.json", &subject.listing);
  EXPECT_EQ(FindLayout(subject), nullptr);
  Apply("model.safetensors", &subject.listing);
  EXPECT_STREQ(FindLayout(subject)->name, "Hugging Face");
}

TEST(TrainerOrderTest, AMissingConfigurationIsNamedOnceTheGraceTimeIsOver) {
  Subject subject{*base::ParseStepName("step5"), {}, false};
  Apply("model_and_optim/__0_0.distcp", &subject.listing);
  Apply("model_and_optim/.metadata", &subject.listing);
  const Verdict verdict = Judge(*FindLayout(subject), subject);
  EXPECT_EQ(verdict.why.find("config.json is not there yet"), 0u);
  EXPECT_EQ(verdict.why_later.find("config.json missing"), 0u);
}

TEST(TrainerOrderTest, FormsThatWorkersRefuseAreKnown) {
  for (const char* file : {"rank0.pt", "model/rank12.pt"}) {
    Subject subject{*base::ParseStepName("step5"), {}, false};
    Apply(file, &subject.listing);
    Apply("config.yaml", &subject.listing);
    const Verdict verdict = Judge(*FindLayout(subject), subject);
    EXPECT_EQ(verdict.kind, Verdict::Kind::kComplete) << file;
    EXPECT_TRUE(verdict.refused) << file;
  }
}

}  // namespace
}  // namespace sinkwatch::discovery
