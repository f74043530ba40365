#include "worker/checkpoint/content_hash.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "xxhash.h"

namespace sinkwatch::checkpoint {
namespace {

// What a read of these rows is called among the hashes: the name alone for the
// whole tensor.
std::string HashName(const StoredTensor& tensor,
                     const std::vector<RowRange>& ranges) {
  std::string name = tensor.name;
  for (const RowRange& range : ranges) {
    const bool whole = tensor.shape.empty() || range.count == tensor.shape[0];
    if (!whole) absl::StrAppend(&name, "[", range.first, "+", range.count, "]");
  }
  return name;
}

// Length first, so that no two sequences of (name, bytes) run together.
void HashSized(XXH3_state_t* state, const void* data, size_t size) {
  const uint64_t length = size;
  XXH3_128bits_update(state, &length, sizeof(length));
  XXH3_128bits_update(state, data, size);
}

using XxhState =
    std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)>;

XxhState NewXxhState() {
  XxhState state(XXH3_createState(), XXH3_freeState);
  XXH3_128bits_reset(state.get());
  return state;
}

std::array<unsigned char, 16> Finish(const XxhState& state) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state.get()));
  std::array<unsigned char, 16> hash;
  std::copy(std::begin(canonical.digest), std::end(canonical.digest),
            hash.begin());
  return hash;
}

}  // namespace

void ContentHash::Add(const StoredTensor& tensor,
                      const std::vector<RowRange>& ranges, const void* data,
                      size_t size) {
  const std::string name = HashName(tensor, ranges);
  XxhState state = NewXxhState();
  HashSized(state.get(), name.data(), name.size());
  HashSized(state.get(), data, size);
  hashes_[name] = Finish(state);
}

std::string ContentHash::Digest() const {
  XxhState state = NewXxhState();
  for (const auto& [name, hash] : hashes_) {
    XXH3_128bits_update(state.get(), hash.data(), hash.size());
  }
  const Hash digest = Finish(state);
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(digest.data()), digest.size()));
}

}  // namespace sinkwatch::checkpoint
