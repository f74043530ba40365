#include "server/store/statement.h"

#include <cstdint>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace sinkwatch::store {
namespace {

const char kSelect[] = "SELECT n FROM number WHERE n >= ? ORDER BY n";

class StatementTest : public testing::Test {
 protected:
  StatementTest() {
    EXPECT_EQ(sqlite3_open(":memory:", &database_), SQLITE_OK);
    KeepStatements(database_);
    EXPECT_TRUE(Statement(database_, "CREATE TABLE number (n)").Run().ok());
    for (int64_t n = 0; n < 3; ++n) {
      Statement insert(database_, "INSERT INTO number VALUES (?)");
      EXPECT_TRUE(insert.Bind(n).Run().ok());
    }
  }
  ~StatementTest() override {
    sqlite3* const database = std::exchange(database_, nullptr);
    CloseConnection(database);
  }
  int Prepared() {
    int count = 0;
    for (sqlite3_stmt* at = nullptr;
         (at = sqlite3_next_stmt(database_, at)) != nullptr;) {
      ++count;
    }
    return count;
  }

  sqlite3* database_ = nullptr;
};

TEST_F(StatementTest, IsPreparedOnceForAllOfItsText) {
  const int before = Prepared();
  for (int64_t n = 0; n < 3; ++n) {
    Statement select(database_, kSelect);
    ASSERT_TRUE(select.Bind(n).Step());
    EXPECT_EQ(select.Int(), n);
  }
  EXPECT_EQ(Prepared(), before + 1);
}

TEST_F(StatementTest, TwoAtOnceOfOneTextAreTwo) {
  Statement outer(database_, kSelect);
  outer.Bind(int64_t{1});
  {
    Statement inner(database_, kSelect);
    ASSERT_TRUE(inner.Bind(int64_t{2}).Step());
    EXPECT_EQ(inner.Int(), 2);
  }
  ASSERT_TRUE(outer.Step());
  EXPECT_EQ(outer.Int(), 1);
}

TEST_F(StatementTest, BeginsWithNothingBoundAndNothingRead) {
  {
    Statement select(database_, kSelect);
    ASSERT_TRUE(select.Bind(int64_t{2}).Step());
  }
  Statement select(database_, kSelect);
  EXPECT_FALSE(select.Step()) << "nothing is >= NULL";
  // Nobody reads any more: the table can go.
  EXPECT_TRUE(Statement(database_, "DROP TABLE number").Run().ok());
}

TEST_F(StatementTest, OfSomebodysListNothingIsKept) {
  const int before = Prepared();
  std::string select = "SELECT n FROM number WHERE n IN (0";
  for (int i = 1; i < 2000; ++i) select += "," + std::to_string(i);
  EXPECT_TRUE(Statement(database_, select + ")").Run().ok());
  EXPECT_EQ(Prepared(), before);
}

TEST_F(StatementTest, OfOneThatFailedNothingIsKept) {
  const int before = Prepared();
  for (int i = 0; i < 2; ++i) {
    Statement insert(database_, "INSERT INTO number SELECT abs(?)");
    EXPECT_FALSE(insert.Bind(INT64_MIN).Run().ok());
  }
  EXPECT_EQ(Prepared(), before);
}

}  // namespace
}  // namespace sinkwatch::store
