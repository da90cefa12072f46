/*
 * Preloaded into a server, makes the disk below the folder $FAILING_DISK fail with EIO: writes while the file
 * "$FAILING_DISK-write" exists, and so with "-read", "-sync", and "-sync-folder"; with a text in it, only for paths with this text.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int fails(int fd, const char *operation) {
  const char *folder = getenv("FAILING_DISK");
  char text[PATH_MAX], path[PATH_MAX], part[PATH_MAX];
  int before = errno;
  if (folder == NULL) return 0;
  snprintf(text, sizeof text, "%s-%s", folder, operation);
  FILE *limit = fopen(text, "r");
  errno = before;
  if (limit == NULL) return 0;
  if (fgets(part, sizeof part, limit) == NULL) part[0] = 0;
  fclose(limit);
  snprintf(text, sizeof text, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(text, path, sizeof path - 1);
  errno = before;
  if (length < 0) return 0;
  path[length] = 0;
  size_t prefix = strlen(folder);
  if (strncmp(path, folder, prefix) != 0 || path[prefix] != '/' || strstr(path, part) == NULL) return 0;
  errno = EIO;
  return 1;
}

#define WRAP(result, name, operation, parameters, arguments)                       \
  result name parameters {                                                         \
    static result(*real) parameters;                                               \
    if (real == NULL) real = (result(*) parameters)dlsym(RTLD_NEXT, #name);        \
    return fails(fd, operation) ? -1 : real arguments;                             \
  }

WRAP(ssize_t, write, "write", (int fd, const void *b, size_t n), (fd, b, n))
WRAP(ssize_t, writev, "write", (int fd, const struct iovec *v, int n), (fd, v, n))
WRAP(ssize_t, pwrite, "write", (int fd, const void *b, size_t n, off_t at), (fd, b, n, at))
WRAP(ssize_t, pwrite64, "write", (int fd, const void *b, size_t n, off64_t at), (fd, b, n, at))
WRAP(ssize_t, pwritev, "write", (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at))
WRAP(ssize_t, pwritev64, "write", (int fd, const struct iovec *v, int n, off64_t at), (fd, v, n, at))
WRAP(ssize_t, read, "read", (int fd, void *b, size_t n), (fd, b, n))
WRAP(ssize_t, readv, "read", (int fd, const struct iovec *v, int n), (fd, v, n))
WRAP(ssize_t, pread, "read", (int fd, void *b, size_t n, off_t at), (fd, b, n, at))
WRAP(ssize_t, pread64, "read", (int fd, void *b, size_t n, off64_t at), (fd, b, n, at))
WRAP(ssize_t, preadv, "read", (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at))
WRAP(ssize_t, preadv64, "read", (int fd, const struct iovec *v, int n, off64_t at), (fd, v, n, at))

static int syncFails(int fd) {
  struct stat facts;
  if (fstat(fd, &facts) == 0 && S_ISDIR(facts.st_mode) && fails(fd, "sync-folder")) return 1;
  return fails(fd, "sync");
}

#define WRAP_SYNC(name)                                                            \
  int name(int fd) {                                                               \
    static int (*real)(int);                                                       \
    if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, #name);                \
    return syncFails(fd) ? -1 : real(fd);                                          \
  }

WRAP_SYNC(fsync)
WRAP_SYNC(fdatasync)
