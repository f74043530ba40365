#include "worker/checkpoint/pickle/tree_check.h"

#include <algorithm>
#include <limits>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint::pickle {
namespace {

// Of Value::walk_ while its frame is open: above every limit.
constexpr uint32_t kOpen = std::numeric_limits<uint32_t>::max();

absl::Status CheckKeys(const Value& dict) {
  absl::flat_hash_set<absl::string_view> strings;
  absl::flat_hash_set<int64_t> integers;
  for (size_t i = 0; i < dict.size(); ++i) {
    const Value& key = dict.key(i);
    if (key.Is(Kind::kString) && !strings.insert(key.text()).second) {
      return absl::DataLossError(
          absl::StrCat("a dict has key ", files::Quoted(key.text()), " twice"));
    }
    if (key.Is(Kind::kInt) && !integers.insert(key.integer()).second) {
      return absl::DataLossError(
          absl::StrCat("a dict has key ", key.integer(), " twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

// The parts in any order: what a call has, then what a container holds.
Value* TreeCheck::Part(const Value& value, size_t i) {
  switch (value.kind_) {
    case Kind::kTuple:
      return i < value.size_ ? value.elements_[i] : nullptr;
    case Kind::kPersistentId:
      return i == 0 ? value.id_ : nullptr;
    case Kind::kList:
    case Kind::kDict:
    case Kind::kObject:
      break;
    default:
      return nullptr;
  }
  if (value.compound_ == nullptr) return nullptr;
  const Compound& compound = *value.compound_;
  for (Value* part : {compound.args, compound.state}) {
    if (part == nullptr) continue;
    if (i == 0) return part;
    --i;
  }
  return i < compound.items.size() ? compound.items[i] : nullptr;
}

absl::Status TreeCheck::Enter(Value* value) {
  if (value->walk_ == kOpen) {
    return absl::DataLossError(
        absl::StrCat(value->Describe(), " contains itself"));
  }
  if (frames_.size() >= limits_.depth) {
    return absl::UnimplementedError(
        absl::StrCat("nested deeper than ", limits_.depth, " levels"));
  }
  value->walk_ = kOpen;
  frames_.push_back({value});
  return value->Is(Kind::kDict) ? CheckKeys(*value) : absl::OkStatus();
}

absl::Status TreeCheck::Count(const Value& part) {
  Frame& frame = frames_.back();
  frame.walk += part.walk_;
  frame.depth = std::max<uint8_t>(frame.depth, part.depth_ + 1);
  if (frames_.size() + part.depth_ > limits_.depth) {
    return absl::UnimplementedError(
        absl::StrCat("nested deeper than ", limits_.depth, " levels"));
  }
  if (frame.walk <= limits_.walk) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("holds more than ", limits_.walk,
                   " values, shared ones counted each time they occur"));
}

absl::Status TreeCheck::Check(Value* root) {
  if (absl::Status s = Enter(root); !s.ok()) return s;
  while (!frames_.empty()) {
    Frame& frame = frames_.back();
    Value* part = Part(*frame.value, frame.next);
    absl::Status s;
    if (part == nullptr) {
      Value* done = frame.value;
      done->walk_ = static_cast<uint32_t>(frame.walk);
      done->depth_ = frame.depth;
      frames_.pop_back();
      if (!frames_.empty()) s = Count(*done);
    } else {
      ++frame.next;
      s = part->walk_ == 0 || part->walk_ == kOpen ? Enter(part) : Count(*part);
    }
    if (!s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::checkpoint::pickle
