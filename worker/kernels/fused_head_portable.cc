#include "worker/kernels/fused_head.h"

namespace {
constexpr int kLanes = 4;
constexpr int kTileRows = 4;
}  // namespace

#include "worker/kernels/fused_head.inc"

namespace sinkwatch::kernels {
const FusedHead kFusedHeadPortable = {"portable", ScratchFloats, Pack, Run};
}  // namespace sinkwatch::kernels
