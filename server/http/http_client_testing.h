#ifndef SINKWATCH_SERVER_HTTP_HTTP_CLIENT_TESTING_H_
#define SINKWATCH_SERVER_HTTP_HTTP_CLIENT_TESTING_H_

#include <map>
#include <string>
#include <vector>

namespace sinkwatch::http {

// What came back over the socket. status 0: no (whole) answer.
struct Fetched {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // as sent
};

// One request to 127.0.0.1:port on a connection of its own. `headers` are
// whole lines without line ends.
Fetched Fetch(int port, const std::string& target,
              const std::vector<std::string>& headers = {},
              const std::string& method = "GET");

// Sends `bytes` as they are and reads until the server closes.
std::string SendRaw(int port, const std::string& bytes);

// The text in one gzip member; "not gzip" if it is none.
std::string Gunzip(std::string bytes);

}  // namespace sinkwatch::http

#endif  // SINKWATCH_SERVER_HTTP_HTTP_CLIENT_TESTING_H_
