#ifndef SINKWATCH_WORKER_MODEL_ARCHITECTURE_H_
#define SINKWATCH_WORKER_MODEL_ARCHITECTURE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ATen/core/Tensor.h"
#include "worker/model/recorder.h"
#include "worker/model/tensor_map.h"

namespace sinkwatch::model {

// How the attention weights of a row come from its logits.
enum class AttentionKind {
  kNone,     // the layer has no attention
  kSoftmax,  // softmax over the visible keys
  kRelu,     // relu(logit) / (t + 1), t the row from 0; not a distribution
};

// Attention of one layer, as far as a statistic of it needs to know.
struct AttentionShape {
  AttentionKind kind = AttentionKind::kSoftmax;
  // Factor of q.k that makes a logit.
  double scale = 1.0;
  // Row t sees keys (t - window, t]; 0 means all keys up to t.
  int64_t window = 0;
  // Logits become cap tanh(logit / cap); 0: they stay.
  double soft_cap = 0;
};

struct ModelShape {
  std::string architecture;
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int width = 0;
  // Rows of the embedding: the ids that a probe may hold are below this.
  int64_t vocabulary = 0;
  // Longest sequence that positions exist for; 0 if there is no limit.
  int64_t max_positions = 0;
  // One per layer.
  std::vector<AttentionShape> attention;
  // Layers stored behind the last that no metric is of: those that predict the
  // tokens after the next (DeepSeek's MTP). They are not read.
  int unread_layers = 0;

  // Of the embedding, and of the output matrix.
  std::vector<int64_t> EmbeddingShape() const { return {vocabulary, width}; }
};

// How a stored tensor becomes the one that the forward pass wants.
enum class Arrangement {
  kAsStored,
  // Stored [in, out]: GPT-2's Conv1D, the experts of some trainers.
  kTransposed,
  // Rows of a query or key projection whose rotary pairs lie next to each other
  // within a head (2i, 2i + 1), as Meta's code has them; the forward pass wants
  // them half a head apart (i, i + E/2).
  kRotaryPairs,
};

// Where a tensor lies in a checkpoint of one naming scheme.
struct TensorSource {
  std::string name;            // "transformer.blocks.3.att_proj.weight"
  std::vector<int64_t> shape;  // of the whole stored tensor
  Arrangement arrangement = Arrangement::kAsStored;
  // The first of the stored rows (dimension 0) that belong to the tensor: as
  // many as it has itself (kTransposed: as many as it has columns).
  int64_t first_row = 0;
  // kRotaryPairs: the heads that share out the rows.
  int64_t heads = 0;
  // Not empty: `shape` is of a stack of tensors, of layers or of experts (two
  // numbers: of layers of experts), and this one is, or is in, the one that
  // they tell, a number for each leading dimension; rows are counted within it.
  std::vector<int64_t> slab = {};
  // Rows that lie in so many equal runs, the first at `first_row`, each
  // `run_stride` rows after the one before: the queries in a matrix that holds
  // q, k and v by group.
  int64_t runs = 1;
  int64_t run_stride = 0;
  // Whole tensors whose rows follow: the tensor is stored in parts.
  std::vector<TensorSource> more = {};
};

// A tensor that a part of the model needs.
struct TensorSpec {
  // One source, stored as it is: the scheme that the family was published in.
  TensorSpec(std::string name, const std::string& checkpoint_name,
             std::vector<int64_t> shape)
      : name(std::move(name)),
        shape(shape),
        sources({{checkpoint_name, std::move(shape)}}) {}

  // The name in the family's own scheme: what our writer uses.
  const std::string& checkpoint_name() const { return sources.front().name; }

  // What the forward pass calls it: "q_proj.weight".
  std::string name;
  std::vector<int64_t> shape;
  // One per naming scheme; the loader takes the first whose name is there, and,
  // of several of one name, the first that has the stored shape.
  std::vector<TensorSource> sources;
  // What the tensor is made of where no source is there: a constant that some
  // writers store and others do not.
  std::optional<double> constant = {};
  // Of an output matrix that is tied to the embedding: where writers store it
  // all the same. What is stored counts: it is the embedding once more, or,
  // where it differs, another matrix, and the two are not tied. So reads
  // transformers 5.24 (modeling_utils.py, tie_weights).
  std::vector<TensorSource> own;
};

// One model family: which weights it has and how they turn tokens into logits.
// Immutable after creation, so safe to share between threads. The passes are
// neutral to device, dtype and grad mode: the trainer calls the same `Block`
// under autograd that a worker measures with.
//
// B sequences, T tokens, D width, V vocabulary.
class Architecture {
 public:
  virtual ~Architecture() = default;

  virtual const ModelShape& shape() const = 0;

  // The token embedding is called "embed_tokens", [V,D]. The executor may hand
  // over some of its rows only, and ids renumbered to match.
  virtual std::vector<TensorSpec> EmbeddingTensors() const = 0;
  virtual std::vector<TensorSpec> LayerTensors(int layer) const = 0;
  // Final norm and output matrix. The matrix is called "lm_head", [V,D]; of
  // some of its rows, Logits makes just those columns. A tied head names the
  // embedding's tensor.
  virtual std::vector<TensorSpec> HeadTensors() const = 0;

  // tokens_BT int64 -> x_BTD.
  virtual at::Tensor Embed(const TensorMap& weights,
                           const at::Tensor& tokens_BT) const = 0;
  // One layer; shows its tensors to `recorder`. Never holds a T x T tensor.
  virtual at::Tensor Block(int layer, const TensorMap& weights,
                           const at::Tensor& x_BTD,
                           Recorder& recorder) const = 0;
  // Final norm and output matrix: x_BTD -> logits_BTV.
  virtual at::Tensor Logits(const TensorMap& weights,
                            const at::Tensor& x_BTD) const = 0;

  // The output projection of a layer's attention, [D, H*E]: its columns
  // [h*E, (h+1)*E) are what head h writes through (W_h of the metric
  // definitions). Undefined where the layer has no attention.
  virtual at::Tensor OutputProjection(int layer,
                                      const TensorMap& weights) const = 0;

  // A layer's learned sinks, [H]: logits that stand beside those of the keys in
  // the softmax of every row, so that rows of attention add up to less than 1.
  // Undefined, as in most families, where there are none.
  virtual at::Tensor LearnedSinks(int /*layer*/,
                                  const TensorMap& /*weights*/) const {
    return {};
  }
};

}  // namespace sinkwatch::model

#endif  // SINKWATCH_WORKER_MODEL_ARCHITECTURE_H_
