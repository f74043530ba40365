#include "proto/base/json_string.h"

#include "nlohmann/json.hpp"

namespace sinkwatch::base {

std::string JsonString(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', /*ensure_ascii=*/false,
                                   nlohmann::json::error_handler_t::replace);
}

}  // namespace sinkwatch::base
