#include "server/http/api.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "nlohmann/json.hpp"
#include "proto/base/nearest.h"
#include "server/answers/parse.h"

namespace sinkwatch::http {
namespace {

constexpr char kOpenApi[] = "openapi.json";

int HttpStatus(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kFailedPrecondition:
      return 409;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
      return 503;
    default:
      return 500;
  }
}

// "W/"a"" among the tags of If-None-Match ("W/"a", W/"b"" or "*").
bool Matches(const std::string& header, const std::string& tag) {
  return header == "*" ||
         absl::StrContains(header, absl::StripPrefix(tag, "W/"));
}

// The same question for another page.
std::string NextLink(const Request& request, const std::string& token) {
  std::string target = absl::StrCat(request.path, "?");
  for (absl::string_view pair :
       absl::StrSplit(request.query, '&', absl::SkipEmpty())) {
    if (absl::StartsWith(pair, "page_token=")) continue;
    absl::StrAppend(&target, pair, "&");
  }
  return absl::StrCat("<", target, "page_token=", EscapeParameter(token),
                      ">; rel=\"next\"");
}

// It runs nothing and fetches nothing.
constexpr char kDocumentPolicy[] =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

Response Written(absl::StatusOr<Document> document) {
  if (!document.ok()) return Api::Error(document.status());
  Response response;
  response.content_type = document->content_type;
  response.headers.emplace_back("Content-Security-Policy", kDocumentPolicy);
  response.body = std::move(document->body);
  return response;
}

}  // namespace

Api::Api(query::Queries* queries, query::References* references,
         std::string version)
    : queries_(queries),
      references_(references),
      version_(std::move(version)) {}

Response Api::Error(const absl::Status& status) {
  Response response;
  response.status = HttpStatus(status.code());
  response.content_type = "application/json";
  response.headers.emplace_back("Cache-Control", "no-store");
  const nlohmann::ordered_json error = {
      {"error",
       {{"code", response.status},
        {"rule", answers::RuleOf(status)},
        {"message", std::string(status.message())}}}};
  response.body = error.dump(-1, ' ', /*ensure_ascii=*/false,
                             nlohmann::ordered_json::error_handler_t::replace) +
                  "\n";
  return response;
}

Response Api::Handle(const Request& request) const {
  if (request.path == "/api/v1" || request.path == "/api/v1/") return Index();
  const std::string name(absl::StripPrefix(request.path, "/api/v1/"));
  if (name == kOpenApi) return OpenApi();
  std::vector<std::string> names;
  for (const Endpoint& endpoint : Endpoints()) {
    if (endpoint.name == name) return Serve(endpoint, request);
    names.push_back(endpoint.name);
  }
  return Error(absl::NotFoundError(
      absl::StrCat("there is no /api/v1/", name, "; there are ",
                   absl::StrJoin(names, ", "), base::DidYouMean(name, names))));
}

bool Api::IsRoute(const std::string& path) {
  absl::string_view name = path;
  if (path == "/api/v1") return true;
  if (!absl::ConsumePrefix(&name, "/api/v1/")) return false;
  return name.empty() || name == kOpenApi ||
         std::any_of(
             Endpoints().begin(), Endpoints().end(),
             [&](const Endpoint& endpoint) { return endpoint.name == name; });
}

Response Api::Serve(const Endpoint& endpoint, const Request& request) const {
  std::vector<std::string> allowed;
  for (const Parameter& parameter : endpoint.parameters) {
    allowed.push_back(parameter.name);
  }
  allowed.insert(allowed.end(), {"format", "shape"});
  absl::StatusOr<Params> params = Params::Parse(request.query, allowed);
  if (!params.ok()) return Error(params.status());

  std::string tag;
  if (!endpoint.tagged_by_content) {
    // An answer about several runs may change with each of them.
    const bool one = !params->Has("with") && !params->Has("runs");
    const auto version =
        queries_->Version(one ? params->Text("run", "") : std::string());
    if (!version.ok()) return Error(version.status());
    tag = TagOf(*version);
  }
  Response response;
  if (tag.empty() || !Matches(request.if_none_match, tag)) {
    response = Render(endpoint, request, *params);
    if (response.status != 200) return response;
    if (tag.empty()) tag = TagOf(response.body);
  }
  if (Matches(request.if_none_match, tag)) {
    response = Response();
    response.status = 304;
  }
  response.headers.emplace_back("ETag", tag);
  response.headers.emplace_back("Cache-Control", "no-cache");
  return response;
}

Response Api::Render(const Endpoint& endpoint, const Request& request,
                     Params& params) const {
  const std::string format = params.Choice("format", {"json", "csv"});
  const std::string shape = params.Choice("shape", endpoint.shapes);
  if (!params.status().ok()) return Error(params.status());
  // Read first: a commit in between makes it too old, never too new.
  const int64_t revision = queries_->revision();
  if (endpoint.document != nullptr) {
    return Written(endpoint.document({*queries_, references_}, params, shape));
  }
  absl::StatusOr<Answer> answer =
      endpoint.answer({*queries_, references_}, params);
  if (!answer.ok()) return Error(answer.status());
  Response response;
  if (answer->total >= 0) {
    response.headers.emplace_back("X-Total-Count", absl::StrCat(answer->total));
  }
  if (!answer->next_page.empty()) {
    response.headers.emplace_back("Link", NextLink(request, answer->next_page));
  }
  if (format == "csv") {
    response.content_type = "text/csv; charset=utf-8; header=present";
    response.body = answers::ToCsv(answer->table);
    return response;
  }
  response.content_type = "application/json";
  if (shape != "table") {
    response.body = answers::ToRecords(answer->table);
    return response;
  }
  answers::Extras extras = {{"revision", revision}};
  if (!answer->extras.is_null()) extras.update(answer->extras);
  response.body = answers::ToJson(answer->table, extras);
  return response;
}

std::string Api::TagOf(const std::string& content) const {
  return absl::StrCat("W/\"", version_, ".", absl::Hash<std::string>()(content),
                      "\"");
}

}  // namespace sinkwatch::http
