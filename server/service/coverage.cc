#include "server/service/coverage.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace sinkwatch::service {
namespace {

constexpr int32_t kNoLayer = -2;  // model scope; -1 is the embedding output
constexpr int kMaxAbsences = 100000;
constexpr int64_t kMaxAbsentLayers = 100000;
constexpr size_t kMaxReason = 200;

absl::Status Wrong(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("measurement: ", what));
}

int32_t LayerOf(const v1::MetricVector& vector) {
  return vector.has_layer() ? vector.layer() : kNoLayer;
}

}  // namespace

bool Coverage::Add(const v1::MetricVector& vector) {
  domains_.insert(vector.domain());
  return came_[{vector.metric(), vector.domain()}]
      .insert(LayerOf(vector))
      .second;
}

absl::Status Coverage::Check(const v1::MeasurementHeader& header,
                             const v1::MeasurementTrailer& trailer) const {
  absl::Status status = CheckAbsences(header, trailer);
  std::set<std::string> domains = domains_;
  domains.insert(header.domains().begin(), header.domains().end());
  Absences absences;
  for (const v1::AbsentValues& absent : trailer.absent()) {
    absences[{absent.metric(), absent.domain()}].push_back(&absent);
  }
  for (const v1::MetricDescriptor& metric : header.metrics()) {
    if (metric.sparse()) continue;
    for (const std::string& domain : domains) {
      if (!status.ok()) return status;
      status = CheckMetric(metric, header.model().layers(), domain, absences);
    }
  }
  return status;
}

absl::Status Coverage::CheckAbsences(const v1::MeasurementHeader& header,
                                     const v1::MeasurementTrailer& trailer) {
  std::set<std::string> known;
  for (const v1::MetricDescriptor& metric : header.metrics()) {
    known.insert(metric.name());
  }
  int64_t layers = 0;
  for (const v1::AbsentValues& absent : trailer.absent()) {
    layers += absent.layers_size();
    if (trailer.absent_size() > kMaxAbsences || layers > kMaxAbsentLayers) {
      return Wrong("too many absences");
    }
    if (known.count(absent.metric()) == 0) {
      return Wrong("a metric is absent that was not described");
    }
    if (absent.reason().empty() || absent.reason().size() > kMaxReason) {
      return Wrong("an absence needs a reason of 1 to 200 bytes");
    }
  }
  return absl::OkStatus();
}

absl::Status Coverage::CheckMetric(const v1::MetricDescriptor& metric,
                                   int32_t layers, const std::string& domain,
                                   const Absences& absences) const {
  // By layer; of model scope one place.
  const bool is_of_model = metric.scope() == v1::SCOPE_MODEL;
  std::vector<bool> lacks(is_of_model ? 1 : layers, true);
  const auto fill = [&](int32_t layer) {
    const int32_t place = is_of_model ? (layer == kNoLayer ? 0 : -1) : layer;
    if (place >= 0 && place < static_cast<int32_t>(lacks.size())) {
      lacks[place] = false;
    }
  };
  const auto came = came_.find({metric.name(), domain});
  if (came != came_.end()) {
    for (int32_t layer : came->second) fill(layer);
  }
  for (const std::string& place : {domain, std::string()}) {
    const auto said = absences.find({metric.name(), place});
    if (said == absences.end()) continue;
    for (const v1::AbsentValues* absent : said->second) {
      if (absent->layers().empty()) return absl::OkStatus();
      for (int32_t layer : absent->layers()) fill(layer);
    }
  }
  const auto first = std::find(lacks.begin(), lacks.end(), true);
  if (first == lacks.end()) return absl::OkStatus();
  return Wrong(absl::StrCat(
      "metric \"", metric.name(), "\" has no values",
      is_of_model ? "" : absl::StrCat(" of layer ", first - lacks.begin()),
      " in domain \"", domain,
      "\", and the trailer does not say that they are absent"));
}

}  // namespace sinkwatch::service
