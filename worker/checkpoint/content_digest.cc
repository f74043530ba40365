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

RowHashSum SumRowHashes(const char* rows, int64_t first, int64_t count,
                        int64_t row_bytes) {
#if defined(__x86_64__)
  static const bool has_avx512 = __builtin_cpu_supports("avx512f") != 0;
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  if (has_avx512) return SumRowHashesAvx512(rows, first, count, row_bytes);
  if (has_avx2) return SumRowHashesAvx2(rows, first, count, row_bytes);
#endif
  return SumRowHashesPortable(rows, first, count, row_bytes);
}

}  // namespace

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

std::vector<RowRange> ContentDigest::Claim(const std::string& tensor,
                                           RowRange range) {
  const base::MutexLock lock(mutex_);
  Rows& rows = tensors_[tensor];
  std::vector<RowRange> fresh;
  const int64_t end = range.first + range.count;
  auto next = rows.added.upper_bound(range.first);
  if (next != rows.added.begin()) --next;
  for (int64_t row = range.first; row < end;) {
    while (next != rows.added.end() && next->second <= row) ++next;
    if (next != rows.added.end() && next->first <= row) {
      row = next->second;
      continue;
    }
    const int64_t until =
        next == rows.added.end() ? end : std::min(end, next->first);
    fresh.push_back({row, until - row});
    row = until;
  }
  Merge(range.first, end, rows);
  return fresh;
}

void ContentDigest::Add(const std::string& tensor, RowRange range,
                        const void* data, int64_t row_bytes) {
  if (range.count == 0) return;
  const char* const bytes = static_cast<const char*>(data);
  RowHashSum sum;
  for (const RowRange& fresh : Claim(tensor, range)) {
    sum.Add(SumRowHashes(bytes + (fresh.first - range.first) * row_bytes,
                         fresh.first, fresh.count, row_bytes));
  }
  AddSum(tensor, sum);
}

void ContentDigest::AddSum(const std::string& tensor, const RowHashSum& sum) {
  const base::MutexLock lock(mutex_);
  tensors_[tensor].sum.Add(sum);
}

std::vector<TensorDigest> ContentDigest::Tensors() const {
  const base::MutexLock lock(mutex_);
  std::vector<TensorDigest> digests;
  for (const auto& [name, rows] : tensors_) {
    digests.push_back({name, Canonical({rows.sum.low, rows.sum.high})});
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
