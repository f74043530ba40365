#include "worker/checkpoint/pickle/value.h"

#include "absl/strings/str_cat.h"

namespace sinkwatch::checkpoint::pickle {
namespace {

std::string NameOf(const GlobalRule& global) {
  return absl::StrCat(global.module, ".", global.name);
}

}  // namespace

absl::string_view Value::text() const {
  if (!Is(Kind::kString) && !Is(Kind::kBytes)) return "";
  return absl::string_view(text_, size_);
}

absl::Span<const Value* const> Value::items() const {
  if (Is(Kind::kTuple)) return {elements_, size_};
  if ((Is(Kind::kList) || Is(Kind::kDict)) && compound_ != nullptr) {
    return {compound_->items.data(), compound_->items.size()};
  }
  return {};
}

size_t Value::size() const {
  return Is(Kind::kDict) ? items().size() / 2 : items().size();
}

const Value* Value::Find(absl::string_view wanted) const {
  if (!Is(Kind::kDict)) return nullptr;
  for (size_t i = 0; i < size(); ++i) {
    if (key(i).Is(Kind::kString) && key(i).text() == wanted) return &value(i);
  }
  return nullptr;
}

const GlobalRule* Value::global() const {
  if (Is(Kind::kGlobal)) return global_;
  const bool called = Is(Kind::kObject) || Is(Kind::kDict);
  return called && compound_ != nullptr ? compound_->global : nullptr;
}

int Value::tag() const { return global() == nullptr ? kNoTag : global()->tag; }

const Value* Value::args() const {
  if (Is(Kind::kPersistentId)) return id_;
  return Is(Kind::kObject) ? compound_->args : nullptr;
}

const Value* Value::state() const {
  const bool built = Is(Kind::kObject) || Is(Kind::kDict);
  return built && compound_ != nullptr ? compound_->state : nullptr;
}

std::string Value::Describe() const {
  switch (kind_) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return boolean() ? "True" : "False";
    case Kind::kInt:
      return absl::StrCat("the integer ", integer_);
    case Kind::kFloat:
      return "a float";
    case Kind::kString:
      return "a string";
    case Kind::kBytes:
      return "bytes";
    case Kind::kTuple:
      return "a tuple";
    case Kind::kList:
      return "a list";
    case Kind::kDict:
      return "a dict";
    case Kind::kGlobal:
      return absl::StrCat("global ", NameOf(*global()));
    case Kind::kObject:
      return absl::StrCat("object ", NameOf(*global()));
    case Kind::kPersistentId:
      return "a persistent id";
  }
  return "a value";
}

}  // namespace sinkwatch::checkpoint::pickle
