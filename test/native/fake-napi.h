// As much of Node-API and of V8's shared buffers as the addon calls, in the process itself: libFuzzer cannot be linked
// into node. Values are reference counted instead of collected, so that the sanitizer sees what outlives its handle,
// and each buffer is a block of the heap of exactly its size. Not more lenient than node: what needs an object refuses
// what is none, and with an exception pending nothing that could run JavaScript is done.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace v8 {
class BackingStore;
}

namespace fake {

enum class Type {
  kUndefined,
  kNull,
  kBoolean,
  kNumber,
  kString,
  kSymbol,
  kBigInt,
  kObject,
  kArray,
  kFunction,
  kBuffer,
  kSharedBuffer,
  kTypedArray,
  kPromise,
  kError,
};

struct Value;
using Ptr = std::shared_ptr<Value>;
// Of a property or an element: a value, or what a getter gives. A getter that gives null throws.
struct Slot {
  Ptr value;
  std::function<Ptr()> getter;
};

struct Value {
  explicit Value(Type ofType) : type(ofType) {}

  const Type type;
  double number = 0;
  bool flag = false;
  // UTF-8 of a string; the name of a function; what an error says.
  std::string text;
  std::map<std::string, Slot> properties;
  std::vector<Slot> elements;
  napi_callback callback = nullptr;
  void* data = nullptr;
  // Of a buffer: null once it was detached.
  std::unique_ptr<uint8_t[]> memory;
  size_t bytes = 0;
  std::shared_ptr<v8::BackingStore> store;
  // Of a typed array.
  napi_typedarray_type elementType = napi_uint8_array;
  Ptr buffer;
  size_t offset = 0;
  size_t count = 0;
  // Of a promise, once it is settled.
  Ptr outcome;
  // An object that claims to be a SharedArrayBuffer, as Object.create(SharedArrayBuffer.prototype) does.
  bool claimsShared = false;
};

Ptr Undefined();
Ptr Null();
Ptr Boolean(bool flag);
Ptr Number(double number);
Ptr String(std::string text);
Ptr Object();
Ptr Array(std::vector<Ptr> elements);
Ptr Symbol();
Ptr BigInt();
Ptr Function();
// Zeroed.
Ptr Buffer(size_t bytes);
// As V8 makes one: of exactly its size.
Ptr SharedBuffer(size_t bytes);
// Requires: it fits into the buffer.
Ptr TypedArray(napi_typedarray_type type, Ptr buffer, size_t offset, size_t count);
Ptr Bytes(const std::vector<uint8_t>& bytes);
Ptr Doubles(const std::vector<double>& numbers);

// Bytes of a buffer, shared or not; null when it is detached or empty.
uint8_t* MemoryOf(const Value& buffer);
void Detach(Value* buffer);

// One environment: the addon is registered in it, called, and torn down with it. One at a time.
class Environment {
 public:
  // Registers the addon.
  Environment();
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  const Ptr& exports() const { return exports_; }
  struct Answer {
    // Null: it threw.
    Ptr value;
    Ptr exception;
  };
  // Aborts when the call gives neither a value nor an exception, or both.
  Answer Call(const Value& function, const std::vector<Ptr>& arguments);
  // What threads have to say, and asynchronous work: done, or given up undone.
  void Pump(bool isCancelled);

 private:
  Ptr exports_;
};

}  // namespace fake
