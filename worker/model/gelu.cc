#include "worker/model/gelu.h"

#include "ATen/ops/gelu.h"
#include "absl/strings/str_cat.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::model {

GeluKind ReadGelu(files::Fields& config, const char* key,
                  const std::string& fallback) {
  const std::string name = config.StringOr(key, fallback);
  for (const char* form : {"gelu_new", "gelu_fast", "gelu_pytorch_tanh"}) {
    if (name == form) return GeluKind::kTanh;
  }
  if (name != "gelu") {
    config.Unsupported(absl::StrCat(key, " ", files::Quoted(name)));
  }
  return GeluKind::kExact;
}

at::Tensor Gelu(const at::Tensor& x, GeluKind kind) {
  return at::gelu(x, kind == GeluKind::kTanh ? "tanh" : "none");
}

}  // namespace sinkwatch::model
