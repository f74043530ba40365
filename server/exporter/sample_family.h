#ifndef SINKWATCH_SERVER_EXPORTER_SAMPLE_FAMILY_H_
#define SINKWATCH_SERVER_EXPORTER_SAMPLE_FAMILY_H_

#include <string>
#include <utility>
#include <vector>

#include "server/exporter/native_histogram.h"

namespace sinkwatch::exporter {

using Labels = std::vector<std::pair<const char*, std::string>>;

// One number of a page.
struct Sample {
  Labels labels;
  double value = 0;
  // Whether `value` was a float, whose own shortest decimal is written.
  bool single = true;
};

enum class FamilyType {
  kGauge,
  // Quantiles, each a sample with the label `quantile`.
  kSummary,
  kNativeHistogram,
};

// A family of a page on its way to a format.
struct SampleFamily {
  std::string name;
  std::string help;
  FamilyType type = FamilyType::kGauge;
  std::vector<Sample> samples;
  // Of kNativeHistogram, in place of samples.
  std::vector<std::pair<Labels, NativeHistogram>> histograms;
};

}  // namespace sinkwatch::exporter

#endif  // SINKWATCH_SERVER_EXPORTER_SAMPLE_FAMILY_H_
