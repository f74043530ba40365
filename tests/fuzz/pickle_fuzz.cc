// A pickle, under rules that use everything that rules can say. The tables of
// torch archives and of .metadata are in the targets of those.
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/base/utf8.h"
#include "tests/fuzz/fuzz.h"
#include "worker/checkpoint/pickle/reader.h"
#include "worker/checkpoint/pickle/value.h"

namespace sinkwatch::fuzz {
namespace {

namespace pickle = checkpoint::pickle;
using pickle::Kind;
using pickle::Value;

constexpr pickle::GlobalRule kGlobals[] = {
    {"torch", "float32", 1, pickle::kName},
    {"torch", "Size", 2, pickle::kCall},
    {"m", "New", 3, pickle::kNew | pickle::kBuild},
    {"m", "Both", 4, pickle::kCall | pickle::kNew | pickle::kBuild},
    {"collections", "OrderedDict", 5, pickle::kDict | pickle::kBuild},
};

// Small, so that the fuzzer reaches them.
pickle::Rules SmallRules() {
  pickle::Rules rules;
  rules.globals = kGlobals;
  rules.persistent_ids = true;
  rules.limits.bytes = 8192;
  rules.limits.values = 200;
  rules.limits.depth = 8;
  rules.limits.walk = 1000;
  return rules;
}

// A walk as readers do it, and what they rely on.
class Walk {
 public:
  void Visit(const Value& value, size_t depth) {
    const pickle::Limits limits = SmallRules().limits;
    Expect(++steps_ <= limits.walk, "a walk is bounded");
    Expect(depth <= limits.depth, "depth is bounded");
    if (value.Is(Kind::kString)) {
      Expect(base::IsUtf8(value.text()), "a string is UTF-8");
    }
    if (value.Is(Kind::kDict)) VisitKeys(value);
    if (value.Is(Kind::kObject)) {
      Expect(value.global() != nullptr && value.args() != nullptr &&
                 value.args()->Is(Kind::kTuple),
             "an object has a callable and arguments");
      Expect(value.state() == nullptr ||
                 (value.global()->uses & pickle::kBuild) != 0,
             "only what may be built is built");
    }
    for (const Value* item : value.items()) Visit(*item, depth + 1);
    if (value.args() != nullptr) Visit(*value.args(), depth + 1);
    if (value.state() != nullptr) Visit(*value.state(), depth + 1);
  }

 private:
  static void VisitKeys(const Value& dict) {
    Expect(dict.items().size() == 2 * dict.size(), "a key has a value");
    std::set<absl::string_view> names;
    for (size_t i = 0; i < dict.size(); ++i) {
      if (!dict.key(i).Is(Kind::kString)) continue;
      Expect(names.insert(dict.key(i).text()).second, "a key is there once");
      Expect(dict.Find(dict.key(i).text()) == &dict.value(i),
             "a key finds its value");
    }
  }

  size_t steps_ = 0;
};

bool IsIncomplete(absl::string_view bytes) {
  return absl::IsFailedPrecondition(
      pickle::Parse(std::string(bytes), SmallRules()).status());
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const absl::StatusOr<pickle::Pickle> parsed =
      pickle::Parse(std::string(input), SmallRules());
  if (!parsed.ok()) return parsed.status();
  Walk().Visit(parsed->root(), 1);
  Expect(!parsed->root().Describe().empty(), "a value describes itself");
  Expect(IsIncomplete(input.substr(0, input.size() - 1)) &&
             IsIncomplete(input.substr(0, input.size() / 2)),
         "a pickle that is cut short is incomplete");
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
