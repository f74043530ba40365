#include "server/http/http_client_testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <cctype>
#include <cstdlib>
#include <sstream>

namespace sinkwatch::http {
namespace {

std::string LowerCase(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(c));
  return text;
}

}  // namespace

std::string SendRaw(int port, const std::string& bytes) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) ==
          0 &&
      send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size())) {
    char buffer[65536];
    ssize_t count = 0;
    while ((count = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
      answer.append(buffer, count);
    }
  }
  close(fd);
  return answer;
}

Fetched Fetch(int port, const std::string& target,
              const std::vector<std::string>& headers,
              const std::string& method) {
  std::string request = method + " " + target + " HTTP/1.1\r\nHost: test\r\n";
  for (const std::string& header : headers) request += header + "\r\n";
  const std::string answer =
      SendRaw(port, request + "Connection: close\r\n\r\n");
  Fetched fetched;
  const size_t end = answer.find("\r\n\r\n");
  if (end == std::string::npos || answer.size() < 12) return fetched;
  std::istringstream lines(answer.substr(0, end));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    const size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    if (line.back() == '\r') line.pop_back();
    fetched.headers[LowerCase(line.substr(0, colon))] = line.substr(colon + 2);
  }
  fetched.status = std::atoi(answer.c_str() + 9);
  fetched.body = answer.substr(end + 4);
  return fetched;
}

std::string Gunzip(std::string bytes) {
  z_stream stream = {};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return "not gzip";
  std::string text;
  stream.next_in = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  int code = Z_OK;
  std::string chunk(1 << 16, '\0');
  while (code == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    code = inflate(&stream, Z_NO_FLUSH);
    text.append(chunk, 0, chunk.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  return code == Z_STREAM_END && stream.avail_in == 0 ? text : "not gzip";
}

}  // namespace sinkwatch::http
