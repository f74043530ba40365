#include "server/names.h"

#include <algorithm>

#include "absl/strings/ascii.h"

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

bool IsMetricName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxName &&
         absl::ascii_islower(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return IsPlain(c) || c == '_'; });
}

}  // namespace sinkwatch::server
