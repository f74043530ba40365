#include "worker/model/gelu.h"

#include "ATen/ops/gelu.h"
#include "absl/strings/str_cat.h"
#include "worker/files/strict_json.h"

namespace sinkwatch::model {

absl::StatusOr<GeluKind> ReadGelu(const checkpoint::Config& config,
                                  const std::string& key,
                                  const std::string& fallback) {
  const auto name = config.StringOr(key, fallback);
  if (!name.ok()) return name.status();
  if (*name == "gelu") return GeluKind::kExact;
  for (const char* form : {"gelu_new", "gelu_fast", "gelu_pytorch_tanh"}) {
    if (*name == form) return GeluKind::kTanh;
  }
  return config.Unsupported(absl::StrCat(key, " ", files::Quoted(*name)));
}

at::Tensor Gelu(const at::Tensor& x, GeluKind kind) {
  return at::gelu(x, kind == GeluKind::kTanh ? "tanh" : "none");
}

}  // namespace sinkwatch::model
