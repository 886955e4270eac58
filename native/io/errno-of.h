// A system call whose only result that matters is whether it failed.
#pragma once

#include <errno.h>

namespace granary {

// Repeats a call that a signal interrupted; answers its errno, or 0.
template <typename Call>
int ErrnoOf(Call call) {
  for (;;) {
    if (call() >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

}  // namespace granary
