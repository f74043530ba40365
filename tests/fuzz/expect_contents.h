#ifndef SINKWATCH_TESTS_FUZZ_EXPECT_CONTENTS_H_
#define SINKWATCH_TESTS_FUZZ_EXPECT_CONTENTS_H_

#include "worker/checkpoint/stored_tensor.h"

namespace sinkwatch::fuzz {

// Expects what stored_tensor.h promises of a container's tensors: names are
// unique, pieces are inside their files, and each element is in exactly one.
// Reads small tensors, whole and row by row, and expects the same bytes.
void ExpectContents(const checkpoint::Contents& contents);

}  // namespace sinkwatch::fuzz

#endif  // SINKWATCH_TESTS_FUZZ_EXPECT_CONTENTS_H_
