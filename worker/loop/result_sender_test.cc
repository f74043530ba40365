#include "worker/loop/result_sender.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "worker/loop/scripted_server_testing.h"

namespace sinkwatch::worker {
namespace {

constexpr auto kNever = [] { return false; };

v1::MeasurementChunk::Layer LayerOf(int layer) {
  v1::MeasurementChunk::Layer proto;
  for (const char* metric : {"sink_attention", "residual_norm_sink"}) {
    v1::MetricVector& vector = *proto.add_vectors();
    vector.set_metric(metric);
    vector.set_layer(layer);
    vector.add_values(0.5f);
    vector.add_values(0.25f);
  }
  return proto;
}

class ResultSenderTest : public ::testing::Test {
 protected:
  absl::Status SendAll(const std::function<bool()>& give_up) {
    ResultSender sender(*stub_, 7, 3);
    v1::MeasurementHeader header;
    header.set_dtype("float32");
    sender.SendHeader(header);
    for (int layer = 0; layer < 3; ++layer) sender.SendLayer(LayerOf(layer));
    v1::MeasurementTrailer trailer;
    trailer.set_content_digest("abc");
    return sender.Commit(trailer, give_up);
  }

  // The one measurement, whole and in order.
  static void ExpectWhole(const std::vector<v1::MeasurementChunk>& chunks) {
    ASSERT_EQ(chunks.size(), 5u);
    EXPECT_EQ(chunks[0].begin().job_id(), 7);
    EXPECT_EQ(chunks[0].begin().token(), 3);
    EXPECT_EQ(chunks[0].begin().header().dtype(), "float32");
    for (int layer = 0; layer < 3; ++layer) {
      EXPECT_EQ(chunks[1 + layer].layer().vectors(0).layer(), layer);
    }
    EXPECT_EQ(chunks[4].end().content_digest(), "abc");
    EXPECT_EQ(chunks[4].end().chunks(), 3);
    EXPECT_EQ(chunks[4].end().vectors(), 6);
    EXPECT_EQ(chunks[4].end().values(), 12);
  }

  ScriptedServer server_;
  const std::unique_ptr<v1::WorkerService::Stub> stub_ = server_.NewStub();
};

TEST_F(ResultSenderTest, CommittedEndsIt) {
  EXPECT_TRUE(SendAll(kNever).ok());
  const auto streams = server_.told().streams;
  ASSERT_EQ(streams.size(), 1u);
  ExpectWhole(streams[0]);
}

TEST_F(ResultSenderTest, BrokenBeforeTheAckSendsTheWholeAgain) {
  server_.NextStreams({StreamEnd::kBreak});
  EXPECT_TRUE(SendAll(kNever).ok());
  const auto streams = server_.told().streams;
  ASSERT_EQ(streams.size(), 2u);
  ExpectWhole(streams[0]);
  ExpectWhole(streams[1]);
}

TEST_F(ResultSenderTest, CutOffAtTheFirstChunkSendsTheWholeAgain) {
  server_.NextStreams({StreamEnd::kCutOff, StreamEnd::kCutOff});
  EXPECT_TRUE(SendAll(kNever).ok());
  const auto streams = server_.told().streams;
  ASSERT_EQ(streams.size(), 3u);
  ExpectWhole(streams[2]);
}

TEST_F(ResultSenderTest, ServerAwayIsWaitedFor) {
  server_.Stop();
  int polls = 0;
  const auto start_at_second_try = [&] {
    if (++polls == 2) server_.Start();
    return false;
  };
  EXPECT_TRUE(SendAll(start_at_second_try).ok());
  ASSERT_EQ(server_.told().streams.size(), 1u);
  ExpectWhole(server_.told().streams[0]);
}

TEST_F(ResultSenderTest, LostLeaseIsAbortedAndNotTriedAgain) {
  server_.NextStreams({StreamEnd::kAbort});
  const absl::Status status = SendAll(kNever);
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_NE(std::string(status.message()).find("fenced off"),
            std::string::npos);
  EXPECT_EQ(server_.told().streams.size(), 1u);
}

TEST_F(ResultSenderTest, GivingUpEndsTheTries) {
  server_.Stop();
  EXPECT_EQ(SendAll([] { return true; }).code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(ResultSenderTest, EndWithoutAWordIsNoSuccess) {
  server_.NextStreams({StreamEnd::kSilence});
  const absl::Status status = SendAll(kNever);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
}

TEST_F(ResultSenderTest, DroppedHalfwayCommitsNothing) {
  {
    ResultSender sender(*stub_, 7, 3);
    sender.SendHeader({});
    sender.SendLayer(LayerOf(0));
  }
  ASSERT_TRUE(server_.WaitFor(
      [](const auto& told) { return told.streams.size() == 1; }));
  const auto told = server_.told();
  for (const v1::MeasurementChunk& chunk : told.streams[0]) {
    EXPECT_FALSE(chunk.has_end());
  }
}

}  // namespace
}  // namespace sinkwatch::worker
