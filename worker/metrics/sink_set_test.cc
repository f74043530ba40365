#include <algorithm>

#include "gtest/gtest.h"
#include "worker/metrics/brute_force_testing.h"

namespace sinkwatch::metrics::test {
namespace {

// The detected sinks of a sequence and head, from the definition.
std::vector<int64_t> Sinks(const BruteForce& x, int64_t b, int64_t h) {
  std::vector<double> mass(x.T, 0), rows(x.T, 0);
  for (int64_t k = 0; k < x.T; ++k) {
    for (int64_t t = 1; t < x.T; ++t) {
      if (!x.Sees(t, k)) continue;
      mass[k] += x.A(b, h, t, k);
      ++rows[k];
    }
  }
  const double most = *std::max_element(rows.begin(), rows.end());
  std::vector<std::pair<double, int64_t>> found;
  for (int64_t k = 0; k < x.T; ++k) {
    const bool counts = rows[k] >= 8 && 2 * rows[k] >= most;
    if (counts && mass[k] / rows[k] > 0.2) {
      found.emplace_back(-mass[k] / rows[k], k);
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<int64_t> columns;
  for (size_t i = 0; i < std::min<size_t>(found.size(), 4); ++i) {
    columns.push_back(found[i].second);
  }
  return columns;
}

class SinkSetTest : public ::testing::TestWithParam<Shape> {};

TEST_P(SinkSetTest, EqualsTheDefinitionOnRandomLayers) {
  const LayerBatch batch = RandomLayer(GetParam());
  const BruteForce x(batch);
  const Values values = Measure({batch});
  std::vector<double> mass, size;
  double found = 0;
  for (int64_t h = 0; h < x.H; ++h) {
    double sum = 0, count = 0;
    for (int64_t b = 0; b < x.B; ++b) {
      const std::vector<int64_t> columns = Sinks(x, b, h);
      count += columns.size();
      for (int64_t t = 1; t < x.T; ++t) {
        for (int64_t k : columns) sum += x.A(b, h, t, k);
      }
    }
    mass.push_back(sum / (x.B * (x.T - 1)));
    size.push_back(count / x.B);
    found += count;
  }
  ExpectClose(values, "d sink_attention_set", mass);
  ExpectClose(values, "d sink_count", size);
  // Columns of six rows never count; elsewhere the case must be a case.
  EXPECT_EQ(found > 0, GetParam().window != 6);
}

std::vector<Shape> WithSinks() {
  std::vector<Shape> shapes = Shapes();
  for (Shape& shape : shapes) shape.spread *= 1.6;
  Shape wide;
  wide.name = "wide_window";
  wide.T = 33;
  wide.window = 12;
  wide.spread = 4;
  shapes.push_back(wide);
  Shape rather_wide;  // 11 rows or more
  rather_wide.name = "rather_wide_window";
  rather_wide.T = 40;
  rather_wide.window = 21;
  rather_wide.spread = 4;
  shapes.push_back(rather_wide);
  return shapes;
}

INSTANTIATE_TEST_SUITE_P(Shapes, SinkSetTest, ::testing::ValuesIn(WithSinks()),
                         [](const auto& info) { return info.param.name; });

TEST(SinkSetMicroTest, FindsASinkThatIsNotAtPositionZero) {
  LayerBatch batch = RandomLayer(Shape());
  batch.q_BHTE.fill_(1);
  batch.k_BGTE.fill_(0);
  batch.k_BGTE.select(2, 5).fill_(50);
  const Values values = Measure({batch});
  ExpectClose(values, "d sink_count", std::vector<double>(4, 1));
  // Rows 5 to 16 of 1 to 16.
  ExpectClose(values, "d sink_attention_set", std::vector<double>(4, 12. / 16));
}

// Rows that look at nothing but column `key`, from it on.
LayerBatch AllOnColumn(int64_t key, int64_t tokens, int64_t window = 0) {
  Shape shape;
  shape.T = tokens;
  shape.window = window;
  LayerBatch batch = RandomLayer(shape);
  batch.q_BHTE.fill_(1);
  batch.k_BGTE.fill_(0);
  batch.k_BGTE.select(2, key).fill_(50);
  return batch;
}

double SinkCount(const LayerBatch& batch) {
  return Measure({batch}).at("d sink_count").values[0];
}

// Of 40 rows, 39 see columns 0 and 1: a sink is seen by 20 or more.
TEST(SinkSetMicroTest, ASinkIsSeenByHalfAsManyRowsAsTheMostSeenColumn) {
  EXPECT_EQ(SinkCount(AllOnColumn(20, 40)), 1);
  EXPECT_EQ(SinkCount(AllOnColumn(21, 40)), 0);  // 19 rows
}

// With a window of 20 no column is seen by more rows, so 10 are half.
TEST(SinkSetMicroTest, HalfAWindowOfRowsIsEnough) {
  EXPECT_EQ(SinkCount(AllOnColumn(30, 40, 20)), 1);
  EXPECT_EQ(SinkCount(AllOnColumn(31, 40, 20)), 0);  // 9 rows
}

TEST(SinkSetMicroTest, LateColumnsAreNoSinks) {
  LayerBatch batch = RandomLayer(Shape());
  batch.q_BHTE.fill_(1);
  batch.k_BGTE.fill_(0);
  batch.k_BGTE.select(2, 10).fill_(50);  // rows 10 to 16 see it: seven
  const Values values = Measure({batch});
  // Column 0 has rows 1 to 9 of even attention and seven of nothing; column 1
  // likewise. Both are below .2.
  ExpectClose(values, "d sink_count", std::vector<double>(4, 0));
}

}  // namespace
}  // namespace sinkwatch::metrics::test
