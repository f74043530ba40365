#include "worker/kernels/fused_head.h"

namespace {
constexpr int kLanes = 8;
constexpr int kTileRows = 4;
}  // namespace

#include "worker/kernels/fused_head.inc"

namespace sinkwatch::kernels {
const FusedHead kFusedHeadAvx2 = {"avx2", ScratchFloats, Pack, Run};
}  // namespace sinkwatch::kernels
