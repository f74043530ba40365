#ifndef SINKWATCH_SERVER_ANALYTICS_DIAGNOSIS_H_
#define SINKWATCH_SERVER_ANALYTICS_DIAGNOSIS_H_

#include <map>
#include <string>
#include <vector>

#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::analytics {

// Which metric plays which role.
using RolesByMetric = std::map<std::string, v1::MetricRole>;

// Rules over several signals of a run: each finding is a fact of the topic
// "diagnosis" whose verdict names the rule and whose evidence are the sentences
// of the facts that it rests on. A finding says what goes together, not why.
//
// broadcast_heads: a twentieth or more of the heads on the sink have a value
// that is not drained.
//
// sinks_without_peak: sinks emerged, a residual peak is measured and did not.
//
// peak_without_sinks: the other way round.
//
// loss_and_jump: the loss jumped up where something else jumped.
//
// sinks_lost: of the heads whose sink emerged, a tenth or more fell back.
//
// massive_growth: massive activations emerged or jumped up; low-bit
// quantization of activations is at risk.
//
// flips: more than a twentieth of the heads changed their state at one
// checkpoint.
std::vector<v1::Fact> Diagnose(const std::vector<v1::Fact>& facts,
                               const RolesByMetric& roles);

}  // namespace sinkwatch::analytics

#endif  // SINKWATCH_SERVER_ANALYTICS_DIAGNOSIS_H_
