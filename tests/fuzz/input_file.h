#ifndef SINKWATCH_TESTS_FUZZ_INPUT_FILE_H_
#define SINKWATCH_TESTS_FUZZ_INPUT_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "worker/files/file.h"

namespace sinkwatch::fuzz {

// For readers that work on files: writes `input` as the file `name` into a
// folder of this process, over the one before it, and returns the folder. Zeros
// follow up to `size`, as a hole, so that a terabyte costs nothing.
std::string WriteInput(absl::string_view input, const std::string& name,
                       int64_t size = 0);

// The same, opened.
std::unique_ptr<files::File> OpenInput(absl::string_view input,
                                       int64_t size = 0);

}  // namespace sinkwatch::fuzz

#endif  // SINKWATCH_TESTS_FUZZ_INPUT_FILE_H_
