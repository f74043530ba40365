// A config.json of any trainer, up to the names and shapes of the weights that
// it asks for.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/fuzz/fuzz.h"
#include "worker/checkpoint/config/model_config.h"
#include "worker/model/architecture.h"
#include "worker/model/registry.h"

namespace sinkwatch::fuzz {
namespace {

using model::Architecture;
using model::ModelShape;
using model::TensorSpec;

// What may be multiplied by the size of an element, or by the other shapes of a
// layer, without overflow.
constexpr int64_t kMaxElements = int64_t{1} << 55;

void ExpectShape(const std::vector<int64_t>& shape) {
  int64_t elements = 1;
  for (int64_t size : shape) {
    Expect(size >= 1 && !__builtin_mul_overflow(elements, size, &elements) &&
               elements <= kMaxElements,
           "a tensor has a size that can be computed with");
  }
}

bool IsInStack(const model::TensorSource& source) {
  for (size_t i = 0; i < source.slab.size(); ++i) {
    if (source.slab[i] < 0 || source.slab[i] >= source.shape.at(i)) {
      return false;
    }
  }
  return true;
}

void ExpectSpecs(const std::vector<TensorSpec>& specs) {
  for (const TensorSpec& spec : specs) {
    Expect(!spec.name.empty() && !spec.sources.empty(),
           "a tensor has a name and a source");
    if (spec.constant) continue;
    ExpectShape(spec.shape);
    for (const model::TensorSource& source : spec.sources) {
      Expect(!source.name.empty(), "a source has a name");
      ExpectShape(source.shape);
      Expect(source.first_row >= 0, "rows begin inside their source");
      Expect(source.runs >= 1 && source.run_stride >= 0, "runs follow on");
      Expect(IsInStack(source), "a slab is inside its stack");
    }
  }
}

void ExpectModelShape(const ModelShape& shape) {
  Expect(shape.layers >= 1 && shape.layers <= 1 << 16, "layers are bounded");
  Expect(shape.attention.size() == static_cast<size_t>(shape.layers),
         "each layer has an attention");
  Expect(shape.heads >= 1 && shape.kv_heads >= 1 && shape.head_dim >= 1 &&
             shape.width >= 1 && shape.vocabulary >= 1,
         "sizes are positive");
  Expect(shape.heads % shape.kv_heads == 0, "heads share out over groups");
  Expect(shape.max_positions >= 0, "positions are not negative");
  for (const model::AttentionShape& attention : shape.attention) {
    Expect(attention.window >= 0, "a window is not negative");
    Expect(attention.scale > 0, "a scale is positive");
  }
}

}  // namespace

absl::Status FuzzOne(absl::string_view input) {
  const auto config =
      checkpoint::ParseModelConfig("config.json", std::string(input));
  if (!config.ok()) return config.status();
  const absl::StatusOr<std::unique_ptr<Architecture>> architecture =
      model::CreateArchitecture(*config);
  if (!architecture.ok()) return architecture.status();
  const ModelShape& shape = (*architecture)->shape();
  ExpectModelShape(shape);
  ExpectSpecs((*architecture)->EmbeddingTensors());
  for (int layer : {0, shape.layers / 2, shape.layers - 1}) {
    ExpectSpecs((*architecture)->LayerTensors(layer));
  }
  ExpectSpecs((*architecture)->HeadTensors());
  return absl::OkStatus();
}

}  // namespace sinkwatch::fuzz
