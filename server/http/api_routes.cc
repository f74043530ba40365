// What endpoints there are: as a table, as an index, as OpenAPI.
#include <utility>

#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "server/http/api.h"

namespace sinkwatch::http {
namespace {

using nlohmann::ordered_json;

Response Json(const ordered_json& body) {
  Response response;
  response.content_type = "application/json";
  response.headers.emplace_back("Cache-Control", "no-cache");
  response.body = body.dump(1) + "\n";
  return response;
}

ordered_json ResponseOf(const char* about) { return {{"description", about}}; }

}  // namespace

const std::vector<Endpoint>& Api::Endpoints() {
  static const auto* const kEndpoints = [] {
    auto* all = new std::vector<Endpoint>(ListEndpoints());
    for (auto* more : {ValueEndpoints, AnalysisEndpoints}) {
      for (Endpoint& endpoint : more()) all->push_back(std::move(endpoint));
    }
    return all;
  }();
  return *kEndpoints;
}

Response Api::Index() {
  ordered_json endpoints = ordered_json::array();
  for (const Endpoint& endpoint : Endpoints()) {
    ordered_json parameters = ordered_json::array();
    for (const Parameter& parameter : endpoint.parameters) {
      parameters.push_back(parameter.name);
    }
    endpoints.push_back({{"path", "/api/v1/" + endpoint.name},
                         {"about", endpoint.about},
                         {"parameters", parameters}});
  }
  return Json({{"endpoints", endpoints}, {"openapi", "/api/v1/openapi.json"}});
}

Response Api::OpenApi() {
  ordered_json paths = ordered_json::object();
  for (const Endpoint& endpoint : Endpoints()) {
    std::vector<Parameter> all = endpoint.parameters;
    const std::string shapes =
        "of JSON: " + absl::StrJoin(endpoint.shapes, ", ");
    all.push_back({"format", "json or csv"});
    all.push_back({"shape", shapes.c_str()});
    ordered_json parameters = ordered_json::array();
    for (const Parameter& parameter : all) {
      parameters.push_back({{"name", parameter.name},
                            {"in", "query"},
                            {"required", parameter.required},
                            {"description", parameter.about},
                            {"schema", {{"type", "string"}}}});
    }
    paths["/api/v1/" + endpoint.name]["get"] = {
        {"operationId", endpoint.name},
        {"summary", endpoint.about},
        {"parameters", parameters},
        {"responses",
         {{"200", ResponseOf("a table, as JSON or CSV")},
          {"400", ResponseOf("a parameter breaks a rule, which is named")},
          {"404", ResponseOf("there is no such name")},
          {"409", ResponseOf("the run has not what is asked about")}}}};
  }
  return Json({{"openapi", "3.0.3"},
               {"info", {{"title", "sinkwatch"}, {"version", "v1"}}},
               {"paths", paths}});
}

}  // namespace sinkwatch::http
