// A system that gives a process so many threads and no more: put in front of the C library (LD_PRELOAD) by
// test/fault/descriptors.test.ts. THREAD_SHIM_MAX says how many.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef int Create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);

static atomic_int made;

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) {
  const char* max = getenv("THREAD_SHIM_MAX");
  if (max != NULL && ++made > atoi(max)) return EAGAIN;
  Create* real;
  *(void**)&real = dlsym(RTLD_NEXT, "pthread_create");
  return real(thread, attributes, run, argument);
}
