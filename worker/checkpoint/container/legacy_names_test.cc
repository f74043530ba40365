#include "worker/checkpoint/container/legacy_names.h"

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint {
namespace {

using std::string_literals::operator""s;

constexpr absl::StatusCode kCorrupt = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnsupported = absl::StatusCode::kUnimplemented;

// python3 -c 'import base64, pickle
// print(base64.urlsafe_b64encode(pickle.dumps((("transformer.wte.weight",),
//   False))).decode())'
constexpr char kWte[] =
    "gASVHwAAAAAAAACMFnRyYW5zZm9ybWVyLnd0ZS53ZWlnaHSUhZSJhpQu";
// The same of (("a", 7, "b"), True), (("x",), False) and, with protocol=5, of
// (("x",), False).
constexpr char kPath[] = "gASVEAAAAAAAAACMAWGUSweMAWKUh5SIhpQu";
constexpr char kX[] = "gASVCgAAAAAAAACMAXiUhZSJhpQu";
constexpr char kX5[] = "gAWVCgAAAAAAAACMAXiUhZSJhpQu";

// base64url with padding.
std::string Encoded(const std::string& bytes) {
  std::string text = absl::WebSafeBase64Escape(bytes);
  while (text.size() % 4 != 0) text += '=';
  return text;
}

TEST(LegacyNames, AreDecoded) {
  EXPECT_TRUE(IsLegacyName(kWte));
  EXPECT_TRUE(IsLegacyName(kX5));
  EXPECT_FALSE(IsLegacyName("model.embed_tokens.weight"));
  auto wte = DecodeLegacyName(kWte);
  ASSERT_TRUE(wte.ok()) << wte.status();
  EXPECT_EQ(wte->name, "transformer.wte.weight");
  EXPECT_FALSE(wte->value_is_pickled);
  auto path = DecodeLegacyName(kPath);
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_EQ(path->name, "a.7.b");
  EXPECT_TRUE(path->value_is_pickled);
  auto x = DecodeLegacyName(kX5);
  ASSERT_TRUE(x.ok()) << x.status();
  EXPECT_EQ(x->name, "x");
}

struct BadName {
  const char* name;
  std::string text;
  absl::StatusCode code;
  std::string words;
};

class BadNameTest : public ::testing::TestWithParam<BadName> {};

TEST_P(BadNameTest, IsRefused) {
  files::ExpectError(DecodeLegacyName(GetParam().text).status(),
                     GetParam().code, {"a pickled name", GetParam().words});
}

std::string P4(const std::string& body) { return Encoded("\x80\x04"s + body); }

INSTANTIATE_TEST_SUITE_P(
    Names, BadNameTest,
    ::testing::Values(
        BadName{"NotBase64", "gASV!!!!", kCorrupt, "base64url"},
        BadName{"StandardAlphabet",
                Encoded("\x80\x04\xfb\xff\xfe"s).substr(0, 4) + "+/==",
                kCorrupt, "base64url"},
        BadName{"NoPadding", "gASVHwA", kCorrupt, "base64url"},
        BadName{"BitsInThePadding", P4("N."s).substr(0, 5) + "5=="s, kCorrupt,
                "base64url"},
        BadName{"NoPickle", "gASV", kCorrupt, "ends at byte 3"},
        BadName{"Trailing", P4("\x8c\x01x\x85\x89\x86.."s), kCorrupt,
                "trailing"},
        BadName{"NotAPair", P4("\x8c\x01x."s), kCorrupt, "not a pair"},
        BadName{"PathIsAString", P4("\x8c\x01x\x89\x86."s), kCorrupt,
                "not a tuple of keys"},
        BadName{"PathIsEmpty", P4(")\x89\x86."s), kCorrupt,
                "not a tuple of keys"},
        BadName{"KeyIsNone", P4("N\x85\x89\x86."s), kCorrupt,
                "one of its keys is None"},
        BadName{"FlagIsAnInteger", P4("\x8c\x01x\x85K\x01\x86."s), kCorrupt,
                "not a pair"},
        BadName{"OsSystem", P4("cos\nsystem\n\x8c\x01x\x85R."s), kUnsupported,
                "GLOBAL: global 'os.system'"},
        BadName{"Deep", P4(")\x85\x85\x85\x89\x86."s), kUnsupported, "deeper"},
        BadName{"PersistentId", P4("NQ."s), kUnsupported, "BINPERSID"}),
    [](const auto& info) { return info.param.name; });

TEST(LegacyNames, AllNamesOfAFileAreOrNoneIs) {
  auto plain = DecodeLegacyNames({"a", "b"});
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ((*plain)[1].name, "b");
  EXPECT_TRUE(DecodeLegacyNames({}).ok());
  auto both = DecodeLegacyNames({kWte, kPath});
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ((*both)[1].name, "a.7.b");
  files::ExpectError(DecodeLegacyNames({kWte, "b"}).status(), kCorrupt,
                     {"1 names are pickles", "1 are not"});
  files::ExpectError(DecodeLegacyNames({kX, kX5}).status(), kCorrupt,
                     {"tensor 'x': two pickled names"});
  files::ExpectError(DecodeLegacyNames({kX, "gASV"}).status(), kCorrupt,
                     {"tensor 'gASV'"});
}

}  // namespace
}  // namespace sinkwatch::checkpoint
