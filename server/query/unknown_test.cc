#include "server/query/unknown.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace sinkwatch::query {
namespace {

std::string Lacking(const std::string& name,
                    const std::vector<std::string>& all) {
  const absl::Status status =
      UnknownName("there is no run", name, all, "none is configured");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  return std::string(status.message());
}

TEST(UnknownName, NamesWhatThereIsAndWhatIsNearest) {
  EXPECT_EQ(Lacking("a", {}), "there is no run \"a\"; none is configured");
  EXPECT_EQ(Lacking("xyz", {"olmo", "toy"}),
            "there is no run \"xyz\"; there are olmo, toy");
  EXPECT_EQ(Lacking("olm", {"olmo", "toy"}),
            "there is no run \"olm\"; there are olmo, toy; did you mean olmo?");
}

TEST(UnknownName, ShortensALongList) {
  std::vector<std::string> names;
  for (int i = 0; i < 300; ++i) names.push_back(absl::StrCat("run-", 1000 + i));
  const std::string text = Lacking("rum-1200", names);
  EXPECT_NE(text.find("run-1019 and 280 more; did you mean run-1200?"),
            std::string::npos)
      << text;
}

TEST(UnknownNumber, JoinsNeighbours) {
  EXPECT_EQ(UnknownNumber("there is no layer", 99, {-1, 0, 1, 2, 7}).message(),
            "there is no layer 99; there are -1 to 2, 7");
}

TEST(UnknownStep, NamesTheNeighbours) {
  const auto near = [](int64_t step, const std::vector<int64_t>& measured) {
    return std::string(UnknownStep("nothing", step, measured).message());
  };
  EXPECT_EQ(near(3, {}), "nothing of step 3; none is measured yet");
  EXPECT_EQ(near(120, {100, 500}),
            "nothing of step 120; the nearest measured steps are 100 and 500");
  EXPECT_EQ(near(3, {100, 500}),
            "nothing of step 3; the nearest measured step is 100");
  EXPECT_EQ(near(900, {100, 500}),
            "nothing of step 900; the nearest measured step is 500");
}

}  // namespace
}  // namespace sinkwatch::query
