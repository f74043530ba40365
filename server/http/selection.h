#ifndef SINKWATCH_SERVER_HTTP_SELECTION_H_
#define SINKWATCH_SERVER_HTTP_SELECTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_split.h"
#include "server/http/endpoint.h"
#include "server/http/params.h"
#include "sinkwatch/v1/query_service.pb.h"

// The parameters by which endpoints select: what they make of a request, and
// what the index says of them.
namespace sinkwatch::http {

inline constexpr Parameter kMetric = {"metric", "name of the metric", true};
inline constexpr Parameter kDomain = {
    "domain", "domain of the probe; may be left out where there is one"};
inline constexpr Parameter kAnyDomain = {
    "domain", "domain; all of the run's if left out"};
inline constexpr Parameter kDomains = {
    "domain", "domains: a,b; all of the run's if left out"};
inline constexpr Parameter kLayer = {
    "layer", "layers: 3, or 0,2,5-7, or *; -1 is the embedding output"};
inline constexpr Parameter kHead = {"head", "heads: 3, or 0,2,5-7, or *"};
inline constexpr Parameter kImplausible = {
    "include_implausible", "1: with measurements marked implausible"};

// "a,b": names may hold anything else.
template <typename List>
void AddNames(const std::string& text, List* names) {
  for (const auto& name : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    *names->Add() = std::string(name);
  }
}

// stage, where it is given.
template <typename Request>
void SelectStage(const Params& params, Request* request) {
  if (params.Has("stage")) request->set_stage(params.Text("stage", ""));
}

// run, metric, and, where they are given, stage and domain.
template <typename Request>
void SelectMetric(Params& params, Request* request) {
  request->set_run(params.Required("run"));
  request->set_metric(params.Required("metric"));
  SelectStage(params, request);
  const std::string domain = params.Text("domain", "");
  if (!domain.empty()) request->set_domain(domain);
}

// layer and head.
template <typename Request>
void SelectHeads(Params& params, Request* request) {
  for (int32_t layer : params.Ints("layer")) request->add_layers(layer);
  for (int32_t head : params.Ints("head")) request->add_heads(head);
}

// stage, and domains where there may be several.
template <typename Request>
void SelectDomains(const Params& params, Request* request) {
  SelectStage(params, request);
  AddNames(params.Text("domain", ""), request->mutable_domains());
}

// All that selects series. An endpoint takes SeriesParameters(), and may take
// agg, across_layers and include_same_weights.
absl::StatusOr<v1::SeriesSelector> SelectSeries(Params& params);
std::vector<Parameter> SeriesParameters(const Parameter& domain,
                                        const std::vector<Parameter>& more);

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_SELECTION_H_
