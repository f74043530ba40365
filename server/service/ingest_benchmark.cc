// StreamMeasurement over loopback: packed vectors, a chunk a layer, against one
// message per value. What the store costs on top is server/store's benchmark.
#include <memory>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/server_builder.h"
#include "proto/rpc/channel.h"
#include "server/service/measurement_reactor.h"
#include "sinkwatch/v1/worker_service.grpc.pb.h"

namespace sinkwatch::service {
namespace {

constexpr int kLayers = 16;
constexpr int kHeads = 16;
constexpr int kMetrics = 40;
constexpr int kDomains = 3;

// The real reactor; the commit answers at once.
class WireOnlyService final
    : public v1::WorkerService::WithCallbackMethod_StreamMeasurement<
          v1::WorkerService::Service> {
 public:
  grpc::ServerBidiReactor<v1::MeasurementChunk, v1::MeasurementAck>*
  StreamMeasurement(grpc::CallbackServerContext* context) override {
    return new MeasurementReactor(
        context,
        [](int64_t, int64_t, const MeasurementReactor::Begun& begun) {
          begun(store::JobRecord());
          return absl::OkStatus();
        },
        [](store::Store::CommitRequest, MeasurementReactor::Committed done) {
          done(store::CommitResult::kCommitted);
        },
        [](const absl::Status&) {}, &budget_);
  }

 private:
  ByteBudget budget_{int64_t{1} << 30};
};

v1::MeasurementChunk Begin(int heads) {
  v1::MeasurementChunk chunk;
  v1::MeasurementHeader& header = *chunk.mutable_begin()->mutable_header();
  header.mutable_model()->set_layers(kLayers);
  header.mutable_model()->set_heads(heads);
  header.mutable_model()->set_kv_heads(heads);
  for (int m = 0; m < kMetrics; ++m) {
    v1::MetricDescriptor& metric = *header.add_metrics();
    metric.set_name("metric_" + std::to_string(m));
    metric.set_scope(v1::SCOPE_HEAD);
  }
  return chunk;
}

void AddVector(v1::MeasurementChunk& chunk, const std::string& domain, int m,
               int layer, int heads) {
  v1::MetricVector& vector = *chunk.mutable_layer()->add_vectors();
  vector.set_domain(domain);
  vector.set_metric("metric_" + std::to_string(m));
  vector.set_layer(layer);
  for (int h = 0; h < heads; ++h) {
    vector.add_values(0.01F * static_cast<float>(h + m + layer));
    vector.add_standard_errors(0.001F);
  }
}

v1::MeasurementChunk End(int64_t chunks, int64_t vectors, int64_t values) {
  v1::MeasurementChunk chunk;
  chunk.mutable_end()->set_chunks(chunks);
  chunk.mutable_end()->set_vectors(vectors);
  chunk.mutable_end()->set_values(values);
  return chunk;
}

// As a worker sends it: one chunk a layer.
std::vector<v1::MeasurementChunk> Packed() {
  std::vector<v1::MeasurementChunk> chunks = {Begin(kHeads)};
  for (int layer = 0; layer < kLayers; ++layer) {
    v1::MeasurementChunk& chunk = chunks.emplace_back();
    for (int d = 0; d < kDomains; ++d) {
      for (int m = 0; m < kMetrics; ++m) {
        AddVector(chunk, "domain" + std::to_string(d), m, layer, kHeads);
      }
    }
  }
  const int64_t vectors = int64_t{kLayers} * kDomains * kMetrics;
  chunks.push_back(End(kLayers, vectors, vectors * kHeads));
  return chunks;
}

// The peer: the same values, a message each.
std::vector<v1::MeasurementChunk> OneByOne() {
  std::vector<v1::MeasurementChunk> chunks = {Begin(1)};
  for (int layer = 0; layer < kLayers; ++layer) {
    for (int d = 0; d < kDomains * kHeads; ++d) {
      for (int m = 0; m < kMetrics; ++m) {
        AddVector(chunks.emplace_back(), "domain" + std::to_string(d), m, layer,
                  1);
      }
    }
  }
  const int64_t messages = static_cast<int64_t>(chunks.size()) - 1;
  chunks.push_back(End(messages, messages, messages));
  return chunks;
}

void SendAll(benchmark::State& state,
             const std::vector<v1::MeasurementChunk>& chunks) {
  WireOnlyService service;
  grpc::ServerBuilder builder;
  rpc::SetServerLimits(builder);
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const auto stub = v1::WorkerService::NewStub(
      rpc::CreateChannel("127.0.0.1:" + std::to_string(port)));
  for (auto _ : state) {
    grpc::ClientContext context;
    auto stream = stub->StreamMeasurement(&context);
    for (const v1::MeasurementChunk& chunk : chunks) stream->Write(chunk);
    stream->WritesDone();
    v1::MeasurementAck ack;
    bool committed = false;
    while (stream->Read(&ack)) committed |= ack.committed();
    if (!stream->Finish().ok() || !committed) state.SkipWithError("refused");
  }
  state.SetItemsProcessed(state.iterations() * kLayers * kHeads * kMetrics *
                          kDomains);
  server->Shutdown();
}

void BM_Packed(benchmark::State& state) { SendAll(state, Packed()); }
BENCHMARK(BM_Packed)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_OneMessagePerValue(benchmark::State& state) {
  SendAll(state, OneByOne());
}
BENCHMARK(BM_OneMessagePerValue)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sinkwatch::service

BENCHMARK_MAIN();
