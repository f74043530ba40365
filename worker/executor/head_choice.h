#ifndef SINKWATCH_WORKER_EXECUTOR_HEAD_CHOICE_H_
#define SINKWATCH_WORKER_EXECUTOR_HEAD_CHOICE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "proto/base/ablation_policy.h"
#include "worker/metrics/ablation_metrics.h"
#include "worker/metrics/metric_vector.h"
#include "worker/model/architecture.h"

namespace sinkwatch::executor {

// The states of a model's heads, by domain and layer, as one measurement told
// them; what the next one of the run is compared with.
using HeadStates =
    std::map<std::pair<std::string, int>, std::vector<metrics::HeadState>>;

// Heads of one layer that are changed together.
struct HeadSet {
  std::optional<int> head;                  // one head; none: a group
  std::optional<metrics::HeadState> state;  // of a group: that of its heads
  // By domain, as many as there are: the heads that are changed there. Empty
  // where the group has none.
  std::vector<std::vector<int64_t>> heads;
};

// Which heads are ablated: a policy, applied layer by layer as the values of
// each come.
//
// kAuto takes at most kAutoHeads heads. A quarter are controls, drawn once by
// the digest of the probe: the same at each checkpoint, so that their values
// make series. The others are, in each layer, the heads whose state changed in
// some domain since `previous`, then those that are between states
// (dormant_query_frac between .1 and .9), the most undecided first; each layer
// may take its share of the number and what layers before it left.
//
// Thread-compatible.
class HeadChoice {
 public:
  static constexpr int kAutoHeads = 16;

  // `previous` may be null and need not outlive the object.
  HeadChoice(const base::AblationPolicy& policy, const model::ModelShape& shape,
             std::vector<std::string> domains, const std::string& probe_digest,
             const HeadStates* previous);

  // INVALID_ARGUMENT if the policy names what the model does not have.
  absl::Status Check() const;

  // How many sets will be chosen in all, at most.
  int64_t MostSets() const;

  // The sets of a layer, of which `values` are what was measured, the most
  // wanted first. Layers come in order.
  std::vector<HeadSet> Choose(int layer,
                              const std::vector<metrics::MetricVector>& values);

  // States so far.
  const HeadStates& states() const { return states_; }

 private:
  // Of one layer, [domain][head]; empty where nothing was measured.
  using Signs = std::vector<std::vector<metrics::HeadSigns>>;

  bool HasAttention(int layer) const;
  void DrawControls(const std::string& probe_digest);
  Signs SignsOf(const std::vector<metrics::MetricVector>& values) const;
  void KeepStates(int layer, const Signs& signs);
  HeadSet OneHead(int head) const;
  void AppendEachHead(std::vector<HeadSet>& sets) const;
  void AppendGroups(int layer, std::vector<HeadSet>& sets) const;
  void AppendListed(int layer, std::vector<HeadSet>& sets) const;
  void AppendAuto(int layer, const Signs& signs, std::vector<HeadSet>& sets);
  bool HasChanged(int layer, int head) const;
  // The heads near a change, the most wanted first.
  std::vector<int> Near(int layer, const Signs& signs) const;

  const base::AblationPolicy policy_;
  const model::ModelShape shape_;
  const std::vector<std::string> domains_;
  const HeadStates previous_;
  std::set<std::pair<int, int>> controls_;  // layer, head
  int layers_seen_ = 0;                     // with attention
  int taken_ = 0;                           // by kAuto, controls left out
  HeadStates states_;
};

}  // namespace sinkwatch::executor

#endif  // SINKWATCH_WORKER_EXECUTOR_HEAD_CHOICE_H_
