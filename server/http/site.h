#ifndef SINKWATCH_SERVER_HTTP_SITE_H_
#define SINKWATCH_SERVER_HTTP_SITE_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "server/exporter/exporter.h"
#include "server/http/api.h"
#include "server/http/http_server.h"
#include "server/query/queries.h"
#include "server/query/references.h"

namespace sinkwatch::http {

struct SiteOptions {
  // Part of every ETag: a new version may answer otherwise.
  std::string version;
  // OK when the server can serve; otherwise /-/ready says why not. Empty: OK.
  std::function<absl::Status()> ready;
  // Origin whose pages may read the API, or "*"; empty: none.
  std::string cors_origin;
  // Published numbers; null: there are none. Must outlive the site.
  query::References* references = nullptr;
};

// Every URL of the server: /metrics, /metrics/heads, /-/healthy, /-/ready,
// /api/v1/* and the page at /. Compresses what the client takes compressed.
//
// Thread-safe. `queries` and `exporter` must outlive it.
class Site {
 public:
  Site(query::Queries* queries, exporter::Exporter* exporter,
       SiteOptions options);

  // Never fails: errors are responses. Use as the HttpServer's handler:
  //   HttpServer::Start(options, [&](const Request& r) { return site.Handle(r);
  //   })
  Response Handle(const Request& request) const;

  // Of a closed set: the path of what is there, "other" of what is not.
  static std::string RouteOf(const Request& request);
  // Health, readiness and the default metrics page: what must not wait behind
  // questions about data.
  static bool IsUrgent(const Request& request);

 private:
  Response Route(const Request& request, bool gzip) const;
  Response Scrape(const Request& request, bool heads, bool gzip) const;
  Response Ready() const;

  exporter::Exporter* const exporter_;
  const SiteOptions options_;
  const Api api_;
};

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_SITE_H_
