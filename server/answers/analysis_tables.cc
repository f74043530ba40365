#include "server/answers/analysis_tables.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/answers/names.h"

namespace sinkwatch::answers {
namespace {

Cell StepCell(bool has, int64_t step) { return has ? Cell(step) : Cell(); }

Cell IndexCell(bool has, int32_t index) {
  return has ? Cell(int64_t{index}) : Cell();
}

Cell TextCell(const std::string& text) {
  return text.empty() ? Cell() : Cell(text);
}

Cell OverCell(const v1::ReferencePoint& point) {
  const bool said = point.over() != v1::AGGREGATION_UNSPECIFIED;
  return said ? Cell(AggregationName(point.over())) : Cell();
}

// difference, stderr, low, high, interval, auroc, cohens_d.
void AppendContrast(const v1::Contrast& contrast, std::vector<Cell>& cells) {
  cells.insert(
      cells.end(),
      {contrast.difference(), contrast.standard_error(), contrast.low(),
       contrast.high(), TextCell(IntervalMethodName(contrast.method())),
       contrast.has_auroc() ? Cell(contrast.auroc()) : Cell(),
       contrast.has_cohens_d() ? Cell(contrast.cohens_d()) : Cell()});
}
constexpr size_t kContrastCells = 7;

}  // namespace

Table StatesTable(const v1::GetStatesResponse& states) {
  Table table{
      {"layer", "head", "type", "since_step", "difference", "stderr", "low",
       "high", "interval", "auroc", "cohens_d", "high_domain", "low_domain"},
      {}};
  for (const std::string& domain : states.domains()) {
    table.columns.push_back(domain);
    for (const char* what : {" since", " dormancy", " drain", " write"}) {
      table.columns.push_back(domain + what);
    }
  }
  for (const v1::HeadStates& head : states.heads()) {
    std::vector<Cell>& cells = table.rows.emplace_back();
    cells = {
        int64_t{head.layer()}, int64_t{head.head()},
        TextCell(HeadTypeName(head.type())),
        StepCell(head.type() != v1::HEAD_TYPE_UNSPECIFIED, head.since_step())};
    if (head.has_contrast()) {
      AppendContrast(head.contrast(), cells);
    } else {
      cells.resize(cells.size() + kContrastCells);
    }
    cells.push_back(TextCell(head.contrast().high_domain()));
    cells.push_back(TextCell(head.contrast().low_domain()));
    for (const v1::HeadInDomain& in : head.domains()) {
      const bool known = in.state() != v1::HEAD_STATE_UNSPECIFIED;
      cells.insert(cells.end(), {TextCell(HeadStateName(in.state())),
                                 StepCell(known, in.since_step()),
                                 in.dormancy(), in.drain(), in.write()});
    }
  }
  return table;
}

Table StateChangesTable(const v1::GetStatesResponse& states) {
  Table table{{"step", "layer", "head", "domain", "from", "to"}, {}};
  for (const v1::HeadStateChange& change : states.changes()) {
    table.rows.push_back({int64_t{change.step()}, int64_t{change.layer()},
                          int64_t{change.head()}, change.domain(),
                          HeadStateName(change.from()),
                          HeadStateName(change.to())});
  }
  return table;
}

Table ContrastsTable(const v1::CompareDomainsResponse& contrasts) {
  Table table{
      {"series", "layer", "head", "first", "second", "difference", "stderr",
       "low", "high", "interval", "auroc", "cohens_d", "type"},
      {}};
  for (const v1::DomainContrast& row : contrasts.contrasts()) {
    std::vector<Cell>& cells = table.rows.emplace_back();
    cells = {row.key().label(),
             IndexCell(row.key().has_layer(), row.key().layer()),
             IndexCell(row.key().has_head(), row.key().head()), row.first(),
             row.second()};
    AppendContrast(row.contrast(), cells);
    cells.push_back(TextCell(HeadTypeName(row.type())));
  }
  return table;
}

Table JumpsTable(const v1::FindJumpsResponse& jumps) {
  Table table{{"run", "domain", "series", "layer", "head", "after_step",
               "by_step", "before", "after", "change", "score", "from_step",
               "to_step", "provisional", "after_tokens", "by_tokens"},
              {}};
  for (const v1::Jump& jump : jumps.jumps()) {
    const v1::SeriesKey& key = jump.key();
    table.rows.push_back(
        {key.run(), key.domain(), key.label(),
         IndexCell(key.has_layer(), key.layer()),
         IndexCell(key.has_head(), key.head()), int64_t{jump.after_step()},
         int64_t{jump.by_step()}, jump.before(), jump.after(),
         jump.after() - jump.before(), jump.score(), int64_t{jump.from_step()},
         int64_t{jump.to_step()}, jump.provisional(),
         StepCell(jump.has_after_tokens(), jump.after_tokens()),
         StepCell(jump.has_by_tokens(), jump.by_tokens())});
  }
  return table;
}

Table JumpIntervalsTable(const v1::FindJumpsResponse& jumps) {
  Table table{{"run", "domain", "after_step", "by_step", "series", "of",
               "median_change", "max_score", "after_tokens", "by_tokens"},
              {}};
  for (const v1::JumpInterval& interval : jumps.intervals()) {
    table.rows.push_back(
        {interval.run(), interval.domain(), int64_t{interval.after_step()},
         int64_t{interval.by_step()}, int64_t{interval.series()},
         int64_t{interval.of()}, interval.median_change(), interval.max_score(),
         StepCell(interval.has_after_tokens(), interval.after_tokens()),
         StepCell(interval.has_by_tokens(), interval.by_tokens())});
  }
  return table;
}

Table FitsTable(const v1::FitSeriesResponse& fits) {
  Table table{
      {"run", "domain", "series", "points", "first_step", "last_step", "model",
       "preferred", "a", "b", "c", "b_stderr", "r_squared", "aic"},
      {}};
  for (const v1::SeriesFit& series : fits.fits()) {
    for (const v1::CurveFit& fit : series.fits()) {
      table.rows.push_back(
          {series.key().run(), series.key().domain(), series.key().label(),
           int64_t{series.points()}, int64_t{series.first_step()},
           int64_t{series.last_step()}, CurveModelName(fit.model()),
           fit.model() == series.preferred(), fit.a(), fit.b(),
           fit.c() > 0 ? Cell(fit.c()) : Cell(), fit.b_standard_error(),
           fit.r_squared(), fit.aic()});
    }
  }
  return table;
}

Table FactsTable(const google::protobuf::RepeatedPtrField<v1::Fact>& facts) {
  Table table{
      {"topic", "run", "metric", "domain", "layer", "head", "count", "of",
       "value", "low", "high", "after_step", "by_step", "verdict", "text",
       "evidence", "after_tokens", "by_tokens", "verdict_by_tokens"},
      {}};
  const auto number = [](bool has, double value) {
    return has ? Cell(value) : Cell();
  };
  for (const v1::Fact& f : facts) {
    table.rows.push_back(
        {f.topic(), f.run(), TextCell(f.metric()), TextCell(f.domain()),
         IndexCell(f.has_layer(), f.layer()), IndexCell(f.has_head(), f.head()),
         StepCell(f.has_count(), f.count()), StepCell(f.has_of(), f.of()),
         number(f.has_value(), f.value()), number(f.has_low(), f.low()),
         number(f.has_high(), f.high()),
         StepCell(f.has_after_step(), f.after_step()),
         StepCell(f.has_by_step(), f.by_step()), TextCell(f.verdict()),
         f.text(),
         std::vector<std::string>(f.evidence().begin(), f.evidence().end()),
         StepCell(f.has_after_tokens(), f.after_tokens()),
         StepCell(f.has_by_tokens(), f.by_tokens()),
         TextCell(f.verdict_by_tokens())});
  }
  return table;
}

Table ReferencesTable(const v1::ListReferencesResponse& references) {
  Table table{{"reference", "metric", "model", "revision", "step", "tokens",
               "layer", "head", "value", "citation", "protocol", "over"},
              {}};
  for (const v1::ReferencePoint& p : references.points()) {
    table.rows.push_back(
        {p.reference(), p.metric(), p.model(), TextCell(p.revision()),
         StepCell(p.has_step(), p.step()), StepCell(p.has_tokens(), p.tokens()),
         IndexCell(p.has_layer(), p.layer()), IndexCell(p.has_head(), p.head()),
         p.value(), p.citation(), TextCell(p.protocol()), OverCell(p)});
  }
  return table;
}

Table ReferenceChecksTable(const v1::CheckReferencesResponse& checks) {
  Table table{{"metric", "model", "revision", "layer", "head", "step",
               "published", "value", "difference", "verdict", "reason",
               "citation", "protocol", "over"},
              {}};
  for (const v1::ReferenceCheck& check : checks.checks()) {
    const v1::ReferencePoint& p = check.point();
    table.rows.push_back(
        {p.metric(), p.model(), TextCell(p.revision()),
         IndexCell(p.has_layer(), p.layer()), IndexCell(p.has_head(), p.head()),
         check.has_step() ? Cell(int64_t{check.step()})
                          : StepCell(p.has_step(), p.step()),
         p.value(), check.has_value() ? Cell(check.value()) : Cell(),
         check.has_value() ? Cell(check.value() - p.value()) : Cell(),
         ReferenceVerdictName(check.verdict()), TextCell(check.reason()),
         p.citation(), TextCell(p.protocol()), OverCell(p)});
  }
  return table;
}

const std::vector<Chapter>& Chapters() {
  static const auto& chapters = *new std::vector<Chapter>{
      {"run", "Measured"},
      {"diagnosis", "What goes together"},
      {"difference", "Earlier or later"},
      {"onset", "Onsets"},
      {"rise", "Shapes of the rises"},
      {"reversal", "Reversals"},
      {"order", "Order of onsets"},
      {"jump", "Jumps"},
      {"states", "States of heads"},
      {"switching", "Switching heads"},
      {"head_set", "Dormant heads over checkpoints"},
      {"flips", "Changes of state"},
      {"fit", "Growth"},
      {"correlation", "Correlations (descriptive)"},
      {"leadlag", "Which changes first (descriptive)"},
      {"loss", "Loss"},
      {"band", "Over seeds"}};
  return chapters;
}

}  // namespace sinkwatch::answers
