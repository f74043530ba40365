#ifndef SINKWATCH_SERVER_DISCOVERY_FOREIGN_FORMAT_H_
#define SINKWATCH_SERVER_DISCOVERY_FOREIGN_FORMAT_H_

#include <string>

#include "server/discovery/entry.h"

// Forms of checkpoints that are not read, told by names alone: what they are
// called, and what to do with one.
namespace sinkwatch::discovery {

struct ForeignFormat {
  // What the evidence is.
  enum class Kind {
    kCheckpoint,         // a part of a folder that is a checkpoint
    kWeightsAndContext,  // the same where weights/ and context/ are there
    kAnyFolder,          // a folder of a name that other things have too: hf/
    kFile,         // a file that is a checkpoint, or a part of one, by itself
    kAnyFile,      // the same of an ending that other things have too: .npz
    kRankFile,     // a rank's
    kWeightsFile,  // weights under a name that tells no form
    kArchive,      // of anything
    kState,        // a trainer's, without weights
  };
  const char* code;  // in the same word in every release
  Kind kind;
  const char* name;      // whose it is
  const char* evidence;  // an RE2 of the name of a file, or of a folder (ends
                         // in '/'), at the top
  const char* advice;    // what makes a checkpoint of it that is read
};

// Whether the row, found in `listing`, proves that a folder of any name is a
// checkpoint: of some rows the names are those of other things too (hf/,
// weights/).
bool IsProof(const ForeignFormat& format, const Listing& listing);

// Whether files of the row are a checkpoint each, or a part of one, so that the
// folder around them is none itself.
bool IsOfOneFile(const ForeignFormat& format);

// The first row of the table of which a name is there; nullptr if there is
// none.
const ForeignFormat* FindForeignFormat(const Listing& listing);

// The row that a file of this name would be of, whatever lies beside it.
const ForeignFormat* FindForeignFile(const std::string& name);

// "lit_model.pth is litgpt's, which is not read: convert it with ...".
std::string WhyForeign(const ForeignFormat& format, const Listing& listing);

// "there are a, b and 3 more": so that a reason for waiting names what lies
// there. Bounded.
std::string WhatIsThere(const Listing& listing);

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_FOREIGN_FORMAT_H_
