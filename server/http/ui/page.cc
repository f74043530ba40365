#include "server/http/ui/page.h"

#include "absl/strings/str_cat.h"
#include "server/http/ui/embedded.h"

namespace sinkwatch::http::ui {

const std::string& Page() {
  static const std::string* const kPage = new std::string(absl::StrCat(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<title>sinkwatch</title>\n<style>\n",
      kPageCss, "</style>\n</head>\n", kPageHtml, "<script>\n", kChartsJs,
      kPageJs, "</script>\n</html>\n"));
  return *kPage;
}

}  // namespace sinkwatch::http::ui
