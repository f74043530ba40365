#include "server/http/ui/page.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proto/base/sha256.h"
#include "server/http/ui/embedded.h"

namespace sinkwatch::http::ui {
namespace {

const std::string& Script() {
  static const std::string* const kScript = new std::string(
      absl::StrCat("\n", kFormatJs, kChartsJs, kAddressJs, kFactsJs, kLoadersJs,
                   kDrawJs, kCardsJs, kPageJs));
  return *kScript;
}

const std::string& Style() {
  static const std::string* const kStyle =
      new std::string(absl::StrCat("\n", kPageCss));
  return *kStyle;
}

// As a policy names an element of this text.
std::string SourceOf(const std::string& text) {
  return absl::StrCat(
      "'sha256-",
      absl::Base64Escape(absl::HexStringToBytes(base::Sha256Hex(text))), "'");
}

}  // namespace

const std::string& Page() {
  static const std::string* const kPage = new std::string(absl::StrCat(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<title>sinkwatch</title>\n<style>",
      Style(), "</style>\n</head>\n", kPageHtml, "<script>", Script(),
      "</script>\n</html>\n"));
  return *kPage;
}

const std::string& ContentSecurityPolicy() {
  static const std::string* const kPolicy = new std::string(
      absl::StrCat("default-src 'none'; script-src ", SourceOf(Script()),
                   "; style-src ", SourceOf(Style()),
                   "; connect-src 'self'; base-uri 'none'; form-action 'none'; "
                   "frame-ancestors 'none'"));
  return *kPolicy;
}

}  // namespace sinkwatch::http::ui
