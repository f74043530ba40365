#ifndef SINKWATCH_WORKER_MODEL_RECORDER_H_
#define SINKWATCH_WORKER_MODEL_RECORDER_H_

#include "ATen/core/Tensor.h"

namespace sinkwatch::model {

// Where a forward pass shows its tensors. B sequences, T tokens, D width,
// H query heads, G key/value heads, E head width.
enum class Point {
  kResidPre,   // [B,T,D] input of the block
  kQ,          // [B,H,T,E] after position encoding and norms
  kK,          // [B,G,T,E] after position encoding and norms
  kV,          // [B,G,T,E]
  kGate,       // [B,H,T,1] or [B,H,T,E], 0..1: what z is multiplied by, where
               // there is such a gate
  kLogSumExp,  // [B,H,T] float32, of each row's logits, where the kernel of
               // attention tells it
  kUngatedZ,   // [B,H,T,E] attention times v before such a gate
  kZ,        // [B,H,T,E] attention times v, gated where there is a gate, before
             // the output projection
  kAttnOut,  // [B,T,D] what attention adds to the stream
  kResidMid,      // [B,T,D] stream between attention and MLP
  kMlpOut,        // [B,T,D] what the MLP adds to the stream
  kResidPost,     // [B,T,D] output of the block, before any final norm
  kRouterScores,  // [B,T,X] float32: what the router of a mixture gives each of
                  // X experts (a softmax, or sigmoids), before any choice
  kExperts,       // [B,T,K] int64: the experts that it chose
};

class Intervention;

// Receives the tensors of a forward pass. Called on the thread that runs it.
class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual void Record(Point point, int layer, const at::Tensor& tensor) = 0;
  // Whether a point of the stream or of what is added to it is looked at: one
  // that is not need not exist, and is then not shown.
  virtual bool Wants(Point /*point*/) { return true; }
  // What changes the pass on its way (intervention.h); null, as most: nothing.
  virtual Intervention* intervention() { return nullptr; }
};

// For training: looks at nothing.
class NullRecorder final : public Recorder {
 public:
  void Record(Point, int, const at::Tensor&) override {}
  bool Wants(Point) override { return false; }
};

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_RECORDER_H_
