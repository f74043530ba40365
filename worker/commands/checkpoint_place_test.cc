#include "worker/commands/checkpoint_place.h"

#include <cstdint>
#include <filesystem>
#include <utility>

#include "gtest/gtest.h"

namespace sinkwatch::worker {
namespace {

TEST(PlaceOf, ReadsTheStepsOfTrainers) {
  const std::pair<const char*, int64_t> cases[] = {
      {"step1000", 1000},
      {"run/step1000/", 1000},
      {"step1000-tokens4B", 1000},
      {"stage1-step150-tokens1B", 150},
      {"checkpoint-1000", 1000},
      {"step_20", 20},
      {"step0", 0},
      {"ckpt_12", 12},
      {"global_step7", 7},
      {"olmo_checkpoint5_step9", 9},
      {"/", -1},
      {"", -1},
      {"step", -1},
      {"final", -1},
      {"step12/final", -1},
      {"step99999999999999999999", -1}};
  for (const auto& [folder, step] : cases) {
    EXPECT_EQ(PlaceOf(folder).step(), step) << folder;
  }
}

TEST(PlaceOf, IsAbsoluteAndNamesTheRun) {
  const v1::Checkpoint place = PlaceOf("/ckpt/./olmo/step7/");
  EXPECT_EQ(place.path(), "/ckpt/olmo/step7");
  EXPECT_EQ(place.run(), "olmo");
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(PlaceOf("step7").path(), here + "/step7");
  EXPECT_EQ(PlaceOf("step7").run(),
            std::filesystem::path(here).filename().string());
}

}  // namespace
}  // namespace sinkwatch::worker
