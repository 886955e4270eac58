// The face of native/io to JavaScript: src/native/io.ts is its contract.
//
// State is per environment. Promises are kept on the main thread, by ticket; the queues' threads put
// outcomes into one mailbox, and one thread-safe function brings them over in batches. A queue that
// was given up answers its promises at once; what its threads still deliver finds no promise.
#include <napi.h>

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif
#include <v8.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../io/close-aside.h"
#include "../io/operation.h"
#include "../io/queue.h"
#include "call.h"
#include "io-codec.h"
#include "io-mailbox.h"
#include "kernels.h"

namespace granary {
namespace {

using io::Kind;
using io::Operation;
using io::Outcome;
using io::Queue;

constexpr double kThreadsMax = 64;
constexpr double kDepthMax = 1 << 20;
constexpr double kGraceMsMax = 24.0 * 3600 * 1000;
// How long the end of the environment waits for calls under way before it leaves them behind.
constexpr int64_t kTeardownGraceMs = 200;

class Environment;

// A request whose promise is open.
struct Pending {
  napi_deferred deferred;
  // -1: it names a path.
  int fd;
  bool isClose;
};

// One queue as JavaScript holds it. Lives as long as its environment: its methods point to it.
struct Handle {
  Environment* environment = nullptr;
  // Null once closed: what is left belongs to the threads that did not end.
  std::shared_ptr<Queue> queue;
  std::unordered_map<uint64_t, Pending> pending;
  std::vector<napi_deferred> closers;
  // Of the requests from now on. Null: none was entered.
  std::shared_ptr<const io::Directory> directory;
  // Of the last request: they are numbered from 1.
  uint64_t lastTicket = kClosedTicket;
  bool isClosing = false;
};

class Environment {
 public:
  Environment(napi_env env, const KernelInstance* kernels)
      : env_(env), codec_(env), kernels_(kernels), mailbox_(std::make_shared<Mailbox>()) {}
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  bool Start();
  napi_value CreateIoQueue(napi_callback_info info);
  napi_value Submit(Handle* handle, napi_callback_info info);
  napi_value Cancel(Handle* handle, napi_callback_info info);
  napi_value Enter(Handle* handle, napi_callback_info info);
  napi_value Hold(Handle* handle, napi_callback_info info);
  napi_value Close(Handle* handle, napi_callback_info info);
  napi_value OpenNow(Handle* handle, napi_callback_info info);
  napi_value ReadNow(Handle* handle, napi_callback_info info);
  napi_value ReadCheckedNow(Handle* handle, napi_callback_info info);
  napi_value LockFile(napi_callback_info info);

  static void Teardown(void* data);
  static void Deliver(napi_env env, napi_value function, void* context, void* data);

 private:
  napi_value Throw(const char* what) {
    napi_throw_range_error(env_, nullptr, what);
    return nullptr;
  }
  void Resolve(napi_deferred deferred, const Outcome& outcome) {
    napi_resolve_deferred(env_, deferred, codec_.WriteResult(outcome));
  }
  // It was not started, and never will be.
  void ResolveUnstarted(const Pending& pending, int error);
  void Settle(Completion* completion);
  void EndClose(Handle* handle);
  void ResolveClosers(Handle* handle);
  void Ref();
  void Unref();

  const napi_env env_;
  IoCodec codec_;
  const KernelInstance* const kernels_;
  const std::shared_ptr<Mailbox> mailbox_;
  napi_threadsafe_function wake_ = nullptr;
  std::vector<std::unique_ptr<Handle>> handles_;
  std::unordered_map<Queue*, Handle*> byQueue_;
  // Closed while a thread was still inside a call.
  std::vector<std::shared_ptr<Queue>> abandoned_;
  std::vector<Completion> batch_;
  // Promises that keep the event loop alive.
  size_t awaited_ = 0;
};

// --- start and end ---

// Threads may outlive the environment; the code that they run must not be unmapped below them.
void StayLoaded() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&StayLoaded), &self) == 0) return;
  dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

bool Environment::Start() {
  if (!codec_.Start()) return false;
  napi_value name;
  if (napi_create_string_utf8(env_, "granary-io", NAPI_AUTO_LENGTH, &name) != napi_ok) return false;
  if (napi_create_threadsafe_function(env_, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, &Deliver, &wake_) !=
      napi_ok) {
    return false;
  }
  napi_unref_threadsafe_function(env_, wake_);
  mailbox_->Open(wake_);
  return true;
}

void Environment::Teardown(void* data) {
  const std::unique_ptr<Environment> environment(static_cast<Environment*>(data));
  environment->mailbox_->Shut();
  std::vector<std::shared_ptr<Queue>> queues = environment->abandoned_;
  for (const auto& handle : environment->handles_) {
    if (handle->queue) queues.push_back(handle->queue);
  }
  for (const auto& queue : queues) queue->Abandon();
  for (const auto& queue : queues) {
    // A thread that is still inside the kernel may yet touch the arena: this reference is never given
    // back, because the runtime that could free the memory is ending.
    if (!queue->ReleaseArena(kTeardownGraceMs)) static_cast<void>(new std::shared_ptr<Queue>(queue));
  }
}

void Environment::Ref() {
  if (awaited_++ == 0) napi_ref_threadsafe_function(env_, wake_);
}

void Environment::Unref() {
  if (--awaited_ == 0) napi_unref_threadsafe_function(env_, wake_);
}

// --- from JavaScript ---

napi_value Environment::Submit(Handle* handle, napi_callback_info info) {
  size_t count = 1;
  napi_value request;
  napi_get_cb_info(env_, info, &count, &request, nullptr, nullptr);
  Operation operation;
  // A closed queue has no arena; its answer is another than that the request is wrong.
  const size_t arenaBytes = handle->queue ? handle->queue->arena().bytes : SIZE_MAX;
  if (count < 1 || !codec_.ReadOperation(request, arenaBytes, HashKeyOf(kernels_), &operation)) {
    bool isThrown = false;
    napi_is_exception_pending(env_, &isThrown);
    return isThrown ? nullptr : Throw("submit: not a valid I/O request");
  }
  operation.directory = handle->directory;
  napi_deferred deferred;
  napi_value promise;
  if (napi_create_promise(env_, &deferred, &promise) != napi_ok) return nullptr;
  const uint64_t ticket = ++handle->lastTicket;
  const int fd = operation.fd;
  const bool isClose = operation.kind == Kind::kClose;
  const Pending pending{deferred, fd, isClose};
  const int refused = handle->queue ? handle->queue->Push(ticket, std::move(operation)) : ECANCELED;
  if (refused != 0) {
    ResolveUnstarted(pending, refused);
    return promise;
  }
  handle->pending.emplace(ticket, pending);
  Ref();
  return promise;
}

napi_value Environment::Cancel(Handle* handle, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env_, info, &count, &argument, nullptr, nullptr);
  double ticket;
  if (count < 1 || !codec_.ReadInteger(argument, 1, kSafeIntegerMax, &ticket)) {
    return Throw("cancel: not the number of a request");
  }
  const auto pending = handle->pending.find(static_cast<uint64_t>(ticket));
  const bool isCancelled = pending != handle->pending.end() && handle->queue->Cancel(pending->first);
  if (isCancelled) {
    ResolveUnstarted(pending->second, ECANCELED);
    handle->pending.erase(pending);
    Unref();
  }
  napi_value result;
  napi_get_boolean(env_, isCancelled, &result);
  return result;
}

napi_value Environment::Enter(Handle* handle, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env_, info, &count, &argument, nullptr, nullptr);
  double fd;
  if (count < 1 || !codec_.ReadInteger(argument, 0, kDescriptorMax, &fd)) return Throw("enter: not a descriptor");
  int error = ECANCELED;
  if (handle->queue) {
    auto directory = io::Directory::Of(static_cast<int>(fd));
    error = directory ? 0 : errno;
    if (directory) handle->directory = std::move(directory);
  }
  napi_value result;
  napi_create_int32(env_, error, &result);
  return result;
}

napi_value Environment::Hold(Handle* handle, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env_, info, &count, &argument, nullptr, nullptr);
  double fd;
  if (count < 1 || !codec_.ReadInteger(argument, 0, kDescriptorMax, &fd)) return Throw("hold: not a descriptor");
  napi_value result;
  napi_create_int32(env_, handle->queue ? handle->queue->Hold(static_cast<int>(fd)) : ECANCELED, &result);
  return result;
}

// --- to JavaScript ---

void Environment::ResolveUnstarted(const Pending& pending, int error) {
  Outcome outcome;
  if (pending.isClose) {
    // Only a queue that is closed leaves this undone; the descriptor must not leak for that.
    io::CloseAside(pending.fd);
  } else {
    // The descriptor stays its caller's: the outcome names it again.
    outcome.error = error;
    outcome.fd = pending.fd;
  }
  Resolve(pending.deferred, outcome);
}

void Environment::Settle(Completion* completion) {
  const auto found = byQueue_.find(completion->queue.get());
  Handle* handle = found == byQueue_.end() ? nullptr : found->second;
  if (completion->ticket == kClosedTicket) {
    if (handle != nullptr) EndClose(handle);
    return;
  }
  if (handle != nullptr) {
    const auto pending = handle->pending.find(completion->ticket);
    if (pending != handle->pending.end()) {
      const napi_deferred deferred = pending->second.deferred;
      handle->pending.erase(pending);
      Resolve(deferred, completion->outcome);
      Unref();
      return;
    }
  }
  // Given up meanwhile: nobody will ever close what it opened.
  if (completion->outcome.isOpened) io::CloseAside(completion->outcome.fd);
}

void Environment::Deliver(napi_env env, napi_value, void* context, void*) {
  if (env == nullptr) return;
  auto* self = static_cast<Environment*>(context);
  self->mailbox_->Take(&self->batch_);
  // Resolving a promise runs no JavaScript yet, so nothing comes back into this loop.
  for (Completion& completion : self->batch_) {
    napi_handle_scope scope;
    napi_open_handle_scope(env, &scope);
    self->Settle(&completion);
    napi_close_handle_scope(env, scope);
  }
  self->batch_.clear();
}

// --- closing a queue ---

struct CloseWait {
  std::shared_ptr<Queue> queue;
  std::shared_ptr<Mailbox> mailbox;
  int64_t graceMs;
};

void* WaitForEnd(void* argument) {
  const std::unique_ptr<CloseWait> wait(static_cast<CloseWait*>(argument));
  wait->queue->WaitEnded(wait->graceMs);
  wait->mailbox->Done(wait->queue, kClosedTicket, Outcome());
  return nullptr;
}

void Environment::EndClose(Handle* handle) {
  // When all threads have ended, every outcome was delivered before this one and nothing is pending.
  const std::vector<uint64_t> unstarted = handle->queue->Abandon();
  for (const uint64_t ticket : unstarted) {
    const auto pending = handle->pending.find(ticket);
    if (pending == handle->pending.end()) continue;
    ResolveUnstarted(pending->second, ECANCELED);
    handle->pending.erase(pending);
    Unref();
  }
  for (const auto& pending : handle->pending) {
    Outcome outcome;
    outcome.error = EINPROGRESS;
    Resolve(pending.second.deferred, outcome);
    Unref();
  }
  handle->pending.clear();
  byQueue_.erase(handle->queue.get());
  if (!handle->queue->ReleaseArena(0)) abandoned_.push_back(handle->queue);
  handle->queue.reset();
  handle->directory.reset();
  ResolveClosers(handle);
}

void Environment::ResolveClosers(Handle* handle) {
  napi_value undefined;
  napi_get_undefined(env_, &undefined);
  for (const napi_deferred closer : handle->closers) {
    napi_resolve_deferred(env_, closer, undefined);
    Unref();
  }
  handle->closers.clear();
}

napi_value Environment::Close(Handle* handle, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env_, info, &count, &argument, nullptr, nullptr);
  double graceMs;
  if (count < 1 || !codec_.ReadInteger(argument, 0, kGraceMsMax, &graceMs)) return Throw("close: not a valid time");
  napi_deferred deferred;
  napi_value promise;
  if (napi_create_promise(env_, &deferred, &promise) != napi_ok) return nullptr;
  handle->closers.push_back(deferred);
  Ref();
  if (!handle->queue) {
    ResolveClosers(handle);
    return promise;
  }
  if (handle->isClosing) return promise;
  handle->isClosing = true;
  handle->queue->Stop();
  auto wait = std::make_unique<CloseWait>(CloseWait{handle->queue, mailbox_, static_cast<int64_t>(graceMs)});
  pthread_t thread;
  if (pthread_create(&thread, nullptr, &WaitForEnd, wait.get()) == 0) {
    wait.release();
    pthread_detach(thread);
  } else {
    handle->queue->WaitEnded(static_cast<int64_t>(graceMs));
    mailbox_->Done(handle->queue, kClosedTicket, Outcome());
  }
  return promise;
}

// --- calls on the calling thread ---

napi_value Environment::OpenNow(Handle* handle, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env_, info, &count, &argument, nullptr, nullptr);
  std::string path;
  if (count < 1 || !codec_.ReadString(argument, &path)) return Throw("openNow: not a path");
  napi_value result;
  napi_create_int32(env_, handle->queue ? io::OpenNow(handle->directory.get(), path.c_str()) : -1, &result);
  return result;
}

napi_value Environment::ReadNow(Handle* handle, napi_callback_info info) {
  size_t count = 4;
  napi_value arguments[4];
  napi_get_cb_info(env_, info, &count, arguments, nullptr, nullptr);
  double fd;
  double fileOffset;
  double arenaOffset;
  double bytes;
  napi_value result;
  if (!handle->queue) {
    napi_create_int32(env_, -1, &result);
    return result;
  }
  const io::Arena& arena = handle->queue->arena();
  if (count < 4 || !codec_.ReadInteger(arguments[0], 0, kDescriptorMax, &fd) ||
      !codec_.ReadInteger(arguments[1], 0, kSafeIntegerMax, &fileOffset) ||
      !codec_.ReadInteger(arguments[2], 0, kSafeIntegerMax, &arenaOffset) ||
      !codec_.ReadInteger(arguments[3], 0, kSafeIntegerMax, &bytes) ||
      arenaOffset + bytes > static_cast<double>(arena.bytes)) {
    return Throw("readNow: a range outside the arena, or not a file position");
  }
  const int64_t got = io::ReadNow(static_cast<int>(fd), static_cast<uint64_t>(fileOffset),
                                  arena.data + static_cast<size_t>(arenaOffset), static_cast<size_t>(bytes));
  napi_create_double(env_, static_cast<double>(got), &result);
  return result;
}

napi_value Environment::ReadCheckedNow(Handle* handle, napi_callback_info info) {
  size_t count = 3;
  napi_value arguments[3];
  napi_get_cb_info(env_, info, &count, arguments, nullptr, nullptr);
  bool isRead = false;
  if (handle->queue) {
    const io::Arena& arena = handle->queue->arena();
    double fd;
    double fileOffset;
    Operation operation;
    operation.kind = Kind::kRead;
    const HashKey* hashKey = HashKeyOf(kernels_);
    if (count < 3 || hashKey == nullptr || !codec_.ReadInteger(arguments[0], 0, kDescriptorMax, &fd) ||
        !codec_.ReadInteger(arguments[1], 0, kSafeIntegerMax, &fileOffset) ||
        !codec_.ReadChecks(arguments[2], arena.bytes, &operation)) {
      return Throw("readCheckedNow: not a descriptor, a file position and rows inside the arena, or no hash key");
    }
    operation.fd = static_cast<int>(fd);
    operation.fileOffset = static_cast<uint64_t>(fileOffset);
    operation.hashKey = *hashKey;
    isRead = io::ReadCheckedNow(operation, arena.data);
  }
  napi_value result;
  napi_get_boolean(env_, isRead, &result);
  return result;
}

napi_value Environment::LockFile(napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env_, info, &count, &argument, nullptr, nullptr);
  double fd;
  if (count < 1 || !codec_.ReadInteger(argument, 0, kDescriptorMax, &fd)) return Throw("lockFile: not a descriptor");
  int error = 0;
  while (::flock(static_cast<int>(fd), LOCK_EX | LOCK_NB) != 0) {
    error = errno;
    if (error != EINTR) break;
    error = 0;
  }
  napi_value result;
  napi_create_int32(env_, error, &result);
  return result;
}

// --- making a queue ---

// Node-API cannot see shared memory yet: a napi_value is a V8 handle, which Node itself relies on.
bool ArenaOf(napi_value value, io::Arena* arena) {
  v8::Local<v8::Value> local;
  static_assert(sizeof(local) == sizeof(value), "a napi_value is a V8 handle");
  memcpy(static_cast<void*>(&local), &value, sizeof(value));
  if (local.IsEmpty() || !local->IsSharedArrayBuffer()) return false;
  std::shared_ptr<v8::BackingStore> store = local.As<v8::SharedArrayBuffer>()->GetBackingStore();
  arena->data = static_cast<uint8_t*>(store->Data());
  arena->bytes = store->ByteLength();
  arena->owner = std::move(store);
  return true;
}

template <napi_value (Environment::*method)(Handle*, napi_callback_info)>
napi_value OnHandle(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  auto* handle = static_cast<Handle*>(data);
  return (handle->environment->*method)(handle, info);
}

template <napi_value (Environment::*method)(napi_callback_info)>
napi_value OnEnvironment(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  return (static_cast<Environment*>(data)->*method)(info);
}

napi_value DepthOf(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  const auto& queue = static_cast<Handle*>(data)->queue;
  napi_value result;
  napi_create_double(env, static_cast<double>(queue ? queue->Depth() : 0), &result);
  return result;
}

napi_value Environment::CreateIoQueue(napi_callback_info info) {
  size_t count = 4;
  napi_value arguments[4];
  napi_get_cb_info(env_, info, &count, arguments, nullptr, nullptr);
  io::Arena arena;
  std::string name;
  double threads;
  double depthMax;
  if (count < 4 || !ArenaOf(arguments[0], &arena) || !codec_.ReadString(arguments[1], &name) ||
      !codec_.ReadInteger(arguments[2], 1, kThreadsMax, &threads) ||
      !codec_.ReadInteger(arguments[3], 1, kDepthMax, &depthMax)) {
    return Throw("createIoQueue: expected (SharedArrayBuffer, name, threads, depthMax)");
  }
  auto handle = std::make_unique<Handle>();
  handle->environment = this;
  handle->queue =
      Queue::Create(std::move(arena), mailbox_, name, static_cast<int>(threads), static_cast<size_t>(depthMax));
  if (!handle->queue) {
    napi_throw_error(env_, "EAGAIN", "createIoQueue: no thread could be started");
    return nullptr;
  }
  napi_value object;
  void* data = handle.get();
  const napi_property_descriptor properties[] = {
      {"submit", nullptr, &OnHandle<&Environment::Submit>, nullptr, nullptr, nullptr, napi_enumerable, data},
      {"enter", nullptr, &OnHandle<&Environment::Enter>, nullptr, nullptr, nullptr, napi_enumerable, data},
      {"hold", nullptr, &OnHandle<&Environment::Hold>, nullptr, nullptr, nullptr, napi_enumerable, data},
      {"cancel", nullptr, &OnHandle<&Environment::Cancel>, nullptr, nullptr, nullptr, napi_enumerable, data},
      {"openNow", nullptr, &OnHandle<&Environment::OpenNow>, nullptr, nullptr, nullptr, napi_enumerable, data},
      {"readNow", nullptr, &OnHandle<&Environment::ReadNow>, nullptr, nullptr, nullptr, napi_enumerable, data},
      {"readCheckedNow", nullptr, &OnHandle<&Environment::ReadCheckedNow>, nullptr, nullptr, nullptr, napi_enumerable,
       data},
      {"close", nullptr, &OnHandle<&Environment::Close>, nullptr, nullptr, nullptr, napi_enumerable, data},
      {"depth", nullptr, nullptr, &DepthOf, nullptr, nullptr, napi_enumerable, data},
  };
  byQueue_.emplace(handle->queue.get(), handle.get());
  handles_.push_back(std::move(handle));
  if (napi_create_object(env_, &object) != napi_ok) return nullptr;
  if (napi_define_properties(env_, object, sizeof(properties) / sizeof(properties[0]), properties) != napi_ok) {
    return nullptr;
  }
  return object;
}

napi_value ThreadCpuMicros(napi_env env, napi_callback_info) {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  napi_value result;
  napi_create_double(env, static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3, &result);
  return result;
}

}  // namespace
}  // namespace granary

void InitIo(Napi::Env env, Napi::Object exports, const granary::KernelInstance* kernels) {
  using granary::Environment;
  granary::StayLoaded();
  auto environment = std::make_unique<Environment>(env, kernels);
  if (!environment->Start()) throw granary::PendingException{};
  void* data = environment.get();
  // Added after the thread-safe function's own hook, so it runs before that one.
  napi_add_env_cleanup_hook(env, &Environment::Teardown, environment.release());
  const napi_property_descriptor properties[] = {
      {"createIoQueue", nullptr, &granary::OnEnvironment<&Environment::CreateIoQueue>, nullptr, nullptr, nullptr,
       napi_enumerable, data},
      {"lockFile", nullptr, &granary::OnEnvironment<&Environment::LockFile>, nullptr, nullptr, nullptr, napi_enumerable,
       data},
      {"threadCpuMicros", nullptr, &granary::ThreadCpuMicros, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  napi_define_properties(env, exports, sizeof(properties) / sizeof(properties[0]), properties);
}
