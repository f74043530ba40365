#ifndef SINKWATCH_WORKER_CHECKPOINT_PICKLE_OPCODE_H_
#define SINKWATCH_WORKER_CHECKPOINT_PICKLE_OPCODE_H_

#include <cstdint>
#include <string>

namespace sinkwatch::checkpoint::pickle {

// The opcodes that are read, by their names in CPython's Lib/pickletools.py.
enum class Opcode : uint8_t {
  kProto = 0x80,
  kFrame = 0x95,
  kStop = '.',
  kMark = '(',
  kPop = '0',
  kPopMark = '1',
  kNone = 'N',
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kBinFloat = 'G',
  kBinUnicode = 'X',
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kBinBytes8 = 0x8e,
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kGlobal = 'c',
  kStackGlobal = 0x93,
  kReduce = 'R',
  kBuild = 'b',
  kNewObj = 0x81,
  kBinPersId = 'Q',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kMemoize = 0x94,
  kBinGet = 'h',
  kLongBinGet = 'j',
};

// "REDUCE", also of the opcodes that are not read; "0x1f" if there is none.
std::string NameOf(Opcode opcode);

}  // namespace sinkwatch::checkpoint::pickle

#endif  // SINKWATCH_WORKER_CHECKPOINT_PICKLE_OPCODE_H_
