#include "server/service/call_queue.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/base/catch_all.h"
#include "proto/rpc/status.h"
#include "server/service/cancellable.h"
#include "server/store/cancel_scope.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::service {
// One call, from its coming until gRPC is done with it.
class CallQueue::Call final : public grpc::ServerUnaryReactor {
 public:
  Call(CallQueue* queue, grpc::CallbackServerContext* context,
       google::protobuf::MessageLite* answer, const RpcTimer& timer, Body body)
      : queue(queue),
        context(context),
        answer(answer),
        timer(timer),
        body(std::move(body)),
        cancellable(std::make_shared<Cancellable>(context)) {}

  void OnDone() override {
    cancellable->Forget();
    if (ticket != 0) queue->Release(ticket, bytes);
    delete this;
  }

  CallQueue* const queue;
  grpc::CallbackServerContext* const context;
  google::protobuf::MessageLite* const answer;
  const RpcTimer timer;
  const Body body;
  const std::shared_ptr<Cancellable> cancellable;
  // Of the answer, once it is held.
  int64_t ticket = 0;
  int64_t bytes = 0;
};

CallQueue::CallQueue(const CallLimits& limits) : limits_(limits) {
  for (int i = 0; i < limits_.threads; ++i) {
    threads_.emplace_back([this] { Loop(); });
  }
}

CallQueue::~CallQueue() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
}

grpc::ServerUnaryReactor* CallQueue::Answer(
    grpc::CallbackServerContext* context,
    const google::protobuf::MessageLite& request,
    google::protobuf::MessageLite& answer, const RpcTimer& timer, Body body) {
  Call* call = nullptr;
  const absl::Status status = base::CatchAll([&] {
    call = new Call(this, context, &answer, timer, std::move(body));
    return Start(*call, static_cast<int64_t>(request.ByteSizeLong()));
  });
  if (call == nullptr) {
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(timer.End(status));
    return reactor;
  }
  if (!status.ok()) call->Finish(timer.End(status));
  return call;
}

absl::Status CallQueue::Start(Call& call, int64_t request_bytes) {
  if (request_bytes > limits_.max_request_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request has ", request_bytes, " bytes, above ",
                     limits_.max_request_bytes));
  }
  return Submit(request_bytes, [this, &call] {
    // Once it is finished, the call may be gone.
    const RpcTimer timer = call.timer;
    call.Finish(timer.End(base::CatchAll([&] { return Run(call); })));
  });
}

absl::Status CallQueue::Run(Call& call) {
  grpc::CallbackServerContext* const context = call.context;
  if (context->IsCancelled()) {
    return absl::CancelledError("nobody waits for the answer any more");
  }
  absl::Status status = CheckRoom();
  if (!status.ok()) return status;
  const store::CancelScope scope([context] { return context->IsCancelled(); });
  status = call.body();
  if (status.ok()) Hold(call);
  return status;
}

absl::Status CallQueue::CheckRoom() {
  const auto late = std::chrono::steady_clock::now() - limits_.patience;
  std::vector<std::function<void()>> cancels;
  {
    base::MutexLock lock(mutex_);
    if (answer_bytes_ < limits_.max_answer_bytes) return absl::OkStatus();
    for (const auto& [ticket, held] : answers_) {
      if (held.since > late) break;
      cancels.push_back(held.cancel);
    }
  }
  for (const auto& cancel : cancels) cancel();
  return absl::ResourceExhaustedError(
      "too many answers wait for their clients to read them; ask again");
}

void CallQueue::Hold(Call& call) {
  call.bytes = static_cast<int64_t>(call.answer->ByteSizeLong());
  base::MutexLock lock(mutex_);
  Held held{std::chrono::steady_clock::now(),
            [cancellable = call.cancellable] { cancellable->Cancel(); }};
  answers_.emplace(next_ticket_, std::move(held));
  call.ticket = next_ticket_++;
  answer_bytes_ += call.bytes;
}

void CallQueue::Release(int64_t ticket, int64_t bytes) {
  base::MutexLock lock(mutex_);
  answers_.erase(ticket);
  answer_bytes_ -= bytes;
}

absl::Status CallQueue::Submit(int64_t bytes, std::function<void()> task) {
  {
    base::MutexLock lock(mutex_);
    if (static_cast<int>(tasks_.size()) >= limits_.max_waiting ||
        waiting_bytes_ + bytes > limits_.max_waiting_bytes) {
      return absl::ResourceExhaustedError("too many calls wait; ask again");
    }
    tasks_.push_back({bytes, std::move(task)});
    waiting_bytes_ += bytes;
  }
  changed_.NotifyOne();
  return absl::OkStatus();
}

CallQueue::Task CallQueue::Next() {
  base::MutexLock lock(mutex_);
  while (tasks_.empty() && !stopping_) changed_.Wait(mutex_);
  if (tasks_.empty()) return {};
  Task task = std::move(tasks_.front());
  tasks_.pop_front();
  waiting_bytes_ -= task.bytes;
  return task;
}

void CallQueue::Loop() {
  while (const auto task = Next().run) {
    const absl::Status status = base::CatchAll([&] {
      task();
      return absl::OkStatus();
    });
    if (!status.ok())
      spdlog::error("event=call_lost error=\"{}\"", status.ToString());
  }
}

}  // namespace sinkwatch::service
