#include "worker/kernels/fused_head.h"

namespace {
constexpr int kLanes = 16;
constexpr int kTileRows = 8;
}  // namespace

#include "worker/kernels/fused_head.inc"

namespace sinkwatch::kernels {
const FusedHead kFusedHeadAvx512 = {"avx512", ScratchFloats, Pack, Run};
}  // namespace sinkwatch::kernels
