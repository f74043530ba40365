#include "server/names.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"

namespace sinkwatch::server {
namespace {

constexpr size_t kMaxName = 64;

bool IsPlain(char c) {
  return absl::ascii_islower(static_cast<unsigned char>(c)) ||
         absl::ascii_isdigit(static_cast<unsigned char>(c));
}

}  // namespace

bool IsRunName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxName && IsPlain(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return IsPlain(c) || c == '.' || c == '_' || c == '-';
         });
}

bool IsAddress(absl::string_view text) {
  const size_t colon = text.rfind(':');
  int port = -1;
  return colon != absl::string_view::npos && colon > 0 &&
         absl::SimpleAtoi(text.substr(colon + 1), &port) && port >= 0 &&
         port <= 65535 && text.find(',') == absl::string_view::npos;
}

bool IsMetricName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxName &&
         absl::ascii_islower(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return IsPlain(c) || c == '_'; });
}

}  // namespace sinkwatch::server
