#ifndef SINKWATCH_SERVER_STORE_MIGRATIONS_H_
#define SINKWATCH_SERVER_STORE_MIGRATIONS_H_

#include <string>
#include <vector>

namespace sinkwatch::store {

// The scripts that bring an empty file to today's schema, in order: the n-th
// (from 1) makes schema version n. A script that has been released never
// changes; what comes later is a new one.
const std::vector<std::string>& Migrations();

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_MIGRATIONS_H_
