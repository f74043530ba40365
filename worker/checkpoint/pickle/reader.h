#ifndef SINKWATCH_WORKER_CHECKPOINT_PICKLE_READER_H_
#define SINKWATCH_WORKER_CHECKPOINT_PICKLE_READER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "worker/checkpoint/pickle/value.h"

namespace sinkwatch::checkpoint::pickle {

// What a pickle may cost. Time and memory are linear in the bytes and in
// `values` (at most about 130 bytes each), whatever the pickle says.
struct Limits {
  size_t bytes = 64 << 20;          // at most 4 GiB
  size_t values = 4 * 1000 * 1000;  // made by opcodes; also entries of the memo
  size_t depth = 64;                // values inside one another
  // Values, shared ones each time they occur; also steps of the reader.
  size_t walk = 16 * 1000 * 1000;
};

// What a kind of file may hold.
struct Rules {
  // Any other global is refused by name. What this points to must outlive every
  // Pickle that was read with it: use constants.
  absl::Span<const GlobalRule> globals;
  bool persistent_ids = false;
  Limits limits;
};

class Arena;

// A pickle that was read: the values and the bytes they point into.
class Pickle {
 public:
  Pickle(Pickle&&);
  Pickle& operator=(Pickle&&);
  ~Pickle();

  const Value& root() const { return *root_; }

 private:
  friend absl::StatusOr<Pickle> Parse(std::string bytes, const Rules& rules);
  Pickle(std::unique_ptr<Arena> arena, const Value* root);

  std::unique_ptr<Arena> arena_;
  const Value* root_;
};

// Reads `bytes` as one pickle of protocol 2 to 5. It imports and calls nothing:
// opcodes that would make records of what they ask for. README.md has the table
// of opcodes.
//
// FAILED_PRECONDITION where the bytes end before the pickle does (a file that
// is being written; whoever knows the bytes to be all there turns it into
// DATA_LOSS); DATA_LOSS for what is malformed: an empty stack, a missing mark,
// an index that the memo does not hold, text that is not UTF-8, a key twice, a
// value that contains itself, bytes after STOP; UNIMPLEMENTED for an opcode, a
// global or a use of a global that is not in the rules, and above a limit.
// Messages name the byte and the opcode, and the global; the caller adds the
// file.
absl::StatusOr<Pickle> Parse(std::string bytes, const Rules& rules);

}  // namespace sinkwatch::checkpoint::pickle

#endif  // SINKWATCH_WORKER_CHECKPOINT_PICKLE_READER_H_
