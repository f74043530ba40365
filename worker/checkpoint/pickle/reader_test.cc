#include "worker/checkpoint/pickle/reader.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "worker/checkpoint/pickle/value.h"

namespace sinkwatch::checkpoint::pickle {
namespace {

using std::string_literals::operator""s;

enum Tag { kOrderedDict, kSize, kPoint, kFloat32 };

constexpr GlobalRule kGlobals[] = {
    {"collections", "OrderedDict", kOrderedDict, pickle::kDict | kBuild},
    {"torch", "Size", kSize, kCall},
    {"geometry", "Point", kPoint, kNew | kBuild},
    {"old.geometry", "Point", kPoint, kNew | kBuild},
    {"torch", "float32", kFloat32},
};

Rules TestRules() {
  Rules rules;
  rules.globals = kGlobals;
  rules.persistent_ids = true;
  return rules;
}

absl::StatusOr<Pickle> ParseBody(const std::string& body,
                                 const Rules& rules = TestRules()) {
  return Parse("\x80\x04"s + body, rules);
}

// A value as text, as Python would print it.
std::string Show(const Value& value) {
  std::vector<std::string> parts;
  switch (value.kind()) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return value.boolean() ? "True" : "False";
    case Kind::kInt:
      return absl::StrCat(value.integer());
    case Kind::kFloat:
      return absl::StrCat(value.real());
    case Kind::kString:
      return absl::StrCat("'", value.text(), "'");
    case Kind::kBytes:
      return absl::StrCat("b'", value.text(), "'");
    case Kind::kGlobal:
      return absl::StrCat(value.global()->module, ".", value.global()->name);
    case Kind::kPersistentId:
      return absl::StrCat("persistent", Show(*value.args()));
    case Kind::kTuple:
    case Kind::kList: {
      std::string text;
      for (const Value* item : value.items()) {
        absl::StrAppend(&text, text.empty() ? "" : ", ", Show(*item));
      }
      return value.Is(Kind::kTuple) ? absl::StrCat("(", text, ")")
                                    : absl::StrCat("[", text, "]");
    }
    case Kind::kDict: {
      std::string text;
      for (size_t i = 0; i < value.size(); ++i) {
        absl::StrAppend(&text, text.empty() ? "" : ", ", Show(value.key(i)),
                        ": ", Show(value.value(i)));
      }
      return absl::StrCat(
          value.global() == nullptr ? "" : "Ordered", "{", text, "}",
          value.state() == nullptr ? ""
                                   : absl::StrCat(" | ", Show(*value.state())));
    }
    case Kind::kObject:
      return absl::StrCat(value.global()->name, Show(*value.args()),
                          value.state() == nullptr
                              ? ""
                              : absl::StrCat(" | ", Show(*value.state())));
  }
  return "?";
}

struct GoodCase {
  const char* name;
  std::string body;  // after PROTO 4
  const char* shown;
};

class GoodPickle : public ::testing::TestWithParam<GoodCase> {};

TEST_P(GoodPickle, IsReadAsData) {
  absl::StatusOr<Pickle> pickle = ParseBody(GetParam().body);
  ASSERT_TRUE(pickle.ok()) << pickle.status();
  EXPECT_EQ(Show(pickle->root()), GetParam().shown);
}

INSTANTIATE_TEST_SUITE_P(
    EachOpcode, GoodPickle,
    ::testing::Values(
        GoodCase{"None", "N."s, "None"}, GoodCase{"NewTrue", "\x88."s, "True"},
        GoodCase{"NewFalse", "\x89."s, "False"},
        GoodCase{"BinInt", "J\xfe\xff\xff\xff."s, "-2"},
        GoodCase{"BinInt1", "K\xff."s, "255"},
        GoodCase{"BinInt2", "M\x01\x02."s, "513"},
        GoodCase{"Long1Empty", "\x8a\x00."s, "0"},
        GoodCase{"Long1Negative", "\x8a\x01\xff."s, "-1"},
        GoodCase{"Long1Sign", "\x8a\x02\xff\x00."s, "255"},
        GoodCase{"Long1Above32Bits", "\x8a\x05\x00\x00\x00\x00\x01."s,
                 "4294967296"},
        GoodCase{"Long1Max", "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."s,
                 "9223372036854775807"},
        GoodCase{"Long1Min", "\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80."s,
                 "-9223372036854775808"},
        GoodCase{"Long4", "\x8b\x01\x00\x00\x00\x07."s, "7"},
        GoodCase{"BinFloat", "G\x3f\xf8\x00\x00\x00\x00\x00\x00."s, "1.5"},
        GoodCase{"ShortBinUnicode", "\x8c\x02\xc3\xa4."s, "'\xc3\xa4'"},
        GoodCase{"BinUnicode", "X\x01\x00\x00\x00z."s, "'z'"},
        GoodCase{"BinUnicode8", "\x8d\x01\x00\x00\x00\x00\x00\x00\x00z."s,
                 "'z'"},
        GoodCase{"EmptyString", "\x8c\x00."s, "''"},
        GoodCase{"ShortBinBytes", "C\x02\xff."s + "."s, "b'\xff.'"},
        GoodCase{"BinBytes", "B\x01\x00\x00\x00z."s, "b'z'"},
        GoodCase{"BinBytes8", "\x8e\x01\x00\x00\x00\x00\x00\x00\x00z."s,
                 "b'z'"},
        GoodCase{"EmptyTuple", ")."s, "()"},
        GoodCase{"Tuple", "(K\x01K\x02K\x03K\x04t."s, "(1, 2, 3, 4)"},
        GoodCase{"TupleOfNothing", "(t."s, "()"},
        GoodCase{"Tuple1", "K\x01\x85."s, "(1)"},
        GoodCase{"Tuple2", "K\x01K\x02\x86."s, "(1, 2)"},
        GoodCase{"Tuple3", "K\x01K\x02K\x03\x87."s, "(1, 2, 3)"},
        GoodCase{"EmptyList", "]."s, "[]"},
        GoodCase{"Append",
                 "]K\x01"
                 "aK\x02"
                 "a."s,
                 "[1, 2]"},
        GoodCase{"Appends",
                 "](K\x01K\x02"
                 "e(K\x03"
                 "e."s,
                 "[1, 2, 3]"},
        GoodCase{"EmptyDict", "}."s, "{}"},
        GoodCase{"SetItem", "}K\x01K\x02s."s, "{1: 2}"},
        GoodCase{"SetItems", "}(K\x01K\x02K\x03K\x04u."s, "{1: 2, 3: 4}"},
        GoodCase{"TupleAsKey", "}K\x01\x85Ns."s, "{(1): None}"},
        GoodCase{"Pop",
                 "K\x01K\x02"
                 "0."s,
                 "1"},
        GoodCase{"PopOfAMark", "K\x01(0."s, "1"},
        GoodCase{"PopMark",
                 "K\x01(K\x02K\x03"
                 "1."s,
                 "1"},
        GoodCase{"Frame", "\x95\x02\x00\x00\x00\x00\x00\x00\x00N."s, "None"},
        GoodCase{"Global", "ctorch\nfloat32\n."s, "torch.float32"},
        GoodCase{"StackGlobal",
                 "\x8c\x05torch\x8c\x07"
                 "float32\x93."s,
                 "torch.float32"},
        GoodCase{"Reduce", "ctorch\nSize\nK\x02K\x03\x86\x85R."s,
                 "Size((2, 3))"},
        GoodCase{"NewObjAndBuild", "cgeometry\nPoint\n)\x81}\x8c\x01xK\x01sb."s,
                 "Point() | {'x': 1}"},
        GoodCase{"OrderedDict", "ccollections\nOrderedDict\n)R(K\x01K\x02u}b."s,
                 "Ordered{1: 2} | {}"},
        GoodCase{"BinPersId", "\x8c\x01s\x85Q."s, "persistent('s')"},
        GoodCase{"BinPutBinGet", "\x8c\x01sq\x05h\x05\x86."s, "('s', 's')"},
        GoodCase{"LongBinPutLongBinGet",
                 "\x8c\x01sr\x00\x01\x00\x00j\x00\x01\x00\x00\x86."s,
                 "('s', 's')"},
        GoodCase{"Memoize", "\x8c\x01s\x94\x8c\x01t\x94h\x00\x87."s,
                 "('s', 't', 's')"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sinkwatch::checkpoint::pickle
