#include "server/http/site.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/exporter/gzip.h"
#include "server/http/ui/page.h"

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
  response.headers = {
      {"Cache-Control", "no-cache"},
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'unsafe-inline'; style-src "
       "'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; "
       "form-action 'none'; frame-ancestors 'none'"}};
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

Site::Site(store::Store* store, exporter::Exporter* exporter,
           SiteOptions options)
    : exporter_(exporter),
      options_(std::move(options)),
      api_(store, options_.version, options_.discovery_error) {}

Response Site::Handle(const Request& request) const {
  const bool gzip = TakesGzip(request.accept_encoding);
  Response response = Route(request, gzip);
  response.headers.emplace_back("Vary", "Accept-Encoding");
  if (gzip) Compress(&response);
  return response;
}

Response Site::Route(const Request& request, bool gzip) const {
  if (request.path == "/metrics") return Scrape(/*heads=*/false, gzip);
  if (request.path == "/metrics/heads") return Scrape(/*heads=*/true, gzip);
  if (request.path == "/-/healthy") return Text(200, "healthy\n");
  if (request.path == "/-/ready") return Ready();
  if (absl::StartsWith(request.path, "/api/v1/")) return api_.Handle(request);
  if (request.path == "/") return UserInterface();
  if (request.path == "/favicon.ico") return Text(404, "");
  return Api::Error(absl::NotFoundError(
      "there is nothing here; there are /, /metrics, /metrics/heads, "
      "/-/healthy, /-/ready and /api/v1/"));
}

Response Site::Scrape(bool heads, bool gzip) const {
  exporter::ScrapeBody scrape =
      heads ? exporter_->Heads(gzip) : exporter_->Metrics(gzip);
  Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
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
