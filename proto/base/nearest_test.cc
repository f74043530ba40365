#include "proto/base/nearest.h"

#include <utility>

#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

const std::vector<std::string>& Names() {
  static const auto* const kNames = new std::vector<std::string>{
      "runs",           "requeue",           "series",
      "sink_attention", "sink_attention_gu", "value_norm_ratio"};
  return *kNames;
}

TEST(Nearest, FindsWhatWasMeant) {
  const std::pair<const char*, const char*> cases[] = {
      {"runz", "runs"},
      {"run", "runs"},
      {"RUNS", "runs"},
      {"rusn", "runs"},
      {"sereis", "series"},
      {"sink_atention", "sink_attention"},
      {"sink-attention-gu", "sink_attention_gu"},
      {"value", "value_norm_ratio"}};
  for (const auto& [typed, meant] : cases) {
    EXPECT_EQ(Nearest(typed, Names()), meant) << typed;
  }
}

TEST(Nearest, GuessesNothingThatIsFar) {
  for (const char* typed : {"", "xyzzy", "s", "wikki", "sin"}) {
    EXPECT_EQ(Nearest(typed, Names()), "") << typed;
  }
  EXPECT_EQ(Nearest(std::string(100'000, 'r'), Names()), "");
  EXPECT_EQ(Nearest("runs", {}), "");
}

TEST(DidYouMean, IsTheEndOfASentence) {
  EXPECT_EQ(DidYouMean("runz", Names()), "; did you mean runs?");
  EXPECT_EQ(DidYouMean("xyzzy", Names()), "");
}

}  // namespace
}  // namespace sinkwatch::base
