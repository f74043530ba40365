#include "server/answers/reference_columns.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace sinkwatch::answers {
namespace {

v1::ReferencePoint* Add(v1::ListReferencesResponse* list, int64_t step,
                        double value) {
  v1::ReferencePoint* point = list->add_points();
  point->set_reference("guo");
  point->set_model("toy");
  point->set_step(step);
  point->set_value(value);
  return point;
}

TEST(LayReferencesTest, ValuesStandInTheRowsOfTheirStep) {
  Table table{{"x", "L0"}, {{int64_t{0}, 1.f}, {int64_t{100}, 2.f}}};
  v1::ListReferencesResponse list;
  Add(&list, 100, .5)->set_layer(0);
  Add(&list, 50, .25)->set_layer(0);
  Add(&list, 50, .75)->set_layer(0);
  Add(&list, 0, 9);
  list.add_points()->set_model("of no step");
  LayReferences(list, "step", &table);
  EXPECT_EQ(table.columns,
            (std::vector<std::string>{"x", "L0", "guo: toy L0", "guo: toy"}));
  const std::vector<std::vector<Cell>> rows = {{int64_t{0}, 1.f, {}, 9.0},
                                               {int64_t{50}, {}, .25, {}},
                                               {int64_t{100}, 2.f, .5, {}}};
  EXPECT_EQ(table.rows, rows);
}

TEST(LayReferencesTest, OverTokensOnlyThoseThatKnowThem) {
  Table table{{"x", "L0"}, {{int64_t{1000}, 1.f}}};
  v1::ListReferencesResponse list;
  Add(&list, 100, .5);
  Add(&list, 100, .25)->set_tokens(1000);
  LayReferences(list, "tokens", &table);
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(table.rows[0][2], Cell(.25));
}

}  // namespace
}  // namespace sinkwatch::answers
