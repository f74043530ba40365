#ifndef SINKWATCH_SERVER_HTTP_UI_PAGE_H_
#define SINKWATCH_SERVER_HTTP_UI_PAGE_H_

#include <string>

namespace sinkwatch::http::ui {

// The page at /: one HTML document with its style and script inside. It loads
// nothing else than /api/v1/ of the server that it came from.
const std::string& Page();

// The Content-Security-Policy that the page is sent with: it runs the script
// and the style that are in it, known by their SHA-256, and asks its own server
// only.
const std::string& ContentSecurityPolicy();

}  // namespace sinkwatch::http::ui

#endif  // SINKWATCH_SERVER_HTTP_UI_PAGE_H_
