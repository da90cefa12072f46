/*
 * Preloaded into a command, kills its process group right before the write or rename number $KILLED_AT to a file below the
 * folder $KILLED_BELOW.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static void count(const char *path) {
  static atomic_int changes;
  const char *folder = getenv("KILLED_BELOW"), *at = getenv("KILLED_AT");
  if (folder == NULL || at == NULL) return;
  size_t prefix = strlen(folder);
  if (strncmp(path, folder, prefix) != 0 || path[prefix] != '/') return;
  if (++changes == atoi(at)) kill(0, SIGKILL);
}

static void countWrite(int fd) {
  char text[64], path[PATH_MAX];
  int before = errno;
  snprintf(text, sizeof text, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(text, path, sizeof path - 1);
  errno = before;
  if (length < 0) return;
  path[length] = 0;
  count(path);
}

#define WRAP(result, name, counted, parameters, arguments)                         \
  result name parameters {                                                         \
    static result(*real) parameters;                                               \
    if (real == NULL) real = (result(*) parameters)dlsym(RTLD_NEXT, #name);        \
    counted;                                                                       \
    return real arguments;                                                         \
  }

WRAP(ssize_t, write, countWrite(fd), (int fd, const void *b, size_t n), (fd, b, n))
WRAP(ssize_t, writev, countWrite(fd), (int fd, const struct iovec *v, int n), (fd, v, n))
WRAP(ssize_t, pwrite, countWrite(fd), (int fd, const void *b, size_t n, off_t at), (fd, b, n, at))
WRAP(ssize_t, pwrite64, countWrite(fd), (int fd, const void *b, size_t n, off64_t at), (fd, b, n, at))
WRAP(ssize_t, pwritev, countWrite(fd), (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at))
WRAP(ssize_t, pwritev64, countWrite(fd), (int fd, const struct iovec *v, int n, off64_t at), (fd, v, n, at))
WRAP(int, rename, count(to), (const char *from, const char *to), (from, to))
