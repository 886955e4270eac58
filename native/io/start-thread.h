// How this addon starts threads of its own.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <string>

namespace granary {

// False when there is none to be had. Signals belong to the threads of the runtime: here they would only interrupt
// system calls. `name` is what tools show, 15 characters of it.
inline bool StartThread(pthread_t* thread, const std::string& name, void* (*run)(void*), void* argument) {
  constexpr size_t kNameMax = 15;
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const bool isStarted = pthread_create(thread, nullptr, run, argument) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (isStarted) pthread_setname_np(*thread, name.substr(0, kNameMax).c_str());
  return isStarted;
}

}  // namespace granary
