#ifndef SINKWATCH_SERVER_ANSWERS_REFERENCE_COLUMNS_H_
#define SINKWATCH_SERVER_ANSWERS_REFERENCE_COLUMNS_H_

#include <string>

#include "server/answers/table.h"
#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::answers {

// Lays published values beside the columns of a series table whose first column
// is `x` ("step", "tokens" or "log10_step"): a column per model, layer and head
// ("guo-2410.13835: bigram-backcopy-1l L0H0"), its values in the rows of their
// x, which are made where there are none. Points that do not say their x are
// left out; of two with one x in a column the first stays.
void LayReferences(const v1::ListReferencesResponse& references,
                   const std::string& x, Table* series);

}  // namespace sinkwatch::answers

#endif  // SINKWATCH_SERVER_ANSWERS_REFERENCE_COLUMNS_H_
