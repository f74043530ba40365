#include "proto/base/measurement_table.h"

#include <cmath>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

v1::Measurement OneVector(int values) {
  v1::Measurement m;
  m.mutable_header()->mutable_checkpoint()->set_path("runs/toy/step800/");
  v1::MetricDescriptor& metric = *m.mutable_header()->add_metrics();
  metric.set_name("sink_attention");
  metric.set_unit("ratio");
  metric.set_meaning("Mean attention to key 0.");
  v1::MetricVector& vector = *m.add_vectors();
  vector.set_domain("story");
  vector.set_metric("sink_attention");
  vector.set_layer(1);
  for (int i = 0; i < values; ++i) vector.add_values(0.5f * i);
  return m;
}

void ExpectWords(const v1::Measurement& m,
                 const std::vector<std::string>& words) {
  const std::string text = MeasurementTable(m);
  for (const std::string& word : words) {
    EXPECT_TRUE(absl::StrContains(text, word)) << word << "\n" << text;
  }
}

TEST(MeasurementTable, NamesUnitsMeaningsAndDoubts) {
  v1::Measurement m = OneVector(2);
  m.set_implausible(true);
  m.set_implausible_reason("probe loss 99");
  m.mutable_header()->set_protocol("gu");
  ExpectWords(m, {"sink_attention [ratio]  Mean attention to key 0.",
                  "IMPLAUSIBLE: probe loss 99", "as the protocol gu",
                  "runs/toy/step800", "0.5"});
}

TEST(MeasurementTable, ManyHeadsAreSummarised) {
  ExpectWords(OneVector(16), {"       7.5\n"});
  v1::Measurement m = OneVector(18);
  m.mutable_vectors(0)->set_values(17, NAN);
  ExpectWords(m, {"  story                        1   min         0   median"
                  "         4   max         8   of 18\n"});
}

TEST(MeasurementTable, AValueWithoutDescriptionIsShownToo) {
  v1::Measurement m = OneVector(1);
  m.mutable_vectors(0)->set_metric("newer\x1b");
  ExpectWords(m, {"newer? []"});
}

}  // namespace
}  // namespace sinkwatch::base
