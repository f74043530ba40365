// The methods of Store that tell which steps are measured.
#include <utility>

#include "server/store/database.h"
#include "server/store/measurement_rows.h"
#include "server/store/statement.h"
#include "server/store/store.h"

namespace sinkwatch::store {

absl::StatusOr<std::vector<Store::MeasuredStep>> Store::MeasuredSteps(
    const std::string& run, const std::string& stage) {
  const StoreLock lock(database_->mutex);
  // The reason is not in the index: it is fetched where it is wanted only.
  Statement select(
      database_->connection,
      "SELECT step, implausible, series = (SELECT series FROM measurement "
      "WHERE run = ?1 AND stage = ?2 ORDER BY id DESC LIMIT 1) AS shown, "
      "CASE WHEN implausible THEN implausible_reason ELSE '' END FROM "
      "measurement WHERE run = ?1 AND stage = ?2 AND is_current = 1 ORDER BY "
      "step, shown");
  select.Bind(run).Bind(stage);
  std::vector<MeasuredStep> steps;
  while (select.Step()) {
    MeasuredStep at;
    at.step = select.Int();
    at.implausible = select.Int() != 0;
    at.shown = select.Int() != 0;
    at.reason = select.Text();
    if (!steps.empty() && steps.back().step == at.step) steps.pop_back();
    steps.push_back(std::move(at));
  }
  if (!select.status().ok()) return select.status();
  return steps;
}

absl::StatusOr<Store::MeasuredOtherwise> Store::StepsMeasuredOtherwise(
    const std::string& run, const std::string& stage) {
  const StoreLock lock(database_->mutex);
  auto series = ShownSeries(database_->connection, run, stage);
  if (!series.ok()) return series.status();
  MeasuredOtherwise found;
  // Each is a stretch of the index, and what lies in it is what is looked for.
  const char* const kAgain =
      "SELECT DISTINCT step FROM measurement WHERE run = ?1 AND stage = ?2 AND "
      "series = ?3 AND is_current = 0 ORDER BY step";
  const char* const kOnOtherTerms =
      "SELECT step FROM measurement AS m WHERE run = ?1 AND stage = ?2 AND "
      "series < ?3 AND is_current = 1 AND NOT EXISTS (SELECT 1 FROM "
      "measurement WHERE run = ?1 AND stage = ?2 AND series = ?3 AND "
      "is_current = 1 AND step = m.step) UNION "
      "SELECT step FROM measurement AS m WHERE run = ?1 AND stage = ?2 AND "
      "series > ?3 AND is_current = 1 AND NOT EXISTS (SELECT 1 FROM "
      "measurement WHERE run = ?1 AND stage = ?2 AND series = ?3 AND "
      "is_current = 1 AND step = m.step) ORDER BY 1";
  for (const auto& [sql, steps] :
       {std::make_pair(kAgain, &found.again),
        std::make_pair(kOnOtherTerms, &found.on_other_terms)}) {
    Statement select(database_->connection, sql);
    select.Bind(run).Bind(stage).Bind(*series);
    while (select.Step()) steps->push_back(select.Int());
    if (!select.status().ok()) return select.status();
  }
  return found;
}

}  // namespace sinkwatch::store
