// What endpoints there are: as a table, as an index, as OpenAPI.
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

const std::vector<Api::Route>& Api::Routes() {
  const Parameter run = {"run", "name of the run", true};
  const Parameter some_run = {"run", "name of the run; all if left out"};
  const Parameter stage = {"stage",
                           "stage; may be left out where there is one"};
  const Parameter metric = {"metric", "name of the metric", true};
  const Parameter domain = {"domain",
                            "domain of the probe; may be left out where there "
                            "is one"};
  const Parameter layer = {"layer",
                           "layers: 3, or 0,2,5-7, or *; -1 is the embedding "
                           "output"};
  const Parameter head = {"head", "heads: 3, or 0,2,5-7, or *"};
  const Parameter agg = {"agg",
                         "over heads: each, mean, median, p10, p90, max, min, "
                         "or band (min, p10, median, p90, max)"};
  const Parameter across = {"across_layers",
                            "1: aggregate over all layers together"};
  const Parameter implausible = {"include_implausible",
                                 "1: with measurements marked implausible"};
  const Parameter errors = {"stderr", "1: with standard errors"};
  const std::vector<std::string> plain = {"table", "records"};
  static const auto* const kRoutes = new std::vector<Route>{
      {"runs",
       "the runs that are followed",
       {some_run},
       {"table", "records", "stages", "domains"},
       true,
       &Api::Runs},
      {"checkpoints",
       "the checkpoints of a run, newest first",
       {run,
        stage,
        {"state", "of this state only"},
        {"order", "newest or oldest first"},
        {"limit", "rows, 500 if left out, at most 5000"},
        {"page_token", "next_page_token of the page before"}},
       plain,
       true,
       &Api::Checkpoints},
      {"metrics",
       "the metrics that have values, with their definitions",
       {some_run},
       plain,
       false,
       &Api::Metrics},
      {"series",
       "one metric over the steps of a run",
       {run,
        metric,
        domain,
        stage,
        layer,
        head,
        agg,
        across,
        {"x", "step, tokens or log10_step"},
        errors,
        implausible,
        {"max_points", "thins to so many rows, keeping extremes; 2000, 0: all"},
        {"max_columns", "more columns are an error; 1024, at most 8192"},
        {"max_rows", "more rows are an error; 20000, at most 100000"}},
       plain,
       false,
       &Api::Series},
      {"matrix",
       "one metric of every layer and head at one step",
       {run, metric, domain, stage, {"step", "the latest if left out"}, errors},
       plain,
       false,
       &Api::Matrix},
      {"emergence",
       "the step interval in which a metric crossed a threshold and stayed "
       "beyond it for some checkpoints in a row",
       {run,
        metric,
        domain,
        stage,
        layer,
        head,
        agg,
        across,
        implausible,
        {"threshold", "the metric's own if left out"},
        {"below", "1: crossing downward; as the metric says if left out"},
        {"consecutive", "checkpoints in a row; 2 if left out"}},
       plain,
       false,
       &Api::Emergence}};
  return *kRoutes;
}

Response Api::Index() {
  ordered_json endpoints = ordered_json::array();
  for (const Route& route : Routes()) {
    ordered_json parameters = ordered_json::array();
    for (const Parameter& parameter : route.parameters) {
      parameters.push_back(parameter.name);
    }
    endpoints.push_back({{"path", "/api/v1/" + route.name},
                         {"about", route.about},
                         {"parameters", parameters}});
  }
  return Json({{"endpoints", endpoints}, {"openapi", "/api/v1/openapi.json"}});
}

Response Api::OpenApi() {
  ordered_json paths = ordered_json::object();
  for (const Route& route : Routes()) {
    std::vector<Parameter> all = route.parameters;
    all.push_back({"format", "json or csv"});
    std::string shapes;
    for (const std::string& shape : route.shapes) {
      shapes += (shapes.empty() ? "" : ", ") + shape;
    }
    all.push_back({"shape", "of JSON: " + shapes});
    ordered_json parameters = ordered_json::array();
    for (const Parameter& parameter : all) {
      parameters.push_back({{"name", parameter.name},
                            {"in", "query"},
                            {"required", parameter.required},
                            {"description", parameter.about},
                            {"schema", {{"type", "string"}}}});
    }
    paths["/api/v1/" + route.name]["get"] = {
        {"operationId", route.name},
        {"summary", route.about},
        {"parameters", parameters},
        {"responses",
         {{"200", ResponseOf("a table, as JSON or CSV")},
          {"400", ResponseOf("a parameter breaks a rule, which is named")},
          {"404", ResponseOf("there is no such name")}}}};
  }
  return Json({{"openapi", "3.0.3"},
               {"info", {{"title", "sinkwatch"}, {"version", "v1"}}},
               {"paths", paths}});
}

}  // namespace sinkwatch::http
