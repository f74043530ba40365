#include "proto/base/nearest.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace sinkwatch::base {
namespace {

// What a person types; longer words are no misspelt names.
constexpr size_t kMaxLength = 128;

// Edits from `a` to `b`: the optimal string alignment distance.
size_t Distance(const std::string& a, const std::string& b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1),
      row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1,
                         last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string OnlyContinuation(const std::string& word,
                             const std::vector<std::string>& choices) {
  std::string found;
  for (const std::string& choice : choices) {
    if (!absl::StartsWith(absl::AsciiStrToLower(choice), word)) continue;
    if (!found.empty()) return "";
    found = choice;
  }
  return found;
}

}  // namespace

std::string Nearest(absl::string_view word,
                    const std::vector<std::string>& choices) {
  const std::string typed = absl::AsciiStrToLower(word);
  if (typed.empty() || typed.size() > kMaxLength) return "";
  std::string nearest;
  size_t least = std::max<size_t>(1, typed.size() / 3) + 1;
  for (const std::string& choice : choices) {
    if (choice.size() > kMaxLength) continue;
    const size_t distance = Distance(typed, absl::AsciiStrToLower(choice));
    if (distance >= least) continue;
    least = distance;
    nearest = choice;
  }
  return nearest.empty() ? OnlyContinuation(typed, choices) : nearest;
}

std::string DidYouMean(absl::string_view word,
                       const std::vector<std::string>& choices) {
  const std::string nearest = Nearest(word, choices);
  return nearest.empty() ? "" : absl::StrCat("; did you mean ", nearest, "?");
}

}  // namespace sinkwatch::base
