#ifndef SINKWATCH_WORKER_CHECKPOINT_PICKLE_ARENA_H_
#define SINKWATCH_WORKER_CHECKPOINT_PICKLE_ARENA_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "worker/checkpoint/pickle/value.h"

namespace sinkwatch::checkpoint::pickle {

// Owns the bytes of a pickle and every value made of them, none of which moves.
// Values refer to one another freely, so nothing is freed before the whole is,
// and freeing it recurses into nothing.
class Arena {
 public:
  explicit Arena(std::string bytes) : bytes_(std::move(bytes)) {}

  absl::string_view bytes() const { return bytes_; }
  size_t num_values() const { return values_.size(); }

  Value* NewEmpty(Kind kind) {  // None, a list or a dict
    Value* value = New(kind);
    if (kind != Kind::kNone) value->compound_ = nullptr;
    return value;
  }
  Value* NewBool(bool boolean) {
    Value* value = New(Kind::kBool);
    value->integer_ = boolean ? 1 : 0;
    return value;
  }
  Value* NewInt(int64_t integer) {
    Value* value = New(Kind::kInt);
    value->integer_ = integer;
    return value;
  }
  Value* NewFloat(double real) {
    Value* value = New(Kind::kFloat);
    value->real_ = real;
    return value;
  }
  // A string or bytes. `text` is a part of bytes(), hence below 4 GiB.
  Value* NewText(Kind kind, absl::string_view text) {
    Value* value = New(kind);
    value->text_ = text.data();
    value->size_ = static_cast<uint32_t>(text.size());
    return value;
  }
  Value* NewTuple(absl::Span<Value* const> elements) {
    Value* value = New(Kind::kTuple);
    Value** copy = NewPointers(elements.size());
    std::copy(elements.begin(), elements.end(), copy);
    value->elements_ = copy;
    value->size_ = static_cast<uint32_t>(elements.size());
    return value;
  }
  Value* NewGlobal(const GlobalRule* global) {
    Value* value = New(Kind::kGlobal);
    value->global_ = global;
    return value;
  }
  // An object, or the dict that such a call makes.
  Value* NewCall(Kind kind, const GlobalRule* global, Value* args) {
    Value* value = NewEmpty(kind);
    CompoundOf(value)->global = global;
    CompoundOf(value)->args = args;
    return value;
  }
  Value* NewPersistentId(Value* id) {
    Value* value = New(Kind::kPersistentId);
    value->id_ = id;
    return value;
  }

  // Of a list, dict or object.
  Compound* CompoundOf(Value* value) {
    if (value->compound_ == nullptr) {
      value->compound_ = &compounds_.emplace_back();
    }
    return value->compound_;
  }

 private:
  static constexpr size_t kBlock = 4096;

  Value* New(Kind kind) {
    Value* value = &values_.emplace_back();
    value->kind_ = kind;
    return value;
  }

  Value** NewPointers(size_t count) {
    if (count > block_left_) {
      block_left_ = std::max(count, kBlock);
      blocks_.push_back(std::make_unique<Value*[]>(block_left_));
      next_ = blocks_.back().get();
    }
    Value** pointers = next_;
    next_ += count;
    block_left_ -= count;
    return pointers;
  }

  const std::string bytes_;
  std::deque<Value> values_;
  std::deque<Compound> compounds_;
  std::vector<std::unique_ptr<Value*[]>> blocks_;  // elements of tuples
  Value** next_ = nullptr;                         // in the last block
  size_t block_left_ = 0;
};

}  // namespace sinkwatch::checkpoint::pickle

#endif  // SINKWATCH_WORKER_CHECKPOINT_PICKLE_ARENA_H_
