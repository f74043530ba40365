#include "worker/checkpoint/pickle/reader.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/base/utf8.h"
#include "worker/checkpoint/pickle/arena.h"
#include "worker/checkpoint/pickle/input.h"
#include "worker/checkpoint/pickle/opcode.h"
#include "worker/checkpoint/pickle/tree_check.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint::pickle {
namespace {

constexpr uint64_t kMinProtocol = 2;
constexpr uint64_t kMaxProtocol = 5;
constexpr size_t kMaxDepth = 200;        // Value counts in a byte
constexpr size_t kMaxWalk = 0xfffffffe;  // and in 32 bits
constexpr size_t kMaxBytes = (size_t{1} << 32) - 1;

Limits Clamped(Limits limits) {
  limits.bytes = std::min(limits.bytes, kMaxBytes);
  limits.depth = std::min(limits.depth, kMaxDepth);
  limits.walk = std::min(limits.walk, kMaxWalk);
  return limits;
}

// The stack machine of a pickle.
class Machine : private Input {
 public:
  Machine(Arena* arena, const Rules& rules)
      : Input(arena->bytes(), Clamped(rules.limits).bytes),
        arena_(*arena),
        limits_(Clamped(rules.limits)),
        persistent_ids_(rules.persistent_ids) {
    for (const GlobalRule& rule : rules.globals) {
      globals_[{rule.module, rule.name}] = &rule;
    }
  }

  // The value that is left at STOP, every rule checked.
  absl::StatusOr<Value*> Run() {
    if (num_left() > limits_.bytes) {
      return absl::UnimplementedError(
          absl::StrCat("a pickle of ", num_left(), " bytes, above the ",
                       limits_.bytes, " that are read"));
    }
    if (!ReadProtocol()) return status();
    while (opcode() != Opcode::kStop) {
      if (!NextOpcode() || !Step()) return status();
    }
    if (absl::Status s = TreeCheck(limits_).Check(stack_[0]); !s.ok()) return s;
    return stack_[0];
  }

 private:
  bool ReadProtocol() {
    if (!NextOpcode()) return false;
    if (opcode() != Opcode::kProto) {
      return Broken(
          "not the PROTO that a pickle of protocol 2 to 5 begins with");
    }
    uint64_t protocol = 0;
    if (!TakeInt(1, &protocol)) return false;
    if (protocol >= kMinProtocol && protocol <= kMaxProtocol) return true;
    return Refused(absl::StrCat("protocol ", protocol, " is not implemented"));
  }

  // A frame only groups opcodes.
  bool SkipFrame() {
    uint64_t length = 0;
    if (!TakeInt(8, &length)) return false;
    return length <= num_left() || Ends();
  }

  // ---- stack

  // Values below the last mark are out of reach.
  size_t Base() const { return marks_.empty() ? 0 : marks_.back(); }

  bool Push(Value* value) {
    if (arena_.num_values() > limits_.values) {
      return Refused(absl::StrCat("more than ", limits_.values, " values"));
    }
    if (++num_pushed_ > limits_.walk) {
      return Refused(absl::StrCat("more than ", limits_.walk, " steps"));
    }
    stack_.push_back(value);
    return true;
  }

  bool Top(Value** value) {
    if (stack_.size() <= Base()) return Broken("the stack is empty");
    *value = stack_.back();
    return true;
  }

  bool Pop(Value** value) {
    if (!Top(value)) return false;
    stack_.pop_back();
    return true;
  }

  bool Mark() {
    if (marks_.size() >= limits_.values) {
      return Refused(absl::StrCat("more than ", limits_.values, " marks"));
    }
    marks_.push_back(stack_.size());
    return true;
  }

  // Where the values above the last mark begin; the mark goes.
  bool PopMark(size_t* begin) {
    if (marks_.empty()) return Broken("no mark on the stack");
    *begin = marks_.back();
    marks_.pop_back();
    return true;
  }

  bool PopTop() {
    if (stack_.size() > Base()) {
      stack_.pop_back();
      return true;
    }
    if (marks_.empty()) return Broken("the stack is empty");
    marks_.pop_back();
    return true;
  }

  bool PopToMark() {
    size_t begin = 0;
    if (!PopMark(&begin)) return false;
    stack_.resize(begin);
    return true;
  }

  // ---- scalars

  bool PushInt(int num_bytes) {
    uint64_t value = 0;
    if (!TakeInt(num_bytes, &value)) return false;
    return Push(arena_.NewInt(static_cast<int64_t>(value)));
  }

  bool PushInt32() {
    uint64_t value = 0;
    if (!TakeInt(4, &value)) return false;
    return Push(arena_.NewInt(static_cast<int32_t>(value)));
  }

  // Two's complement, of as many bytes as the prefix says.
  bool PushLong(int prefix_bytes) {
    uint64_t num_bytes = 0;
    if (!TakeInt(prefix_bytes, &num_bytes)) return false;
    if (num_bytes > 8) {
      return Refused(absl::StrCat("an integer of ", num_bytes, " bytes"));
    }
    uint64_t value = 0;
    if (!TakeInt(static_cast<int>(num_bytes), &value)) return false;
    const int unused_bits = 64 - 8 * static_cast<int>(num_bytes);
    if (unused_bits < 64) {
      // Left, then right as a signed number: spreads the sign.
      const int64_t shifted = static_cast<int64_t>(value << unused_bits);
      return Push(arena_.NewInt(shifted >> unused_bits));
    }
    return Push(arena_.NewInt(0));
  }

  bool PushFloat() {
    absl::string_view text;
    if (!Take(8, &text)) return false;
    uint64_t bits = 0;
    for (char byte : text) bits = bits << 8 | static_cast<uint8_t>(byte);
    double value = 0;
    std::memcpy(&value, &bits, sizeof(value));
    return Push(arena_.NewFloat(value));
  }

  bool PushText(Kind kind, int prefix_bytes) {
    uint64_t length = 0;
    absl::string_view text;
    if (!TakeInt(prefix_bytes, &length) || !Take(length, &text)) return false;
    if (kind == Kind::kString && !base::IsUtf8(text))
      return Broken("not UTF-8");
    return Push(arena_.NewText(kind, text));
  }

  // ---- containers

  bool PushTuple(size_t begin) {
    Value* tuple = arena_.NewTuple(absl::MakeConstSpan(stack_).subspan(begin));
    stack_.resize(begin);
    return Push(tuple);
  }

  bool PushMarkedTuple() {
    size_t begin = 0;
    return PopMark(&begin) && PushTuple(begin);
  }

  bool PushShortTuple(size_t count) {
    if (stack_.size() - Base() < count) return Broken("the stack is empty");
    return PushTuple(stack_.size() - count);
  }

  // Moves the values from `begin` on into the container below them.
  bool Collect(size_t begin, Kind kind) {
    if (begin <= Base()) return Broken("the stack is empty");
    Value* container = stack_[begin - 1];
    if (!container->Is(kind)) {
      return Refused(absl::StrCat("into ", container->Describe()));
    }
    if (kind == Kind::kDict && (stack_.size() - begin) % 2 != 0) {
      return Broken("a key without a value");
    }
    std::vector<Value*>& items = arena_.CompoundOf(container)->items;
    items.insert(items.end(), stack_.begin() + begin, stack_.end());
    stack_.resize(begin);
    return true;
  }

  bool CollectMarked(Kind kind) {
    size_t begin = 0;
    return PopMark(&begin) && Collect(begin, kind);
  }

  bool CollectLast(size_t count, Kind kind) {
    if (stack_.size() - Base() < count) return Broken("the stack is empty");
    return Collect(stack_.size() - count, kind);
  }

  // ---- globals and calls

  bool PushGlobal(absl::string_view module, absl::string_view name) {
    auto found = globals_.find({module, name});
    if (found != globals_.end()) return Push(arena_.NewGlobal(found->second));
    return Refused(absl::StrCat("global ",
                                files::Quoted(absl::StrCat(module, ".", name)),
                                " is none that such a file may hold"));
  }

  bool PushGlobalOfLines() {
    absl::string_view module, name;
    return TakeLine(&module) && TakeLine(&name) && PushGlobal(module, name);
  }

  bool PushGlobalOfStack() {
    Value* name = nullptr;
    Value* module = nullptr;
    if (!Pop(&name) || !Pop(&module)) return false;
    if (!name->Is(Kind::kString) || !module->Is(Kind::kString)) {
      return Broken("module and name must be strings");
    }
    return PushGlobal(module->text(), name->text());
  }

  bool PushCall(unsigned use) {
    Value* args = nullptr;
    Value* callable = nullptr;
    if (!Pop(&args) || !Pop(&callable)) return false;
    if (!args->Is(Kind::kTuple)) return Broken("arguments must be a tuple");
    const bool is_global = callable->Is(Kind::kGlobal);
    const unsigned uses = is_global ? callable->global()->uses : kName;
    if (use == kCall && (uses & kDict) != 0 && args->size() == 0) {
      return Push(arena_.NewCall(Kind::kDict, callable->global(), nullptr));
    }
    if ((uses & use) == 0) {
      return Refused(absl::StrCat("of ", callable->Describe(),
                                  is_global ? " with these arguments" : "",
                                  " is not read"));
    }
    return Push(arena_.NewCall(Kind::kObject, callable->global(), args));
  }

  bool Build() {
    Value* state = nullptr;
    Value* object = nullptr;
    if (!Pop(&state) || !Top(&object)) return false;
    const GlobalRule* global =
        object->Is(Kind::kGlobal) ? nullptr : object->global();
    if (global == nullptr || (global->uses & kBuild) == 0) {
      return Refused(absl::StrCat("of ", object->Describe(), " is not read"));
    }
    if (object->state() != nullptr) {
      return Broken(absl::StrCat(object->Describe(), " has a state already"));
    }
    arena_.CompoundOf(object)->state = state;
    return true;
  }

  bool PushPersistentId() {
    Value* id = nullptr;
    if (!Pop(&id)) return false;
    if (!persistent_ids_) return Refused("no such file has persistent ids");
    return Push(arena_.NewPersistentId(id));
  }

  // ---- memo

  bool Put(uint64_t index) {
    Value* value = nullptr;
    if (!Top(&value)) return false;
    if (index >= limits_.values) {
      return Refused(absl::StrCat("memo index ", index, ", above the ",
                                  limits_.values, " that are read"));
    }
    if (index >= memo_.size()) memo_.resize(index + 1);
    if (memo_[index] == nullptr) ++num_memoized_;
    memo_[index] = value;
    return true;
  }

  bool PutAt(int num_bytes) {
    uint64_t index = 0;
    return TakeInt(num_bytes, &index) && Put(index);
  }

  bool GetAt(int num_bytes) {
    uint64_t index = 0;
    if (!TakeInt(num_bytes, &index)) return false;
    if (index < memo_.size() && memo_[index] != nullptr) {
      return Push(memo_[index]);
    }
    return Broken(absl::StrCat("the memo holds nothing at ", index));
  }

  bool Stop() {
    if (stack_.size() != 1 || !marks_.empty()) {
      return Broken(absl::StrCat("leaves ", stack_.size(), " values and ",
                                 marks_.size(), " marks, not one value"));
    }
    if (num_left() == 0) return true;
    return Broken(absl::StrCat(num_left(), " trailing bytes after it"));
  }

  bool Step() {
    switch (opcode()) {
      case Opcode::kFrame:
        return SkipFrame();
      case Opcode::kStop:
        return Stop();
      case Opcode::kMark:
        return Mark();
      case Opcode::kPop:
        return PopTop();
      case Opcode::kPopMark:
        return PopToMark();
      case Opcode::kGlobal:
        return PushGlobalOfLines();
      case Opcode::kStackGlobal:
        return PushGlobalOfStack();
      case Opcode::kReduce:
        return PushCall(kCall);
      case Opcode::kNewObj:
        return PushCall(kNew);
      case Opcode::kBuild:
        return Build();
      case Opcode::kBinPersId:
        return PushPersistentId();
      case Opcode::kBinPut:
        return PutAt(1);
      case Opcode::kLongBinPut:
        return PutAt(4);
      case Opcode::kMemoize:
        return Put(num_memoized_);
      case Opcode::kBinGet:
        return GetAt(1);
      case Opcode::kLongBinGet:
        return GetAt(4);
      case Opcode::kProto:
        return Broken("not at the start");
      default:
        return StepOfScalar();
    }
  }

  bool StepOfScalar() {
    switch (opcode()) {
      case Opcode::kNone:
        return Push(arena_.NewEmpty(Kind::kNone));
      case Opcode::kNewTrue:
        return Push(arena_.NewBool(true));
      case Opcode::kNewFalse:
        return Push(arena_.NewBool(false));
      case Opcode::kBinInt:
        return PushInt32();
      case Opcode::kBinInt1:
        return PushInt(1);
      case Opcode::kBinInt2:
        return PushInt(2);
      case Opcode::kLong1:
        return PushLong(1);
      case Opcode::kLong4:
        return PushLong(4);
      case Opcode::kBinFloat:
        return PushFloat();
      case Opcode::kShortBinUnicode:
        return PushText(Kind::kString, 1);
      case Opcode::kBinUnicode:
        return PushText(Kind::kString, 4);
      case Opcode::kBinUnicode8:
        return PushText(Kind::kString, 8);
      case Opcode::kShortBinBytes:
        return PushText(Kind::kBytes, 1);
      case Opcode::kBinBytes:
        return PushText(Kind::kBytes, 4);
      case Opcode::kBinBytes8:
        return PushText(Kind::kBytes, 8);
      default:
        return StepOfContainer();
    }
  }

  bool StepOfContainer() {
    switch (opcode()) {
      case Opcode::kEmptyTuple:
        return PushShortTuple(0);
      case Opcode::kTuple:
        return PushMarkedTuple();
      case Opcode::kTuple1:
        return PushShortTuple(1);
      case Opcode::kTuple2:
        return PushShortTuple(2);
      case Opcode::kTuple3:
        return PushShortTuple(3);
      case Opcode::kEmptyList:
        return Push(arena_.NewEmpty(Kind::kList));
      case Opcode::kAppend:
        return CollectLast(1, Kind::kList);
      case Opcode::kAppends:
        return CollectMarked(Kind::kList);
      case Opcode::kEmptyDict:
        return Push(arena_.NewEmpty(Kind::kDict));
      case Opcode::kSetItem:
        return CollectLast(2, Kind::kDict);
      case Opcode::kSetItems:
        return CollectMarked(Kind::kDict);
      default:
        return Refused("this opcode is not read");
    }
  }

  Arena& arena_;
  const Limits limits_;
  const bool persistent_ids_;
  absl::flat_hash_map<std::pair<absl::string_view, absl::string_view>,
                      const GlobalRule*>
      globals_;

  std::vector<Value*> stack_;
  std::vector<size_t> marks_;  // sizes of the stack
  std::vector<Value*> memo_;
  size_t num_memoized_ = 0;
  size_t num_pushed_ = 0;
};

}  // namespace

Pickle::Pickle(std::unique_ptr<Arena> arena, const Value* root)
    : arena_(std::move(arena)), root_(root) {}
Pickle::Pickle(Pickle&&) = default;
Pickle& Pickle::operator=(Pickle&&) = default;
Pickle::~Pickle() = default;

absl::StatusOr<Pickle> Parse(std::string bytes, const Rules& rules) {
  auto arena = std::make_unique<Arena>(std::move(bytes));
  absl::StatusOr<Value*> root = Machine(arena.get(), rules).Run();
  if (!root.ok()) return root.status();
  return Pickle(std::move(arena), *root);
}

}  // namespace sinkwatch::checkpoint::pickle
