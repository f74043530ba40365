#ifndef SINKWATCH_WORKER_KERNELS_FUSED_HEAD_H_
#define SINKWATCH_WORKER_KERNELS_FUSED_HEAD_H_

#include <cstdint>

#include "worker/kernels/row_stat.h"

// The attention statistics of one query head on a CPU, once per instruction
// set. fused_head_<set>.cc is fused_head.inc compiled with that set's options,
// so neither may include anything that holds inline functions: the linker would
// be free to keep the copy with the newer instructions for everyone.
namespace sinkwatch::kernels {

struct FusedShape {
  int64_t tokens = 0;
  int64_t width = 0;   // E
  int64_t window = 0;  // 0: none
  float scale = 1;
  bool relu = false;
  bool has_value = false;
};

// [T,E] float32 whose rows are row_stride floats apart.
struct HeadView {
  const float* data = nullptr;
  int64_t row_stride = 0;
};

struct QueryHead {
  HeadView q;
  const float* learned_sink = nullptr;  // c_h; null: the head has none
};

// Where the results go, [T] each.
struct HeadResult {
  float* rows[kNumRowStats] = {};
  float* column_mass = nullptr;
  float* output_TE = nullptr;  // null without values
};

// Scratch is scratch_floats() floats, 64-byte aligned, of one thread. `pack`
// leaves a key/value head in it, `run` then computes any number of the query
// heads that share it. Nothing outlives a call but what lies in scratch.
struct FusedHead {
  const char* name;
  int64_t (*scratch_floats)(const FusedShape& shape);
  void (*pack)(const FusedShape& shape, HeadView k, HeadView v, float* scratch);
  void (*run)(const FusedShape& shape, const QueryHead& head, float* scratch,
              const HeadResult& result);
};

extern const FusedHead kFusedHeadAvx512;
extern const FusedHead kFusedHeadAvx2;
extern const FusedHead kFusedHeadPortable;

}  // namespace sinkwatch::kernels

#endif  // SINKWATCH_WORKER_KERNELS_FUSED_HEAD_H_
