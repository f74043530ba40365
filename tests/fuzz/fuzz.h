#ifndef SINKWATCH_TESTS_FUZZ_FUZZ_H_
#define SINKWATCH_TESTS_FUZZ_FUZZ_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace sinkwatch::fuzz {

// What a target does with one input; each NAME_fuzz.cc defines it once. Gives
// the input to a parser, checks what the parser promises of its result with
// Expect, and returns what the parser said.
absl::Status FuzzOne(absl::string_view input);

// FuzzOne, and what holds of every parser's errors: a code of the failure
// table, and a message for people that is neither empty nor long and holds
// nothing but printable ASCII, so that no input can write into a log.
absl::Status FuzzOneChecked(absl::string_view input);

// Ends the process with a message unless `holds`: that is a finding.
void Expect(bool holds, absl::string_view what);

}  // namespace sinkwatch::fuzz

#endif  // SINKWATCH_TESTS_FUZZ_FUZZ_H_
