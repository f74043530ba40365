#ifndef SINKWATCH_PROTO_BASE_ABLATION_POLICY_H_
#define SINKWATCH_PROTO_BASE_ABLATION_POLICY_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Which heads are changed in a measurement, and how: v1::AblationPolicy and the
// flags of `measure`, read. Server and worker read it the same way, so that a
// wrong one is refused where it is written.
namespace sinkwatch::base {

// What a head's attention becomes; worker/model/head_ablation.h has the
// formulas.
enum class AblationMode {
  kZero,    // nothing
  kToSink,  // all of it goes to key 0
  kNoSink,  // none of it goes to key 0
};
inline constexpr AblationMode kAblationModes[] = {
    AblationMode::kZero, AblationMode::kToSink, AblationMode::kNoSink};

// "zero", "to_sink", "no_sink".
const char* AblationModeName(AblationMode mode);

enum class AblationChoice {
  kNone,
  kListed,  // AblationPolicy::targets
  kAll,     // every head
  kAuto,    // near a change of state, and random controls
};

// A part of a list.
struct AblationTarget {
  enum class Kind {
    kHead,       // one head
    kEachHead,   // each head of the layer, one at a time
    kGroups,     // all heads of the layer together, those of a state together
    kAllGroups,  // that of every layer
  };
  Kind kind = Kind::kHead;
  int layer = 0;
  int head = 0;
};

struct AblationPolicy {
  AblationChoice choice = AblationChoice::kNone;
  std::vector<AblationTarget> targets;
  std::vector<AblationMode> modes;  // none twice; all, where nobody named any
  bool names_modes = false;
  // Share of the rest of the measurement that they may cost; none: no bound.
  std::optional<double> budget;

  bool none() const { return choice == AblationChoice::kNone; }
  // Whether it asks for heads one at a time, and for groups of them.
  bool HasHeads() const;
  bool HasGroups() const;
};

// What auto may cost where nobody says.
inline constexpr double kDefaultAblationBudget = 0.35;

// `heads`: "" and "none"; "auto"; "all"; or a list, separated by commas, of
// heads (3.5), all heads of a layer (3.*), groups (3) and "layers". No mode:
// all of them. `budget` 0: the default. INVALID_ARGUMENT names the part that is
// wrong and what may stand there.
absl::StatusOr<AblationPolicy> ReadAblationPolicy(
    absl::string_view heads, const std::vector<std::string>& modes,
    double budget);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_ABLATION_POLICY_H_
