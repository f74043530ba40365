#ifndef SINKWATCH_SERVER_QUERY_JUMP_INTERVALS_H_
#define SINKWATCH_SERVER_QUERY_JUMP_INTERVALS_H_

#include <vector>

#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::query {

// Jumps of `of` series, put together by run, domain, interval and direction;
// the most important first.
std::vector<v1::JumpInterval> IntervalsOf(const std::vector<v1::Jump>& jumps,
                                          int of);

// Of two intervals the one with more series, or else the larger score.
bool ComesFirst(const v1::JumpInterval& a, const v1::JumpInterval& b);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_JUMP_INTERVALS_H_
