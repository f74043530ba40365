#include "server/service/analysis_service.h"

#include <utility>

#include "server/service/rpc_timer.h"

namespace sinkwatch::service {

template <typename Room, typename Request, typename Response>
grpc::ServerUnaryReactor* AnalysisServiceImpl::Answer(
    const char* method, grpc::CallbackServerContext* context, Room* room,
    absl::StatusOr<Response> (Room::*question)(const Request&),
    const Request* request, Response* response) {
  const auto ask = [room, question, request, response] {
    absl::StatusOr<Response> answer = (room->*question)(*request);
    if (answer.ok()) *response = *std::move(answer);
    return answer.status();
  };
  return calls_.Answer(context, *request, *response,
                       RpcTimer(parts_.metrics, method), ask);
}

grpc::ServerUnaryReactor* AnalysisServiceImpl::GetStates(
    grpc::CallbackServerContext* context, const v1::GetStatesRequest* request,
    v1::GetStatesResponse* response) {
  return Answer("AnalysisService/GetStates", context, parts_.analyses,
                &query::Analyses::States, request, response);
}

grpc::ServerUnaryReactor* AnalysisServiceImpl::CompareDomains(
    grpc::CallbackServerContext* context,
    const v1::CompareDomainsRequest* request,
    v1::CompareDomainsResponse* response) {
  return Answer("AnalysisService/CompareDomains", context, parts_.analyses,
                &query::Analyses::Domains, request, response);
}

grpc::ServerUnaryReactor* AnalysisServiceImpl::FindJumps(
    grpc::CallbackServerContext* context, const v1::FindJumpsRequest* request,
    v1::FindJumpsResponse* response) {
  return Answer("AnalysisService/FindJumps", context, parts_.analyses,
                &query::Analyses::Jumps, request, response);
}

grpc::ServerUnaryReactor* AnalysisServiceImpl::FitSeries(
    grpc::CallbackServerContext* context, const v1::FitSeriesRequest* request,
    v1::FitSeriesResponse* response) {
  return Answer("AnalysisService/FitSeries", context, parts_.analyses,
                &query::Analyses::Fits, request, response);
}

grpc::ServerUnaryReactor* AnalysisServiceImpl::Summarize(
    grpc::CallbackServerContext* context, const v1::SummarizeRequest* request,
    v1::SummarizeResponse* response) {
  return Answer("AnalysisService/Summarize", context, parts_.analyses,
                &query::Analyses::Summary, request, response);
}

grpc::ServerUnaryReactor* AnalysisServiceImpl::CompareRuns(
    grpc::CallbackServerContext* context, const v1::CompareRunsRequest* request,
    v1::CompareRunsResponse* response) {
  return Answer("AnalysisService/CompareRuns", context, parts_.analyses,
                &query::Analyses::Comparison, request, response);
}

grpc::ServerUnaryReactor* AnalysisServiceImpl::AddReference(
    grpc::CallbackServerContext* context,
    const v1::AddReferenceRequest* request,
    v1::AddReferenceResponse* response) {
  return Answer("AnalysisService/AddReference", context, parts_.references,
                &query::References::Add, request, response);
}

grpc::ServerUnaryReactor* AnalysisServiceImpl::RemoveReference(
    grpc::CallbackServerContext* context,
    const v1::RemoveReferenceRequest* request,
    v1::RemoveReferenceResponse* response) {
  return Answer("AnalysisService/RemoveReference", context, parts_.references,
                &query::References::Remove, request, response);
}

grpc::ServerUnaryReactor* AnalysisServiceImpl::ListReferences(
    grpc::CallbackServerContext* context,
    const v1::ListReferencesRequest* request,
    v1::ListReferencesResponse* response) {
  return Answer("AnalysisService/ListReferences", context, parts_.references,
                &query::References::List, request, response);
}

grpc::ServerUnaryReactor* AnalysisServiceImpl::CheckReferences(
    grpc::CallbackServerContext* context,
    const v1::CheckReferencesRequest* request,
    v1::CheckReferencesResponse* response) {
  return Answer("AnalysisService/CheckReferences", context, parts_.references,
                &query::References::Check, request, response);
}

}  // namespace sinkwatch::service
