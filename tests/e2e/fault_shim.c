// Faults for a real process, injected under it: load with LD_PRELOAD.
//
//   SHIM_KILL_AT=N      SIGKILLs the process right after its N-th fdatasync or
//                       fsync has returned: the data is on disk, nothing that
//                       follows has happened.
//   SHIM_COUNT_FILE=F   keeps the number of syncs so far in F.
//   SHIM_FULL_FLAG=F    while F exists, every write to a file whose name ends
//                       in .db, .db-wal or .db-journal fails with ENOSPC.
//   SHIM_STUCK_FLAG=F   while F exists, every such write gets no answer.
//   SHIM_HANG_FLAG=F    while F exists, whoever opens the folder whose path F
//                       holds gets no answer.
//   SHIM_CLOCK_FILE=F   the wall clock is off by as many seconds as F holds;
//   the
//                       steady clocks go on.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static atomic_long syncs;

static void after_sync(void) {
  long count = atomic_fetch_add(&syncs, 1) + 1;
  const char* count_file = getenv("SHIM_COUNT_FILE");
  if (count_file != NULL) {
    FILE* file = fopen(count_file, "w");
    if (file != NULL) {
      fprintf(file, "%ld\n", count);
      fclose(file);
    }
  }
  const char* kill_at = getenv("SHIM_KILL_AT");
  if (kill_at != NULL && count == atol(kill_at)) raise(SIGKILL);
}

int fdatasync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  int result = real(fd);
  after_sync();
  return result;
}

int fsync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  int result = real(fd);
  after_sync();
  return result;
}

static int ends_with(const char* name, const char* end) {
  size_t length = strlen(name), end_length = strlen(end);
  return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

static int is_raised(const char* name) {
  const char* flag = getenv(name);
  return flag != NULL && access(flag, F_OK) == 0;
}

static int is_of_store(int fd) {
  char link[64], name[4096];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, name, sizeof(name) - 1);
  if (length <= 0) return 0;
  name[length] = '\0';
  return ends_with(name, ".db") || ends_with(name, ".db-wal") ||
         ends_with(name, ".db-journal");
}

ssize_t pwrite64(int fd, const void* data, size_t size, off_t offset) {
  ssize_t (*real)(int, const void*, size_t, off_t) =
      (ssize_t(*)(int, const void*, size_t, off_t))dlsym(RTLD_NEXT, "pwrite64");
  if (is_raised("SHIM_FULL_FLAG") && is_of_store(fd)) {
    errno = ENOSPC;
    return -1;
  }
  while (is_raised("SHIM_STUCK_FLAG") && is_of_store(fd)) usleep(10000);
  return real(fd, data, size, offset);
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return pwrite64(fd, data, size, offset);
}

static int hangs(const char* path) {
  const char* flag = getenv("SHIM_HANG_FLAG");
  FILE* file = flag == NULL ? NULL : fopen(flag, "r");
  if (file == NULL) return 0;
  char hanging[4096] = "";
  size_t length = fread(hanging, 1, sizeof(hanging) - 1, file);
  hanging[length] = '\0';
  fclose(file);
  return strcmp(path, hanging) == 0;
}

int open(const char* path, int flags, ...) {
  int (*real)(const char*, int, ...) =
      (int (*)(const char*, int, ...))dlsym(RTLD_NEXT, "open");
  while (hangs(path)) usleep(10000);
  va_list rest;
  va_start(rest, flags);
  const int makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
  const mode_t mode = makes ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return real(path, flags, mode);
}

DIR* opendir(const char* path) {
  DIR* (*real)(const char*) =
      (DIR * (*)(const char*)) dlsym(RTLD_NEXT, "opendir");
  while (hangs(path)) usleep(10000);
  return real(path);
}

static long clock_offset(void) {
  const char* name = getenv("SHIM_CLOCK_FILE");
  FILE* file = name == NULL ? NULL : fopen(name, "r");
  if (file == NULL) return 0;
  long seconds = 0;
  if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
  fclose(file);
  return seconds;
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  static int (*real)(clockid_t, struct timespec*);
  if (real == NULL) {
    real =
        (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  }
  int result = real(clock, time);
  if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += clock_offset();
  return result;
}

int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  struct timespec time;
  int result = clock_gettime(CLOCK_REALTIME, &time);
  (void)zone;
  now->tv_sec = time.tv_sec;
  now->tv_usec = time.tv_nsec / 1000;
  return result;
}
