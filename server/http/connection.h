#ifndef SINKWATCH_SERVER_HTTP_CONNECTION_H_
#define SINKWATCH_SERVER_HTTP_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace sinkwatch::http {

// The bytes of one client: what came and was not taken yet, what is to be sent.
// Owns the descriptor, which must not block. Not thread-safe.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  ~Connection();

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }

  enum class Io {
    kDone,     // everything there was, or all of it
    kBlocked,  // the client must act first
    kClosed,   // the client is gone
  };

  // Reads what is there, keeping at most `limit` bytes in all. kBlocked where
  // there may come more; kDone at the limit and at the client's end.
  Io Receive(size_t limit);
  // Line and headers of the next request without the empty line that ends them;
  // nothing while it is not whole.
  absl::optional<std::string> TakeRequest();
  size_t received() const { return in_.size(); }
  // Reads and forgets what is there. kDone at the client's end.
  Io Discard();

  // What is to be sent, one answer at a time.
  void Answer(std::string head, std::shared_ptr<const std::string> prefix,
              std::string body);
  // Sends what the client takes.
  Io Send();
  // No more will be sent.
  void EndSending();

 private:
  // What is left to send of the part that is sent now.
  absl::string_view Rest() const;

  const int fd_;
  std::string in_;
  std::string head_;
  std::shared_ptr<const std::string> prefix_;
  std::string body_;
  size_t sent_ = 0;  // of all three
};

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_CONNECTION_H_
