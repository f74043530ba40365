#ifndef SINKWATCH_WORKER_CHECKPOINT_PICKLE_VALUE_H_
#define SINKWATCH_WORKER_CHECKPOINT_PICKLE_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace sinkwatch::checkpoint::pickle {

enum class Kind : uint8_t {
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,  // UTF-8
  kBytes,
  kTuple,
  kList,
  kDict,    // also what a callable of use kDict returns (OrderedDict)
  kGlobal,  // a name: of a class, function or constant
  kObject,  // the record of a call: callable, arguments, state
  kPersistentId,
};

// What a pickle may do with a global. A combination of:
inline constexpr unsigned kName = 0;        // name it, which all may
inline constexpr unsigned kCall = 1 << 0;   // REDUCE: callable(*args)
inline constexpr unsigned kNew = 1 << 1;    // NEWOBJ: cls.__new__(cls, *args)
inline constexpr unsigned kBuild = 1 << 2;  // BUILD: give its object a state
inline constexpr unsigned kDict = 1 << 3;   // REDUCE without arguments: a dict

// A global that may occur. `tag` is the caller's: several spellings of one
// class (its module moved) can share one, so that the caller tells them apart
// by a switch or not at all.
struct GlobalRule {
  absl::string_view module;
  absl::string_view name;
  int tag = 0;
  unsigned uses = kName;
};

inline constexpr int kNoTag = -1;

struct Compound;

// A value that a pickle describes, as data. Nothing was imported, looked up or
// called to make it: a global is a name, and an object is the record of the
// call that would have made it.
//
// Values live in the arena of their Pickle and point into its bytes. Parts may
// be shared, never in a cycle; walking the whole as a tree, shared parts each
// time anew, takes at most Limits::walk steps and Limits::depth levels.
//
// Each accessor may be asked of every kind: of another kind than its own it
// answers empty, 0, false or nullptr, so that a walk over a hostile file checks
// kinds where it cares and nowhere else. Immutable, hence thread-safe.
class Value {
 public:
  Kind kind() const { return kind_; }
  bool Is(Kind kind) const { return kind_ == kind; }
  // For messages: "None", "a string", "object torch.Size", ...
  std::string Describe() const;

  bool boolean() const { return Is(Kind::kBool) && integer_ != 0; }
  int64_t integer() const { return Is(Kind::kInt) ? integer_ : 0; }
  double real() const { return Is(Kind::kFloat) ? real_ : 0; }
  // Of a string or bytes.
  absl::string_view text() const;

  // Of a tuple or list: its elements. Of a dict: key, value, key, value, in the
  // file's order.
  absl::Span<const Value* const> items() const;
  // Elements of a tuple or list, pairs of a dict.
  size_t size() const;

  // Of a dict. No string and no integer is a key twice; other keys may be.
  const Value& key(size_t i) const { return *items()[2 * i]; }
  const Value& value(size_t i) const { return *items()[2 * i + 1]; }
  // The value of a string key, nullptr if there is none. Looks at every pair:
  // for dicts of a few keys; walk the others.
  const Value* Find(absl::string_view key) const;

  // Of a global, an object (its callable) or a dict that a global made; kNoTag
  // and nullptr of all else.
  int tag() const;
  const GlobalRule* global() const;
  // Of an object or persistent id: the arguments of the call (a tuple), the id.
  const Value* args() const;
  // Of an object or dict: what BUILD gave it. nullptr if it was not built.
  const Value* state() const;

 private:
  friend class Arena;
  friend class TreeCheck;

  Kind kind_ = Kind::kNone;
  uint8_t depth_ = 0;  // levels from here down
  uint32_t walk_ = 0;  // steps of a walk from here; 0: not counted yet
  uint32_t size_ = 0;  // bytes of text, elements of a tuple
  union {
    int64_t integer_ = 0;
    double real_;
    const char* text_;
    Value* const* elements_;  // of a tuple
    const GlobalRule* global_;
    Value* id_;
    Compound* compound_;  // of a list, dict or object; nullptr if empty
  };
};

// What of a value can still change while its pickle is read.
struct Compound {
  std::vector<Value*> items;
  const GlobalRule* global = nullptr;
  Value* args = nullptr;
  Value* state = nullptr;
};

}  // namespace sinkwatch::checkpoint::pickle

#endif  // SINKWATCH_WORKER_CHECKPOINT_PICKLE_VALUE_H_
