#include "proto/base/measurement_text.h"

#include <cmath>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace sinkwatch::base {
namespace {

using nlohmann::json;

void AddVector(v1::Measurement* m, const std::string& domain,
               const std::string& metric, std::optional<int> layer,
               const std::vector<float>& values,
               const std::vector<float>& errors) {
  v1::MetricVector& vector = *m->add_vectors();
  vector.set_domain(domain);
  vector.set_metric(metric);
  if (layer.has_value()) vector.set_layer(*layer);
  vector.mutable_values()->Add(values.begin(), values.end());
  vector.mutable_standard_errors()->Add(errors.begin(), errors.end());
  vector.set_count(95);
}

v1::Measurement Small() {
  v1::Measurement m;
  v1::MeasurementHeader& header = *m.mutable_header();
  header.set_spec_version(1);
  header.mutable_checkpoint()->set_path("/runs/toy/step7");
  header.mutable_checkpoint()->set_run("toy");
  header.mutable_checkpoint()->set_step(7);
  header.mutable_model()->set_architecture("LlamaForCausalLM");
  header.mutable_model()->set_heads(2);
  header.mutable_probe()->set_name("stories");
  header.set_bos_policy("stored");
  header.set_device("cuda:0");
  m.set_content_digest("abc");
  m.set_load_seconds(1.5);
  m.set_compute_seconds(20);
  AddVector(&m, "story", "sink_attention", 1, {0.1f, NAN}, {0.5f, NAN});
  AddVector(&m, "story", "sink_attention", -1, {0.2f, 0.3f}, {});
  AddVector(&m, "other", "probe_loss", std::nullopt, {2.5f}, {INFINITY});
  return m;
}

TEST(MeasurementJson, HoldsWhatWasMeasuredAndWhereItIsFrom) {
  const json text = json::parse(MeasurementJson(Small()));
  EXPECT_EQ(text["checkpoint"],
            json::parse(R"({"path":"/runs/toy/step7","run":"toy","stage":"",
                "step":7,"architecture":"LlamaForCausalLM",
                "content_digest":"abc"})"));
  EXPECT_EQ(text["probe"]["bos_policy"], "stored");
  EXPECT_EQ(text["model"]["heads"], 2);
  EXPECT_EQ(text["device"], "cuda:0");
  EXPECT_EQ(text["load_seconds"], 1.5);
  EXPECT_EQ(text["compute_seconds"], 20);
  EXPECT_EQ(text["tensors"], json::object());
  EXPECT_EQ(text["unused_tensors"], json::parse(R"({"count":0,"first":[]})"));
}

TEST(MeasurementJson, TensorsThatAreNotUsedAreCountedAndNamed) {
  v1::Measurement m = Small();
  m.mutable_header()->set_unused_tensors(7);
  m.mutable_header()->add_unused_tensor_names("mtp.w");
  EXPECT_EQ(json::parse(MeasurementJson(m))["unused_tensors"],
            json::parse(R"({"count":7,"first":["mtp.w"]})"));
}

TEST(MeasurementJson, VectorsAreSortedAndWhatIsNotKnownIsNull) {
  const json text = json::parse(MeasurementJson(Small()));
  EXPECT_EQ(text["measurements"], json::parse(R"([
      {"domain":"other","metric":"probe_loss","layer":null,
       "values":[2.5],"stderr":[null],"count":95},
      {"domain":"story","metric":"sink_attention","layer":-1,
       "values":[0.2,0.3],"stderr":[null,null],"count":95},
      {"domain":"story","metric":"sink_attention","layer":1,
       "values":[0.1,null],"stderr":[0.5,null],"count":95}])"));
  v1::Measurement stepless = Small();
  stepless.mutable_header()->mutable_checkpoint()->set_step(-1);
  EXPECT_EQ(json::parse(MeasurementJson(stepless))["checkpoint"]["step"],
            nullptr);
}

TEST(MeasurementJson, SaysWhyAMeasurementIsImplausible) {
  v1::Measurement m = Small();
  EXPECT_EQ(json::parse(MeasurementJson(m))["implausible"], nullptr);
  m.set_implausible(true);
  EXPECT_TRUE(json::parse(MeasurementJson(m))["implausible"].is_string());
  m.set_implausible_reason("probe loss 99");
  EXPECT_EQ(json::parse(MeasurementJson(m))["implausible"], "probe loss 99");
}

TEST(MeasurementJson, NamesTheDigestOfEachTensor) {
  v1::Measurement m = Small();
  for (const char* name : {"lm_head.weight", "model.norm.weight"}) {
    v1::TensorDigest& tensor = *m.add_tensors();
    tensor.set_name(name);
    tensor.set_digest(std::string("\x01\xab", 2));
  }
  EXPECT_EQ(json::parse(MeasurementJson(m))["tensors"],
            json::parse(R"({"lm_head.weight":"01ab",
                            "model.norm.weight":"01ab"})"));
}

TEST(MeasurementJson, SaysWhatThereIsToKnow) {
  v1::Measurement m = Small();
  EXPECT_EQ(json::parse(MeasurementJson(m))["notes"], json::array());
  m.add_notes("3 \"heads\"");
  m.add_notes("left out");
  EXPECT_EQ(json::parse(MeasurementJson(m))["notes"],
            json::parse(R"(["3 \"heads\"", "left out"])"));
}

TEST(MeasurementJson, NamesTheTokensThatAreSinks) {
  v1::Measurement m = Small();
  EXPECT_EQ(json::parse(MeasurementJson(m))["sinks"], json::array());
  v1::SinkToken& sink = *m.add_sinks();
  sink.set_domain("story");
  sink.set_layer(3);
  sink.set_token(13);
  sink.set_mass(0.25);
  sink.set_head_share(0.5);
  sink.set_sequence_share(1);
  EXPECT_EQ(json::parse(MeasurementJson(m))["sinks"],
            json::parse(R"([{"domain":"story","layer":3,"token":13,
                             "at_zero":false,"mass":0.25,"heads":0.5,
                             "sequences":1}])"));
}

TEST(MeasurementJson, HasTheValuesOfEachSequenceWhereThereAreSome) {
  v1::Measurement m = Small();
  EXPECT_FALSE(json::parse(MeasurementJson(m))["measurements"][1].contains(
      "sequence_values"));
  for (float value : {0.25f, NAN, 0.5f, 0.f, 1.f, -2.f}) {
    m.mutable_vectors(1)->add_sequence_values(value);
  }
  EXPECT_EQ(json::parse(MeasurementJson(m))["measurements"][1],
            json::parse(R"({"domain":"story","metric":"sink_attention",
                            "layer":-1,"values":[0.2,0.3],
                            "stderr":[null,null],"count":95,
                            "sequence_values":[[0.25,null,0.5],[0,1,-2]]})"));
}

TEST(MeasurementJson, NamesTheDimensionsThatAreMassive) {
  v1::Measurement m = Small();
  EXPECT_EQ(json::parse(MeasurementJson(m))["massive_dimensions"],
            json::array());
  v1::MassiveDimension& massive = *m.add_massive_dimensions();
  massive.set_domain("story");
  massive.set_layer(3);
  massive.set_dimension(269);
  massive.set_position(0);
  massive.set_value(-736.5);
  massive.set_sequence_share(0.75);
  EXPECT_EQ(json::parse(MeasurementJson(m))["massive_dimensions"],
            json::parse(R"([{"domain":"story","layer":3,"dimension":269,
                             "position":0,"value":-736.5,
                             "sequences":0.75}])"));
}

TEST(MeasurementJson, NamesItsProtocol) {
  v1::Measurement m = Small();
  EXPECT_EQ(json::parse(MeasurementJson(m))["protocol"], nullptr);
  m.mutable_header()->set_protocol("gu");
  EXPECT_EQ(json::parse(MeasurementJson(m))["protocol"], "gu");
}

TEST(MeasurementJson, SurvivesAPathThatIsNoText) {
  v1::Measurement m = Small();
  m.mutable_header()->mutable_checkpoint()->set_run("\xff\xfe");
  EXPECT_EQ(json::parse(MeasurementJson(m))["checkpoint"]["step"], 7);
}

TEST(MeasurementCsv, HasALinePerValue) {
  EXPECT_EQ(MeasurementCsv(Small()),
            "domain,metric,layer,index,value,stderr,count\r\n"
            "other,probe_loss,,0,2.5,,95\r\n"
            "story,sink_attention,-1,0,0.2,,95\r\n"
            "story,sink_attention,-1,1,0.3,,95\r\n"
            "story,sink_attention,1,0,0.1,0.5,95\r\n"
            "story,sink_attention,1,1,,,95\r\n");
}

TEST(MeasurementCsv, HasNoValuesOfSequences) {
  v1::Measurement m = Small();
  const std::string without = MeasurementCsv(m);
  m.mutable_vectors(0)->add_sequence_values(0.25f);
  m.mutable_vectors(0)->add_sequence_values(0.5f);
  EXPECT_EQ(MeasurementCsv(m), without);
}

TEST(MeasurementCsv, NamesAreQuoted) {
  v1::Measurement m;
  AddVector(&m, "a,b", "=m", 0, {1.f}, {});
  EXPECT_EQ(MeasurementCsv(m),
            "domain,metric,layer,index,value,stderr,count\r\n"
            "\"a,b\",'=m,0,0,1,,95\r\n");
}

}  // namespace
}  // namespace sinkwatch::base
