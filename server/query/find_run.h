#ifndef SINKWATCH_SERVER_QUERY_FIND_RUN_H_
#define SINKWATCH_SERVER_QUERY_FIND_RUN_H_

#include <string>

#include "absl/status/statusor.h"
#include "google/protobuf/repeated_field.h"
#include "sinkwatch/v1/query_service.pb.h"

namespace sinkwatch::query {

// The run of that name. NOT_FOUND names those that there are.
absl::StatusOr<v1::RunStatus> FindRun(
    const google::protobuf::RepeatedPtrField<v1::RunStatus>& runs,
    const std::string& name);

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_FIND_RUN_H_
