#include "worker/checkpoint/container/safetensors_header.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "worker/checkpoint/container/safetensors.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::checkpoint {
namespace {

using Json = nlohmann::json;

// What the next value is, by the objects and arrays that are open:
//
//   { "__metadata__": { "k": kMetadataValue },
//     "name": { "dtype": kDtype, "shape": [kShape], "data_offsets": [kOffsets],
//               "other": kIgnored } }
enum class Place {
  kStart,
  kTop,
  kMetadata,
  kMetadataValue,
  kEntry,
  kDtype,
  kShape,
  kOffsets,
  kIgnored,
};

class HeaderHandler : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderHandler(absl::string_view text) : text_(text) {}

  const absl::Status& status() const { return status_; }
  std::vector<HeaderEntry> TakeEntries() { return std::move(entries_); }

  bool null() override { return OtherScalar("null"); }
  bool boolean(bool) override { return OtherScalar("a boolean"); }
  bool binary(binary_t&) override { return OtherScalar("binary"); }
  // The library reports 1.0 and 1e3 as floats and -1 as signed.
  bool number_integer(number_integer_t) override {
    return OtherScalar("a negative number");
  }
  bool number_float(number_float_t, const string_t&) override {
    return OtherScalar("a number with a fraction or exponent, or too large");
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShape && in_array_) {
      entries_.back().shape.push_back(value);
      if (entries_.back().shape.size() <= kMaxRank) return true;
      return Unsupported(absl::StrCat("rank above ", kMaxRank));
    }
    if (place_ == Place::kOffsets && in_array_) {
      entries_.back().offsets.push_back(value);
      return entries_.back().offsets.size() <= 2 ||
             Broken("data_offsets must be two integers, has more");
    }
    return OtherScalar("an integer");
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadataValue) {
      place_ = Place::kMetadata;
      return true;
    }
    if (place_ != Place::kDtype) return OtherScalar("a string");
    entries_.back().dtype = value;
    place_ = Place::kEntry;
    return true;
  }

  bool start_object(size_t) override {
    keys_.emplace_back();
    switch (place_) {
      case Place::kStart:
        place_ = Place::kTop;
        return true;
      case Place::kTop:
        place_ = metadata_is_next_ ? Place::kMetadata : Place::kEntry;
        return true;
      case Place::kIgnored:
        return EnterIgnored();
      default:
        return WrongType("an object");
    }
  }

  bool end_object() override {
    keys_.pop_back();
    if (place_ == Place::kIgnored) return LeaveIgnored();
    if (place_ == Place::kEntry && !CheckEntryIsWhole()) return false;
    place_ = Place::kTop;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ == Place::kIgnored) return EnterIgnored();
    const bool wanted = place_ == Place::kShape || place_ == Place::kOffsets;
    if (!wanted || in_array_) return WrongType("an array");
    in_array_ = true;
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kIgnored) return LeaveIgnored();
    in_array_ = false;
    place_ = Place::kEntry;
    return true;
  }

  bool key(string_t& key) override {
    if (!RememberKey(key)) return false;
    if (place_ == Place::kTop) return TopKey(key);
    if (place_ == Place::kMetadata) place_ = Place::kMetadataValue;
    if (place_ == Place::kEntry) EntryKey(key);
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Broken(files::JsonSyntaxError(position, text_).message());
  }

 private:
  bool Fail(absl::Status (*make)(absl::string_view), absl::string_view rule) {
    const bool inside = place_ != Place::kTop && place_ != Place::kStart;
    const bool in_metadata =
        place_ == Place::kMetadata || place_ == Place::kMetadataValue;
    if (inside && in_metadata) {
      status_ = make(absl::StrCat("__metadata__: ", rule));
    } else if (inside) {
      status_ = make(absl::StrCat(
          "tensor ", files::Quoted(entries_.back().name), ": ", rule));
    } else {
      status_ = make(rule);
    }
    return false;
  }
  bool Broken(absl::string_view rule) {
    return Fail(absl::DataLossError, rule);
  }
  bool Unsupported(absl::string_view rule) {
    return Fail(absl::UnimplementedError, rule);
  }

  bool WrongType(absl::string_view found) {
    switch (place_) {
      case Place::kDtype:
        return Broken(absl::StrCat("dtype must be a string, is ", found));
      case Place::kShape:
        return Broken(absl::StrCat(
            "shape must be an array of unsigned integers, has ", found));
      case Place::kOffsets:
        return Broken(absl::StrCat(
            "data_offsets must be two unsigned integers, has ", found));
      case Place::kMetadataValue:
        return Broken(absl::StrCat("values must be strings, has ", found));
      default:
        return Broken(absl::StrCat(
            metadata_is_next_
                ? "__metadata__"
                : absl::StrCat("tensor ", files::Quoted(last_key_)),
            ": must be an object, is ", found));
    }
  }

  // A scalar where a field wants another type, or one that is ignored.
  bool OtherScalar(absl::string_view found) {
    if (place_ != Place::kIgnored) return WrongType(found);
    if (ignored_depth_ == 0) place_ = Place::kEntry;
    return true;
  }

  bool EnterIgnored() {
    constexpr size_t kDepthOfEntry = 2;
    if (++ignored_depth_ + kDepthOfEntry <= kMaxHeaderDepth) return true;
    return Unsupported(
        absl::StrCat("nested deeper than ", kMaxHeaderDepth, " levels"));
  }

  bool LeaveIgnored() {
    if (--ignored_depth_ == 0) place_ = Place::kEntry;
    return true;
  }

  bool RememberKey(const std::string& key) {
    if (!keys_.back().insert(key).second) {
      return Broken(
          absl::StrCat("key ", files::Quoted(key), " is there twice"));
    }
    const bool in_entry = place_ == Place::kEntry || place_ == Place::kIgnored;
    // One more than tensors: the first level may hold __metadata__, too.
    const size_t limit = in_entry ? kMaxKeysPerEntry : kMaxTensors + 1;
    if (keys_.back().size() <= limit) return true;
    return Unsupported(absl::StrCat("more than ", limit, " keys"));
  }

  bool TopKey(const std::string& key) {
    last_key_ = key;
    metadata_is_next_ = key == "__metadata__";
    if (metadata_is_next_) return true;
    if (key.size() > kMaxNameBytes) {
      return Unsupported(absl::StrCat("tensor ", files::Quoted(key),
                                      ": name of ", key.size(),
                                      " bytes, above ", kMaxNameBytes));
    }
    if (entries_.size() == kMaxTensors) {
      return Unsupported(absl::StrCat("more than ", kMaxTensors, " tensors"));
    }
    entries_.emplace_back();
    entries_.back().name = key;
    has_dtype_ = has_shape_ = has_offsets_ = false;
    return true;
  }

  void EntryKey(const std::string& key) {
    if (key == "dtype") {
      place_ = Place::kDtype;
      has_dtype_ = true;
    } else if (key == "shape") {
      place_ = Place::kShape;
      has_shape_ = true;
    } else if (key == "data_offsets") {
      place_ = Place::kOffsets;
      has_offsets_ = true;
    } else {
      place_ = Place::kIgnored;
    }
  }

  bool CheckEntryIsWhole() {
    if (!has_dtype_) return Broken("has no dtype");
    if (!has_shape_) return Broken("has no shape");
    if (!has_offsets_) return Broken("has no data_offsets");
    if (entries_.back().offsets.size() == 2) return true;
    return Broken("data_offsets must be two integers, has fewer");
  }

  const absl::string_view text_;
  Place place_ = Place::kStart;
  bool in_array_ = false;  // of shape or data_offsets
  bool metadata_is_next_ = false;
  size_t ignored_depth_ = 0;
  bool has_dtype_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
  std::string last_key_;                                // of the first level
  std::vector<absl::flat_hash_set<std::string>> keys_;  // of the open objects
  std::vector<HeaderEntry> entries_;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<std::vector<HeaderEntry>> ParseHeaderText(
    absl::string_view json) {
  if (absl::Status s = files::CheckJsonObjectText(json); !s.ok()) {
    return absl::DataLossError(s.message());
  }
  HeaderHandler handler(json);
  if (!Json::sax_parse(json.begin(), json.end(), &handler)) {
    return handler.status();
  }
  return handler.TakeEntries();
}

}  // namespace sinkwatch::checkpoint
