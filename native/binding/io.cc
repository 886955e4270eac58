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

#include "../io/operation.h"
#include "../io/queue.h"

namespace granary {

namespace {

using io::Kind;
using io::Operation;
using io::Outcome;
using io::Queue;

constexpr double kSafeIntegerMax = 9007199254740991.0;
constexpr double kThreadsMax = 64;
constexpr double kDepthMax = 1 << 20;
constexpr double kGraceMsMax = 24.0 * 3600 * 1000;
constexpr size_t kSegmentsMax = 65536;
constexpr size_t kPathBytesMax = 4096;
// How long the end of the environment waits for calls under way before it leaves them behind.
constexpr int64_t kTeardownGraceMs = 200;

struct Completion {
  std::shared_ptr<Queue> queue;
  uint64_t ticket;
  Outcome outcome;
};

// Ticket 0 says that closing the queue has come to its end, well or not.
constexpr uint64_t kClosedTicket = 0;

// Where the threads put what is done. Outlives the environment if a thread does.
class Mailbox : public io::Sink {
 public:
  void Open(napi_threadsafe_function wake) {
    const std::lock_guard<std::mutex> lock(mutex_);
    wake_ = wake;
  }

  // After this nothing calls into the environment any more.
  void Shut() {
    const std::lock_guard<std::mutex> lock(mutex_);
    wake_ = nullptr;
    completions_.clear();
  }

  void Done(const std::shared_ptr<Queue>& queue, uint64_t ticket, Outcome&& outcome) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (wake_ == nullptr) return;
    completions_.push_back({queue, ticket, std::move(outcome)});
    if (completions_.size() == 1) napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
  }

  void Take(std::vector<Completion>* completions) {
    const std::lock_guard<std::mutex> lock(mutex_);
    completions->swap(completions_);
  }

 private:
  std::mutex mutex_;
  std::vector<Completion> completions_;
  napi_threadsafe_function wake_ = nullptr;
};

// Names of properties, made once: looking a name up by its characters costs more than the look-up.
enum Key : size_t {
  kKeyKind,
  kKeyPath,
  kKeyToPath,
  kKeyFd,
  kKeyFileOffset,
  kKeySegments,
  kKeyBytes,
  kKeyFlags,
  kKeyErrno,
  kKeyNames,
  kKeyValues,
  kKeyCount,
};
constexpr const char* kKeyText[kKeyCount] = {"kind",     "path",  "toPath", "fd",    "fileOffset", "segments",
                                             "bytes",    "flags", "errno",  "names", "values"};

class Environment;

// One queue as JavaScript holds it. Lives as long as its environment: its methods point to it.
struct Handle {
  Environment* environment = nullptr;
  // Null once closed: what is left belongs to the threads that did not end.
  std::shared_ptr<Queue> queue;
  std::unordered_map<uint64_t, napi_deferred> pending;
  std::vector<napi_deferred> closers;
  bool isClosing = false;
};

class Environment {
 public:
  explicit Environment(napi_env env) : env_(env), mailbox_(std::make_shared<Mailbox>()) {}
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  bool Start();
  napi_value CreateIoQueue(napi_callback_info info);
  napi_value Submit(Handle* handle, napi_callback_info info);
  napi_value Close(Handle* handle, napi_callback_info info);
  napi_value ReadNow(Handle* handle, napi_callback_info info);
  napi_value LockFile(napi_callback_info info);

  static void Teardown(void* data);
  static void Deliver(napi_env env, napi_value function, void* context, void* data);

 private:
  napi_value Throw(const char* what) {
    napi_throw_range_error(env_, nullptr, what);
    return nullptr;
  }
  bool Get(napi_value object, Key key, napi_value* value);
  bool ParseInteger(napi_value value, double least, double most, double* out);
  bool ParseString(napi_value value, std::string* out);
  bool ParseSegments(napi_value value, const io::Arena& arena, std::vector<io::Segment>* out);
  bool ParseOperation(napi_value request, const io::Arena& arena, Operation* operation);
  napi_value ToResult(const Outcome& outcome);
  void Resolve(napi_deferred deferred, const Outcome& outcome);
  void Settle(Completion* completion);
  void EndClose(Handle* handle);
  void ResolveClosers(Handle* handle);
  void Ref();
  void Unref();

  const napi_env env_;
  const std::shared_ptr<Mailbox> mailbox_;
  napi_threadsafe_function wake_ = nullptr;
  napi_ref keys_[kKeyCount] = {};
  std::vector<std::unique_ptr<Handle>> handles_;
  std::unordered_map<Queue*, Handle*> byQueue_;
  // Closed while a thread was still inside a call.
  std::vector<std::weak_ptr<Queue>> abandoned_;
  std::vector<Completion> batch_;
  // Promises that keep the event loop alive.
  size_t awaited_ = 0;
  uint64_t nextTicket_ = kClosedTicket + 1;
};

// --- start and end ---

// Threads may outlive the environment; the code that they run must not be unmapped below them.
void StayLoaded() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&StayLoaded), &self) == 0) return;
  dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

bool Environment::Start() {
  napi_value name;
  if (napi_create_string_utf8(env_, "granary-io", NAPI_AUTO_LENGTH, &name) != napi_ok) return false;
  if (napi_create_threadsafe_function(env_, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, &Deliver, &wake_) !=
      napi_ok) {
    return false;
  }
  napi_unref_threadsafe_function(env_, wake_);
  mailbox_->Open(wake_);
  for (size_t key = 0; key < kKeyCount; ++key) {
    // Strings cannot be referenced at this version of Node-API: a one-element array can.
    napi_value text;
    napi_value holder;
    if (napi_create_string_utf8(env_, kKeyText[key], NAPI_AUTO_LENGTH, &text) != napi_ok) return false;
    if (napi_create_array_with_length(env_, 1, &holder) != napi_ok) return false;
    if (napi_set_element(env_, holder, 0, text) != napi_ok) return false;
    if (napi_create_reference(env_, holder, 1, &keys_[key]) != napi_ok) return false;
  }
  return true;
}

void Environment::Teardown(void* data) {
  const std::unique_ptr<Environment> environment(static_cast<Environment*>(data));
  environment->mailbox_->Shut();
  std::vector<std::shared_ptr<Queue>> queues;
  for (const auto& handle : environment->handles_) {
    if (handle->queue) queues.push_back(handle->queue);
  }
  for (const auto& queue : environment->abandoned_) {
    if (auto alive = queue.lock()) queues.push_back(std::move(alive));
  }
  for (const auto& queue : queues) queue->Abandon();
  for (const auto& queue : queues) {
    // A thread that is still inside the kernel may yet touch the arena: this reference is never given
    // back, because the runtime that could free the memory is ending.
    if (!queue->WaitEnded(kTeardownGraceMs)) static_cast<void>(new std::shared_ptr<Queue>(queue));
  }
}

void Environment::Ref() {
  if (awaited_++ == 0) napi_ref_threadsafe_function(env_, wake_);
}

void Environment::Unref() {
  if (--awaited_ == 0) napi_unref_threadsafe_function(env_, wake_);
}

// --- from JavaScript ---

bool Environment::Get(napi_value object, Key key, napi_value* value) {
  napi_value holder;
  napi_value text;
  return napi_get_reference_value(env_, keys_[key], &holder) == napi_ok &&
         napi_get_element(env_, holder, 0, &text) == napi_ok &&
         napi_get_property(env_, object, text, value) == napi_ok;
}

bool Environment::ParseInteger(napi_value value, double least, double most, double* out) {
  return napi_get_value_double(env_, value, out) == napi_ok && *out >= least && *out <= most &&
         std::floor(*out) == *out;
}

bool Environment::ParseString(napi_value value, std::string* out) {
  char text[kPathBytesMax + 4];
  size_t bytes = 0;
  if (napi_get_value_string_utf8(env_, value, text, sizeof(text), &bytes) != napi_ok) return false;
  if (bytes == 0 || bytes >= kPathBytesMax || memchr(text, 0, bytes) != nullptr) return false;
  out->assign(text, bytes);
  return true;
}

bool Environment::ParseSegments(napi_value value, const io::Arena& arena, std::vector<io::Segment>* out) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(env_, value, &type, &length, &data, nullptr, nullptr) != napi_ok) return false;
  if (type != napi_float64_array || length % 2 != 0 || length / 2 > kSegmentsMax) return false;
  const double* numbers = static_cast<const double*>(data);
  out->reserve(length / 2);
  for (size_t index = 0; index < length; index += 2) {
    const double offset = numbers[index];
    const double bytes = numbers[index + 1];
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= static_cast<double>(arena.bytes))) return false;
    if (std::floor(offset) != offset || std::floor(bytes) != bytes) return false;
    out->push_back({static_cast<uint64_t>(offset), static_cast<uint64_t>(bytes)});
  }
  return true;
}

bool Environment::ParseOperation(napi_value request, const io::Arena& arena, Operation* operation) {
  const auto has = [this, request](Key key, napi_value* value) {
    napi_valuetype type;
    return Get(request, key, value) && napi_typeof(env_, *value, &type) == napi_ok && type != napi_undefined;
  };
  napi_value value;
  double number;
  if (!Get(request, kKeyKind, &value) || !ParseInteger(value, 0, io::kKindLast, &number)) return false;
  operation->kind = static_cast<Kind>(static_cast<int>(number));
  if (has(kKeyPath, &value) && !ParseString(value, &operation->path)) return false;
  if (has(kKeyToPath, &value) && !ParseString(value, &operation->toPath)) return false;
  if (has(kKeyFd, &value)) {
    if (!ParseInteger(value, 0, 0x7fffffff, &number)) return false;
    operation->fd = static_cast<int>(number);
  }
  if (has(kKeyFileOffset, &value)) {
    if (!ParseInteger(value, 0, kSafeIntegerMax, &number)) return false;
    operation->fileOffset = static_cast<uint64_t>(number);
  }
  if (has(kKeyBytes, &value)) {
    if (!ParseInteger(value, 0, kSafeIntegerMax, &number)) return false;
    operation->bytes = static_cast<uint64_t>(number);
  }
  if (has(kKeyFlags, &value)) {
    if (!ParseInteger(value, 0, io::kFlagsAll, &number)) return false;
    operation->flags = static_cast<uint32_t>(number);
  }
  if (has(kKeySegments, &value) && !ParseSegments(value, arena, &operation->segments)) return false;
  if (operation->kind == Kind::kRename && operation->toPath.empty()) return false;
  return operation->fd >= 0 || !operation->path.empty();
}

napi_value Environment::Submit(Handle* handle, napi_callback_info info) {
  size_t count = 1;
  napi_value request;
  napi_get_cb_info(env_, info, &count, &request, nullptr, nullptr);
  Operation operation;
  const io::Arena none;
  if (count < 1 || !ParseOperation(request, handle->queue ? handle->queue->arena() : none, &operation)) {
    bool isThrown = false;
    napi_is_exception_pending(env_, &isThrown);
    return isThrown ? nullptr : Throw("submit: not a valid I/O request");
  }
  napi_deferred deferred;
  napi_value promise;
  if (napi_create_promise(env_, &deferred, &promise) != napi_ok) return nullptr;
  const uint64_t ticket = nextTicket_++;
  const int fd = operation.fd;
  const bool isClose = operation.kind == Kind::kClose;
  const int refused = handle->queue ? handle->queue->Push(ticket, std::move(operation)) : ECANCELED;
  if (refused != 0) {
    Outcome outcome;
    if (isClose) {
      // Only a closed queue refuses this; the descriptor must not leak for that.
      ::close(fd);
    } else {
      // A refused request's descriptor stays its caller's: the outcome names it again.
      outcome.error = refused;
      outcome.fd = fd;
    }
    Resolve(deferred, outcome);
    return promise;
  }
  handle->pending.emplace(ticket, deferred);
  Ref();
  return promise;
}

// --- to JavaScript ---

napi_value Environment::ToResult(const Outcome& outcome) {
  napi_value result;
  napi_value keys[3];
  napi_value values[3];
  napi_create_object(env_, &result);
  napi_create_int32(env_, outcome.error, &values[0]);
  napi_create_double(env_, static_cast<double>(outcome.bytes), &values[1]);
  napi_create_int32(env_, outcome.fd, &values[2]);
  const Key order[3] = {kKeyErrno, kKeyBytes, kKeyFd};
  for (size_t index = 0; index < 3; ++index) {
    napi_value holder;
    napi_get_reference_value(env_, keys_[order[index]], &holder);
    napi_get_element(env_, holder, 0, &keys[index]);
    napi_set_property(env_, result, keys[index], values[index]);
  }
  return result;
}

void Environment::Resolve(napi_deferred deferred, const Outcome& outcome) {
  napi_value result = ToResult(outcome);
  if (outcome.hasNames) {
    napi_value names;
    napi_create_array_with_length(env_, outcome.names.size(), &names);
    for (size_t index = 0; index < outcome.names.size(); ++index) {
      napi_value name;
      napi_create_string_utf8(env_, outcome.names[index].data(), outcome.names[index].size(), &name);
      napi_set_element(env_, names, static_cast<uint32_t>(index), name);
    }
    napi_set_named_property(env_, result, kKeyText[kKeyNames], names);
  }
  if (outcome.hasValues) {
    napi_value values;
    napi_create_array_with_length(env_, 2, &values);
    for (uint32_t index = 0; index < 2; ++index) {
      napi_value value;
      napi_create_double(env_, outcome.values[index], &value);
      napi_set_element(env_, values, index, value);
    }
    napi_set_named_property(env_, result, kKeyText[kKeyValues], values);
  }
  napi_resolve_deferred(env_, deferred, result);
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
      const napi_deferred deferred = pending->second;
      handle->pending.erase(pending);
      Resolve(deferred, completion->outcome);
      Unref();
      return;
    }
  }
  // Given up meanwhile: nobody will ever close what it opened.
  if (completion->outcome.isOpened) ::close(completion->outcome.fd);
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
    Outcome outcome;
    outcome.error = ECANCELED;
    Resolve(pending->second, outcome);
    handle->pending.erase(pending);
    Unref();
  }
  for (const auto& pending : handle->pending) {
    Outcome outcome;
    outcome.error = EINPROGRESS;
    Resolve(pending.second, outcome);
    Unref();
  }
  handle->pending.clear();
  byQueue_.erase(handle->queue.get());
  if (!handle->queue->WaitEnded(0)) abandoned_.push_back(handle->queue);
  handle->queue.reset();
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
  if (count < 1 || !ParseInteger(argument, 0, kGraceMsMax, &graceMs)) return Throw("close: not a valid time");
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

napi_value Environment::ReadNow(Handle* handle, napi_callback_info info) {
  size_t count = 4;
  napi_value arguments[4];
  napi_get_cb_info(env_, info, &count, arguments, nullptr, nullptr);
  double fd;
  double fileOffset;
  double arenaOffset;
  double bytes;
  const io::Arena none;
  const io::Arena& arena = handle->queue ? handle->queue->arena() : none;
  if (count < 4 || !ParseInteger(arguments[0], 0, 0x7fffffff, &fd) ||
      !ParseInteger(arguments[1], 0, kSafeIntegerMax, &fileOffset) ||
      !ParseInteger(arguments[2], 0, kSafeIntegerMax, &arenaOffset) ||
      !ParseInteger(arguments[3], 0, kSafeIntegerMax, &bytes) ||
      arenaOffset + bytes > static_cast<double>(arena.bytes)) {
    return Throw("readNow: a range outside the arena, or not a file position");
  }
  const int64_t got = io::ReadNow(static_cast<int>(fd), static_cast<uint64_t>(fileOffset),
                                  arena.data + static_cast<size_t>(arenaOffset), static_cast<size_t>(bytes));
  napi_value result;
  napi_create_double(env_, static_cast<double>(got), &result);
  return result;
}

napi_value Environment::LockFile(napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  napi_get_cb_info(env_, info, &count, &argument, nullptr, nullptr);
  double fd;
  if (count < 1 || !ParseInteger(argument, 0, 0x7fffffff, &fd)) return Throw("lockFile: not a descriptor");
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
  if (count < 4 || !ArenaOf(arguments[0], &arena) || !ParseString(arguments[1], &name) ||
      !ParseInteger(arguments[2], 1, kThreadsMax, &threads) || !ParseInteger(arguments[3], 1, kDepthMax, &depthMax)) {
    return Throw("createIoQueue: expected (SharedArrayBuffer, name, threads, depthMax)");
  }
  auto handle = std::make_unique<Handle>();
  handle->environment = this;
  handle->queue = Queue::Create(std::move(arena), mailbox_, name, static_cast<int>(threads),
                                static_cast<size_t>(depthMax));
  if (!handle->queue) {
    napi_throw_error(env_, "EAGAIN", "createIoQueue: no thread could be started");
    return nullptr;
  }
  napi_value object;
  void* data = handle.get();
  const napi_property_descriptor properties[] = {
      {"submit", nullptr, &OnHandle<&Environment::Submit>, nullptr, nullptr, nullptr, napi_enumerable, data},
      {"readNow", nullptr, &OnHandle<&Environment::ReadNow>, nullptr, nullptr, nullptr, napi_enumerable, data},
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

void InitIo(Napi::Env env, Napi::Object exports) {
  using granary::Environment;
  granary::StayLoaded();
  auto environment = std::make_unique<Environment>(env);
  if (!environment->Start()) {
    Napi::Error::New(env, "granary: file I/O could not be set up").ThrowAsJavaScriptException();
    return;
  }
  void* data = environment.get();
  // Added after the thread-safe function's own hook, so it runs before that one.
  napi_add_env_cleanup_hook(env, &Environment::Teardown, environment.release());
  const napi_property_descriptor properties[] = {
      {"createIoQueue", nullptr, &granary::OnEnvironment<&Environment::CreateIoQueue>, nullptr, nullptr, nullptr,
       napi_enumerable, data},
      {"lockFile", nullptr, &granary::OnEnvironment<&Environment::LockFile>, nullptr, nullptr, nullptr,
       napi_enumerable, data},
      {"threadCpuMicros", nullptr, &granary::ThreadCpuMicros, nullptr, nullptr, nullptr, napi_enumerable, nullptr},
  };
  napi_define_properties(env, exports, sizeof(properties) / sizeof(properties[0]), properties);
}
