#ifndef SINKWATCH_SERVER_CTL_ANALYSIS_CONTEXT_H_
#define SINKWATCH_SERVER_CTL_ANALYSIS_CONTEXT_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/ctl/context.h"
#include "server/ctl/flags.h"
#include "sinkwatch/v1/measurement.pb.h"

// What the commands about the meaning of numbers share.
namespace sinkwatch::ctl {

inline base::FlagSpec Domains() {
  return base::FlagSpec{"domain", "A,B,..",
                        "text domains; default: all of the run's"}
      .Example("wiki,code");
}

inline base::FlagSpec Implausible() {
  return {"implausible", "", "with measurements whose loss is implausible"};
}

// Further runs beside the operand.
inline base::FlagSpec With() {
  return base::FlagSpec{"with", "B,C,..", "further runs; default: none"}
      .Example("olmo2-7b");
}

// A list of the line into a repeated field.
template <typename Names>
void AddNames(const std::vector<std::string>& names, Names* list) {
  *list = {names.begin(), names.end()};
}

template <typename Request>
void SetRunAndStage(const Context& c, Request* request) {
  request->set_run(c.args.Get("run"));
  if (c.args.Has("stage")) request->set_stage(c.args.Get("stage"));
}

// Above a table for people: what its numbers mean.
inline void PrintMeaning(const Context& c, const v1::MetricDescriptor& metric) {
  if (!c.for_people() || metric.name().empty()) return;
  c.out << metric.name() << " [" << metric.unit() << "]: " << metric.meaning()
        << "\n";
}

template <typename Notes>
void PrintNotes(const Context& c, const Notes& notes) {
  for (const std::string& note : notes) Note(c, note);
}

// The first `limit` rows; 0: all. Says what is cut.
inline void Cut(const Context& c, size_t limit, const char* what,
                answers::Table* table) {
  const size_t all = table->rows.size();
  if (limit == 0 || all <= limit) return;
  table->rows.resize(limit);
  Note(c, absl::StrCat(limit, " of ", all, " ", what, "; --limit=0 shows all"));
}

}  // namespace sinkwatch::ctl

#endif  // SINKWATCH_SERVER_CTL_ANALYSIS_CONTEXT_H_
