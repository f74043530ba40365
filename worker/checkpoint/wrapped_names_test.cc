#include "worker/checkpoint/wrapped_names.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

TEST(WrappedNamesTest, EveryWrapperIsTakenOffWhereverItStands) {
  const std::pair<const char*, const char*> names[] = {
      {"model.layers.0.w", "model.layers.0.w"},
      {"_orig_mod.model.layers.0.w", "model.layers.0.w"},
      {"module._orig_mod.model.layers.0.w", "model.layers.0.w"},
      {"model.layers.0._orig_mod.w", "model.layers.0.w"},
      {"_fsdp_wrapped_module.model.layers.0._fsdp_wrapped_module"
       "._checkpoint_wrapped_module.w",
       "model.layers.0.w"},
      {"_fpw_module.model.w", "model.w"},
      {"_forward_module.model.w", "model.w"},
      {"language_model.model.layers.0.w", "model.layers.0.w"},
      {"model.language_model.layers.0.w", "model.layers.0.w"},
      {"model.text_model.layers.0.w", "model.layers.0.w"},
      {"language_model.lm_head.weight", "lm_head.weight"},
      // Parts that only look like one, and the tensor's own name.
      {"modules.submodule.w", "modules.submodule.w"},
      {"layers.module", "layers.module"},
      {"module", "module"},
      {"", ""},
      {"module..w", ".w"},
  };
  for (const auto& [stored, expected] : names) {
    EXPECT_EQ(UnwrappedName(stored), expected) << stored;
  }
}

TEST(WrappedNamesTest, AModuleAroundTheWholeModelIsTakenOff) {
  using Names = std::vector<std::string>;
  const std::pair<Names, Names> cases[] = {
      {{"net.model.layers.0.w", "net.lm_head.weight"},
       {"model.layers.0.w", "lm_head.weight"}},
      {{"model.model.layers.0.w", "model.lm_head.weight"},
       {"model.layers.0.w", "lm_head.weight"}},
      {{"base_model.model.model.norm.w", "base_model.model.lm_head.weight"},
       {"model.norm.w", "lm_head.weight"}},
      {{"policy.blocks.0.w", "policy.embeddings.weight"},
       {"blocks.0.w", "embeddings.weight"}},
      // Schemes that have one name before all others, and other modules.
      {{"model.layers.0.w", "model.norm.weight"},
       {"model.layers.0.w", "model.norm.weight"}},
      {{"transformer.blocks.0.w", "transformer.wte.weight"},
       {"transformer.blocks.0.w", "transformer.wte.weight"}},
      {{"net.model.w", "ema.model.w"}, {"net.model.w", "ema.model.w"}},
      {{"net.a.w", "net.b.w"}, {"net.a.w", "net.b.w"}},
      {{"a", "b"}, {"a", "b"}},
  };
  for (const auto& [stored, expected] : cases) {
    std::vector<StoredTensor> tensors(2);
    for (int i = 0; i < 2; ++i) tensors[i].name = stored[i];
    EXPECT_TRUE(UnwrapNames(tensors).ok());
    for (int i = 0; i < 2; ++i) EXPECT_EQ(tensors[i].name, expected[i]);
  }
}

TEST(WrappedNamesTest, TwoTensorsOfOneNameAreRefused) {
  std::vector<StoredTensor> tensors(2);
  tensors[0].name = "model.w";
  tensors[1].name = "module.model.w";
  files::ExpectError(UnwrapNames(tensors), absl::StatusCode::kUnimplemented,
                     {"two tensors", "'model.w'", "'module.model.w'"});
  tensors[0].name = "ema.w";
  EXPECT_TRUE(UnwrapNames(tensors).ok());
  EXPECT_EQ(tensors[1].name, "model.w");
}

}  // namespace
}  // namespace sinkwatch::checkpoint
