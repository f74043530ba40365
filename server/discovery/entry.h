#ifndef SINKWATCH_SERVER_DISCOVERY_ENTRY_H_
#define SINKWATCH_SERVER_DISCOVERY_ENTRY_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sinkwatch::discovery {

// An entry of a folder, as lstat tells it; a link to a file as the file.
struct Entry {
  std::string name;
  bool is_folder = false;
  int64_t size = 0;
  int64_t modified_ns = 0;  // since the epoch
  std::string link;         // what it points to, if it is one
  // Empty, or why a link is no file: "is a link to x, which is not there".
  std::string broken;
};

// A checkpoint folder: what lies in it, and in those of its sub-folders that
// hold weights in some layout (CountedFolders).
struct Listing {
  std::vector<Entry> entries;
  std::map<std::string, std::vector<Entry>> folders;
};

}  // namespace sinkwatch::discovery

#endif  // SINKWATCH_SERVER_DISCOVERY_ENTRY_H_
