#include "server/exporter/latest_cache.h"

#include "absl/strings/str_cat.h"
#include "server/exporter/shown_metrics.h"
#include "spdlog/spdlog.h"

namespace sinkwatch::exporter {
namespace {

void Complain(const store::Store::LatestKey& key,
              const std::vector<std::string>& damaged) {
  for (const std::string& what : damaged) {
    spdlog::error(
        "event=values_unreadable run={} stage=\"{}\" step={} what=\"{}\" "
        "hint=\"missing from /metrics; measure the step again\"",
        key.run, key.stage, key.step, what);
  }
}

}  // namespace

LatestCache::LatestCache(store::Store* store, std::vector<std::string> metrics)
    : store_(store), metrics_(std::move(metrics)) {}

LatestCache::Entry LatestCache::Read(const store::Store::LatestKey& key) const {
  Entry entry;
  auto facts = store_->MeasurementFacts(key.measurement);
  absl::Status status = facts.status();
  if (facts.ok()) {
    const Descriptors shown = ShownMetrics(facts->header().metrics(), metrics_);
    *facts->mutable_header()->mutable_metrics() = shown;
    std::vector<std::string> names;
    for (const auto& metric : shown) names.push_back(metric.name());
    auto values = store_->ReadMetrics(key.measurement, names);
    status = values.status();
    if (values.ok()) {
      for (v1::MetricVector& vector : values->vectors) {
        *facts->add_vectors() = std::move(vector);
      }
      entry.damaged = std::move(values->damaged);
    }
  }
  if (status.ok()) {
    entry.measurement =
        std::make_shared<const v1::Measurement>(*std::move(facts));
  } else {
    entry.damaged.push_back(std::string(status.message()));
    entry.may_pass = !absl::IsDataLoss(status);
  }
  return entry;
}

const LatestCache::Entry& LatestCache::Find(const store::Store::LatestKey& key,
                                            std::map<int64_t, Entry>& old) {
  const auto known = old.find(key.measurement);
  const bool is_new = known == old.end();
  Entry entry =
      is_new || known->second.may_pass ? Read(key) : std::move(known->second);
  if (is_new) Complain(key, entry.damaged);
  return entries_.emplace(key.measurement, std::move(entry)).first->second;
}

absl::Status LatestCache::Update() {
  const auto keys = store_->LatestKeys();
  if (!keys.ok()) return keys.status();
  std::map<int64_t, Entry> old;
  old.swap(entries_);
  latest_.clear();
  unreadable_.clear();
  for (const store::Store::LatestKey& key : *keys) {
    const Entry& entry = Find(key, old);
    if (entry.measurement != nullptr) latest_.push_back(entry.measurement);
    if (!entry.damaged.empty()) {
      unreadable_[key.run] += static_cast<int64_t>(entry.damaged.size());
    }
  }
  return absl::OkStatus();
}

}  // namespace sinkwatch::exporter
