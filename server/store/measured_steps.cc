// The method of Store that tells which steps are measured.
#include "server/store/database.h"
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

}  // namespace sinkwatch::store
