/* A file system without hard links, as FAT and exFAT, for a process that preloads this. */
#include <errno.h>

int link(const char *from, const char *to) {
  (void)from, (void)to;
  errno = EPERM;
  return -1;
}
