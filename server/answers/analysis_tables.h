#ifndef SINKWATCH_SERVER_ANSWERS_ANALYSIS_TABLES_H_
#define SINKWATCH_SERVER_ANSWERS_ANALYSIS_TABLES_H_

#include <string>
#include <vector>

#include "google/protobuf/repeated_field.h"
#include "server/answers/table.h"
#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::answers {

// Answers of the AnalysisService as tables, for the HTTP API and sinkctl. What
// is not known is no value.

// layer, head, type, since_step, difference, stderr, low, high, interval,
// auroc, cohens_d, high_domain, low_domain; then of each domain its state, "D
// since", "D dormancy", "D drain", "D write".
Table StatesTable(const v1::GetStatesResponse& states);

// step, layer, head, domain, from, to: newest first.
Table StateChangesTable(const v1::GetStatesResponse& states);

// series, layer, head, first, second, difference, stderr, low, high, interval
// (bootstrap or standard_errors), auroc, cohens_d, type; the domains stand
// beside the table.
Table ContrastsTable(const v1::CompareDomainsResponse& contrasts);

// run, domain, series, layer, head, after_step, by_step, before, after, change,
// score, from_step, to_step, provisional, after_tokens, by_tokens: the largest
// score first.
Table JumpsTable(const v1::FindJumpsResponse& jumps);

// run, domain, after_step, by_step, series, of, median_change, max_score,
// after_tokens, by_tokens.
Table JumpIntervalsTable(const v1::FindJumpsResponse& jumps);

// run, domain, series, points, first_step, last_step, model, preferred, a, b,
// c, b_stderr, r_squared, aic: a row per curve, of each series the best first.
Table FitsTable(const v1::FitSeriesResponse& fits);

// topic, run, metric, domain, layer, head, count, of, value, low, high,
// after_step, by_step, verdict, text, evidence, after_tokens, by_tokens,
// verdict_by_tokens.
Table FactsTable(const google::protobuf::RepeatedPtrField<v1::Fact>& facts);

// reference, metric, model, revision, step, tokens, layer, head, value,
// citation, protocol, over.
Table ReferencesTable(const v1::ListReferencesResponse& references);

// metric, model, revision, layer, head, step, published, value, difference,
// verdict (pass, fail, absent), reason, citation, protocol, over; the step is
// that of the own value, or of the published one where there is none.
Table ReferenceChecksTable(const v1::CheckReferencesResponse& checks);

// A chapter of a summary.
struct Chapter {
  const char* topic;
  const char* title;
};
// All of them, in the order in which they are told.
const std::vector<Chapter>& Chapters();

}  // namespace sinkwatch::answers

#endif  // SINKWATCH_SERVER_ANSWERS_ANALYSIS_TABLES_H_
