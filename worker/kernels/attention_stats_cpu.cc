// The CPU's implementation: every (sequence, head) by one thread, with the
// fastest kernels that this machine has.
#include "worker/kernels/attention_stats_cpu.h"

#include <cstdlib>
#include <memory>
#include <new>

#include "ATen/Parallel.h"
#include "ATen/ops/empty.h"
#include "torch/library.h"
#include "worker/kernels/attention_stats.h"

namespace sinkwatch::kernels {
namespace {

struct Free {
  void operator()(float* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<float[], Free>;

Buffer AllocateAligned(int64_t floats) {
  const size_t bytes = (floats * sizeof(float) + 63) / 64 * 64;
  void* memory = std::aligned_alloc(64, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return Buffer(static_cast<float*>(memory));
}

// One head of a tensor as float32 rows; copied only where it is neither.
class HeadReader {
 public:
  explicit HeadReader(const at::Tensor& x) : x_(x) {
    const bool direct = x.scalar_type() == at::kFloat && x.stride(3) == 1;
    if (!direct) copy_ = AllocateAligned(x.size(2) * x.size(3));
  }

  HeadView Read(int64_t b, int64_t h) const {
    const int64_t offset = b * x_.stride(0) + h * x_.stride(1);
    if (!copy_) {
      return {x_.const_data_ptr<float>() + offset, x_.stride(2)};
    }
    if (x_.scalar_type() == at::kFloat) {
      Copy(x_.const_data_ptr<float>() + offset);
    } else {
      Copy(x_.const_data_ptr<at::BFloat16>() + offset);
    }
    return {copy_.get(), x_.size(3)};
  }

 private:
  template <class T>
  void Copy(const T* from) const {
    const int64_t width = x_.size(3);
    for (int64_t t = 0; t < x_.size(2); ++t) {
      for (int64_t e = 0; e < width; ++e) {
        copy_[t * width + e] = from[t * x_.stride(2) + e * x_.stride(3)];
      }
    }
  }

  const at::Tensor& x_;
  Buffer copy_;
};

// The tensors of a call, and the heads of a range of them in turn.
struct Call {
  const FusedHead& kernels;
  FusedShape shape;
  const at::Tensor& q_BHTE;
  const at::Tensor& k_BGTE;
  const at::Tensor& v_BGTE;
  const float* learned_sinks;  // [H] or null
  float* rows;
  float* columns;
  float* output;

  HeadResult ResultOf(int64_t head) const {
    const int64_t tokens = shape.tokens;
    const int64_t num_heads = q_BHTE.size(0) * q_BHTE.size(1);
    HeadResult result;
    for (int64_t i = 0; i < kNumRowStats; ++i) {
      result.rows[i] = rows + (i * num_heads + head) * tokens;
    }
    result.column_mass = columns + head * tokens;
    if (shape.has_value) {
      result.output_TE = output + head * tokens * shape.width;
    }
    return result;
  }

  void RunHeads(int64_t begin, int64_t end) const {
    const int64_t heads = q_BHTE.size(1);
    const int64_t shared = heads / k_BGTE.size(1);
    const Buffer scratch = AllocateAligned(kernels.scratch_floats(shape));
    const HeadReader q(q_BHTE), k(k_BGTE), v(v_BGTE);
    int64_t packed = -1;
    for (int64_t head = begin; head < end; ++head) {
      const int64_t b = head / heads, h = head % heads;
      if (head / shared != packed) {
        packed = head / shared;
        kernels.pack(shape, k.Read(b, h / shared), v.Read(b, h / shared),
                     scratch.get());
      }
      const QueryHead query = {
          q.Read(b, h), learned_sinks == nullptr ? nullptr : learned_sinks + h};
      kernels.run(shape, query, scratch.get(), ResultOf(head));
    }
  }
};

}  // namespace

std::vector<const FusedHead*> SupportedFusedHeads() {
  std::vector<const FusedHead*> supported;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw")) {
    supported.push_back(&kFusedHeadAvx512);
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    supported.push_back(&kFusedHeadAvx2);
  }
#endif
  supported.push_back(&kFusedHeadPortable);
  return supported;
}

OperatorResult AttentionStatsFused(
    const FusedHead& kernels, const at::Tensor& q_BHTE,
    const at::Tensor& k_BGTE, const std::optional<at::Tensor>& v,
    const std::optional<at::Tensor>& learned_sinks, double scale,
    int64_t window, int64_t normalisation) {
  const auto options = at::TensorOptions(at::kFloat);
  const int64_t batch = q_BHTE.size(0), heads = q_BHTE.size(1),
                tokens = q_BHTE.size(2), width = q_BHTE.size(3);
  at::Tensor rows = at::empty({kNumRowStats, batch, heads, tokens}, options);
  at::Tensor columns = at::empty({batch, heads, tokens}, options);
  at::Tensor output =
      v ? at::empty(q_BHTE.sizes(), options) : at::empty({0}, options);
  const Call call = {
      kernels,
      {tokens, width, window >= tokens ? 0 : window, static_cast<float>(scale),
       normalisation == static_cast<int64_t>(Normalisation::kRelu),
       v.has_value()},
      q_BHTE,
      k_BGTE,
      v ? *v : k_BGTE,
      learned_sinks ? learned_sinks->const_data_ptr<float>() : nullptr,
      rows.mutable_data_ptr<float>(),
      columns.mutable_data_ptr<float>(),
      output.mutable_data_ptr<float>()};
  at::parallel_for(0, batch * heads, 1, [&](int64_t begin, int64_t end) {
    call.RunHeads(begin, end);
  });
  return {rows, columns, output};
}

namespace {

OperatorResult AttentionStatsCpu(const at::Tensor& q_BHTE,
                                 const at::Tensor& k_BGTE,
                                 const std::optional<at::Tensor>& v,
                                 const std::optional<at::Tensor>& learned_sinks,
                                 double scale, int64_t window,
                                 int64_t normalisation) {
  static const FusedHead& fastest = *SupportedFusedHeads().front();
  return AttentionStatsFused(fastest, q_BHTE, k_BGTE, v, learned_sinks, scale,
                             window, normalisation);
}

}  // namespace
}  // namespace sinkwatch::kernels

TORCH_LIBRARY_IMPL(sinkwatch, CPU, m) {
  m.impl("attention_stats", sinkwatch::kernels::AttentionStatsCpu);
}
