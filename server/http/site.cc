#include "server/http/site.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/exporter/gzip.h"
#include "server/http/ui/page.h"
#include "server/store/cancel_scope.h"

namespace sinkwatch::http {
namespace {

// Below this a gzip header costs more than it saves.
constexpr size_t kMinGzipBytes = 512;

// "gzip", "deflate, gzip;q=0.5", "*": but not "gzip;q=0".
bool TakesGzip(const std::string& accept_encoding) {
  for (absl::string_view item : absl::StrSplit(accept_encoding, ',')) {
    const std::pair<absl::string_view, absl::string_view> coding =
        absl::StrSplit(item, absl::MaxSplits(';', 1));
    const absl::string_view name = absl::StripAsciiWhitespace(coding.first);
    if (!absl::EqualsIgnoreCase(name, "gzip") && name != "*") continue;
    const absl::string_view weight = absl::StripAsciiWhitespace(coding.second);
    double q = 1;
    if (absl::StartsWith(weight, "q=") &&
        !absl::SimpleAtod(weight.substr(2), &q)) {
      q = 0;
    }
    return q > 0;
  }
  return false;
}

// Weight of the protobuf exposition format, or of the text format, in an Accept
// header; -1 where it is not named.
struct FormatWeights {
  double protobuf = -1;
  double text = -1;
};

FormatWeights WeightsOf(const std::string& accept) {
  FormatWeights weights;
  for (absl::string_view item : absl::StrSplit(accept, ',')) {
    const std::vector<std::string> parts =
        absl::StrSplit(absl::AsciiStrToLower(item), ';');
    double q = 1;
    bool delimited = false, family = false;
    for (absl::string_view part : parts) {
      part = absl::StripAsciiWhitespace(part);
      if (absl::ConsumePrefix(&part, "q=") && !absl::SimpleAtod(part, &q)) {
        q = 0;
      }
      delimited |= part == "encoding=delimited";
      family |= part == "proto=io.prometheus.client.metricfamily";
    }
    const absl::string_view type = absl::StripAsciiWhitespace(parts[0]);
    if (type == "application/vnd.google.protobuf" && delimited && family) {
      weights.protobuf = std::max(weights.protobuf, q);
    } else if (type == "text/plain" || type == "text/*") {
      weights.text = std::max(weights.text, q);
    }
  }
  return weights;
}

// Only who names the protobuf format gets it.
bool TakesProtobuf(const std::string& accept) {
  const FormatWeights weights = WeightsOf(accept);
  return weights.protobuf > 0 && weights.protobuf >= weights.text;
}

Response Text(int status, std::string body) {
  Response response;
  response.status = status;
  response.headers.emplace_back("Cache-Control", "no-store");
  response.body = std::move(body);
  return response;
}

// The page runs its own script and style and talks to its own server only.
Response UserInterface() {
  Response response;
  response.content_type = "text/html; charset=utf-8";
  response.headers = {{"Cache-Control", "no-cache"},
                      {"Content-Security-Policy", ui::ContentSecurityPolicy()}};
  response.body = ui::Page();
  return response;
}

void Compress(Response* response) {
  if (response->prefix != nullptr || response->body.size() < kMinGzipBytes) {
    return;
  }
  response->body = exporter::Gzip(response->body);
  response->headers.emplace_back("Content-Encoding", "gzip");
}

}  // namespace

Site::Site(query::Queries* queries, exporter::Exporter* exporter,
           SiteOptions options)
    : exporter_(exporter),
      options_(std::move(options)),
      api_(queries, options_.references, options_.version) {}

Response Site::Handle(const Request& request) const {
  const store::CancelScope scope([&request] { return request.IsGone(); });
  const bool gzip = TakesGzip(request.accept_encoding);
  Response response = Route(request, gzip);
  const bool has_formats = absl::StartsWith(request.path, "/metrics");
  response.headers.emplace_back(
      "Vary", has_formats ? "Accept, Accept-Encoding" : "Accept-Encoding");
  if (!options_.cors_origin.empty()) {
    response.headers.emplace_back("Access-Control-Allow-Origin",
                                  options_.cors_origin);
    response.headers.emplace_back("Access-Control-Expose-Headers",
                                  "ETag, Link, X-Total-Count");
  }
  if (gzip) Compress(&response);
  return response;
}

Response Site::Route(const Request& request, bool gzip) const {
  if (request.path == "/metrics") {
    return Scrape(request, /*heads=*/false, gzip);
  }
  if (request.path == "/metrics/heads") {
    return Scrape(request, /*heads=*/true, gzip);
  }
  if (request.path == "/-/healthy") return Text(200, "healthy\n");
  if (request.path == "/-/ready") return Ready();
  if (request.path == "/api/v1" || absl::StartsWith(request.path, "/api/v1/")) {
    return api_.Handle(request);
  }
  if (request.path == "/") return UserInterface();
  if (request.path == "/favicon.ico") return Text(404, "");
  return Api::Error(absl::NotFoundError(
      "there is nothing here; there are /, /metrics, /metrics/heads, "
      "/-/healthy, /-/ready and /api/v1/"));
}

std::string Site::RouteOf(const Request& request) {
  for (const char* route : {"/", "/metrics", "/metrics/heads", "/-/healthy",
                            "/-/ready", "/favicon.ico"}) {
    if (request.path == route) return route;
  }
  return Api::IsRoute(request.path) ? request.path : "other";
}

bool Site::IsUrgent(const Request& request) {
  return request.path == "/metrics" || absl::StartsWith(request.path, "/-/");
}

Response Site::Scrape(const Request& request, bool heads, bool gzip) const {
  using exporter::PageFormat;
  const PageFormat format =
      TakesProtobuf(request.accept) ? PageFormat::kProtobuf : PageFormat::kText;
  exporter::ScrapeBody scrape =
      heads ? exporter_->Heads(gzip, format) : exporter_->Metrics(gzip, format);
  Response response;
  response.content_type =
      format == PageFormat::kProtobuf
          ? "application/vnd.google.protobuf; "
            "proto=io.prometheus.client.MetricFamily; encoding=delimited"
          : "text/plain; version=0.0.4; charset=utf-8";
  response.headers.emplace_back("Cache-Control", "no-store");
  if (gzip) response.headers.emplace_back("Content-Encoding", "gzip");
  // Never null, so that Site does not compress it once more.
  response.prefix = scrape.now != nullptr
                        ? std::move(scrape.now)
                        : std::make_shared<const std::string>();
  response.body = std::move(scrape.ops);
  return response;
}

Response Site::Ready() const {
  const absl::Status status =
      options_.ready ? options_.ready() : absl::OkStatus();
  if (status.ok()) return Text(200, "ready\n");
  return Text(
      503,
      absl::StrCat("not ready: ", absl::string_view(status.message()), "\n"));
}

}  // namespace sinkwatch::http
