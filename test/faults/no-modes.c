/* A file system without modes, for a process that preloads this. */
#include <errno.h>
#include <sys/types.h>

int chmod(const char *path, mode_t mode) {
  (void)path, (void)mode;
  errno = EPERM;
  return -1;
}
