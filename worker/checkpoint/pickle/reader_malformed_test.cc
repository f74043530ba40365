#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "worker/checkpoint/pickle/reader.h"
#include "worker/checkpoint/pickle/value.h"
#include "worker/files/files_testing.h"

namespace sinkwatch::checkpoint::pickle {
namespace {

using std::string_literals::operator""s;

constexpr GlobalRule kGlobals[] = {
    {"collections", "OrderedDict", 0, pickle::kDict | kBuild},
    {"torch", "Size", 0, kCall},
    {"geometry", "Point", 0, kNew | kBuild},
    {"geometry", "Frozen", 0, kNew},
    {"torch", "float32"},
};

constexpr absl::StatusCode kIncomplete = absl::StatusCode::kFailedPrecondition;
constexpr absl::StatusCode kCorrupt = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnsupported = absl::StatusCode::kUnimplemented;

struct BadCase {
  const char* name;
  std::string bytes;
  absl::StatusCode code;
  std::vector<std::string> words;
};

class BadPickle : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadPickle, IsRefusedWithItsPlaceAndRule) {
  Rules rules;
  rules.globals = kGlobals;
  absl::StatusOr<Pickle> pickle = Parse(GetParam().bytes, rules);
  ASSERT_FALSE(pickle.ok());
  for (const std::string& word : GetParam().words) {
    files::ExpectError(pickle.status(), GetParam().code, {word});
  }
}

// A pickle of protocol 4 with these opcodes.
std::string P4(const std::string& opcodes) { return "\x80\x04"s + opcodes; }

std::string Short(const std::string& text) {
  return "\x8c"s + static_cast<char>(text.size()) + text;
}

// Each pair holds the one before twice: 2^levels values to walk.
std::string MemoBomb(int levels) {
  std::string body = ")\x94"s;
  for (int i = 0; i < levels; ++i) {
    body += "h"s + static_cast<char>(i) + "h" + static_cast<char>(i) +
            "\x86\x94"s + "0"s;
  }
  return P4("("s + body + "1h"s + static_cast<char>(levels) + "."s);
}

std::string Repeat(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

// What a pickle of `os.system("true")` has between PROTO and STOP.
const char kSystemCall[] = "cposix\nsystem\n\x8c\x04true\x85R";

INSTANTIATE_TEST_SUITE_P(
    NothingIsExecuted, BadPickle,
    ::testing::Values(
        BadCase{"OsSystem",
                P4(absl::StrCat(kSystemCall, ".")),
                kUnsupported,
                {"byte 2: GLOBAL: global 'posix.system'", "may hold"}},
        BadCase{"BuiltinsEval",
                P4(Short("builtins") + Short("eval") + "\x93" + Short("1") +
                   "\x85R."s),
                kUnsupported,
                {"byte 18: STACK_GLOBAL: global 'builtins.eval'"}},
        BadCase{"DottedName",
                P4(Short("torch") + Short("os.system") + "\x93."s),
                kUnsupported,
                {"global 'torch.os.system'"}},
        BadCase{"ModuleAndNameSplitElsewhere",
                P4(Short("") + Short("torch.float32") + "\x93."s),
                kUnsupported,
                {"global '.torch.float32'"}},
        BadCase{"UnknownNameOfAKnownModule",
                P4("ctorch\nload\n."s),
                kUnsupported,
                {"'torch.load'"}},
        BadCase{"InsideAState",
                P4("cgeometry\nPoint\n)\x81"s + kSystemCall + "b."s),
                kUnsupported,
                {"byte 20: GLOBAL", "posix.system"}},
        BadCase{"InWhatIsThrownAway",
                P4("N"s + kSystemCall + "0."s),
                kUnsupported,
                {"posix.system"}},
        BadCase{"ReduceOfAName",
                P4("ctorch\nfloat32\n)R."s),
                kUnsupported,
                {"byte 18: REDUCE: of global torch.float32"}},
        BadCase{"ReduceOfAClassForNew",
                P4("cgeometry\nPoint\n)R."s),
                kUnsupported,
                {"REDUCE: of global geometry.Point"}},
        BadCase{"NewOfAFunction",
                P4("ctorch\nSize\n)\x81."s),
                kUnsupported,
                {"NEWOBJ: of global torch.Size"}},
        BadCase{"ReduceOfAString",
                P4(Short("f") + ")R."s),
                kUnsupported,
                {"byte 6: REDUCE: of a string"}},
        BadCase{"ReduceOfAnObject",
                P4("ctorch\nSize\n)R)R."s),
                kUnsupported,
                {"REDUCE: of object torch.Size"}},
        BadCase{"OrderedDictWithArguments",
                P4("ccollections\nOrderedDict\n]\x85R."s),
                kUnsupported,
                {"REDUCE: of global collections.OrderedDict"}},
        BadCase{"BuildOfADict",
                P4("}}b."s),
                kUnsupported,
                {"byte 4: BUILD: of a dict is not read"}},
        BadCase{"BuildOfAGlobal",
                P4("cgeometry\nPoint\n}b."s),
                kUnsupported,
                {"BUILD: of global geometry.Point"}},
        BadCase{"BuildOfWhatHasNoState",
                P4("cgeometry\nFrozen\n)\x81}b."s),
                kUnsupported,
                {"BUILD: of object geometry.Frozen"}},
        BadCase{"BuildTwice",
                P4("cgeometry\nPoint\n)\x81}b}b."s),
                kCorrupt,
                {"BUILD: object geometry.Point has a state already"}},
        BadCase{"ItemsIntoAnObject",
                P4("ctorch\nSize\n)RNNs."s),
                kUnsupported,
                {"SETITEM: into object torch.Size"}},
        BadCase{"PersistentId", P4("NQ."s), kUnsupported, {"BINPERSID"}}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    OpcodesThatAreNotRead, BadPickle,
    ::testing::Values(
        BadCase{"EmptySet", P4("\x8f."s), kUnsupported, {"byte 2: EMPTY_SET"}},
        BadCase{"FrozenSet", P4("(\x91."s), kUnsupported, {"FROZENSET"}},
        BadCase{"AddItems", P4("\x90."s), kUnsupported, {"ADDITEMS"}},
        BadCase{"NewObjEx", P4("\x92."s), kUnsupported, {"NEWOBJ_EX"}},
        BadCase{"Inst", P4("(iposix\nsystem\n."s), kUnsupported, {"INST"}},
        BadCase{"Obj", P4("(o."s), kUnsupported, {"byte 3: OBJ"}},
        BadCase{"PersId", P4("Pid\n."s), kUnsupported, {"PERSID"}},
        BadCase{"Ext1", P4("\x82\x01."s), kUnsupported, {"EXT1"}},
        BadCase{"Ext4", P4("\x84\x01\x00\x00\x00."s), kUnsupported, {"EXT4"}},
        BadCase{"ByteArray",
                P4("\x96\x00\x00\x00\x00\x00\x00\x00\x00."s),
                kUnsupported,
                {"BYTEARRAY8"}},
        BadCase{"NextBuffer", P4("\x97."s), kUnsupported, {"NEXT_BUFFER"}},
        BadCase{"TextInt", P4("I1\n."s), kUnsupported, {"byte 2: INT:"}},
        BadCase{"Dup", P4("N2."s), kUnsupported, {"byte 3: DUP"}},
        BadCase{"NoOpcode", P4("\xff."s), kUnsupported, {"byte 2: 0xff"}}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Malformed, BadPickle,
    ::testing::Values(
        BadCase{"Empty", ""s, kIncomplete, {"incomplete: ends at byte 0"}},
        BadCase{"NoStop", P4("N"s), kIncomplete, {"ends at byte 3"}},
        BadCase{"TextEndsEarly",
                P4("X\x05\x00\x00\x00"
                   "ab"s),
                kIncomplete,
                {"ends at byte 9"}},
        BadCase{"PrefixEndsEarly", P4("X\x05\x00"s), kIncomplete, {"byte 5"}},
        BadCase{"FloatEndsEarly", P4("G\x00"s), kIncomplete, {"byte 4"}},
        BadCase{"GlobalEndsEarly", P4("ctorch\nfloat"s), kIncomplete, {"ends"}},
        BadCase{"FrameEndsEarly",
                P4("\x95\x03\x00\x00\x00\x00\x00\x00\x00N."s),
                kIncomplete,
                {"ends"}},
        BadCase{"NoPickle", "PK\x03\x04"s, kCorrupt, {"byte 0: PERSID"}},
        BadCase{"Zeros", std::string(64, '\0'), kCorrupt, {"byte 0: 0x00"}},
        BadCase{"Protocol1", "\x80\x01N."s, kUnsupported, {"protocol 1"}},
        BadCase{"Protocol6", "\x80\x06N."s, kUnsupported, {"protocol 6"}},
        BadCase{"ProtocolTwice",
                P4("\x80\x04N."s),
                kCorrupt,
                {"byte 2: PROTO: not at the start"}},
        BadCase{"TrailingByte",
                P4("N.N"s),
                kCorrupt,
                {"byte 3: STOP: 1 trailing bytes"}},
        BadCase{"StopOfNothing", P4("."s), kCorrupt, {"leaves 0 values"}},
        BadCase{"StopOfTwo", P4("NN."s), kCorrupt, {"leaves 2 values"}},
        BadCase{"StopBeforeAMark", P4("N(."s), kCorrupt, {"1 marks"}},
        BadCase{
            "PopOfNothing", P4("0."s), kCorrupt, {"byte 2: POP: the stack"}},
        BadCase{"PopMarkWithout", P4("N1."s), kCorrupt, {"no mark"}},
        BadCase{"TupleWithoutMark", P4("Nt."s), kCorrupt, {"TUPLE: no mark"}},
        BadCase{"Tuple2OfOne", P4("N\x86."s), kCorrupt, {"TUPLE2: the stack"}},
        BadCase{"Tuple2OverAMark", P4("N(N\x86."s), kCorrupt, {"TUPLE2"}},
        BadCase{"AppendToNothing", P4("Na."s), kCorrupt, {"APPEND: the stack"}},
        BadCase{"AppendsToNothing", P4("(Ne."s), kCorrupt, {"APPENDS"}},
        BadCase{"AppendsOverAMark",
                P4("]("
                   "(Ne."s),
                kCorrupt,
                {"APPENDS"}},
        BadCase{"AppendToATuple",
                P4(")Na."s),
                kUnsupported,
                {"APPEND: into a tuple"}},
        BadCase{"SetItemOfAList",
                P4("]NNs."s),
                kUnsupported,
                {"SETITEM: into a list"}},
        BadCase{"KeyWithoutValue",
                P4("}(N"
                   "u."s),
                kCorrupt,
                {"SETITEMS: a key without"}},
        BadCase{"MemoIsEmpty",
                P4("h\x00."s),
                kCorrupt,
                {"byte 2: BINGET: the memo holds nothing at 0"}},
        BadCase{"MemoGap", P4("Nq\x05h\x04."s), kCorrupt, {"nothing at 4"}},
        BadCase{"MemoBeyond",
                P4("Nj\xff\xff\xff\xff."s),
                kCorrupt,
                {"LONG_BINGET", "4294967295"}},
        BadCase{"PutOfNothing", P4("q\x00."s), kCorrupt, {"BINPUT: the stack"}},
        BadCase{"NotUtf8", P4("\x8c\x01\xff."s), kCorrupt, {"not UTF-8"}},
        BadCase{
            "Surrogate", P4("\x8c\x03\xed\xa0\x80."s), kCorrupt, {"not UTF-8"}},
        BadCase{"Overlong", P4("\x8c\x02\xc0\x80."s), kCorrupt, {"not UTF-8"}},
        BadCase{"GlobalOfIntegers",
                P4("K\x01K\x02\x93."s),
                kCorrupt,
                {"STACK_GLOBAL: module and name"}},
        BadCase{"ArgumentsAreAList",
                P4("ctorch\nSize\n]R."s),
                kCorrupt,
                {"REDUCE: arguments must be a tuple"}},
        BadCase{"StringKeyTwice",
                P4("}("s + Short("k") + "N"s + Short("k") + "Nu."s),
                kCorrupt,
                {"key 'k' twice"}},
        BadCase{"IntegerKeyTwice",
                P4("}(K\x01NM\x01\x00Nu."s),
                kCorrupt,
                {"key 1 twice"}},
        BadCase{"ListInItself",
                P4("]\x94h\x00"
                   "a."s),
                kCorrupt,
                {"a list contains itself"}},
        BadCase{"DictInItself",
                P4("}\x94Nh\x00s."s),
                kCorrupt,
                {"a dict contains itself"}},
        BadCase{"ListInItsTuple",
                P4("]\x94h\x00\x85"
                   "a."s),
                kCorrupt,
                {"contains itself"}},
        BadCase{"ObjectInItsState",
                P4("cgeometry\nPoint\n)\x81\x94h\x00"
                   "b."s),
                kCorrupt,
                {"object geometry.Point contains itself"}}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    AboveALimit, BadPickle,
    ::testing::Values(
        BadCase{"LongOfNineBytes",
                P4("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00."s),
                kUnsupported,
                {"byte 2: LONG1: an integer of 9 bytes"}},
        BadCase{"LongOfTwoGiB",
                P4("\x8b\xff\xff\xff\x7f."s),
                kUnsupported,
                {"LONG4: an integer of 2147483647 bytes"}},
        BadCase{"TextOfFourGiB",
                P4("X\xff\xff\xff\xff."s),
                kUnsupported,
                {"BINUNICODE: 4294967295 bytes, above the 67108864"}},
        BadCase{"BytesOfAllGiB",
                P4("\x8e\xff\xff\xff\xff\xff\xff\xff\xff."s),
                kUnsupported,
                {"BINBYTES8: 18446744073709551615 bytes"}},
        BadCase{"MemoIndex",
                P4("Nr\xff\xff\xff\xff."s),
                kUnsupported,
                {"memo index 4294967295"}},
        BadCase{"MemoBomb",
                MemoBomb(40),
                kUnsupported,
                {"more than 16000000 values, shared ones"}},
        BadCase{"Depth",
                P4(")"s + Repeat("\x85"s, 64) + "."s),
                kUnsupported,
                {"nested deeper than 64 levels"}},
        // A value that is shared is deep wherever it occurs.
        BadCase{"DepthOfAShared",
                P4(")"s + Repeat("\x85"s, 40) + "\x94h\x00"s +
                   Repeat("\x85"s, 40) + "\x86."s),
                kUnsupported,
                {"nested deeper than 64 levels"}},
        BadCase{"DepthOfAMillion",
                P4(")"s + Repeat("\x85"s, 1000000) + "."s),
                kUnsupported,
                {"nested deeper than 64 levels"}}),
    [](const auto& info) { return info.param.name; });

// A pickle of protocol 4 that repeats `unit` until it has `size` bytes.
std::string Flood(const std::string& start, const std::string& unit,
                  size_t size) {
  std::string bytes = P4(start);
  bytes.reserve(size);
  while (bytes.size() + unit.size() <= size) bytes += unit;
  return bytes;
}

TEST(Limits, EndAFlood) {
  struct Case {
    std::string start, unit, words;
  };
  const Case kCases[] = {
      {"", "]", "EMPTY_LIST: more than 4000000 values"},
      {"", "(", "MARK: more than 4000000 marks"},
      {"N\x94(", "h\0"s, "BINGET: more than 16000000 steps"},
  };
  Rules rules;
  rules.globals = kGlobals;
  for (const Case& flood : kCases) {
    const std::string bytes = Flood(flood.start, flood.unit, 33 << 20);
    files::ExpectError(Parse(bytes, rules).status(), kUnsupported,
                       {flood.words});
  }
  files::ExpectError(Parse(std::string((64 << 20) + 1, '\x80'), rules).status(),
                     kUnsupported, {"a pickle of 67108865 bytes"});
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Sanitizers reserve more address space than that before main begins.
void LimitMemoryTo(size_t more_bytes) {
  size_t num_pages = 0;
  std::ifstream("/proc/self/statm") >> num_pages;
  const rlim_t most = num_pages * ::sysconf(_SC_PAGESIZE) + more_bytes;
  const struct rlimit limit = {most, most};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &limit), 0);
}

// What takes most memory for its bytes: containers of one part, and calls.
TEST(Limits, BoundTheMemory) {
  constexpr size_t kMaxBytes = size_t{1} << 30;
  for (const std::string& unit : {"]Na"s, "N\x85"s, "ctorch\nSize\n)R"s}) {
    EXPECT_EXIT(
        {
          LimitMemoryTo(kMaxBytes);
          Rules rules;
          rules.globals = kGlobals;
          const absl::Status status =
              Parse(Flood("", unit, 24 << 20), rules).status();
          std::_Exit(status.code() == kUnsupported ? 0 : 1);
        },
        ::testing::ExitedWithCode(0), "")
        << unit;
  }
}
#endif

TEST(Limits, AreExact) {
  Rules rules;
  rules.limits.depth = 3;
  EXPECT_TRUE(Parse(P4(")\x85\x85."s), rules).ok());
  files::ExpectError(Parse(P4(")\x85\x85\x85."s), rules).status(), kUnsupported,
                     {"deeper than 3"});
  rules.limits.values = 2;
  EXPECT_TRUE(Parse(P4(")\x85."s), rules).ok());
  files::ExpectError(Parse(P4(")\x85\x85."s), rules).status(), kUnsupported,
                     {"more than 2 values"});
  rules.limits = Limits{};
  rules.limits.walk = 31;
  EXPECT_TRUE(Parse(MemoBomb(4), rules).ok());
  rules.limits.walk = 30;
  files::ExpectError(Parse(MemoBomb(4), rules).status(), kUnsupported,
                     {"more than 30 values"});
}

// Every prefix of a pickle is incomplete: adding bytes makes it right.
TEST(Prefixes, AreIncomplete) {
  Rules rules;
  rules.globals = kGlobals;
  const std::string whole =
      P4("\x95\x20\x00\x00\x00\x00\x00\x00\x00"s + "cgeometry\nPoint\n)\x81}"s +
         "\x94("s + Short("x") + "G\x3f\xf8\x00\x00\x00\x00\x00\x00"s +
         Short("y") + "\x8a\x02\xff\x00"s + "ub."s);
  ASSERT_TRUE(Parse(whole, rules).ok()) << Parse(whole, rules).status();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(Parse(whole.substr(0, size), rules).status().code(), kIncomplete)
        << size;
  }
}

}  // namespace
}  // namespace sinkwatch::checkpoint::pickle
