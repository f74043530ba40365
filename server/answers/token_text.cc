#include "server/answers/token_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace sinkwatch::answers {

std::string TokenText(int64_t tokens) {
  const struct {
    const char* name;
    double size;
  } kUnits[] = {{" T", 1e12}, {" B", 1e9}, {" M", 1e6}, {" k", 1e3}};
  for (const auto& unit : kUnits) {
    if (static_cast<double>(tokens) < unit.size) continue;
    return absl::StrFormat("%.4g%s", static_cast<double>(tokens) / unit.size,
                           unit.name);
  }
  return absl::StrCat(tokens);
}

}  // namespace sinkwatch::answers
