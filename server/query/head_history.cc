#include "server/query/head_history.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "server/analytics/contrast.h"
#include "server/analytics/sequence_contrast.h"
#include "server/query/sequence_contrasts.h"

namespace sinkwatch::query {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

using analytics::HeadSignals;
using analytics::Settled;
using Place = std::pair<int, int>;  // layer, head

// A stored series to be read by step and by query head, whatever steps and
// heads it has: what there is one of for several heads is each one's.
class ByHead {
 public:
  ByHead(std::shared_ptr<const store::Series> series, int heads)
      : series_(std::move(series)) {
    if (series_ == nullptr) return;
    std::map<int, int> widths;
    for (const store::SeriesColumn& column : series_->columns) {
      int& width = widths[column.first.value_or(0)];
      width = std::max(width, column.second + 1);
    }
    for (size_t c = 0; c < series_->columns.size(); ++c) {
      const int layer = series_->columns[c].first.value_or(0);
      const int share = std::max(1, heads / widths[layer]);
      for (int h = 0; h < share; ++h) {
        columns_[{layer, series_->columns[c].second * share + h}] = c;
      }
    }
  }

  // Goes to a step, which must not lie before the last one; back to the first.
  void Rewind() { row_ = 0; }
  void GoTo(int64_t step) {
    if (series_ == nullptr) return;
    const std::vector<int64_t>& steps = series_->steps;
    while (row_ < steps.size() && steps[row_] < step) ++row_;
    there_ = row_ < steps.size() && steps[row_] == step;
  }
  // The column of a head; npos if it has none.
  size_t ColumnOf(const Place& place) const {
    const auto found = columns_.find(place);
    return found == columns_.end() ? kNone : found->second;
  }
  double value(size_t column) const {
    return there_ && column != kNone ? series_->value(row_, column) : kNaN;
  }
  double standard_error(size_t column) const {
    return there_ && column != kNone ? series_->standard_error(row_, column)
                                     : kNaN;
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  std::shared_ptr<const store::Series> series_;
  std::map<Place, size_t> columns_;
  size_t row_ = 0;
  bool there_ = false;
};

// What is read of one domain.
struct DomainSeries {
  ByHead dormancy, drain, write;

  void GoTo(int64_t step) {
    dormancy.GoTo(step);
    drain.GoTo(step);
    write.GoTo(step);
  }
};

// One head while the steps go by.
struct HeadTrack {
  Place place;
  struct InDomain {
    size_t dormancy, drain, write;  // columns
    Settled state;
  };
  std::vector<InDomain> domains;
  Settled type;
  std::vector<HeadSignals> latest;
  int64_t latest_step = -1;
  // At the newest step at which two domains have a dormancy.
  std::vector<HeadSignals> compared;
  int64_t compared_step = -1;
};

// By Cantelli's inequality less than 2.5 % of a distribution lie so many
// standard deviations below its mean: of a difference that is as far from 0 no
// sample of the sequences says anything else.
constexpr double kSureErrors = 6.25;

bool IsSure(const std::vector<HeadSignals>& domains) {
  const auto [high, low] = analytics::FurthestApart(domains);
  const double error =
      std::hypot(domains[high].dormancy_error, domains[low].dormancy_error);
  return domains[high].dormancy - domains[low].dormancy > kSureErrors * error;
}

class HeadFollower {
 public:
  HeadFollower(const RunSeries& run, const analytics::HeadStateRule& rule,
               HeadHistory* history)
      : names_(run.domains()), rule_(rule), history_(*history) {}

  absl::Status Read(RunSeries& run);
  absl::Status Follow(RunSeries& run, std::optional<int64_t> last_step);
  absl::Status Finish(RunSeries& run);

 private:
  absl::StatusOr<RunSeries::SharedSeries> ReadOf(
      RunSeries& run, const v1::MetricDescriptor* metric,
      const std::string& domain);
  void AddTracks(const std::set<Place>& places);
  // Goes on to what a head does at a step.
  void Look(const HeadTrack& track);
  // What only the sequences can tell.
  absl::Status AskWhatIsUnsure(RunSeries& run);
  void Step(int64_t step);
  void StepHead(int64_t step, HeadTrack& track);
  void NoteSets(int64_t step);

  const std::vector<std::string>& names_;
  const analytics::HeadStateRule rule_;
  HeadHistory& history_;
  std::vector<DomainSeries> series_;
  std::set<int64_t> steps_;
  std::vector<HeadTrack> tracks_;
  std::vector<std::vector<int>> before_;  // states by domain, then head
  std::vector<bool> seen_;                // domains that a head has a value of
  std::vector<HeadSignals> now_;
  analytics::SequenceBootstrap bootstrap_;
  // Whether two domains are told apart by their sequences.
  std::map<std::pair<int64_t, Place>, bool> told_apart_;
};

absl::StatusOr<RunSeries::SharedSeries> HeadFollower::ReadOf(
    RunSeries& run, const v1::MetricDescriptor* metric,
    const std::string& domain) {
  if (metric == nullptr) return RunSeries::SharedSeries();
  return run.Read(metric->name(), domain);
}

absl::Status HeadFollower::Read(RunSeries& run) {
  std::set<Place> places;
  const int heads = run.run().model().heads();
  for (const std::string& domain : names_) {
    ASSIGN_OR_RETURN(const auto dormancy,
                     ReadOf(run, history_.dormancy, domain));
    ASSIGN_OR_RETURN(const auto drain, ReadOf(run, history_.drain, domain));
    ASSIGN_OR_RETURN(const auto write, ReadOf(run, history_.write, domain));
    steps_.insert(dormancy->steps.begin(), dormancy->steps.end());
    for (const store::SeriesColumn& column : dormancy->columns) {
      places.emplace(column.first.value_or(0), column.second);
    }
    series_.push_back(
        {ByHead(dormancy, heads), ByHead(drain, heads), ByHead(write, heads)});
  }
  AddTracks(places);
  return absl::OkStatus();
}

void HeadFollower::AddTracks(const std::set<Place>& places) {
  for (const Place& place : places) {
    HeadTrack track{place, {}, Settled(rule_.consecutive), {}, -1, {}, -1};
    for (const DomainSeries& of : series_) {
      track.domains.push_back(
          {of.dormancy.ColumnOf(place), of.drain.ColumnOf(place),
           of.write.ColumnOf(place), Settled(rule_.consecutive)});
    }
    tracks_.push_back(std::move(track));
  }
  before_.assign(names_.size(), std::vector<int>(tracks_.size()));
  now_.resize(names_.size());
}

absl::Status HeadFollower::Follow(RunSeries& run,
                                  std::optional<int64_t> last_step) {
  if (last_step.has_value()) {
    steps_.erase(steps_.upper_bound(*last_step), steps_.end());
  }
  RETURN_IF_ERROR(AskWhatIsUnsure(run));
  for (const int64_t step : steps_) Step(step);
  return absl::OkStatus();
}

void HeadFollower::Look(const HeadTrack& track) {
  for (size_t d = 0; d < series_.size(); ++d) {
    const HeadTrack::InDomain& at = track.domains[d];
    now_[d] = {series_[d].dormancy.value(at.dormancy),
               series_[d].dormancy.standard_error(at.dormancy),
               series_[d].drain.value(at.drain),
               series_[d].write.value(at.write)};
  }
}

absl::Status HeadFollower::AskWhatIsUnsure(RunSeries& run) {
  if (!history_.dormancy->by_sequence()) return absl::OkStatus();
  std::vector<SequenceQuestion> questions;
  for (const int64_t step : steps_) {
    for (DomainSeries& of : series_) of.dormancy.GoTo(step);
    for (const HeadTrack& track : tracks_) {
      Look(track);
      if (!analytics::MaySwitch(now_, rule_) || IsSure(now_)) continue;
      const auto [high, low] = analytics::FurthestApart(now_);
      questions.push_back(
          {step, track.place.first, track.place.second, high, low});
    }
  }
  for (DomainSeries& of : series_) of.dormancy.Rewind();
  return AskSequences(
      run, *history_.dormancy, std::move(questions),
      [this](const SequenceQuestion& q, const std::vector<float>& high,
             const std::vector<float>& low) {
        const auto interval = bootstrap_.Of(high, low);
        if (!interval.has_value()) return;
        told_apart_[{q.step, Place(*q.layer, q.index)}] =
            interval->low > 0 || interval->high < 0;
      });
}

void HeadFollower::Step(int64_t step) {
  for (DomainSeries& of : series_) of.GoTo(step);
  seen_.assign(names_.size(), false);
  for (HeadTrack& track : tracks_) StepHead(step, track);
  NoteSets(step);
  history_.step = step;
}

void HeadFollower::StepHead(int64_t step, HeadTrack& track) {
  Look(track);
  const double largest = analytics::LargestWrite(now_);
  bool known = false;
  for (size_t d = 0; d < series_.size(); ++d) {
    Settled& state = track.domains[d].state;
    const v1::HeadState seen = analytics::StateOf(now_[d], largest, rule_);
    if (seen == v1::HEAD_STATE_UNSPECIFIED) continue;
    known = seen_[d] = true;
    if (!state.Observe(seen, step)) continue;
    v1::HeadStateChange& change = history_.changes.emplace_back();
    change.set_step(state.since());
    change.set_layer(track.place.first);
    change.set_head(track.place.second);
    change.set_domain(names_[d]);
    change.set_from(static_cast<v1::HeadState>(state.before()));
    change.set_to(seen);
  }
  if (!known) return;
  std::optional<bool> told_apart;
  const auto found = told_apart_.find({step, track.place});
  if (found != told_apart_.end()) told_apart = found->second;
  track.type.Observe(analytics::TypeOf(now_, rule_, told_apart), step);
  track.latest = now_;
  track.latest_step = step;
  const auto [high, low] = analytics::FurthestApart(now_);
  if (high == low) return;
  track.compared = now_;
  track.compared_step = step;
}

void HeadFollower::NoteSets(int64_t step) {
  for (size_t d = 0; d < names_.size(); ++d) {
    if (!seen_[d]) continue;
    std::vector<bool> before, now;  // dormant; of heads that were known before
    for (size_t h = 0; h < tracks_.size(); ++h) {
      const int state = tracks_[h].domains[d].state.state();
      if (before_[d][h] != v1::HEAD_STATE_UNSPECIFIED) {
        before.push_back(before_[d][h] == v1::HEAD_STATE_DORMANT);
        now.push_back(state == v1::HEAD_STATE_DORMANT);
      }
      before_[d][h] = state;
    }
    if (before.empty()) continue;
    history_.sets.push_back(
        {step, names_[d], analytics::ChangeOf(before, now)});
  }
}

v1::HeadStates ProtoOfTrack(const HeadTrack& track,
                            const std::vector<std::string>& names) {
  v1::HeadStates head;
  head.set_layer(track.place.first);
  head.set_head(track.place.second);
  head.set_type(static_cast<v1::HeadType>(track.type.state()));
  head.set_since_step(track.type.since());
  for (size_t d = 0; d < track.latest.size(); ++d) {
    v1::HeadInDomain& in = *head.add_domains();
    in.set_domain(names[d]);
    in.set_state(static_cast<v1::HeadState>(track.domains[d].state.state()));
    in.set_since_step(track.domains[d].state.since());
    in.set_dormancy(track.latest[d].dormancy);
    in.set_drain(track.latest[d].drain);
    in.set_write(track.latest[d].write);
  }
  if (track.compared.empty()) return head;
  const auto pair = analytics::FurthestApart(track.compared);
  const HeadSignals& high = track.compared[pair.first];
  const HeadSignals& low = track.compared[pair.second];
  *head.mutable_contrast() = analytics::DifferenceOf(
      {high.dormancy, high.dormancy_error}, {low.dormancy, low.dormancy_error});
  head.mutable_contrast()->set_high_domain(names[pair.first]);
  head.mutable_contrast()->set_low_domain(names[pair.second]);
  return head;
}

absl::Status HeadFollower::Finish(RunSeries& run) {
  std::vector<SequenceQuestion> questions;
  std::map<Place, size_t> places;
  for (const HeadTrack& track : tracks_) {
    history_.unmeasured += track.latest.empty();
    if (track.latest.empty()) continue;
    places[track.place] = history_.heads.size();
    history_.behind += track.latest_step < history_.step;
    history_.heads.push_back(ProtoOfTrack(track, names_));
    if (!history_.heads.back().has_contrast()) continue;
    const auto [high, low] = analytics::FurthestApart(track.compared);
    questions.push_back({track.compared_step, track.place.first,
                         track.place.second, high, low});
  }
  std::stable_sort(
      history_.changes.begin(), history_.changes.end(),
      [](const v1::HeadStateChange& a, const v1::HeadStateChange& b) {
        return a.step() < b.step();
      });
  return AskSequences(
      run, *history_.dormancy, std::move(questions),
      [&](const SequenceQuestion& q, const std::vector<float>& high,
          const std::vector<float>& low) {
        v1::HeadStates& head = history_.heads[places[Place(*q.layer, q.index)]];
        bootstrap_.Tell(high, low, head.mutable_contrast());
      });
}

}  // namespace

analytics::HeadStateRule StateRuleOf(const RunSeries& run,
                                     const v1::StateRule& asked) {
  analytics::HeadStateRule rule;
  const auto* dormancy = run.Playing(v1::METRIC_ROLE_DORMANCY);
  const auto* drain = run.Playing(v1::METRIC_ROLE_VALUE_DRAIN);
  const auto* write = run.Playing(v1::METRIC_ROLE_HEAD_WRITE);
  const auto told = [](const v1::MetricDescriptor* metric) {
    return metric != nullptr && metric->role() != v1::METRIC_ROLE_UNSPECIFIED;
  };
  // The threshold of a metric that plays no role tells something else.
  if (told(dormancy)) {
    if (dormancy->has_threshold()) rule.dormant = dormancy->threshold();
    if (dormancy->has_low()) rule.active = dormancy->low();
    if (dormancy->has_contrast()) rule.contrast = dormancy->contrast();
  }
  if (told(drain) && drain->has_threshold()) rule.drained = drain->threshold();
  if (told(write) && write->has_low()) rule.quiet = write->low();
  if (asked.has_dormant()) rule.dormant = asked.dormant();
  if (asked.has_active()) rule.active = asked.active();
  if (asked.has_drained()) rule.drained = asked.drained();
  if (asked.has_quiet()) rule.quiet = asked.quiet();
  if (asked.has_contrast()) rule.contrast = asked.contrast();
  if (asked.has_awake()) rule.awake = asked.awake();
  if (asked.consecutive() > 0) rule.consecutive = asked.consecutive();
  return rule;
}

v1::StateRule ProtoOf(const analytics::HeadStateRule& rule) {
  v1::StateRule proto;
  proto.set_dormant(rule.dormant);
  proto.set_active(rule.active);
  proto.set_drained(rule.drained);
  proto.set_quiet(rule.quiet);
  proto.set_contrast(rule.contrast);
  proto.set_awake(rule.awake);
  proto.set_consecutive(rule.consecutive);
  return proto;
}

std::string StatesNote(const RunSeries& run,
                       const analytics::HeadStateRule& rule) {
  const auto* dormancy = run.Playing(v1::METRIC_ROLE_DORMANCY);
  const auto* drain = run.Playing(v1::METRIC_ROLE_VALUE_DRAIN);
  const auto* write = run.Playing(v1::METRIC_ROLE_HEAD_WRITE);
  if (dormancy == nullptr) return "";
  std::string text = absl::StrCat("states of a head on a domain: dormant from ",
                                  dormancy->name(), " ", rule.dormant, " on");
  if (drain != nullptr) {
    absl::StrAppend(&text, " (broadcast if ", drain->name(), " is above ",
                    rule.drained, ")");
  }
  absl::StrAppend(&text, ", active up to ", rule.active);
  if (write != nullptr) {
    absl::StrAppend(&text, " (quiet if ", write->name(), " is at most ",
                    rule.quiet, " of its largest over the domains)");
  }
  return absl::StrCat(text,
                      ", mixed between; switching if two domains differ by ",
                      rule.contrast, " or more, surely, and one has ",
                      rule.awake, " or more; a state changes when ",
                      rule.consecutive, " checkpoints in a row say so");
}

absl::StatusOr<HeadHistory> FollowHeads(RunSeries& run,
                                        const analytics::HeadStateRule& rule,
                                        std::optional<int64_t> last_step) {
  HeadHistory history;
  history.dormancy = run.Playing(v1::METRIC_ROLE_DORMANCY);
  history.drain = run.Playing(v1::METRIC_ROLE_VALUE_DRAIN);
  history.write = run.Playing(v1::METRIC_ROLE_HEAD_WRITE);
  if (history.dormancy == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("no metric of run \"", run.run().name(),
                     "\" tells how dormant a head is"));
  }
  HeadFollower follower(run, rule, &history);
  RETURN_IF_ERROR(follower.Read(run));
  RETURN_IF_ERROR(follower.Follow(run, last_step));
  RETURN_IF_ERROR(follower.Finish(run));
  return history;
}

}  // namespace sinkwatch::query
