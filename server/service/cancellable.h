#ifndef SINKWATCH_SERVER_SERVICE_CANCELLABLE_H_
#define SINKWATCH_SERVER_SERVICE_CANCELLABLE_H_

#include <mutex>

#include "grpcpp/server_context.h"

namespace sinkwatch::service {

// The context of a call for as long as gRPC keeps it, for others that may end
// the call. Cancelling may do so on this very thread, so its lock may be taken
// twice by one. Thread-safe.
class Cancellable {
 public:
  explicit Cancellable(grpc::CallbackServerContext* context)
      : context_(context) {}

  void Cancel() {
    std::lock_guard<std::recursive_mutex> lock(mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }
  // gRPC is done with the call.
  void Forget() {
    std::lock_guard<std::recursive_mutex> lock(mutex_);
    context_ = nullptr;
  }

 private:
  std::recursive_mutex mutex_;
  grpc::CallbackServerContext* context_;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_CANCELLABLE_H_
