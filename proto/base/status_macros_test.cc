#include "proto/base/status_macros.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace sinkwatch::base {
namespace {

absl::StatusOr<int> Half(int number) {
  if (number % 2 == 0) return number / 2;
  return absl::InvalidArgumentError(std::to_string(number) + " is odd");
}

absl::Status CheckEven(int number, int* calls) {
  ++*calls;
  return Half(number).status();
}

absl::Status CheckBoth(int first, int second, int* calls) {
  RETURN_IF_ERROR(CheckEven(first, calls));
  RETURN_IF_ERROR(CheckEven(second, calls));
  return absl::OkStatus();
}

absl::StatusOr<int> Quarter(int number) {
  ASSIGN_OR_RETURN(const int half, Half(number));
  int quarter = 0;
  ASSIGN_OR_RETURN(quarter, Half(half));
  return quarter;
}

absl::StatusOr<std::unique_ptr<int>> Boxed(int number) {
  RETURN_IF_ERROR(Half(number).status());
  return std::make_unique<int>(number);
}

absl::StatusOr<int> SumOfBoxes(const std::map<int, int>& numbers) {
  int sum = 0;
  for (const auto& number : numbers) {
    ASSIGN_OR_RETURN(const std::unique_ptr<int> box, Boxed(number.second));
    sum += *box;
  }
  return sum;
}

TEST(ReturnIfErrorTest, StopsAtTheFirstErrorAndEvaluatesOnce) {
  int calls = 0;
  EXPECT_TRUE(CheckBoth(2, 4, &calls).ok());
  EXPECT_EQ(calls, 2);
  const absl::Status status = CheckBoth(3, 5, &calls);
  EXPECT_EQ(status, absl::InvalidArgumentError("3 is odd"));
  EXPECT_EQ(calls, 3);
}

TEST(ReturnIfErrorTest, IsOneStatement) {
  const auto check = [](bool wanted, int number) -> absl::Status {
    if (wanted)
      RETURN_IF_ERROR(Half(number).status());
    else
      return absl::CancelledError("not wanted");
    return absl::OkStatus();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(check(true, 1)));
  EXPECT_TRUE(check(true, 2).ok());
  EXPECT_TRUE(absl::IsCancelled(check(false, 1)));
}

TEST(AssignOrReturnTest, AssignsAndDeclares) {
  EXPECT_EQ(Quarter(12).value(), 3);
  EXPECT_EQ(Quarter(7).status().message(), "7 is odd");
  EXPECT_EQ(Quarter(6).status().message(), "3 is odd");
}

TEST(AssignOrReturnTest, MovesWhatCannotBeCopied) {
  EXPECT_EQ(SumOfBoxes({{1, 4}, {2, 6}}).value(), 10);
  EXPECT_EQ(SumOfBoxes({{1, 4}, {2, 5}}).status().message(), "5 is odd");
}

TEST(AssignOrReturnTest, TakesAnExpressionWithCommas) {
  const auto first = [](std::map<int, int> numbers) -> absl::StatusOr<int> {
    ASSIGN_OR_RETURN(const int sum,
                     SumOfBoxes(std::map<int, int>(std::move(numbers))));
    ASSIGN_OR_RETURN(
        const int half,
        std::pair<int, absl::StatusOr<int>>(sum, Half(sum)).second);
    return half;
  };
  EXPECT_EQ(first({{1, 4}, {2, 6}}).value(), 5);
}

}  // namespace
}  // namespace sinkwatch::base
