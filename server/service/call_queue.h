#ifndef SINKWATCH_SERVER_SERVICE_CALL_QUEUE_H_
#define SINKWATCH_SERVER_SERVICE_CALL_QUEUE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "google/protobuf/message_lite.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "proto/base/mutex.h"
#include "server/service/rpc_timer.h"

namespace sinkwatch::service {

struct CallLimits {
  int threads = 4;
  // Calls that wait at most, and what their requests may have together.
  int max_waiting = 2000;
  int64_t max_waiting_bytes = int64_t{32} << 20;
  // One request.
  int64_t max_request_bytes = int64_t{256} << 10;
  // Answers that their clients have not taken yet, together. Where they are
  // more, new calls are refused, and those that were not taken for `patience`
  // are cancelled.
  int64_t max_answer_bytes = int64_t{128} << 20;
  std::chrono::steady_clock::duration patience = std::chrono::seconds(10);
};

// Answers unary calls on a few threads of its own, in the order in which they
// came, so that no number of calls is a number of threads or of answers in
// memory. What is too much is RESOURCE_EXHAUSTED at once; a call whose client
// has gone is passed over; what a body asks of the store ends when its client
// goes (store::CancelScope). No exception leaves it.
//
// Thread-safe. Must outlive the gRPC server.
class CallQueue {
 public:
  using Body = std::function<absl::Status()>;

  explicit CallQueue(const CallLimits& limits);
  // Answers what still waits, then joins.
  ~CallQueue();

  // The reactor of a call that `body` answers by filling `answer` on one of the
  // threads. All of it lives until gRPC is done with the call.
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context,
                                   const google::protobuf::MessageLite& request,
                                   google::protobuf::MessageLite& answer,
                                   const RpcTimer& timer, Body body);

  // Runs `task` in its turn. RESOURCE_EXHAUSTED if too much waits.
  absl::Status Submit(int64_t bytes, std::function<void()> task);

 private:
  class Call;
  struct Task {
    int64_t bytes = 0;
    std::function<void()> run;
  };
  struct Held {
    std::chrono::steady_clock::time_point since;
    std::function<void()> cancel;
  };

  void Loop();
  // The next one; none when there will be none any more.
  Task Next();
  absl::Status Start(Call& call, int64_t request_bytes);
  absl::Status Run(Call& call);
  absl::Status CheckRoom();
  void Hold(Call& call);
  void Release(int64_t ticket, int64_t bytes);

  const CallLimits limits_;
  base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  int64_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // Answers that are on their way, by ticket, the oldest first.
  std::map<int64_t, Held> answers_ ABSL_GUARDED_BY(mutex_);
  int64_t answer_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t next_ticket_ ABSL_GUARDED_BY(mutex_) = 1;
  std::vector<std::thread> threads_;
};

}  // namespace sinkwatch::service

#endif  // SINKWATCH_SERVER_SERVICE_CALL_QUEUE_H_
