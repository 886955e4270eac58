#include "fake-napi.h"

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif
#include <v8.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <utility>

// What NODE_API_MODULE makes of the addon's entry.
extern "C" napi_value napi_register_module_v1(napi_env env, napi_value exports);

struct napi_callback_info__ {
  const std::vector<fake::Ptr>& arguments;
  void* data;
};

struct napi_ref__ {
  fake::Ptr value;
};

struct napi_deferred__ {
  fake::Ptr promise;
};

struct napi_async_work__ {
  napi_async_execute_callback execute;
  napi_async_complete_callback complete;
  void* data;
};

struct napi_threadsafe_function__ {
  napi_threadsafe_function_call_js call;
  void* context;
  std::mutex mutex;
  std::vector<void*> waiting;
};

struct napi_handle_scope__ {
  size_t handles;
};

struct napi_escapable_handle_scope__ {
  size_t handles;
  fake::Ptr escaped;
};

struct napi_env__ {
  // Everything that was handed out as a napi_value since the scope began.
  std::vector<fake::Ptr> handles;
  fake::Ptr exception;
  std::vector<std::pair<napi_cleanup_hook, void*>> hooks;
  std::vector<std::unique_ptr<napi_threadsafe_function__>> threadsafe;
  std::deque<napi_async_work> works;
  // What is never given back is given back here.
  std::vector<std::unique_ptr<napi_ref__>> references;
  std::vector<std::unique_ptr<napi_deferred__>> deferreds;
  fake::Ptr global;
  napi_extended_error_info lastError = {};
};

namespace fake {
namespace {

napi_env__* current = nullptr;

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "fake-napi: %s\n", what);
  std::abort();
}

napi_value NewHandle(napi_env env, Ptr value) {
  env->handles.push_back(std::move(value));
  return reinterpret_cast<napi_value>(env->handles.back().get());
}

Value& Of(napi_value handle) {
  if (handle == nullptr) Die("a null handle");
  return *reinterpret_cast<Value*>(handle);
}

Ptr PtrOf(napi_env env, napi_value handle) {
  for (auto at = env->handles.rbegin(); at != env->handles.rend(); ++at) {
    if (at->get() == reinterpret_cast<Value*>(handle)) return *at;
  }
  Die("a handle that is not of an open scope");
}

napi_status Status(napi_env env, napi_status status) {
  env->lastError.error_code = status;
  return status;
}

// Of what may run JavaScript.
bool MayRun(napi_env env) { return env->exception == nullptr; }

bool IsObject(const Value& value) {
  switch (value.type) {
    case Type::kUndefined:
    case Type::kNull:
    case Type::kBoolean:
    case Type::kNumber:
    case Type::kString:
    case Type::kSymbol:
    case Type::kBigInt:
      return false;
    default:
      return true;
  }
}

Ptr Error(const char* text) {
  auto error = std::make_shared<Value>(Type::kError);
  error->text = text;
  return error;
}

napi_status Throw(napi_env env, const char* text) {
  if (!MayRun(env)) return Status(env, napi_pending_exception);
  env->exception = Error(text);
  return Status(env, napi_ok);
}

napi_status Read(napi_env env, const Slot* slot, napi_value* result) {
  Ptr value = slot == nullptr ? Undefined() : slot->value;
  if (slot != nullptr && slot->getter) {
    value = slot->getter();
    if (value == nullptr) {
      env->exception = Error("a getter threw");
      return Status(env, napi_pending_exception);
    }
  }
  if (value == nullptr) value = Undefined();
  *result = NewHandle(env, std::move(value));
  return Status(env, napi_ok);
}

napi_status GetNamed(napi_env env, napi_value object, const std::string& name, napi_value* result) {
  if (!MayRun(env)) return Status(env, napi_pending_exception);
  const Value& value = Of(object);
  if (value.type == Type::kUndefined || value.type == Type::kNull) return Status(env, napi_object_expected);
  const auto found = value.properties.find(name);
  return Read(env, found == value.properties.end() ? nullptr : &found->second, result);
}

napi_status SetNamed(napi_env env, napi_value object, const std::string& name, napi_value to) {
  if (!MayRun(env)) return Status(env, napi_pending_exception);
  Value& value = Of(object);
  if (!IsObject(value)) return Status(env, napi_object_expected);
  value.properties[name] = {PtrOf(env, to), nullptr};
  return Status(env, napi_ok);
}

size_t ElementBytes(napi_typedarray_type type) {
  switch (type) {
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      return 8;
    case napi_float32_array:
    case napi_int32_array:
    case napi_uint32_array:
      return 4;
    case napi_int16_array:
    case napi_uint16_array:
      return 2;
    default:
      return 1;
  }
}

struct Memory {
  void* data;
  size_t bytes;
  v8::BackingStore::DeleterCallback free;
};

// A V8 class without members of its own: its address is the key. Threads let go of it too.
struct Stores {
  std::mutex mutex;
  std::map<const v8::BackingStore*, Memory> all;
};

Stores& StoresOf() {
  static Stores stores;
  return stores;
}

Memory MemoryOfStore(const v8::BackingStore* store) {
  const std::lock_guard<std::mutex> lock(StoresOf().mutex);
  return StoresOf().all.at(store);
}

v8::BackingStore* NewStore(const Memory& memory) {
  auto* store = static_cast<v8::BackingStore*>(::operator new(sizeof(v8::BackingStore)));
  const std::lock_guard<std::mutex> lock(StoresOf().mutex);
  StoresOf().all[store] = memory;
  return store;
}

Ptr Shared(std::shared_ptr<v8::BackingStore> store) {
  auto value = std::make_shared<Value>(Type::kSharedBuffer);
  value->bytes = MemoryOfStore(store.get()).bytes;
  value->store = std::move(store);
  return value;
}

}  // namespace

Ptr Undefined() { return std::make_shared<Value>(Type::kUndefined); }
Ptr Null() { return std::make_shared<Value>(Type::kNull); }
Ptr Symbol() { return std::make_shared<Value>(Type::kSymbol); }
Ptr BigInt() { return std::make_shared<Value>(Type::kBigInt); }
Ptr Function() { return std::make_shared<Value>(Type::kFunction); }
Ptr Object() { return std::make_shared<Value>(Type::kObject); }

Ptr Boolean(bool flag) {
  auto value = std::make_shared<Value>(Type::kBoolean);
  value->flag = flag;
  return value;
}

Ptr Number(double number) {
  auto value = std::make_shared<Value>(Type::kNumber);
  value->number = number;
  return value;
}

Ptr String(std::string text) {
  auto value = std::make_shared<Value>(Type::kString);
  value->text = std::move(text);
  return value;
}

Ptr Array(std::vector<Ptr> elements) {
  auto value = std::make_shared<Value>(Type::kArray);
  for (Ptr& element : elements) value->elements.push_back({std::move(element), nullptr});
  return value;
}

Ptr Buffer(size_t bytes) {
  auto value = std::make_shared<Value>(Type::kBuffer);
  value->memory.reset(new uint8_t[bytes]());
  value->bytes = bytes;
  return value;
}

Ptr SharedBuffer(size_t bytes) {
  const Memory memory = {new uint8_t[bytes](), bytes,
                         [](void* data, size_t, void*) { delete[] static_cast<uint8_t*>(data); }};
  return Shared(std::shared_ptr<v8::BackingStore>(NewStore(memory)));
}

Ptr TypedArray(napi_typedarray_type type, Ptr buffer, size_t offset, size_t count) {
  auto value = std::make_shared<Value>(Type::kTypedArray);
  value->elementType = type;
  value->buffer = std::move(buffer);
  value->offset = offset;
  value->count = count;
  return value;
}

Ptr Bytes(const std::vector<uint8_t>& bytes) {
  Ptr buffer = Buffer(bytes.size());
  if (!bytes.empty()) std::memcpy(buffer->memory.get(), bytes.data(), bytes.size());
  return TypedArray(napi_uint8_array, std::move(buffer), 0, bytes.size());
}

Ptr Doubles(const std::vector<double>& numbers) {
  Ptr buffer = Buffer(numbers.size() * sizeof(double));
  if (!numbers.empty()) std::memcpy(buffer->memory.get(), numbers.data(), numbers.size() * sizeof(double));
  return TypedArray(napi_float64_array, std::move(buffer), 0, numbers.size());
}

uint8_t* MemoryOf(const Value& buffer) {
  if (buffer.type == Type::kSharedBuffer) return static_cast<uint8_t*>(MemoryOfStore(buffer.store.get()).data);
  return buffer.memory.get();
}

void Detach(Value* buffer) {
  if (buffer->type != Type::kBuffer) return;
  buffer->memory.reset();
  buffer->bytes = 0;
}

Environment::Environment() {
  if (current != nullptr) Die("two environments at once");
  current = new napi_env__();
  current->global = Object();
  for (const char* name : {"SharedArrayBuffer", "Uint8Array"}) {
    Ptr constructor = Function();
    constructor->text = name;
    current->global->properties[name] = {constructor, nullptr};
  }
  exports_ = Object();
  const napi_value made = napi_register_module_v1(current, NewHandle(current, exports_));
  if (current->exception != nullptr || made == nullptr) Die("the addon could not be registered");
  current->handles.clear();
}

Environment::~Environment() {
  Pump(true);
  while (!current->hooks.empty()) {
    const auto [hook, data] = current->hooks.back();
    current->hooks.pop_back();
    hook(data);
  }
  exports_ = nullptr;
  delete current;
  current = nullptr;
}

Environment::Answer Environment::Call(const Value& function, const std::vector<Ptr>& arguments) {
  napi_callback_info__ info = {arguments, function.data};
  const napi_value result = function.callback(current, &info);
  Answer answer = {nullptr, std::exchange(current->exception, nullptr)};
  if (result == nullptr && answer.exception == nullptr) Die("neither a result nor an exception");
  if (result != nullptr && answer.exception != nullptr) Die("a result and an exception");
  if (result != nullptr) answer.value = PtrOf(current, result);
  current->handles.clear();
  return answer;
}

void Environment::Pump(bool isCancelled) {
  while (!current->works.empty()) {
    const napi_async_work work = current->works.front();
    current->works.pop_front();
    if (!isCancelled) work->execute(current, work->data);
    // May delete it.
    work->complete(current, isCancelled ? napi_cancelled : napi_ok, work->data);
  }
  for (const auto& function : current->threadsafe) {
    std::vector<void*> waiting;
    {
      const std::lock_guard<std::mutex> lock(function->mutex);
      waiting.swap(function->waiting);
    }
    for (void* data : waiting) function->call(current, nullptr, function->context, data);
  }
  if (current->exception != nullptr) Die("an exception outside of a call");
  current->handles.clear();
}

}  // namespace fake

using fake::NewHandle;
using fake::Of;
using fake::PtrOf;
using fake::Status;
using fake::Type;
using fake::Value;

// --- shared buffers of V8 ---

v8::BackingStore::~BackingStore() {
  fake::Memory memory;
  {
    const std::lock_guard<std::mutex> lock(fake::StoresOf().mutex);
    const auto found = fake::StoresOf().all.find(this);
    memory = found->second;
    fake::StoresOf().all.erase(found);
  }
  memory.free(memory.data, memory.bytes, nullptr);
}

void* v8::BackingStore::Data() const { return fake::MemoryOfStore(this).data; }
size_t v8::BackingStore::ByteLength() const { return fake::MemoryOfStore(this).bytes; }
v8::Isolate* v8::Isolate::GetCurrent() { return nullptr; }

bool v8::Value::IsSharedArrayBuffer() const {
  return reinterpret_cast<const fake::Value*>(this)->type == Type::kSharedBuffer;
}

std::shared_ptr<v8::BackingStore> v8::SharedArrayBuffer::GetBackingStore() {
  return reinterpret_cast<fake::Value*>(this)->store;
}

std::unique_ptr<v8::BackingStore> v8::SharedArrayBuffer::NewBackingStore(void* data, size_t bytes,
                                                                         v8::BackingStore::DeleterCallback deleter,
                                                                         void*) {
  return std::unique_ptr<v8::BackingStore>(fake::NewStore({data, bytes, deleter}));
}

v8::Local<v8::SharedArrayBuffer> v8::SharedArrayBuffer::New(v8::Isolate*, std::shared_ptr<v8::BackingStore> store) {
  const napi_value handle = NewHandle(fake::current, fake::Shared(std::move(store)));
  v8::Local<v8::SharedArrayBuffer> local;
  static_assert(sizeof(local) == sizeof(handle), "a napi_value is a V8 handle");
  std::memcpy(static_cast<void*>(&local), &handle, sizeof(handle));
  return local;
}

// --- Node-API ---

extern "C" {

napi_status napi_get_last_error_info(napi_env env, const napi_extended_error_info** result) {
  *result = &env->lastError;
  return napi_ok;
}

void napi_fatal_error(const char*, size_t, const char* message, size_t) { fake::Die(message); }

napi_status napi_get_undefined(napi_env env, napi_value* result) {
  *result = NewHandle(env, fake::Undefined());
  return Status(env, napi_ok);
}

napi_status napi_get_global(napi_env env, napi_value* result) {
  *result = NewHandle(env, env->global);
  return Status(env, napi_ok);
}

napi_status napi_get_boolean(napi_env env, bool value, napi_value* result) {
  *result = NewHandle(env, fake::Boolean(value));
  return Status(env, napi_ok);
}

napi_status napi_create_object(napi_env env, napi_value* result) {
  *result = NewHandle(env, fake::Object());
  return Status(env, napi_ok);
}

napi_status napi_create_array(napi_env env, napi_value* result) {
  *result = NewHandle(env, fake::Array({}));
  return Status(env, napi_ok);
}

napi_status napi_create_array_with_length(napi_env env, size_t length, napi_value* result) {
  *result = NewHandle(env, fake::Array(std::vector<fake::Ptr>(length)));
  return Status(env, napi_ok);
}

napi_status napi_create_double(napi_env env, double value, napi_value* result) {
  *result = NewHandle(env, fake::Number(value));
  return Status(env, napi_ok);
}

napi_status napi_create_int32(napi_env env, int32_t value, napi_value* result) {
  *result = NewHandle(env, fake::Number(value));
  return Status(env, napi_ok);
}

napi_status napi_create_string_utf8(napi_env env, const char* text, size_t length, napi_value* result) {
  *result = NewHandle(env, fake::String(length == NAPI_AUTO_LENGTH ? std::string(text) : std::string(text, length)));
  return Status(env, napi_ok);
}

napi_status napi_create_string_latin1(napi_env env, const char* text, size_t length, napi_value* result) {
  std::string wide;
  if (length == NAPI_AUTO_LENGTH) length = std::strlen(text);
  for (size_t i = 0; i < length; i++) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      wide.push_back(text[i]);
    } else {
      wide.push_back(static_cast<char>(0xc0 | byte >> 6));
      wide.push_back(static_cast<char>(0x80 | (byte & 0x3f)));
    }
  }
  *result = NewHandle(env, fake::String(std::move(wide)));
  return Status(env, napi_ok);
}

napi_status napi_create_function(napi_env env, const char* name, size_t, napi_callback callback, void* data,
                                 napi_value* result) {
  fake::Ptr function = fake::Function();
  function->text = name;
  function->callback = callback;
  function->data = data;
  *result = NewHandle(env, std::move(function));
  return Status(env, napi_ok);
}

napi_status napi_create_error(napi_env env, napi_value, napi_value message, napi_value* result) {
  if (Of(message).type != Type::kString) return Status(env, napi_string_expected);
  *result = NewHandle(env, fake::Error(Of(message).text.c_str()));
  return Status(env, napi_ok);
}

napi_status napi_create_type_error(napi_env env, napi_value code, napi_value message, napi_value* result) {
  return napi_create_error(env, code, message, result);
}

napi_status napi_create_arraybuffer(napi_env env, size_t bytes, void** data, napi_value* result) {
  fake::Ptr buffer = fake::Buffer(bytes);
  if (data != nullptr) *data = buffer->memory.get();
  *result = NewHandle(env, std::move(buffer));
  return Status(env, napi_ok);
}

napi_status napi_create_typedarray(napi_env env, napi_typedarray_type type, size_t length, napi_value buffer,
                                   size_t offset, napi_value* result) {
  if (!fake::MayRun(env)) return Status(env, napi_pending_exception);
  if (Of(buffer).type != Type::kBuffer) return Status(env, napi_invalid_arg);
  if (offset + length * fake::ElementBytes(type) > Of(buffer).bytes) fake::Die("an array past its buffer");
  *result = NewHandle(env, fake::TypedArray(type, PtrOf(env, buffer), offset, length));
  return Status(env, napi_ok);
}

napi_status napi_get_typedarray_info(napi_env env, napi_value value, napi_typedarray_type* type, size_t* length,
                                     void** data, napi_value* buffer, size_t* offset) {
  const Value& array = Of(value);
  if (array.type != Type::kTypedArray) return Status(env, napi_invalid_arg);
  uint8_t* memory = fake::MemoryOf(*array.buffer);
  if (type != nullptr) *type = array.elementType;
  if (length != nullptr) *length = memory == nullptr ? 0 : array.count;
  if (data != nullptr) *data = memory == nullptr ? nullptr : memory + array.offset;
  if (buffer != nullptr) *buffer = NewHandle(env, array.buffer);
  if (offset != nullptr) *offset = array.offset;
  return Status(env, napi_ok);
}

napi_status napi_typeof(napi_env env, napi_value value, napi_valuetype* result) {
  switch (Of(value).type) {
    case Type::kUndefined:
      *result = napi_undefined;
      break;
    case Type::kNull:
      *result = napi_null;
      break;
    case Type::kBoolean:
      *result = napi_boolean;
      break;
    case Type::kNumber:
      *result = napi_number;
      break;
    case Type::kString:
      *result = napi_string;
      break;
    case Type::kSymbol:
      *result = napi_symbol;
      break;
    case Type::kBigInt:
      *result = napi_bigint;
      break;
    case Type::kFunction:
      *result = napi_function;
      break;
    default:
      *result = napi_object;
  }
  return Status(env, napi_ok);
}

napi_status napi_get_value_double(napi_env env, napi_value value, double* result) {
  if (Of(value).type != Type::kNumber) return Status(env, napi_number_expected);
  *result = Of(value).number;
  return Status(env, napi_ok);
}

// Whole characters, as many as there is room for, and a zero.
napi_status napi_get_value_string_utf8(napi_env env, napi_value value, char* target, size_t room, size_t* length) {
  if (Of(value).type != Type::kString) return Status(env, napi_string_expected);
  const std::string& text = Of(value).text;
  if (target == nullptr) {
    *length = text.size();
    return Status(env, napi_ok);
  }
  if (room == 0) {
    *length = 0;
    return Status(env, napi_ok);
  }
  size_t taken = std::min(text.size(), room - 1);
  while (taken > 0 && taken < text.size() && (static_cast<unsigned char>(text[taken]) & 0xc0) == 0x80) taken--;
  std::memcpy(target, text.data(), taken);
  target[taken] = 0;
  if (length != nullptr) *length = taken;
  return Status(env, napi_ok);
}

napi_status napi_is_array(napi_env env, napi_value value, bool* result) {
  *result = Of(value).type == Type::kArray;
  return Status(env, napi_ok);
}

napi_status napi_get_array_length(napi_env env, napi_value value, uint32_t* result) {
  if (Of(value).type != Type::kArray) return Status(env, napi_array_expected);
  *result = static_cast<uint32_t>(Of(value).elements.size());
  return Status(env, napi_ok);
}

napi_status napi_get_element(napi_env env, napi_value object, uint32_t index, napi_value* result) {
  if (!fake::MayRun(env)) return Status(env, napi_pending_exception);
  const Value& value = Of(object);
  if (value.type == Type::kUndefined || value.type == Type::kNull) return Status(env, napi_object_expected);
  return fake::Read(env, index < value.elements.size() ? &value.elements[index] : nullptr, result);
}

napi_status napi_set_element(napi_env env, napi_value object, uint32_t index, napi_value to) {
  if (!fake::MayRun(env)) return Status(env, napi_pending_exception);
  Value& value = Of(object);
  if (value.type != Type::kArray) return Status(env, napi_object_expected);
  if (index >= value.elements.size()) value.elements.resize(index + size_t{1});
  value.elements[index] = {PtrOf(env, to), nullptr};
  return Status(env, napi_ok);
}

napi_status napi_get_named_property(napi_env env, napi_value object, const char* name, napi_value* result) {
  return fake::GetNamed(env, object, name, result);
}

napi_status napi_get_property(napi_env env, napi_value object, napi_value key, napi_value* result) {
  return fake::GetNamed(env, object, Of(key).text, result);
}

napi_status napi_has_property(napi_env env, napi_value object, napi_value key, bool* result) {
  if (!fake::MayRun(env)) return Status(env, napi_pending_exception);
  if (!fake::IsObject(Of(object))) return Status(env, napi_object_expected);
  *result = Of(object).properties.count(Of(key).text) > 0;
  return Status(env, napi_ok);
}

napi_status napi_set_named_property(napi_env env, napi_value object, const char* name, napi_value value) {
  return fake::SetNamed(env, object, name, value);
}

napi_status napi_set_property(napi_env env, napi_value object, napi_value key, napi_value value) {
  return fake::SetNamed(env, object, Of(key).text, value);
}

// A getter becomes a function of the name: what calls the methods calls it too.
napi_status napi_define_properties(napi_env env, napi_value object, size_t count,
                                   const napi_property_descriptor* properties) {
  for (size_t i = 0; i < count; i++) {
    const napi_property_descriptor& one = properties[i];
    napi_value function;
    napi_create_function(env, one.utf8name, NAPI_AUTO_LENGTH, one.method != nullptr ? one.method : one.getter, one.data,
                         &function);
    const napi_status status = fake::SetNamed(env, object, one.utf8name, function);
    if (status != napi_ok) return status;
  }
  return Status(env, napi_ok);
}

napi_status napi_instanceof(napi_env env, napi_value object, napi_value constructor, bool* result) {
  if (!fake::MayRun(env)) return Status(env, napi_pending_exception);
  if (Of(constructor).text != "SharedArrayBuffer") fake::Die("instanceof of another class");
  *result = Of(object).type == Type::kSharedBuffer || Of(object).claimsShared;
  return Status(env, napi_ok);
}

napi_status napi_new_instance(napi_env env, napi_value constructor, size_t count, const napi_value* arguments,
                              napi_value* result) {
  if (!fake::MayRun(env)) return Status(env, napi_pending_exception);
  if (Of(constructor).text != "Uint8Array" || count != 1) fake::Die("a new instance of another class");
  const fake::Ptr buffer = PtrOf(env, arguments[0]);
  // From any other object: an array of its elements, of which it has none.
  const bool isBuffer = buffer->type == Type::kSharedBuffer;
  *result = NewHandle(env, isBuffer ? fake::TypedArray(napi_uint8_array, buffer, 0, buffer->bytes) : fake::Bytes({}));
  return Status(env, napi_ok);
}

napi_status napi_get_cb_info(napi_env env, napi_callback_info info, size_t* count, napi_value* arguments,
                             napi_value* receiver, void** data) {
  if (count != nullptr) {
    for (size_t i = 0; arguments != nullptr && i < *count; i++) {
      arguments[i] = NewHandle(env, i < info->arguments.size() ? info->arguments[i] : fake::Undefined());
    }
    *count = info->arguments.size();
  }
  if (receiver != nullptr) *receiver = NewHandle(env, fake::Undefined());
  if (data != nullptr) *data = info->data;
  return Status(env, napi_ok);
}

// The addon calls no JavaScript; only node-addon-api names this.
napi_status napi_call_function(napi_env, napi_value, napi_value, size_t, const napi_value*, napi_value*) {
  fake::Die("a call of JavaScript");
}

napi_status napi_create_reference(napi_env env, napi_value value, uint32_t, napi_ref* result) {
  if (!fake::IsObject(Of(value))) return Status(env, napi_invalid_arg);
  env->references.push_back(std::make_unique<napi_ref__>(napi_ref__{PtrOf(env, value)}));
  *result = env->references.back().get();
  return Status(env, napi_ok);
}

napi_status napi_delete_reference(napi_env env, napi_ref reference) {
  auto& all = env->references;
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.get() == reference; });
  if (found == all.end()) fake::Die("a reference that is not there");
  all.erase(found);
  return Status(env, napi_ok);
}

napi_status napi_get_reference_value(napi_env env, napi_ref reference, napi_value* result) {
  *result = NewHandle(env, reference->value);
  return Status(env, napi_ok);
}

napi_status napi_open_handle_scope(napi_env env, napi_handle_scope* result) {
  *result = new napi_handle_scope__{env->handles.size()};
  return Status(env, napi_ok);
}

napi_status napi_close_handle_scope(napi_env env, napi_handle_scope scope) {
  env->handles.resize(scope->handles);
  delete scope;
  return Status(env, napi_ok);
}

napi_status napi_open_escapable_handle_scope(napi_env env, napi_escapable_handle_scope* result) {
  *result = new napi_escapable_handle_scope__{env->handles.size(), nullptr};
  return Status(env, napi_ok);
}

napi_status napi_escape_handle(napi_env env, napi_escapable_handle_scope scope, napi_value value, napi_value* result) {
  scope->escaped = PtrOf(env, value);
  *result = value;
  return Status(env, napi_ok);
}

napi_status napi_close_escapable_handle_scope(napi_env env, napi_escapable_handle_scope scope) {
  env->handles.resize(scope->handles);
  if (scope->escaped != nullptr) env->handles.push_back(scope->escaped);
  delete scope;
  return Status(env, napi_ok);
}

napi_status napi_throw(napi_env env, napi_value error) {
  if (!fake::MayRun(env)) return Status(env, napi_pending_exception);
  env->exception = PtrOf(env, error);
  return Status(env, napi_ok);
}

napi_status napi_throw_error(napi_env env, const char*, const char* message) { return fake::Throw(env, message); }
napi_status napi_throw_type_error(napi_env env, const char*, const char* message) { return fake::Throw(env, message); }
napi_status napi_throw_range_error(napi_env env, const char*, const char* message) { return fake::Throw(env, message); }

napi_status napi_is_exception_pending(napi_env env, bool* result) {
  *result = env->exception != nullptr;
  return Status(env, napi_ok);
}

napi_status napi_get_and_clear_last_exception(napi_env env, napi_value* result) {
  fake::Ptr exception = std::exchange(env->exception, nullptr);
  *result = NewHandle(env, exception != nullptr ? exception : fake::Undefined());
  return Status(env, napi_ok);
}

napi_status napi_create_promise(napi_env env, napi_deferred* deferred, napi_value* result) {
  if (!fake::MayRun(env)) return Status(env, napi_pending_exception);
  auto promise = std::make_shared<Value>(Type::kPromise);
  env->deferreds.push_back(std::make_unique<napi_deferred__>(napi_deferred__{promise}));
  *deferred = env->deferreds.back().get();
  *result = NewHandle(env, std::move(promise));
  return Status(env, napi_ok);
}

napi_status napi_resolve_deferred(napi_env env, napi_deferred deferred, napi_value value) {
  auto& all = env->deferreds;
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.get() == deferred; });
  if (found == all.end()) fake::Die("a promise that is settled twice");
  deferred->promise->outcome = PtrOf(env, value);
  all.erase(found);
  return Status(env, napi_ok);
}

napi_status napi_reject_deferred(napi_env env, napi_deferred deferred, napi_value value) {
  if (Of(value).type != Type::kError) fake::Die("a promise rejected with what is no error");
  return napi_resolve_deferred(env, deferred, value);
}

napi_status napi_create_async_work(napi_env env, napi_value, napi_value, napi_async_execute_callback execute,
                                   napi_async_complete_callback complete, void* data, napi_async_work* result) {
  *result = new napi_async_work__{execute, complete, data};
  return Status(env, napi_ok);
}

napi_status napi_queue_async_work(napi_env env, napi_async_work work) {
  env->works.push_back(work);
  return Status(env, napi_ok);
}

napi_status napi_delete_async_work(napi_env env, napi_async_work work) {
  delete work;
  return Status(env, napi_ok);
}

napi_status napi_create_threadsafe_function(napi_env env, napi_value, napi_value, napi_value, size_t, size_t, void*,
                                            napi_finalize, void* context, napi_threadsafe_function_call_js call,
                                            napi_threadsafe_function* result) {
  auto function = std::make_unique<napi_threadsafe_function__>();
  function->call = call;
  function->context = context;
  *result = function.get();
  env->threadsafe.push_back(std::move(function));
  return Status(env, napi_ok);
}

napi_status napi_call_threadsafe_function(napi_threadsafe_function function, void* data,
                                          napi_threadsafe_function_call_mode) {
  const std::lock_guard<std::mutex> lock(function->mutex);
  function->waiting.push_back(data);
  return napi_ok;
}

napi_status napi_ref_threadsafe_function(napi_env env, napi_threadsafe_function) { return Status(env, napi_ok); }
napi_status napi_unref_threadsafe_function(napi_env env, napi_threadsafe_function) { return Status(env, napi_ok); }

napi_status napi_add_env_cleanup_hook(napi_env env, napi_cleanup_hook hook, void* data) {
  env->hooks.emplace_back(hook, data);
  return Status(env, napi_ok);
}

// Of classes of node-addon-api that the addon does not use.
napi_status napi_close_callback_scope(napi_env, napi_callback_scope) { fake::Die("a callback scope"); }
napi_status napi_async_destroy(napi_env, napi_async_context) { fake::Die("an asynchronous context"); }

}  // extern "C"
