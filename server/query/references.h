#ifndef SINKWATCH_SERVER_QUERY_REFERENCES_H_
#define SINKWATCH_SERVER_QUERY_REFERENCES_H_

#include "absl/status/statusor.h"
#include "server/query/queries.h"
#include "server/references/reference_shelf.h"
#include "sinkwatch/v1/analysis_service.pb.h"

namespace sinkwatch::query {

// Questions about published numbers, and own values beside them. Codes are
// those of Queries and ReferenceShelf.
//
// Thread-safe. Both must outlive it.
class References {
 public:
  References(Queries* queries, references::ReferenceShelf* shelf)
      : queries_(queries), shelf_(shelf) {}

  absl::StatusOr<v1::AddReferenceResponse> Add(
      const v1::AddReferenceRequest& request);
  absl::StatusOr<v1::RemoveReferenceResponse> Remove(
      const v1::RemoveReferenceRequest& request);
  absl::StatusOr<v1::ListReferencesResponse> List(
      const v1::ListReferencesRequest& request);
  // A published value of a layer or head is laid beside that of the same layer
  // and head; one of neither beside the mean over all. It stands at its step,
  // or at the checkpoint whose tokens are nearest, if they differ by at most 1
  // %; with neither, at the newest.
  absl::StatusOr<v1::CheckReferencesResponse> Check(
      const v1::CheckReferencesRequest& request);

 private:
  Queries* const queries_;
  references::ReferenceShelf* const shelf_;
};

}  // namespace sinkwatch::query

#endif  // SINKWATCH_SERVER_QUERY_REFERENCES_H_
