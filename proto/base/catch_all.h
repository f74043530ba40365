#ifndef SINKWATCH_PROTO_BASE_CATCH_ALL_H_
#define SINKWATCH_PROTO_BASE_CATCH_ALL_H_

#include <exception>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace sinkwatch::base {

// What `body` gives, an absl::Status or something made of one; if an exception
// leaves it, RESOURCE_EXHAUSTED for want of memory, else INTERNAL. For the
// edges of the process: handlers, callbacks and the loops of threads.
template <typename Body>
auto CatchAll(Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("there is not enough memory for it");
  } catch (const std::exception& error) {
    return absl::InternalError(
        absl::StrCat("an exception ended it: ", error.what()));
  } catch (...) {
    return absl::InternalError("an exception of an unknown kind ended it");
  }
}

}  // namespace sinkwatch::base

#endif  // SINKWATCH_PROTO_BASE_CATCH_ALL_H_
