// The name of a tensor as the older OLMo trainer has it: base64 of a pickle. An
// input that begins as a pickle does is put into base64 first.
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tests/fuzz/fuzz.h"
#include "worker/checkpoint/container/legacy_names.h"

namespace sinkwatch::fuzz {
namespace {

using checkpoint::DecodeLegacyName;
using checkpoint::DecodeLegacyNames;
using checkpoint::LegacyName;

std::string InBase64(absl::string_view bytes) {
  std::string text = absl::WebSafeBase64Escape(bytes);
  while (text.size() % 4 != 0) text += '=';
  return text;
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const std::string name =
      absl::StartsWith(input, "\x80") ? InBase64(input) : std::string(input);
  const absl::StatusOr<LegacyName> decoded = DecodeLegacyName(name);
  if (!decoded.ok()) return decoded.status();
  Expect(decoded->name.size() <= name.size() * 8, "a name is bounded");
  if (!checkpoint::IsLegacyName(name)) return absl::OkStatus();
  const auto one = DecodeLegacyNames({name});
  Expect(one.ok() && one->size() == 1 && (*one)[0].name == decoded->name,
         "a file of one tensor has its name");
  Expect(absl::IsDataLoss(DecodeLegacyNames({name, name}).status()),
         "a name is there once");
  Expect(absl::IsDataLoss(DecodeLegacyNames({name, "plain"}).status()),
         "all names of a file are pickles, or none is");
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
