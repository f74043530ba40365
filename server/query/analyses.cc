// The methods of Analyses about heads: states, and contrasts of domains.
#include "server/query/analyses.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/base/status_macros.h"
#include "server/analytics/contrast.h"
#include "server/analytics/sequence_contrast.h"
#include "server/answers/parse.h"
#include "server/query/columns.h"
#include "server/query/head_history.h"
#include "server/query/role_notes.h"
#include "server/query/run_series.h"
#include "server/query/sequence_contrasts.h"
#include "server/query/unknown.h"

namespace sinkwatch::query {
namespace {

constexpr int kMaxChanges = 1000;

template <typename Request>
RunChoice ChoiceOf(const Request& request) {
  RunChoice choice;
  choice.run = request.run();
  if (request.has_stage()) choice.stage = request.stage();
  return choice;
}

bool Wanted(const google::protobuf::RepeatedField<int32_t>& chosen, int32_t n) {
  return chosen.empty() ||
         std::find(chosen.begin(), chosen.end(), n) != chosen.end();
}

// NOT_FOUND if a layer or head that is asked for is none of the run's.
absl::Status CheckAsked(const v1::GetStatesRequest& request,
                        const std::vector<v1::HeadStates>& heads) {
  std::set<int64_t> layers, numbers;
  for (const v1::HeadStates& head : heads) {
    layers.insert(head.layer());
    numbers.insert(head.head());
  }
  const std::string lack = absl::StrCat("run \"", request.run(), "\" has no ");
  for (int32_t layer : request.layers()) {
    if (layers.count(layer) == 0) {
      return UnknownNumber(lack + "layer", layer, layers);
    }
  }
  for (int32_t head : request.heads()) {
    if (numbers.count(head) == 0) {
      return UnknownNumber(lack + "head", head, numbers);
    }
  }
  return absl::OkStatus();
}

void FillHeads(const v1::GetStatesRequest& request, const HeadHistory& history,
               v1::GetStatesResponse& response) {
  for (const v1::HeadStates& head : history.heads) {
    if (Wanted(request.layers(), head.layer()) &&
        Wanted(request.heads(), head.head())) {
      *response.add_heads() = head;
    }
  }
  int64_t total = 0;
  for (auto it = history.changes.rbegin(); it != history.changes.rend(); ++it) {
    if (!Wanted(request.layers(), it->layer()) ||
        !Wanted(request.heads(), it->head())) {
      continue;
    }
    if (total++ < kMaxChanges) *response.add_changes() = *it;
  }
  response.set_total_changes(total);
}

// What a person should know of how the states were told.
std::vector<std::string> NotesOf(const HeadHistory& history,
                                 const std::vector<std::string>& domains) {
  std::vector<std::string> notes;
  if (history.dormancy->role() != v1::METRIC_ROLE_DORMANCY) {
    notes.push_back(absl::StrCat("no metric says that it tells dormancy: ",
                                 history.dormancy->name(), " is taken"));
  }
  if (history.drain == nullptr) {
    notes.push_back(
        "no metric tells drains: broadcast heads are told as dormant");
  }
  if (history.write == nullptr || domains.size() < 2) {
    notes.push_back(
        "quiet heads are told as active: that needs a metric of "
        "what heads write, and two domains");
  }
  if (domains.size() < 2) {
    notes.push_back("one domain tells no switching");
  }
  if (history.behind > 0) {
    notes.push_back(absl::StrCat(history.behind, " of ", history.heads.size(),
                                 " heads have no value at "
                                 "step ",
                                 history.step,
                                 ": they are told as of their last"));
  }
  if (history.unmeasured > 0) {
    notes.push_back(absl::StrCat(history.unmeasured,
                                 " heads have no value: they are left out"));
  }
  int bootstrapped = 0, contrasts = 0;
  for (const v1::HeadStates& head : history.heads) {
    contrasts += head.has_contrast();
    bootstrapped += head.contrast().method() == v1::INTERVAL_METHOD_BOOTSTRAP;
  }
  if (contrasts > 0) notes.push_back(IntervalNote(bootstrapped, contrasts));
  return notes;
}

void FillDescriptors(const HeadHistory& history,
                     v1::GetStatesResponse& response) {
  *response.mutable_dormancy() = *history.dormancy;
  if (history.drain != nullptr) *response.mutable_drain() = *history.drain;
  if (history.write != nullptr) *response.mutable_write() = *history.write;
}

// One step of a metric in a domain.
absl::StatusOr<v1::QueryMatrixResponse> MatrixOf(
    Queries& queries, const v1::CompareDomainsRequest& request,
    const std::string& metric, const std::string& domain,
    std::optional<int64_t> step) {
  v1::QueryMatrixRequest matrix;
  matrix.set_run(request.run());
  if (request.has_stage()) matrix.set_stage(request.stage());
  matrix.set_metric(metric);
  matrix.set_domain(domain);
  if (step.has_value()) matrix.set_step(*step);
  return queries.Matrix(matrix);
}

// The row of the layer that `like` is of; an empty one if there is none.
const v1::QueryMatrixResponse::Row& RowOfLayer(
    const v1::QueryMatrixResponse& matrix,
    const v1::QueryMatrixResponse::Row& like) {
  for (const v1::QueryMatrixResponse::Row& row : matrix.rows()) {
    if (row.has_layer() == like.has_layer() && row.layer() == like.layer()) {
      return row;
    }
  }
  return v1::QueryMatrixResponse::Row::default_instance();
}

void AddContrasts(const v1::QueryMatrixResponse& first,
                  const v1::QueryMatrixResponse& second,
                  v1::CompareDomainsResponse& response) {
  for (const auto& a : first.rows()) {
    const auto& b = RowOfLayer(second, a);
    for (int i = 0; i < std::min(a.values_size(), b.values_size()); ++i) {
      v1::DomainContrast& row = *response.add_contrasts();
      store::SeriesColumn column{std::nullopt, i};
      if (a.has_layer()) column.first = a.layer();
      *row.mutable_key() = KeyOf(column, first.metric());
      row.set_first(a.values(i));
      row.set_second(b.values(i));
      *row.mutable_contrast() =
          analytics::DifferenceOf({a.values(i), a.standard_errors(i)},
                                  {b.values(i), b.standard_errors(i)});
      row.mutable_contrast()->set_high_domain(first.domain());
      row.mutable_contrast()->set_low_domain(second.domain());
    }
  }
}

// Puts what the sequences say in the place of what the errors say.
absl::Status TellBySequences(RunSeries& run,
                             v1::CompareDomainsResponse& response) {
  std::vector<SequenceQuestion> questions;
  std::map<std::pair<int, int>, int> places;
  for (int i = 0; i < response.contrasts_size(); ++i) {
    const v1::SeriesKey& key = response.contrasts(i).key();
    SequenceQuestion& question = questions.emplace_back();
    question.step = response.step();
    if (key.has_layer()) question.layer = key.layer();
    question.index = key.head();
    question.low = 1;
    places[{key.layer(), key.head()}] = i;
  }
  analytics::SequenceBootstrap bootstrap;
  RETURN_IF_ERROR(AskSequences(
      run, response.metric(), std::move(questions),
      [&](const SequenceQuestion& q, const std::vector<float>& high,
          const std::vector<float>& low) {
        const int place = places[{q.layer.value_or(0), q.index}];
        bootstrap.Tell(high, low,
                       response.mutable_contrasts(place)->mutable_contrast());
      }));
  const auto& rows = response.contrasts();
  const auto bootstrapped = std::count_if(
      rows.begin(), rows.end(), [](const v1::DomainContrast& row) {
        return row.contrast().method() == v1::INTERVAL_METHOD_BOOTSTRAP;
      });
  response.add_notes(IntervalNote(static_cast<int>(bootstrapped), rows.size()));
  return absl::OkStatus();
}

void AddTypes(const HeadHistory& history,
              v1::CompareDomainsResponse& response) {
  std::map<std::pair<int, int>, v1::HeadType> types;
  for (const v1::HeadStates& head : history.heads) {
    types[{head.layer(), head.head()}] = head.type();
  }
  for (v1::DomainContrast& row : *response.mutable_contrasts()) {
    row.set_type(types[{row.key().layer(), row.key().head()}]);
  }
}

absl::Status CheckPair(const v1::CompareDomainsRequest& request) {
  if (!request.first_domain().empty() && !request.second_domain().empty() &&
      request.first_domain() != request.second_domain()) {
    return absl::OkStatus();
  }
  return answers::BadParameter("missing_parameter",
                               "two different domains are needed");
}

}  // namespace

absl::StatusOr<v1::GetStatesResponse> Analyses::States(
    const v1::GetStatesRequest& request) {
  v1::GetStatesResponse response;
  response.set_revision(queries_->revision());
  RunChoice choice = ChoiceOf(request);
  choice.domains = {request.domains().begin(), request.domains().end()};
  choice.include_implausible = request.include_implausible();
  ASSIGN_OR_RETURN(const auto run, RunSeries::Open(queries_, choice));
  const analytics::HeadStateRule rule = StateRuleOf(*run, request.rule());
  std::optional<int64_t> last_step;
  if (request.has_step()) last_step = request.step();
  ASSIGN_OR_RETURN(const HeadHistory history,
                   FollowHeads(*run, rule, last_step));
  RETURN_IF_ERROR(CheckAsked(request, history.heads));
  FillHeads(request, history, response);
  FillDescriptors(history, response);
  *response.mutable_rule() = ProtoOf(rule);
  for (const std::string& domain : run->domains()) {
    response.add_domains(domain);
  }
  response.add_notes(StatesNote(*run, rule));
  for (const std::string& note : NotesOf(history, run->domains())) {
    response.add_notes(note);
  }
  ASSIGN_OR_RETURN(const auto measuring, run->MeasuringNotes());
  for (const std::string& note : measuring) response.add_notes(note);
  response.set_stage(run->stage());
  response.set_step(history.step);
  return response;
}

absl::StatusOr<v1::CompareDomainsResponse> Analyses::Domains(
    const v1::CompareDomainsRequest& request) {
  v1::CompareDomainsResponse response;
  response.set_revision(queries_->revision());
  RETURN_IF_ERROR(CheckPair(request));
  RunChoice choice = ChoiceOf(request);
  choice.domains = {request.first_domain(), request.second_domain()};
  ASSIGN_OR_RETURN(const auto run, RunSeries::Open(queries_, choice));
  const auto* dormancy = run->Playing(v1::METRIC_ROLE_DORMANCY);
  std::string metric = request.metric();
  if (metric.empty() && dormancy != nullptr) metric = dormancy->name();
  if (metric.empty()) {
    return answers::BadParameter(
        "missing_parameter",
        absl::StrCat("a metric is needed: none of run \"", request.run(),
                     "\" tells how dormant a head is"));
  }
  std::optional<int64_t> step;
  if (request.has_step()) step = request.step();
  ASSIGN_OR_RETURN(const auto first, MatrixOf(*queries_, request, metric,
                                              choice.domains[0], step));
  ASSIGN_OR_RETURN(
      const auto second,
      MatrixOf(*queries_, request, metric, choice.domains[1], first.step()));
  *response.mutable_metric() = first.metric();
  response.set_stage(first.stage());
  response.set_step(first.step());
  AddContrasts(first, second, response);
  RETURN_IF_ERROR(TellBySequences(*run, response));
  if (dormancy != nullptr && metric == dormancy->name()) {
    ASSIGN_OR_RETURN(const HeadHistory history,
                     FollowHeads(*run, StateRuleOf(*run, {}), first.step()));
    AddTypes(history, response);
  }
  for (const std::string& note : RoleNotes(*run, {v1::METRIC_ROLE_DORMANCY})) {
    response.add_notes(note);
  }
  ASSIGN_OR_RETURN(const auto measuring, run->MeasuringNotes());
  for (const std::string& note : measuring) response.add_notes(note);
  return response;
}

}  // namespace sinkwatch::query
