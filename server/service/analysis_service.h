#ifndef SINKWATCH_SERVER_SERVICE_ANALYSIS_SERVICE_H_
#define SINKWATCH_SERVER_SERVICE_ANALYSIS_SERVICE_H_

#include "server/query/analyses.h"
#include "server/query/references.h"
#include "server/telemetry/service_metrics.h"
#include "sinkwatch/v1/analysis_service.grpc.pb.h"

namespace sinkwatch::service {

// AnalysisService over Analyses and References: a line a call. It has no logic
// of its own. Thread-safe. Everything given must outlive it.
class AnalysisServiceImpl final : public v1::AnalysisService::Service {
 public:
  struct Parts {
    query::Analyses* analyses;
    query::References* references;
    telemetry::ServiceMetrics* metrics;
  };
  explicit AnalysisServiceImpl(const Parts& parts) : parts_(parts) {}

  grpc::Status GetStates(grpc::ServerContext* context,
                         const v1::GetStatesRequest* request,
                         v1::GetStatesResponse* response) override;
  grpc::Status CompareDomains(grpc::ServerContext* context,
                              const v1::CompareDomainsRequest* request,
                              v1::CompareDomainsResponse* response) override;
  grpc::Status FindJumps(grpc::ServerContext* context,
                         const v1::FindJumpsRequest* request,
                         v1::FindJumpsResponse* response) override;
  grpc::Status FitSeries(grpc::ServerContext* context,
                         const v1::FitSeriesRequest* request,
                         v1::FitSeriesResponse* response) override;
  grpc::Status Summarize(grpc::ServerContext* context,
                         const v1::SummarizeRequest* request,
                         v1::SummarizeResponse* response) override;
  grpc::Status CompareRuns(grpc::ServerContext* context,
                           const v1::CompareRunsRequest* request,
                           v1::CompareRunsResponse* response) override;
  grpc::Status AddReference(grpc::ServerContext* context,
                            const v1::AddReferenceRequest* request,
                            v1::AddReferenceResponse* response) override;
  grpc::Status RemoveReference(grpc::ServerContext* context,
                               const v1::RemoveReferenceRequest* request,
                               v1::RemoveReferenceResponse* response) override;
  grpc::Status ListReferences(grpc::ServerContext* context,
                              const v1::ListReferencesRequest* request,
                              v1::ListReferencesResponse* response) override;
  grpc::Status CheckReferences(grpc::ServerContext* context,
                               const v1::CheckReferencesRequest* request,
                               v1::CheckReferencesResponse* response) override;

 private:
  // Asks one question of `room`, moves its answer out, counts the call; no
  // exception leaves it.
  template <typename Room, typename Request, typename Response>
  grpc::Status Answer(
      const char* method, Room* room,
      absl::StatusOr<Response> (Room::*question)(const Request&),
      const Request* request, Response* response);

  const Parts parts_;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_ANALYSIS_SERVICE_H_
