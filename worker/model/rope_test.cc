#include "worker/model/rope.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "proto/base/status_macros.h"
#include "worker/files/fields.h"

namespace sinkwatch::model {
namespace {

ModelShape Shape() {
  ModelShape shape;
  shape.head_dim = 12;
  shape.max_positions = 2048;
  return shape;
}

absl::StatusOr<Rope> Read(const std::string& text,
                          const std::string& layer_type = "full_attention",
                          const RopeFamily& family = {}) {
  const nlohmann::json json = nlohmann::json::parse(text);
  files::Fields config(json, "", "config.json");
  const Rope rope = ReadRope(config, Shape(), layer_type, family);
  RETURN_IF_ERROR(config.status());
  return rope;
}

void ExpectFrequencies(const absl::StatusOr<Rope>& rope,
                       const std::vector<double>& expected) {
  ASSERT_TRUE(rope.ok()) << rope.status();
  ASSERT_EQ(rope->inverse_F.size(0), static_cast<int64_t>(expected.size()));
  EXPECT_EQ(rope->width(), 2 * static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    // Transformers works in float32: a few roundings of 6e-8 each.
    EXPECT_NEAR(rope->inverse_F.data_ptr<float>()[i] / expected[i], 1.0, 1e-6)
        << i;
  }
}

void ExpectError(const absl::StatusOr<Rope>& rope, absl::StatusCode code,
                 const std::vector<std::string>& words) {
  EXPECT_EQ(rope.status().code(), code) << rope.status();
  for (const std::string& word : words) {
    EXPECT_NE(rope.status().message().find(word), absl::string_view::npos)
        << rope.status() << " lacks " << word;
  }
}

struct Golden {
  const char* config;
  double attention_factor;
  std::vector<double> inverse;
};

// Printed by rope_golden.py from transformers 5.23.
const Golden kGolden[] = {
    {R"({"rope_theta": 500000.0})",
     1,
     {1, 0.11224619, 0.012599208, 0.0014142134, 0.00015874006, 1.781798e-05}},
    {R"({"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor":
         4.0}})",
     1,
     {0.25, 0.053860862, 0.011603971, 0.0024999999, 0.00053860858,
      0.00011603974}},
    {R"({"rope_theta": 10000.0, "rope_scaling": {"rope_type": "llama3",
         "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor":
         4.0, "original_max_position_embeddings": 128}})",
     1,
     {1, 0.21544345, 0.0058019855, 0.00125, 0.00026930429, 5.8019868e-05}},
    {R"({"rope_theta": 500.0, "rope_scaling": {"rope_type": "llama3",
         "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor":
         4.0}})",
     1,
     {1, 0.35495368, 0.1259921, 0.044721361, 0.01587401, 0.0020791492}},
    {R"({"rope_theta": 1000.0, "rope_scaling": {"rope_type": "yarn",
         "factor": 8.0, "original_max_position_embeddings": 512}})",
     1.20794415,
     {1, 0.24705294, 0.056249999, 0.01087033, 0.0012499999, 0.00039528476}},
    {R"({"rope_theta": 1000.0, "rope_scaling": {"rope_type": "yarn",
         "factor": 8.0, "original_max_position_embeddings": 512,
         "truncate": false}})",
     1.20794415,
     {1, 0.29893628, 0.06546507, 0.011510123, 0.0012499999, 0.00039528476}},
    {R"({"rope_theta": 1000.0, "rope_scaling": {"rope_type": "yarn",
         "factor": 8.0, "original_max_position_embeddings": 512,
         "attention_factor": 1.0, "beta_fast": 8, "beta_slow": 2.0}})",
     1,
     {1, 0.31622776, 0.099999994, 0.017787812, 0.0012499999, 0.00039528476}},
    {R"({"rope_theta": 1000.0, "rope_scaling": {"rope_type": "yarn",
         "factor": 0.5, "original_max_position_embeddings": 512}})",
     1,
     {1, 0.39528471, 0.14999999, 0.055339862, 0.019999998, 0.0063245562}},
    {R"({"rope_theta": 20.0, "rope_scaling": {"rope_type": "yarn", "factor":
         2.0}})",
     1.06931472,
     {1, 0.6069622, 0.36840314, 0.2236068, 0.13572088, 0.076493345}},
    {R"({"rope_theta": 1000.0, "rope_scaling": {"rope_type": "yarn",
         "factor": null, "original_max_position_embeddings": 512}})",
     1.13862944,
     {1, 0.25693506, 0.062499996, 0.013834965, 0.0024999997, 0.00079056952}},
    {R"({"rope_parameters": {"rope_type": "yarn", "factor": 8.0,
         "original_max_position_embeddings": 512, "rope_theta":
         1000.0, "truncate": false, "beta_slow": 3.0}})",
     1.20794415,
     {1, 0.29091105, 0.049436979, 0.0039528473, 0.0012499999, 0.00039528476}},
};

TEST(RopeTest, FrequenciesAreThoseOfTransformers) {
  for (const Golden& golden : kGolden) {
    SCOPED_TRACE(golden.config);
    const auto rope = Read(golden.config);
    ExpectFrequencies(rope, golden.inverse);
    EXPECT_NEAR(rope->attention_factor, golden.attention_factor, 1e-8);
  }
}

double Theta(const absl::StatusOr<Rope>& rope) {
  if (!rope.ok()) ADD_FAILURE() << rope.status();
  return rope.ok() ? std::pow(rope->inverse_F.data_ptr<float>()[1], -6) : 0;
}

TEST(RopeTest, ThetaIsFoundInEveryGenerationOfKeys) {
  const std::pair<const char*, double> cases[] = {
      {R"({})", 10000},
      {R"({"rope_theta": 500})", 500},
      {R"({"rope_theta": 500.0, "rope_scaling": null})", 500},
      {R"({"rope_theta": 5, "rope_scaling": {"type": "default"}})", 5},
      {R"({"rope_parameters": null, "rope_theta": 5})", 5},
      {R"({"rope_parameters": {}, "rope_theta": 5})", 5},
      {R"({"rope_parameters": {"rope_type": "default"}, "rope_theta": 5})", 5},
      {R"({"rope_parameters": {"rope_theta": 7, "rope_type": "default"},
           "rope_theta": 5})",
       7},
      {R"({"rope_parameters": {"rope_theta": 7,
                               "partial_rotary_factor": 1.0}})",
       7},
      {R"({"rope_parameters": {
             "full_attention": {"rope_theta": 7, "rope_type": "default"},
             "sliding_attention": {"rope_theta": 9}}})",
       7},
      {R"({"rope_parameters": {"full_attention": null,
                               "sliding_attention": {"rope_theta": 9}}})",
       10000},
  };
  for (const auto& [text, theta] : cases) {
    EXPECT_NEAR(Theta(Read(text)) / theta, 1.0, 1e-5) << text;
  }
}

TEST(RopeTest, EachLayerTypeHasItsOwn) {
  const char* text = R"({"rope_parameters": {
      "full_attention": {"rope_type": "yarn", "factor": 8, "rope_theta": 7,
                         "original_max_position_embeddings": 512},
      "sliding_attention": {"rope_type": "default", "rope_theta": 9}}})";
  EXPECT_NEAR(Theta(Read(text, "sliding_attention")), 9, 1e-4);
  EXPECT_EQ(Read(text, "sliding_attention")->attention_factor, 1.0);
  EXPECT_GT(Read(text, "full_attention")->attention_factor, 1.2);
}

TEST(RopeTest, KeysBesideTheSectionAreThoseOfTheFamily) {
  RopeFamily neox;
  neox.partial_factor = 0.5;
  neox.theta_key = "rotary_emb_base";
  neox.partial_key = "rotary_pct";
  const auto rope = Read(R"({"rotary_emb_base": 70, "rotary_pct": 1.0,
                             "rope_theta": 5, "partial_rotary_factor": 0.5})",
                         "full_attention", neox);
  EXPECT_NEAR(Theta(rope), 70, 1e-3);
  EXPECT_EQ(rope->width(), 12);
  EXPECT_NEAR(Theta(Read(R"({"rotary_emb_base": 70, "rotary_pct": 0.5})")),
              10000, 1e-1);
}

RopeFamily ByLayerType() {
  RopeFamily family;
  family.theta = 500000;
  family.by_layer_type = true;
  family.outer_theta_is_for_full_layers = true;
  return family;
}

// OLMo 3.
TEST(RopeTest, OlderScalingOfAFamilyWithWindowsIsThatOfFullLayers) {
  const RopeFamily family = ByLayerType();
  const char* text = R"({"rope_theta": 1000.0,
      "rope_scaling": {"rope_type": "yarn", "factor": 8.0,
                       "original_max_position_embeddings": 512}})";
  ExpectFrequencies(Read(text, "full_attention", family), kGolden[4].inverse);
  // transformers 5.24 gives sliding layers another base than older versions.
  ExpectError(Read(text, "sliding_attention", family),
              absl::StatusCode::kUnimplemented, {"rope_theta"});
  const auto sliding = Read(R"({"rope_theta": 500000,
      "rope_scaling": {"rope_type": "yarn", "factor": 8.0,
                       "original_max_position_embeddings": 512}})",
                            "sliding_attention", family);
  EXPECT_NEAR(Theta(sliding), 5e5, 5);
  EXPECT_EQ(sliding->attention_factor, 1.0);
  EXPECT_NEAR(Theta(Read("{}", "sliding_attention", family)), 5e5, 5);
}

TEST(RopeTest, WhatSuchAFamilySaysMustBeByLayerType) {
  const RopeFamily family = ByLayerType();
  const std::pair<const char*, const char*> cases[] = {
      {R"({"rope_parameters": {"rope_type": "linear", "factor": 2.0}})",
       "linear"},
      {R"({"rope_parameters": {"rope_theta": 7}})", "rope_theta"},
      {R"({"rope_scaling": {"type": "linear", "factor": 2}})", "rope_type"},
      // Which transformers looks for beside the layer types.
      {R"({"rope_parameters": {"full_attention": {
             "rope_type": "yarn", "factor": 2, "truncate": false}}})",
       "truncate"},
  };
  for (const auto& [text, word] : cases) {
    ExpectError(Read(text, "full_attention", family),
                absl::StatusCode::kUnimplemented, {word});
  }
  EXPECT_NEAR(Theta(Read(R"({"rope_parameters": {"rope_theta": 500000}})",
                         "sliding_attention", family)),
              5e5, 5);
}

TEST(RopeTest, BothGenerationsMayAgree) {
  const char* const texts[] = {
      R"({"rope_parameters": {"rope_type": "linear", "factor": 2,
                              "rope_theta": 5},
          "rope_scaling": {"type": "linear", "factor": 2.0},
          "rope_theta": 5})",
      R"({"rope_parameters": {"rope_type": "linear", "factor": 2},
          "rope_scaling": {"type": "linear", "factor": 2.0}})",
      R"({"rope_parameters": {"rope_type": "default", "rope_theta": 5},
          "rope_scaling": {"type": "default", "rope_theta": 5.0}})",
  };
  for (const char* text : texts) EXPECT_TRUE(Read(text).ok()) << text;
}

TEST(RopeTest, OriginalPositionsBesideTheSectionCountFirst) {
  const auto rope = Read(R"({
      "original_max_position_embeddings": 512, "rope_theta": 1000.0,
      "rope_scaling": {"rope_type": "yarn", "factor": 8.0,
                       "original_max_position_embeddings": 64}})");
  ExpectFrequencies(rope, kGolden[4].inverse);
}

TEST(RopeTest, OriginalPositionsBesideSeveralSectionsAreOfNone) {
  const auto rope = Read(R"({
      "original_max_position_embeddings": 64,
      "rope_parameters": {"full_attention": {
          "rope_type": "yarn", "factor": 8.0, "rope_theta": 1000.0,
          "original_max_position_embeddings": 512}}})");
  ExpectFrequencies(rope, kGolden[4].inverse);
}

TEST(RopeTest, PartOfTheHeadIsTurnedWhereTheFamilyDoesSo) {
  RopeFamily family;
  family.partial_factor = 0.25;
  const std::pair<const char*, int64_t> cases[] = {
      {R"({"partial_rotary_factor": 0.5})", 6},
      {R"({"rope_parameters": {"partial_rotary_factor": 0.5}})", 6},
      {R"({"partial_rotary_factor": 0.7})", 8},  // cut off, not rounded
      {R"({"partial_rotary_factor": 1})", 12},
  };
  for (const auto& [text, width] : cases) {
    const auto rope = Read(text, "full_attention", family);
    ASSERT_TRUE(rope.ok()) << rope.status();
    EXPECT_EQ(rope->width(), width) << text;
  }
  // 0.25 of 12 is 3, which is no pairs.
  ExpectError(Read("{}", "full_attention", family), absl::StatusCode::kDataLoss,
              {"head_dim 12", "3 elements"});
  // Frequencies go by the turned width, not the head's.
  ExpectFrequencies(
      Read(R"({"partial_rotary_factor": 0.34, "rope_theta": 100})", "", family),
      {1.0, 0.1});
}

TEST(RopeTest, WhatIsNotImplementedIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"rope_scaling": {"type": "dynamic", "factor": 2}})", "'dynamic'"},
      {R"({"rope_scaling": {"rope_type": "longrope"}})", "'longrope'"},
      {R"({"rope_parameters": {"rope_type": "mrope"}})", "'mrope'"},
      // Neither generation may hide the other.
      {R"({"rope_parameters": {"rope_theta": 5}, "rope_theta": 5,
           "rope_scaling": {"rope_type": "dynamic"}})",
       "dynamic"},
      {R"({"rope_parameters": {"rope_type": "linear", "factor": 2},
           "rope_scaling": {"type": "linear", "factor": 4}})",
       "factor 4"},
      // transformers takes its base for rope_scaling, and that is 10000.
      {R"({"rope_parameters": {"rope_type": "linear", "factor": 2,
                               "rope_theta": 5},
           "rope_scaling": {"type": "linear", "factor": 2}})",
       "rope_theta 10000"},
      {R"({"rope_parameters": {"rope_type": "linear", "factor": 2},
           "rope_scaling": {"type": "default"}})",
       "rope_type"},
      {R"({"rope_parameters": {"full_attention": {}, "rope_theta": 6}})",
       "layer types"},
      {R"({"rope_parameters": {"partial_rotary_factor": 0.25}})",
       "partial_rotary_factor"},
      {R"({"partial_rotary_factor": 0.25})", "partial_rotary_factor"},
      {R"({"rope_scaling": {"rope_type": "yarn", "factor": 2, "mscale": 1}})",
       "mscale"},
  };
  for (const auto& [text, word] : cases) {
    ExpectError(Read(text), absl::StatusCode::kUnimplemented,
                {"config.json", word});
  }
}

TEST(RopeTest, KeysThatAreWrongAreCorrupt) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"rope_theta": 0})", "rope_theta"},
      {R"({"rope_theta": "10000"})", "rope_theta"},
      {R"({"rope_parameters": {"rope_theta": -1}})", "rope_theta"},
      {R"({"rope_parameters": [1]})", "rope_parameters"},
      {R"({"rope_scaling": "yarn"})", "rope_scaling"},
      {R"({"rope_parameters": {"rope_type": 3}})", "rope_type"},
      {R"({"rope_scaling": {"type": "linear"}})", "factor"},
      {R"({"rope_scaling": {"type": "yarn"}})", "factor"},
      {R"({"rope_scaling": {"type": "llama3", "factor": 2}})",
       "low_freq_factor"},
      {R"({"rope_scaling": {"type": "llama3", "factor": 2, "low_freq_factor": 4,
                            "high_freq_factor": 4}})",
       "high_freq_factor"},
      {R"({"rope_scaling": {"type": "yarn", "factor": 2, "beta_fast": 1,
                            "beta_slow": 2}})",
       "beta_fast"},
      {R"({"rope_theta": 1,
           "rope_scaling": {"rope_type": "yarn", "factor": 2}})",
       "rope_theta"},
      {R"({"rope_scaling": {"rope_type": "yarn", "factor": 2,
                            "original_max_position_embeddings": 0}})",
       "original_max_position_embeddings"},
  };
  for (const auto& [text, word] : cases) {
    ExpectError(Read(text), absl::StatusCode::kDataLoss, {"config.json", word});
  }
}

}  // namespace
}  // namespace sinkwatch::model
