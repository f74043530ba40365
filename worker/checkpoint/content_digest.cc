#include "worker/checkpoint/content_digest.h"

#include <algorithm>
#include <iterator>
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "xxhash.h"

namespace sinkwatch::checkpoint {
namespace {

std::array<unsigned char, 16> Canonical(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  std::array<unsigned char, 16> bytes;
  std::copy(std::begin(canonical.digest), std::end(canonical.digest),
            bytes.begin());
  return bytes;
}

}  // namespace

void ContentDigest::AddRow(int64_t row, const void* data, int64_t row_bytes,
                           Rows& rows) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(
      data, static_cast<size_t>(row_bytes), static_cast<uint64_t>(row));
  rows.low += hash.low64;
  rows.high += hash.high64 + (rows.low < hash.low64 ? 1 : 0);
}

void ContentDigest::Merge(int64_t first, int64_t end, Rows& rows) {
  auto next = rows.added.upper_bound(first);
  if (next != rows.added.begin() && std::prev(next)->second >= first) {
    --next;
    first = next->first;
  }
  while (next != rows.added.end() && next->first <= end) {
    end = std::max(end, next->second);
    next = rows.added.erase(next);
  }
  rows.added[first] = end;
}

void ContentDigest::Add(const std::string& tensor, RowRange range,
                        const void* data, int64_t row_bytes) {
  if (range.count == 0) return;
  Rows& rows = tensors_[tensor];
  const char* const bytes = static_cast<const char*>(data);
  const int64_t end = range.first + range.count;
  auto next = rows.added.upper_bound(range.first);
  if (next != rows.added.begin()) --next;
  for (int64_t row = range.first; row < end;) {
    while (next != rows.added.end() && next->second <= row) ++next;
    if (next != rows.added.end() && next->first <= row) {
      row = next->second;
      continue;
    }
    AddRow(row, bytes + (row - range.first) * row_bytes, row_bytes, rows);
    ++row;
  }
  Merge(range.first, end, rows);
}

std::vector<TensorDigest> ContentDigest::Tensors() const {
  std::vector<TensorDigest> digests;
  for (const auto& [name, rows] : tensors_) {
    digests.push_back({name, Canonical({rows.low, rows.high})});
  }
  return digests;
}

std::string ContentDigest::Hex() const {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(
      XXH3_createState(), XXH3_freeState);
  XXH3_128bits_reset(state.get());
  for (const TensorDigest& tensor : Tensors()) {
    const uint64_t length = tensor.name.size();
    XXH3_128bits_update(state.get(), &length, sizeof(length));
    XXH3_128bits_update(state.get(), tensor.name.data(), tensor.name.size());
    XXH3_128bits_update(state.get(), tensor.digest.data(),
                        tensor.digest.size());
  }
  const auto digest = Canonical(XXH3_128bits_digest(state.get()));
  return absl::BytesToHexString(absl::string_view(
      reinterpret_cast<const char*>(digest.data()), digest.size()));
}

}  // namespace sinkwatch::checkpoint
