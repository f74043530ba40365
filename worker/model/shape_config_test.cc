// Windows of layers, as the architectures that have them read their configs.
#include "worker/model/shape_config.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "worker/model/registry.h"

namespace sinkwatch::model {
namespace {

using Json = nlohmann::json;

// Eight layers.
Json ConfigOf(const std::string& architecture, const Json& keys) {
  Json config = {{"architectures", {architecture}}, {"hidden_size", 16},
                 {"intermediate_size", 12},         {"num_hidden_layers", 8},
                 {"num_attention_heads", 2},        {"vocab_size", 32},
                 {"num_key_value_heads", 2}};
  config.update(keys);
  return config;
}

absl::StatusOr<std::vector<int64_t>> WindowsOf(const std::string& architecture,
                                               const Json& keys) {
  const auto config = checkpoint::Config::Parse(
      "config.json", ConfigOf(architecture, keys).dump());
  const auto created = CreateArchitecture(*config);
  if (!created.ok()) return created.status();
  std::vector<int64_t> windows;
  for (const AttentionShape& layer : (*created)->shape().attention) {
    windows.push_back(layer.window);
  }
  return windows;
}

void ExpectWindows(const std::string& architecture, const Json& keys,
                   const std::vector<int64_t>& expected) {
  const auto windows = WindowsOf(architecture, keys);
  ASSERT_TRUE(windows.ok()) << windows.status();
  EXPECT_EQ(*windows, expected) << architecture << " " << keys;
}

void ExpectError(const std::string& architecture, const Json& keys,
                 absl::StatusCode code, const std::string& word) {
  const absl::Status status = WindowsOf(architecture, keys).status();
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_NE(std::string(status.message()).find(word), std::string::npos)
      << status;
}

constexpr char kOlmo3[] = "Olmo3ForCausalLM";
constexpr char kQwen2[] = "Qwen2ForCausalLM";
constexpr char kMistral[] = "MistralForCausalLM";

Json Types(int sliding, int full) {
  Json types = Json::array();
  for (int i = 0; i < sliding; ++i) types.push_back("sliding_attention");
  for (int i = 0; i < full; ++i) types.push_back("full_attention");
  return types;
}

TEST(WindowsTest, EveryFourthLayerOfOlmo3IsFull) {
  ExpectWindows(kOlmo3, {{"sliding_window", 7}}, {7, 7, 7, 0, 7, 7, 7, 0});
  ExpectWindows(kOlmo3, Json::object(),
                {4096, 4096, 4096, 0, 4096, 4096, 4096, 0});
}

TEST(WindowsTest, LayerTypesCountBeforeTheRule) {
  ExpectWindows(kOlmo3, {{"sliding_window", 7}, {"layer_types", Types(2, 6)}},
                {7, 7, 0, 0, 0, 0, 0, 0});
  ExpectWindows(kOlmo3,
                {{"sliding_window", nullptr}, {"layer_types", Types(0, 8)}},
                std::vector<int64_t>(8, 0));
}

TEST(WindowsTest, AllLayersOfMistralSlideUnlessTheWindowIsNull) {
  ExpectWindows(kMistral, {{"sliding_window", 7}}, std::vector<int64_t>(8, 7));
  ExpectWindows(kMistral, {{"sliding_window", nullptr}},
                std::vector<int64_t>(8, 0));
  ExpectWindows(kMistral, Json::object(), std::vector<int64_t>(8, 4096));
}

// transformers gives all layers of Mistral one window, whatever layer_types
// says.
TEST(WindowsTest, LayerTypesAreRefusedInMistralWhereTheySayAnythingElse) {
  ExpectWindows(kMistral, {{"sliding_window", 7}, {"layer_types", Types(8, 0)}},
                std::vector<int64_t>(8, 7));
  ExpectError(kMistral, {{"sliding_window", 7}, {"layer_types", Types(4, 4)}},
              absl::StatusCode::kUnimplemented, "layer_types");
  ExpectError(kMistral,
              {{"sliding_window", nullptr}, {"layer_types", Types(8, 0)}},
              absl::StatusCode::kUnimplemented, "layer_types");
}

TEST(WindowsTest, LayersOfMinistralSlideAsLayerTypesSays) {
  const char* const ministral = "MinistralForCausalLM";
  ExpectWindows(ministral,
                {{"sliding_window", 7}, {"layer_types", Types(2, 6)}},
                {7, 7, 0, 0, 0, 0, 0, 0});
  ExpectWindows(ministral, {{"sliding_window", 7}}, std::vector<int64_t>(8, 7));
}

TEST(WindowsTest, LaterLayersOfQwenSlideIfAskedFor) {
  for (const char* qwen : {"Qwen2ForCausalLM", "Qwen3ForCausalLM"}) {
    ExpectWindows(qwen, {{"sliding_window", 7}, {"max_window_layers", 2}},
                  std::vector<int64_t>(8, 0));
    ExpectWindows(qwen,
                  {{"sliding_window", 7},
                   {"max_window_layers", 6},
                   {"use_sliding_window", true}},
                  {0, 0, 0, 0, 0, 0, 7, 7});
    ExpectWindows(qwen,
                  {{"sliding_window", 7},
                   {"use_sliding_window", true},
                   {"layer_types", Types(3, 5)}},
                  {7, 7, 7, 0, 0, 0, 0, 0});
  }
}

TEST(WindowsTest, LayerThatSlidesWithoutAWindowIsCorrupt) {
  ExpectError(kOlmo3, {{"sliding_window", nullptr}},
              absl::StatusCode::kDataLoss, "sliding_window");
  ExpectError(kQwen2, {{"sliding_window", 7}, {"layer_types", Types(1, 7)}},
              absl::StatusCode::kDataLoss, "sliding_window");
}

TEST(WindowsTest, LayerTypesOfTheWrongLengthAreCorrupt) {
  ExpectError(kOlmo3, {{"layer_types", Types(1, 6)}},
              absl::StatusCode::kDataLoss, "layer_types");
  ExpectError(kOlmo3, {{"layer_types", "full_attention"}},
              absl::StatusCode::kDataLoss, "layer_types");
}

TEST(WindowsTest, OtherLayerTypesAreRefusedByName) {
  Json types = Types(1, 7);
  types[3] = "chunked_attention";
  ExpectError(kOlmo3, {{"layer_types", types}},
              absl::StatusCode::kUnimplemented, "chunked_attention");
  types[3] = 5;
  ExpectError(kOlmo3, {{"layer_types", types}},
              absl::StatusCode::kUnimplemented, "layer_types");
}

}  // namespace
}  // namespace sinkwatch::model
