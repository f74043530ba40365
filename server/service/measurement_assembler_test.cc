#include "server/service/measurement_assembler.h"

#include <cmath>
#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sinkwatch::service {
namespace {

using ::testing::HasSubstr;

v1::MeasurementChunk Begin() {
  v1::MeasurementChunk chunk;
  v1::MeasurementChunk::Begin& begin = *chunk.mutable_begin();
  begin.set_job_id(7);
  begin.set_token(3);
  v1::ModelInfo& model = *begin.mutable_header()->mutable_model();
  model.set_layers(2);
  model.set_heads(4);
  model.set_kv_heads(2);
  const auto add = [&](const std::string& name, v1::Scope scope) {
    v1::MetricDescriptor& metric = *begin.mutable_header()->add_metrics();
    metric.set_name(name);
    metric.set_scope(scope);
  };
  add("head_metric", v1::SCOPE_HEAD);
  add("kv_metric", v1::SCOPE_KV_HEAD);
  add("layer_metric", v1::SCOPE_LAYER);
  add("loss", v1::SCOPE_MODEL);
  add("few_heads", v1::SCOPE_HEAD);
  begin.mutable_header()->mutable_metrics(4)->set_sparse(true);
  return chunk;
}

v1::MetricVector Vector(const std::string& metric, int layer, int values) {
  v1::MetricVector vector;
  vector.set_domain("text");
  vector.set_metric(metric);
  vector.set_layer(layer);
  for (int i = 0; i < values; ++i) {
    vector.add_values(0.5F + i);
    vector.add_standard_errors(0.1F);
  }
  return vector;
}

v1::MeasurementChunk Layer(const v1::MetricVector& vector) {
  v1::MeasurementChunk chunk;
  *chunk.mutable_layer()->add_vectors() = vector;
  return chunk;
}

// An end after which no metric needs values (coverage_test has those that do).
v1::MeasurementChunk End(int64_t chunks, int64_t vectors, int64_t values) {
  v1::MeasurementChunk chunk;
  chunk.mutable_end()->set_chunks(chunks);
  chunk.mutable_end()->set_vectors(vectors);
  chunk.mutable_end()->set_values(values);
  chunk.mutable_end()->set_content_digest("abc");
  for (const char* metric :
       {"head_metric", "kv_metric", "layer_metric", "loss"}) {
    v1::AbsentValues& absent = *chunk.mutable_end()->add_absent();
    absent.set_metric(metric);
    absent.set_reason("not what is tested");
  }
  return chunk;
}

TEST(MeasurementAssemblerTest, PutsAWholeStreamTogether) {
  MeasurementAssembler assembler;
  ASSERT_TRUE(assembler.Add(Begin()).ok());
  EXPECT_EQ(assembler.job_id(), 7);
  EXPECT_EQ(assembler.token(), 3);
  ASSERT_TRUE(assembler.Add(Layer(Vector("head_metric", 0, 4))).ok());
  ASSERT_TRUE(assembler.Add(Layer(Vector("kv_metric", 1, 2))).ok());
  ASSERT_TRUE(assembler.Add(Layer(Vector("layer_metric", -1, 1))).ok());
  v1::MetricVector loss = Vector("loss", 0, 1);
  loss.clear_layer();
  loss.set_values(0, NAN);  // a loss may be what it is
  ASSERT_TRUE(assembler.Add(Layer(loss)).ok());
  EXPECT_FALSE(assembler.complete());
  ASSERT_TRUE(assembler.Add(End(4, 4, 8)).ok());
  EXPECT_TRUE(assembler.complete());
  const store::Store::CommitRequest request = assembler.TakeRequest();
  EXPECT_EQ(request.job_id, 7);
  EXPECT_EQ(request.measurement.vectors_size(), 4);
  EXPECT_EQ(request.measurement.content_digest(), "abc");
  EXPECT_FALSE(request.measurement.implausible());
}

TEST(MeasurementAssemblerTest, KeepsTheMarkOfAnImplausibleLoss) {
  MeasurementAssembler assembler;
  ASSERT_TRUE(assembler.Add(Begin()).ok());
  for (int layer : {0, 1}) {
    ASSERT_TRUE(assembler.Add(Layer(Vector("layer_metric", layer, 1))).ok());
  }
  v1::MeasurementChunk end = End(2, 2, 2);
  end.mutable_end()->set_implausible("the loss is too high");
  ASSERT_TRUE(assembler.Add(end).ok());
  const v1::Measurement measurement = assembler.TakeRequest().measurement;
  EXPECT_TRUE(measurement.implausible());
  EXPECT_EQ(measurement.implausible_reason(), "the loss is too high");
}

v1::MeasurementChunk LacksWithoutAWord() {
  v1::MeasurementChunk chunk = End(1, 1, 4);
  chunk.mutable_end()->clear_absent();
  return chunk;
}

// A stream that begins well and then goes wrong, and what is said of it.
struct Refusal {
  std::string name;
  v1::MeasurementChunk chunk;
  std::string message;
};

v1::MeasurementChunk Changed(const std::string& metric, int layer, int values,
                             const std::function<void(v1::MetricVector&)>& f) {
  v1::MetricVector vector = Vector(metric, layer, values);
  f(vector);
  return Layer(vector);
}

v1::MeasurementChunk LongReason() {
  v1::MeasurementChunk end = End(1, 1, 4);
  end.mutable_end()->set_implausible(std::string(1001, 'x'));
  return end;
}

v1::MeasurementChunk ShortDigest() {
  v1::MeasurementChunk end = End(1, 1, 4);
  end.mutable_end()->add_tensors()->set_digest("short");
  return end;
}

v1::MeasurementChunk EndlessSeconds() {
  v1::MeasurementChunk end = End(1, 1, 4);
  end.mutable_end()->set_load_seconds(INFINITY);
  return end;
}

v1::MeasurementChunk LongNote() {
  v1::MeasurementChunk end = End(1, 1, 4);
  end.mutable_end()->add_notes(std::string(1001, 'x'));
  return end;
}

v1::MeasurementChunk ManyNotes() {
  v1::MeasurementChunk end = End(1, 1, 4);
  for (int i = 0; i < 101; ++i) end.mutable_end()->add_notes("left out");
  return end;
}

v1::MeasurementChunk SinkOfNoNumber() {
  v1::MeasurementChunk end = End(1, 1, 4);
  end.mutable_end()->add_sinks()->set_mass(NAN);
  return end;
}

std::vector<Refusal> Refusals() {
  return {
      {"SecondBegin", Begin(), "begin came twice"},
      {"EmptyPart", v1::MeasurementChunk(), "an empty part"},
      {"UnknownMetric", Layer(Vector("other", 0, 4)), "has no descriptor"},
      {"TooFewValues", Layer(Vector("head_metric", 0, 3)), "3 values"},
      {"TooManyValues", Layer(Vector("kv_metric", 0, 4)), "4 values"},
      {"NoSuchLayer", Layer(Vector("head_metric", 2, 4)), "no such layer"},
      {"LayerBelowEmbedding", Layer(Vector("layer_metric", -2, 1)),
       "no such layer"},
      {"LayerForModelScope", Layer(Vector("loss", 0, 1)), "does not go with"},
      {"NoLayerForHeadScope",
       Changed("head_metric", 0, 4, [](auto& v) { v.clear_layer(); }),
       "does not go with"},
      {"NaN",
       Changed("head_metric", 0, 4, [](auto& v) { v.set_values(2, NAN); }),
       "not finite"},
      {"Infinity",
       Changed("layer_metric", 0, 1,
               [](auto& v) { v.set_values(0, INFINITY); }),
       "not finite"},
      {"InfinityOfASparseMetric",
       Changed("few_heads", 0, 4, [](auto& v) { v.set_values(0, INFINITY); }),
       "not finite"},
      {"LongNote", LongNote(), "above 1000 bytes"},
      {"SinkOfNoNumber", SinkOfNoNumber(), "share of a sink is not finite"},
      {"ManyNotes", ManyNotes(), "more than 100 notes"},
      {"NoDomain",
       Changed("head_metric", 0, 4, [](auto& v) { v.clear_domain(); }),
       "domain"},
      {"LongDomain",
       Changed("head_metric", 0, 4,
               [](auto& v) { v.set_domain(std::string(201, 'x')); }),
       "domain"},
      {"MissingErrors",
       Changed("head_metric", 0, 4, [](auto& v) { v.clear_standard_errors(); }),
       "standard errors"},
      {"NegativeError",
       Changed("head_metric", 0, 4,
               [](auto& v) { v.set_standard_errors(1, -0.1F); }),
       "standard error"},
      {"InfiniteError",
       Changed("head_metric", 0, 4,
               [](auto& v) { v.set_standard_errors(1, INFINITY); }),
       "standard error"},
      {"NegativeCount",
       Changed("head_metric", 0, 4, [](auto& v) { v.set_count(-1); }),
       "count below 0"},
      {"LacksWithoutAWord", LacksWithoutAWord(), "has no values of layer 0"},
      {"ShortDigest", ShortDigest(), "not 16 bytes"},
      {"EndlessSeconds", EndlessSeconds(), "seconds"},
      {"SameVectorAgain", Layer(Vector("head_metric", 1, 4)), "came twice"},
      {"WrongCounts", End(2, 1, 4), "the trailer counts 2 chunks"},
      {"LongReason", LongReason(), "above 1000 bytes"},
  };
}

class RefusalTest : public ::testing::TestWithParam<Refusal> {};

TEST_P(RefusalTest, IsInvalidArgumentAndSaysWhy) {
  MeasurementAssembler assembler;
  ASSERT_TRUE(assembler.Add(Begin()).ok());
  ASSERT_TRUE(assembler.Add(Layer(Vector("head_metric", 1, 4))).ok());
  const absl::Status status = assembler.Add(GetParam().chunk);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_FALSE(assembler.complete());
}

INSTANTIATE_TEST_SUITE_P(Parts, RefusalTest, ::testing::ValuesIn(Refusals()),
                         [](const auto& info) { return info.param.name; });

TEST(MeasurementAssemblerTest, BeginMustComeFirstAndDescribeAModel) {
  const auto refuses = [](const v1::MeasurementChunk& chunk,
                          const std::string& word) {
    const absl::Status status = MeasurementAssembler().Add(chunk);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(word));
  };
  refuses(Layer(Vector("head_metric", 0, 4)), "a layer came before begin");
  refuses(End(0, 0, 0), "end came before begin");
  v1::MeasurementChunk huge = Begin();
  huge.mutable_begin()->mutable_header()->mutable_model()->set_heads(1 << 20);
  refuses(huge, "must lie in 1..1024");
  v1::MeasurementChunk nameless = Begin();
  nameless.mutable_begin()->mutable_header()->mutable_metrics(0)->clear_name();
  refuses(nameless, "has no name or no scope");
  v1::MeasurementChunk unused = Begin();
  for (int i = 0; i < 6; ++i) {
    unused.mutable_begin()->mutable_header()->add_unused_tensor_names("w");
  }
  refuses(unused, "more than 5 names of unused tensors");
}

TEST(MeasurementAssemblerTest, BeginDescribesEachMetricOnceAndShortly) {
  using Header = v1::MeasurementHeader;
  const struct {
    const char* word;
    std::function<void(Header&)> change;
  } kRefused[] = {
      {"described twice",
       [](Header& header) { header.mutable_metrics(1)->set_name("loss"); }},
      {"above 4000",
       [](Header& header) {
         header.mutable_metrics(0)->set_meaning(std::string(4001, 'x'));
       }},
      {"above 200",
       [](Header& header) { header.set_worker(std::string(201, 'x')); }},
      {"above 200",
       [](Header& header) {
         header.mutable_metrics(0)->set_name(std::string(201, 'x'));
       }},
  };
  for (const auto& refused : kRefused) {
    v1::MeasurementChunk begin = Begin();
    refused.change(*begin.mutable_begin()->mutable_header());
    const absl::Status status = MeasurementAssembler().Add(begin);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(refused.word));
  }
}

TEST(MeasurementAssemblerTest, RefusesAStreamWithoutValues) {
  MeasurementAssembler assembler;
  ASSERT_TRUE(assembler.Add(Begin()).ok());
  const absl::Status status = assembler.Add(End(0, 0, 0));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no values"));
}

TEST(MeasurementAssemblerTest, ASparseMetricHasNaNForHeadsThatWereNotMeasured) {
  MeasurementAssembler assembler;
  ASSERT_TRUE(assembler.Add(Begin()).ok());
  for (int layer : {0, 1}) {
    ASSERT_TRUE(assembler.Add(Layer(Vector("layer_metric", layer, 1))).ok());
  }
  v1::MetricVector few = Vector("few_heads", 1, 4);  // and none of layer 0
  for (int head : {0, 1, 3}) {
    few.set_values(head, NAN);
    few.set_standard_errors(head, NAN);
  }
  ASSERT_TRUE(assembler.Add(Layer(few)).ok());
  v1::MeasurementChunk end = End(3, 3, 6);
  end.mutable_end()->add_notes("3 heads were left out");
  end.mutable_end()->add_sinks()->set_token(13);
  ASSERT_TRUE(assembler.Add(end).ok());
  const v1::Measurement measurement = assembler.TakeRequest().measurement;
  EXPECT_EQ(measurement.vectors(2).values(2), few.values(2));
  EXPECT_TRUE(std::isnan(measurement.vectors(2).values(3)));
  ASSERT_EQ(measurement.notes_size(), 1);
  EXPECT_EQ(measurement.notes(0), "3 heads were left out");
  EXPECT_EQ(measurement.sinks(0).token(), 13);
}

// Four heads of which each of three sequences says something.
v1::MetricVector OfSequences(int layer) {
  v1::MetricVector vector = Vector("head_metric", layer, 4);
  for (int i = 0; i < 12; ++i) {
    vector.add_sequence_values(i == 5 ? NAN : .1F * static_cast<float>(i));
  }
  return vector;
}

v1::MeasurementChunk BeginBySequence() {
  v1::MeasurementChunk begin = Begin();
  begin.mutable_begin()->mutable_header()->mutable_metrics(0)->set_by_sequence(
      true);
  begin.mutable_begin()->mutable_header()->set_protocol("gu");
  return begin;
}

TEST(MeasurementAssemblerTest, KeepsWhatSequencesGaveAndTheProtocol) {
  MeasurementAssembler assembler;
  ASSERT_TRUE(assembler.Add(BeginBySequence()).ok());
  ASSERT_TRUE(assembler.Add(Layer(OfSequences(0))).ok());
  ASSERT_TRUE(assembler.Add(Layer(OfSequences(1))).ok());
  ASSERT_TRUE(assembler.Add(End(2, 2, 8)).ok());
  const v1::Measurement measurement = assembler.TakeRequest().measurement;
  EXPECT_EQ(measurement.header().protocol(), "gu");
  EXPECT_EQ(measurement.vectors(1).SerializeAsString(),
            OfSequences(1).SerializeAsString());
}

TEST(MeasurementAssemblerTest, RefusesSequencesThatDoNotFit) {
  const auto refused = [](const v1::MeasurementChunk& begin,
                          const v1::MetricVector& vector, const char* why) {
    MeasurementAssembler assembler;
    ASSERT_TRUE(assembler.Add(begin).ok());
    const absl::Status status = assembler.Add(Layer(vector));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << why;
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
  };
  refused(Begin(), OfSequences(0), "does not say");
  v1::MetricVector ragged = OfSequences(0);
  ragged.add_sequence_values(1);
  refused(BeginBySequence(), ragged, "not equally many");
  v1::MetricVector infinite = OfSequences(0);
  infinite.set_sequence_values(3, -INFINITY);
  refused(BeginBySequence(), infinite, "neither NaN nor finite");
  v1::MetricVector many = Vector("head_metric", 0, 4);
  many.mutable_sequence_values()->Resize(4 * 65537, 0);
  refused(BeginBySequence(), many, "65536");
}

TEST(MeasurementAssemblerTest, MoreSequenceValuesThanAreTakenAreTooMany) {
  MeasurementAssembler assembler;
  v1::MeasurementChunk begin = BeginBySequence();
  begin.mutable_begin()->mutable_header()->mutable_model()->set_layers(1024);
  ASSERT_TRUE(assembler.Add(begin).ok());
  v1::MetricVector vector = Vector("head_metric", 0, 4);
  vector.mutable_sequence_values()->Resize(4 * 65536, 0);
  absl::Status status;
  int layers = 0;
  for (; status.ok() && layers < 1024; ++layers) {
    vector.set_layer(layers);
    status = assembler.Add(Layer(vector));
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(layers, (1 << 23) / (4 * 65536) + 1);
}

v1::MassiveDimension Massive() {
  v1::MassiveDimension one;
  one.set_domain("text");
  one.set_layer(1);
  one.set_dimension(1415);
  one.set_position(0);
  one.set_value(-2500);
  one.set_sequence_share(.75);
  return one;
}

absl::Status EndWith(const v1::MassiveDimension& one) {
  MeasurementAssembler assembler;
  EXPECT_TRUE(assembler.Add(Begin()).ok());
  for (int layer : {0, 1}) {
    EXPECT_TRUE(assembler.Add(Layer(Vector("layer_metric", layer, 1))).ok());
  }
  v1::MeasurementChunk end = End(2, 2, 2);
  *end.mutable_end()->add_massive_dimensions() = one;
  const absl::Status status = assembler.Add(end);
  if (status.ok()) {
    const auto measurement = assembler.TakeRequest().measurement;
    EXPECT_EQ(measurement.massive_dimensions(0).SerializeAsString(),
              one.SerializeAsString());
  }
  return status;
}

TEST(MeasurementAssemblerTest, TakesMassiveDimensionsOfPlacesThatThereAre) {
  EXPECT_TRUE(EndWith(Massive()).ok());
  v1::MassiveDimension embedding = Massive();
  embedding.set_layer(-1);
  EXPECT_TRUE(EndWith(embedding).ok());
  v1::MassiveDimension wrong[] = {Massive(), Massive(), Massive(),
                                  Massive(), Massive(), Massive()};
  wrong[0].set_domain("elsewhere");
  wrong[1].set_layer(2);
  wrong[2].set_layer(-2);
  wrong[3].set_dimension(-1);
  wrong[4].set_value(INFINITY);
  wrong[5].set_sequence_share(NAN);
  for (const v1::MassiveDimension& one : wrong) {
    EXPECT_EQ(EndWith(one).code(), absl::StatusCode::kInvalidArgument)
        << one.ShortDebugString();
  }
}

TEST(MeasurementAssemblerTest, TakesAStandardErrorThatCannotBeTold) {
  MeasurementAssembler assembler;
  ASSERT_TRUE(assembler.Add(Begin()).ok());
  for (int layer : {0, 1}) {
    v1::MetricVector vector = Vector("layer_metric", layer, 1);
    vector.set_standard_errors(0, NAN);
    EXPECT_TRUE(assembler.Add(Layer(vector)).ok());
  }
  EXPECT_TRUE(assembler.Add(End(2, 2, 2)).ok());
}

}  // namespace
}  // namespace sinkwatch::service
