#ifndef SINKWATCH_SERVER_MEMORY_H_
#define SINKWATCH_SERVER_MEMORY_H_

namespace sinkwatch::server {

// Keeps what the process takes near what it uses: few arenas (glibc has eight a
// core, which never give back what a peak took) and stacks of 2 MiB. Call it
// first in main, before there are threads.
void BoundMemory();

// Gives back what lies unused, if that is much. Takes milliseconds to tens of
// them, in which others that want memory may wait.
void ReturnMemory();

}  // namespace sinkwatch::server

#endif  // SINKWATCH_SERVER_MEMORY_H_
