#include "server/exporter/gzip.h"

#include <zlib.h>

#include "gtest/gtest.h"

namespace sinkwatch::exporter {
namespace {

// What a client makes of one gzip member; "error" if zlib objects (it checks
// the checksum and the length) or if bytes are left behind the member.
std::string Inflate(std::string bytes) {
  z_stream stream = {};
  inflateInit2(&stream, 15 + 16);
  std::string text(1 << 22, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_in = bytes.size();
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = text.size();
  const int code = inflate(&stream, Z_FINISH);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  return code == Z_STREAM_END && stream.avail_in == 0 ? text : "error";
}

std::string Page(int lines) {
  std::string text;
  for (int i = 0; i < lines; ++i) {
    text += "sinkwatch_x{layer=\"" + std::to_string(i) + "\"} 0.5\n";
  }
  return text;
}

TEST(Gzip, WholeTextComesBack) {
  EXPECT_EQ(Inflate(Gzip(Page(1000))), Page(1000));
  EXPECT_EQ(Inflate(Gzip("")), "");
  EXPECT_LT(Gzip(Page(1000)).size(), Page(1000).size() / 5);
}

TEST(Gzip, TwoPartsMakeOneMember) {
  const GzipPrefix prefix = StartGzip(Page(20000));
  for (const std::string& tail : {std::string("tail"), Page(7)}) {
    EXPECT_EQ(Inflate(prefix.bytes + FinishGzip(prefix, tail)),
              Page(20000) + tail);
  }
}

TEST(Gzip, PartsMayBeEmpty) {
  const GzipPrefix nothing = StartGzip("");
  EXPECT_EQ(Inflate(nothing.bytes + FinishGzip(nothing, "x")), "x");
  const GzipPrefix prefix = StartGzip("x");
  EXPECT_EQ(Inflate(prefix.bytes + FinishGzip(prefix, "")), "x");
}

}  // namespace
}  // namespace sinkwatch::exporter
