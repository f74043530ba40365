#ifndef SINKWATCH_SERVER_STORE_PAGING_H_
#define SINKWATCH_SERVER_STORE_PAGING_H_

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace sinkwatch::store {

// Rows of a page: what was asked for, `fallback` for 0 or less.
inline int32_t PageSize(int32_t asked, int32_t fallback, int32_t most) {
  return asked <= 0 ? fallback : std::min(asked, most);
}

inline absl::Status WrongToken(const std::string& token) {
  return absl::InvalidArgumentError(
      absl::StrCat("page_token \"", token, "\" is not one of this list"));
}

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_PAGING_H_
