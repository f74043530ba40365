#ifndef SINKWATCH_SERVER_STORE_JOB_ROWS_H_
#define SINKWATCH_SERVER_STORE_JOB_ROWS_H_

#include <string>

#include "server/store/statement.h"
#include "server/store/store.h"

namespace sinkwatch::store {

// The columns of table job that ReadJob reads, in its order.
extern const char kJobColumns[];

// The job in the statement's current row, whose columns begin with kJobColumns.
JobRecord ReadJob(Statement& row);

}  // namespace sinkwatch::store

#endif  // SINKWATCH_SERVER_STORE_JOB_ROWS_H_
