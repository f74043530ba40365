#include "worker/executor/head_choice.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace sinkwatch::executor {
namespace {

using base::AblationTarget;
using metrics::HeadSigns;
using metrics::HeadState;
using metrics::MetricVector;

constexpr size_t kControls = HeadChoice::kAutoHeads / 4;
// q (1 - q) of a head between states: dormant_query_frac in [.1, .9].
constexpr double kLeastUndecided = 0.1 * 0.9;

// Numbers from a text, the same on every machine: FNV-1a, then an LCG (Knuth's
// MMIX) whose upper half is used.
class Draws {
 public:
  explicit Draws(const std::string& text) {
    for (unsigned char c : text) state_ = (state_ ^ c) * 1099511628211u;
  }
  int64_t Below(int64_t bound) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<int64_t>((state_ >> 32) % static_cast<uint64_t>(bound));
  }

 private:
  uint64_t state_ = 14695981039346656037u;
};

const MetricVector* Find(const std::vector<MetricVector>& values,
                         const std::string& domain, const std::string& metric) {
  for (const MetricVector& vector : values) {
    if (vector.domain == domain && vector.metric == metric) return &vector;
  }
  return nullptr;
}

std::optional<double> ValueAt(const MetricVector* vector, size_t head) {
  if (vector == nullptr) return std::nullopt;
  return vector->values.at(head);
}

}  // namespace

HeadChoice::HeadChoice(const base::AblationPolicy& policy,
                       const model::ModelShape& shape,
                       std::vector<std::string> domains,
                       const std::string& probe_digest,
                       const HeadStates* previous)
    : policy_(policy),
      shape_(shape),
      domains_(std::move(domains)),
      previous_(previous == nullptr ? HeadStates() : *previous) {
  if (policy_.choice == base::AblationChoice::kAuto) DrawControls(probe_digest);
}

bool HeadChoice::HasAttention(int layer) const {
  return shape_.attention[layer].kind != model::AttentionKind::kNone;
}

void HeadChoice::DrawControls(const std::string& probe_digest) {
  std::vector<std::pair<int, int>> heads;
  for (int layer = 0; layer < shape_.layers; ++layer) {
    for (int head = 0; HasAttention(layer) && head < shape_.heads; ++head) {
      heads.emplace_back(layer, head);
    }
  }
  // Of a model of few heads at most a quarter are controls, too.
  const size_t wanted = std::min(kControls, heads.size() / 4);
  Draws draws(probe_digest);
  for (size_t i = 0; i < wanted; ++i) {
    std::swap(heads[i],
              heads[i + draws.Below(static_cast<int64_t>(heads.size() - i))]);
    controls_.insert(heads[i]);
  }
}

absl::Status HeadChoice::Check() const {
  for (const AblationTarget& target : policy_.targets) {
    if (target.kind == AblationTarget::Kind::kAllGroups) continue;
    if (target.layer >= shape_.layers || !HasAttention(target.layer)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "ablation: layer ", target.layer, " has no heads: the model has ",
          shape_.layers, " layers, from 0"));
    }
    if (target.kind == AblationTarget::Kind::kHead &&
        target.head >= shape_.heads) {
      return absl::InvalidArgumentError(absl::StrCat(
          "ablation: there is no head ", target.layer, ".", target.head,
          ": the layer has heads 0 to ", shape_.heads - 1));
    }
  }
  return absl::OkStatus();
}

int64_t HeadChoice::MostSets() const {
  int64_t attention_layers = 0;
  for (int layer = 0; layer < shape_.layers; ++layer) {
    attention_layers += HasAttention(layer);
  }
  const int64_t all = attention_layers * shape_.heads;
  if (policy_.choice == base::AblationChoice::kAll) return all;
  if (policy_.choice == base::AblationChoice::kAuto) {
    return std::min<int64_t>(kAutoHeads, all);
  }
  const int64_t groups = 1 + std::size(metrics::kHeadStates);
  int64_t sets = 0;
  for (const AblationTarget& target : policy_.targets) {
    switch (target.kind) {
      case AblationTarget::Kind::kHead:
        sets += 1;
        break;
      case AblationTarget::Kind::kEachHead:
        sets += shape_.heads;
        break;
      case AblationTarget::Kind::kGroups:
        sets += groups;
        break;
      case AblationTarget::Kind::kAllGroups:
        sets += groups * attention_layers;
        break;
    }
  }
  return sets;
}

HeadChoice::Signs HeadChoice::SignsOf(
    const std::vector<MetricVector>& values) const {
  Signs signs(domains_.size());
  std::vector<std::optional<double>> most(shape_.heads);
  for (size_t d = 0; d < domains_.size(); ++d) {
    const auto find = [&](const std::string& metric) {
      return Find(values, domains_[d], metric);
    };
    const MetricVector* const dormant = find("dormant_query_frac");
    const MetricVector* const drain = find("value_norm_ratio");
    const MetricVector* const write = find("head_write_frac");
    for (int h = 0; dormant != nullptr && h < shape_.heads; ++h) {
      HeadSigns head;
      head.dormant_query_frac = dormant->values.at(h);
      head.value_norm_ratio = ValueAt(drain, h);
      head.head_write_frac = ValueAt(write, h);
      if (head.head_write_frac) {
        most[h] = std::max(most[h].value_or(0), *head.head_write_frac);
      }
      signs[d].push_back(head);
    }
  }
  for (std::vector<HeadSigns>& domain : signs) {
    for (size_t h = 0; h < domain.size(); ++h) {
      domain[h].most_head_write_frac = most[h];
    }
  }
  return signs;
}

void HeadChoice::KeepStates(int layer, const Signs& signs) {
  for (size_t d = 0; d < signs.size(); ++d) {
    if (signs[d].empty()) continue;
    std::vector<HeadState>& states = states_[{domains_[d], layer}];
    for (const HeadSigns& head : signs[d]) {
      states.push_back(metrics::StateOf(head));
    }
  }
}

HeadSet HeadChoice::OneHead(int head) const {
  return {head, std::nullopt,
          std::vector<std::vector<int64_t>>(domains_.size(), {head})};
}

void HeadChoice::AppendEachHead(std::vector<HeadSet>& sets) const {
  for (int head = 0; head < shape_.heads; ++head) {
    sets.push_back(OneHead(head));
  }
}

void HeadChoice::AppendGroups(int layer, std::vector<HeadSet>& sets) const {
  HeadSet all;
  std::vector<int64_t> heads(shape_.heads);
  for (int head = 0; head < shape_.heads; ++head) heads[head] = head;
  all.heads.assign(domains_.size(), heads);
  sets.push_back(all);
  for (HeadState state : metrics::kHeadStates) {
    HeadSet group;
    group.state = state;
    group.heads.resize(domains_.size());
    for (size_t d = 0; d < domains_.size(); ++d) {
      const auto states = states_.find({domains_[d], layer});
      if (states == states_.end()) continue;
      for (int head = 0; head < shape_.heads; ++head) {
        if (states->second[head] == state) group.heads[d].push_back(head);
      }
    }
    sets.push_back(group);
  }
}

void HeadChoice::AppendListed(int layer, std::vector<HeadSet>& sets) const {
  std::set<int> heads;
  bool groups = false;
  for (const AblationTarget& target : policy_.targets) {
    if (target.kind == AblationTarget::Kind::kAllGroups) groups = true;
    if (target.layer != layer) continue;
    groups = groups || target.kind == AblationTarget::Kind::kGroups;
    if (target.kind == AblationTarget::Kind::kHead) heads.insert(target.head);
    for (int h = 0;
         target.kind == AblationTarget::Kind::kEachHead && h < shape_.heads;
         ++h) {
      heads.insert(h);
    }
  }
  for (int head : heads) sets.push_back(OneHead(head));
  if (groups) AppendGroups(layer, sets);
}

bool HeadChoice::HasChanged(int layer, int head) const {
  return std::any_of(
      domains_.begin(), domains_.end(), [&](const std::string& domain) {
        const auto before = previous_.find({domain, layer});
        const auto now = states_.find({domain, layer});
        return before != previous_.end() && now != states_.end() &&
               before->second.size() == now->second.size() &&
               before->second[head] != now->second[head];
      });
}

std::vector<int> HeadChoice::Near(int layer, const Signs& signs) const {
  // How far from a decision, and 1 more of a head whose state has changed.
  std::vector<std::pair<double, int>> near;
  for (int head = 0; head < shape_.heads; ++head) {
    double undecided = 0;
    for (const std::vector<HeadSigns>& domain : signs) {
      if (domain.empty()) continue;
      const double q = domain[head].dormant_query_frac;
      undecided = std::max(undecided, q * (1 - q));
    }
    const bool changed = HasChanged(layer, head);
    if (controls_.count({layer, head}) != 0) continue;
    if (changed || undecided >= kLeastUndecided) {
      near.emplace_back(-(undecided + (changed ? 1 : 0)), head);
    }
  }
  std::sort(near.begin(), near.end());
  std::vector<int> heads;
  for (const auto& [score, head] : near) heads.push_back(head);
  return heads;
}

void HeadChoice::AppendAuto(int layer, const Signs& signs,
                            std::vector<HeadSet>& sets) {
  int attention_layers = 0;
  for (int l = 0; l < shape_.layers; ++l) attention_layers += HasAttention(l);
  ++layers_seen_;
  for (int head : Near(layer, signs)) {
    const int free = kAutoHeads - static_cast<int>(controls_.size());
    // Rounded up, so that one layer may take all.
    const int so_far =
        (free * layers_seen_ + attention_layers - 1) / attention_layers;
    if (taken_ == so_far) break;
    ++taken_;
    sets.push_back(OneHead(head));
  }
  for (const auto& [control_layer, head] : controls_) {
    if (control_layer == layer) sets.push_back(OneHead(head));
  }
}

std::vector<HeadSet> HeadChoice::Choose(
    int layer, const std::vector<MetricVector>& values) {
  std::vector<HeadSet> sets;
  if (layer < 0 || !HasAttention(layer)) return sets;
  const Signs signs = SignsOf(values);
  KeepStates(layer, signs);
  switch (policy_.choice) {
    case base::AblationChoice::kNone:
      break;
    case base::AblationChoice::kListed:
      AppendListed(layer, sets);
      break;
    case base::AblationChoice::kAll:
      AppendEachHead(sets);
      break;
    case base::AblationChoice::kAuto:
      AppendAuto(layer, signs, sets);
      break;
  }
  return sets;
}

}  // namespace sinkwatch::executor
