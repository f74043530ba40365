#ifndef SINKWATCH_TESTS_FUZZ_INPUT_FILE_H_
#define SINKWATCH_TESTS_FUZZ_INPUT_FILE_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "worker/checkpoint/file.h"

namespace sinkwatch::fuzz {

// For readers that work on files: `input` as a file of that content in a folder
// of this process, under `name`, which replaces the one before it.
std::unique_ptr<checkpoint::File> OpenInput(absl::string_view input,
                                            const std::string& name = "input");

}  // namespace sinkwatch::fuzz

#endif  // SINKWATCH_TESTS_FUZZ_INPUT_FILE_H_
