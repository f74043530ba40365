#include "server/service/analysis_service.h"

#include <utility>

#include "server/service/rpc_timer.h"

namespace sinkwatch::service {

template <typename Room, typename Request, typename Response>
grpc::Status AnalysisServiceImpl::Answer(
    const char* method, Room* room,
    absl::StatusOr<Response> (Room::*question)(const Request&),
    const Request* request, Response* response) {
  return RpcTimer(parts_.metrics, method).Answer([&] {
    absl::StatusOr<Response> answer = (room->*question)(*request);
    if (answer.ok()) *response = *std::move(answer);
    return answer.status();
  });
}

grpc::Status AnalysisServiceImpl::GetStates(grpc::ServerContext*,
                                            const v1::GetStatesRequest* request,
                                            v1::GetStatesResponse* response) {
  return Answer("AnalysisService/GetStates", parts_.analyses,
                &query::Analyses::States, request, response);
}

grpc::Status AnalysisServiceImpl::CompareDomains(
    grpc::ServerContext*, const v1::CompareDomainsRequest* request,
    v1::CompareDomainsResponse* response) {
  return Answer("AnalysisService/CompareDomains", parts_.analyses,
                &query::Analyses::Domains, request, response);
}

grpc::Status AnalysisServiceImpl::FindJumps(grpc::ServerContext*,
                                            const v1::FindJumpsRequest* request,
                                            v1::FindJumpsResponse* response) {
  return Answer("AnalysisService/FindJumps", parts_.analyses,
                &query::Analyses::Jumps, request, response);
}

grpc::Status AnalysisServiceImpl::FitSeries(grpc::ServerContext*,
                                            const v1::FitSeriesRequest* request,
                                            v1::FitSeriesResponse* response) {
  return Answer("AnalysisService/FitSeries", parts_.analyses,
                &query::Analyses::Fits, request, response);
}

grpc::Status AnalysisServiceImpl::Summarize(grpc::ServerContext*,
                                            const v1::SummarizeRequest* request,
                                            v1::SummarizeResponse* response) {
  return Answer("AnalysisService/Summarize", parts_.analyses,
                &query::Analyses::Summary, request, response);
}

grpc::Status AnalysisServiceImpl::CompareRuns(
    grpc::ServerContext*, const v1::CompareRunsRequest* request,
    v1::CompareRunsResponse* response) {
  return Answer("AnalysisService/CompareRuns", parts_.analyses,
                &query::Analyses::Comparison, request, response);
}

grpc::Status AnalysisServiceImpl::AddReference(
    grpc::ServerContext*, const v1::AddReferenceRequest* request,
    v1::AddReferenceResponse* response) {
  return Answer("AnalysisService/AddReference", parts_.references,
                &query::References::Add, request, response);
}

grpc::Status AnalysisServiceImpl::RemoveReference(
    grpc::ServerContext*, const v1::RemoveReferenceRequest* request,
    v1::RemoveReferenceResponse* response) {
  return Answer("AnalysisService/RemoveReference", parts_.references,
                &query::References::Remove, request, response);
}

grpc::Status AnalysisServiceImpl::ListReferences(
    grpc::ServerContext*, const v1::ListReferencesRequest* request,
    v1::ListReferencesResponse* response) {
  return Answer("AnalysisService/ListReferences", parts_.references,
                &query::References::List, request, response);
}

grpc::Status AnalysisServiceImpl::CheckReferences(
    grpc::ServerContext*, const v1::CheckReferencesRequest* request,
    v1::CheckReferencesResponse* response) {
  return Answer("AnalysisService/CheckReferences", parts_.references,
                &query::References::Check, request, response);
}

}  // namespace sinkwatch::service
