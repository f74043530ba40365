#ifndef SINKWATCH_THIRD_PARTY_TEST_PRELUDE_H_
#define SINKWATCH_THIRD_PARTY_TEST_PRELUDE_H_

// What every test parses: a third of what compiling a small one takes. The
// build compiles it once (:test_prelude) and puts it first in tests without
// tensors, which still include what they use: where the compiled form does not
// fit (another compiler, a sanitizer) this header is read like any other.
#include "gtest/gtest.h"

#endif  // SINKWATCH_THIRD_PARTY_TEST_PRELUDE_H_
