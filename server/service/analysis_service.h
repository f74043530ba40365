#ifndef SINKWATCH_SERVER_SERVICE_ANALYSIS_SERVICE_H_
#define SINKWATCH_SERVER_SERVICE_ANALYSIS_SERVICE_H_

#include "server/query/analyses.h"
#include "server/query/references.h"
#include "server/service/call_queue.h"
#include "server/telemetry/service_metrics.h"
#include "sinkwatch/v1/analysis_service.grpc.pb.h"

namespace sinkwatch::service {

// AnalysisService over Analyses and References: a line a call, answered on
// threads of its own. It has no logic of its own. Thread-safe. Everything given
// must outlive it, and it the gRPC server.
class AnalysisServiceImpl final : public v1::AnalysisService::CallbackService {
 public:
  struct Parts {
    query::Analyses* analyses;
    query::References* references;
    telemetry::ServiceMetrics* metrics;
    CallLimits limits = {};
  };
  explicit AnalysisServiceImpl(const Parts& parts)
      : parts_(parts), calls_(parts.limits) {}

  grpc::ServerUnaryReactor* GetStates(grpc::CallbackServerContext* context,
                                      const v1::GetStatesRequest* request,
                                      v1::GetStatesResponse* response) override;
  grpc::ServerUnaryReactor* CompareDomains(
      grpc::CallbackServerContext* context,
      const v1::CompareDomainsRequest* request,
      v1::CompareDomainsResponse* response) override;
  grpc::ServerUnaryReactor* FindJumps(grpc::CallbackServerContext* context,
                                      const v1::FindJumpsRequest* request,
                                      v1::FindJumpsResponse* response) override;
  grpc::ServerUnaryReactor* FitSeries(grpc::CallbackServerContext* context,
                                      const v1::FitSeriesRequest* request,
                                      v1::FitSeriesResponse* response) override;
  grpc::ServerUnaryReactor* Summarize(grpc::CallbackServerContext* context,
                                      const v1::SummarizeRequest* request,
                                      v1::SummarizeResponse* response) override;
  grpc::ServerUnaryReactor* CompareRuns(
      grpc::CallbackServerContext* context,
      const v1::CompareRunsRequest* request,
      v1::CompareRunsResponse* response) override;
  grpc::ServerUnaryReactor* AddReference(
      grpc::CallbackServerContext* context,
      const v1::AddReferenceRequest* request,
      v1::AddReferenceResponse* response) override;
  grpc::ServerUnaryReactor* RemoveReference(
      grpc::CallbackServerContext* context,
      const v1::RemoveReferenceRequest* request,
      v1::RemoveReferenceResponse* response) override;
  grpc::ServerUnaryReactor* ListReferences(
      grpc::CallbackServerContext* context,
      const v1::ListReferencesRequest* request,
      v1::ListReferencesResponse* response) override;
  grpc::ServerUnaryReactor* CheckReferences(
      grpc::CallbackServerContext* context,
      const v1::CheckReferencesRequest* request,
      v1::CheckReferencesResponse* response) override;

 private:
  // Asks one question of `room` in its turn, moves its answer out, counts the
  // call.
  template <typename Room, typename Request, typename Response>
  grpc::ServerUnaryReactor* Answer(
      const char* method, grpc::CallbackServerContext* context, Room* room,
      absl::StatusOr<Response> (Room::*question)(const Request&),
      const Request* request, Response* response);

  const Parts parts_;
  CallQueue calls_;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_ANALYSIS_SERVICE_H_
