#ifndef SINKWATCH_TESTS_FUZZ_EXPECT_CONTENTS_H_
#define SINKWATCH_TESTS_FUZZ_EXPECT_CONTENTS_H_

#include "worker/checkpoint/stored_tensor.h"

namespace sinkwatch::fuzz {

// Expects that each element of `tensor` is in exactly one of its pieces.
void ExpectCover(const checkpoint::StoredTensor& tensor);

// Expects what stored_tensor.h promises of a container's tensors: names are
// unique, pieces are inside their files and cover their tensor. Reads small
// tensors, whole and row by row, and expects the same bytes. No piece may be
// an archive.
void ExpectContents(const checkpoint::Contents& contents);

}  // namespace sinkwatch::fuzz

#endif  // SINKWATCH_TESTS_FUZZ_EXPECT_CONTENTS_H_
