#ifndef SINKWATCH_SERVER_MEMORY_H_
#define SINKWATCH_SERVER_MEMORY_H_

#include <cstddef>

namespace sinkwatch::server {

// Keeps what the process takes near what it uses: few arenas (glibc has eight a
// core, which never give back what a peak took) and stacks of 2 MiB. Call it
// first in main, before there are threads.
void BoundMemory();

// Gives back what lies unused. To find it takes tens of milliseconds where
// there are millions of blocks, in which others that want memory may wait; so
// who had nothing to give back does not look again at once.
//
// Thread-compatible.
class UnusedMemory {
 public:
  // To be called now and then, always after the same time. Looks if the process
  // takes much more than at the last look, or if the last one gave back much;
  // else after as many calls as double each time, sixteen at most. Returns
  // whether it has looked.
  bool Return();

 private:
  size_t resident_ = 0;  // after the last look
  int calls_ = 0;        // since then
  int wait_ = 1;
};

}  // namespace sinkwatch::server

#endif  // SINKWATCH_SERVER_MEMORY_H_
