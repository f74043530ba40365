#ifndef SINKWATCH_PROTO_BASE_NEAREST_H_
#define SINKWATCH_PROTO_BASE_NEAREST_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace sinkwatch::base {

// The one of `choices` that was most likely meant by a misspelt `word`: by the
// fewest letters added, left out, changed or swapped with a neighbour, whatever
// their case, at most a third of them; or the only one that `word` is the
// beginning of. Empty if none is near. The first of several that are as near.
std::string Nearest(absl::string_view word,
                    const std::vector<std::string>& choices);

// "; did you mean runs?", or empty if none of `choices` is near.
std::string DidYouMean(absl::string_view word,
                       const std::vector<std::string>& choices);

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_NEAREST_H_
