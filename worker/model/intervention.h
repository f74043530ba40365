#ifndef SINKWATCH_WORKER_MODEL_INTERVENTION_H_
#define SINKWATCH_WORKER_MODEL_INTERVENTION_H_

#include "ATen/core/Tensor.h"
#include "worker/model/architecture.h"
#include "worker/model/recorder.h"

namespace sinkwatch::model {

// The attention of one layer, before its heads' outputs are used: as recorded
// at kQ, kK and kV. B sequences, T tokens, H query heads, G key/value heads, E
// head width (v may have one of its own).
struct AttentionInputs {
  int layer = 0;
  const at::Tensor& q_BHTE;
  const at::Tensor& k_BGTE;
  const at::Tensor& v_BGTE;
  const AttentionShape& shape;
  const at::Tensor& learned_sinks_H;  // undefined where there are none
};

// Changes a forward pass on its way. A Recorder hands one over
// (Recorder::intervention), so that no architecture knows of it; what is
// recorded is what was changed. Called on the thread of the pass, for every
// layer. B sequences, T tokens, D width, H heads, E head width.
class Intervention {
 public:
  virtual ~Intervention() = default;

  // What goes to the output projection (an output gate included, if there is
  // one) instead of `z_BHTE`, attention times v. Must not write into it.
  virtual at::Tensor HeadOutput(const AttentionInputs& /*attention*/,
                                const at::Tensor& z_BHTE) {
    return z_BHTE;
  }

  // What a sub-layer adds to the stream instead of `added_BTD`; `point` is
  // kAttnOut or kMlpOut. Must not write into it.
  virtual at::Tensor Added(int /*layer*/, Point /*point*/,
                           const at::Tensor& added_BTD) {
    return added_BTD;
  }
};

// Records nothing; lets `intervention` change the pass.
class InterveningRecorder final : public Recorder {
 public:
  // `intervention` must outlive the recorder.
  explicit InterveningRecorder(Intervention& intervention)
      : intervention_(intervention) {}
  void Record(Point, int, const at::Tensor&) override {}
  Intervention* intervention() override { return &intervention_; }

 private:
  Intervention& intervention_;
};

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_INTERVENTION_H_
