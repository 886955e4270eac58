// A libFuzzer target for the bindings: the bytes of an input are a list of calls of what the addon registers, with
// arguments that are right in most places and wrong in some. Each input has an environment of its own, its arena is a
// block of the heap of an odd size, and its files lie in the folder `files` below where the program was started. It
// fails on a report of a sanitizer, and on a call that leaves neither a result nor an exception (fake-napi.cc).
//
// Steered: `replaceProcess` is given no program that exists. A descriptor is one of this file's own or one that is not
// open. Paths stay in the folder. Lengths of zeroes, of memory and of time are short.
#include <errno.h>
#include <fcntl.h>
#include <sanitizer/asan_interface.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "fake-napi.h"

namespace {

using fake::Ptr;
using fake::Type;
using fake::Value;
using Arguments = std::vector<Ptr>;

constexpr size_t kArenaBytes = (size_t{1} << 16) + 40;
constexpr double kStateAt = 8192;
constexpr double kOtherStateAt = 12288;
// Above what the process opens by itself, below what is not open.
constexpr int kFd = 500;
// The folder that the process works in.
constexpr int kFolderFd = 501;
constexpr int kClosedFd = 60000;
constexpr size_t kCallsMax = 40;
constexpr size_t kObjectsMax = 3;
// Longer than a text that the binding keeps without an allocation.
constexpr size_t kTextMax = 5000;

class Input {
 public:
  Input(const uint8_t* data, size_t bytes) : data_(data), bytes_(bytes) {}

  bool IsAtEnd() const { return bytes_ == 0; }
  uint8_t Byte() {
    if (bytes_ == 0) return 0;
    bytes_--;
    return *data_++;
  }
  size_t Below(size_t bound) { return bound <= 256 ? Byte() % bound : (Byte() | size_t{Byte()} << 8) % bound; }
  // `times` of 256.
  bool Chance(int times) { return Byte() >= 256 - times; }

 private:
  const uint8_t* data_;
  size_t bytes_;
};

class World;

struct Binding {
  const char* name;
  enum On { kExports, kQueue, kStore };
  On on;
  // Arguments that are right.
  Arguments (*make)(World&);
};

class World {
 public:
  explicit World(const Input& input) : in(input), arena(fake::SharedBuffer(kArenaBytes)), about_(AboutOf(in.Byte())) {
    Invoke(Find(environment_.exports(), "attachArena"), {arena});
    Invoke(Find(environment_.exports(), "setHashKey"), {fake::Bytes(std::vector<uint8_t>(32, 7))});
  }
  ~World();

  void Run();

  Input in;
  Ptr arena;
  double lastRange = 1;

  // Where something lies in the arena: now and then where a stream's state does, or at the arena's end.
  double At(double usual);
  double Length();
  Ptr SomeBytes(size_t usual);
  Ptr SomeText(const char* usual);
  Ptr Signing();
  Ptr Request();
  // Twelve numbers of a pass, eight of a job.
  std::vector<double> PassNumbers(size_t index);
  std::vector<double> JobNumbers();

 private:
  static Binding::On AboutOf(uint8_t byte) {
    return byte < 128 ? Binding::kExports : byte < 200 ? Binding::kQueue : Binding::kStore;
  }
  static Ptr Find(const Ptr& object, const char* name) {
    const auto found = object->properties.find(name);
    return found == object->properties.end() ? nullptr : found->second.value;
  }
  fake::Environment::Answer Invoke(const Ptr& function, const Arguments& arguments) {
    return environment_.Call(*function, arguments);
  }
  Ptr Target(const Binding& binding);
  void Step();
  void Invoke(const Binding& binding);
  void Mutate(Arguments* arguments);
  void Steer(const Binding& binding, Arguments* arguments);
  double SteerDescriptor(double number);
  void Keep(const Binding& binding, const Ptr& value);
  void UseFiles();

  double SomeNumber();
  Ptr Anything();
  Ptr Similar(const Ptr& value);
  fake::Slot Trap(const Ptr& usual, const Arguments& others);

  fake::Environment environment_;
  // What this input is about: calls of the kernels alone are a hundred times as fast as those with threads and files.
  const Binding::On about_;
  std::vector<Ptr> queues_;
  std::vector<Ptr> stores_;
  std::vector<Ptr> promises_;
  bool hasFiles_ = false;
};

double World::SomeNumber() {
  static const double kNumbers[] = {std::nan(""),
                                    -0.0,
                                    -1,
                                    0.5,
                                    1e-300,
                                    31,
                                    63,
                                    kArenaBytes - 2048,
                                    kArenaBytes - 1,
                                    kArenaBytes,
                                    kArenaBytes + 1,
                                    2147483647.0,
                                    2147483648.0,
                                    4294967295.0,
                                    4294967296.0,
                                    9007199254740991.0,
                                    9007199254740992.0,
                                    9223372036854775808.0,
                                    18446744073709551616.0,
                                    1e300,
                                    std::numeric_limits<double>::infinity(),
                                    -std::numeric_limits<double>::infinity()};
  switch (in.Byte() % 5) {
    case 0:
      return kNumbers[in.Below(sizeof(kNumbers) / sizeof(kNumbers[0]))];
    case 1:
      return in.Byte();
    case 2:
      return in.Byte() * 64.0;
    case 3:
      return static_cast<double>(in.Below(65536));
    default:
      return kStateAt - 40 + in.Byte();
  }
}

double World::At(double usual) {
  const uint8_t where = in.Byte();
  if (where < 24) return kStateAt - 64 + in.Byte() * 4.0;
  if (where < 48) return static_cast<double>(arena->bytes) - in.Byte() * 8.0;
  return usual;
}

double World::Length() { return static_cast<double>(in.Chance(128) ? in.Byte() : in.Below(4096)); }

Ptr World::SomeBytes(size_t usual) {
  std::vector<uint8_t> bytes(in.Chance(20) ? in.Below(300) : usual);
  const uint8_t first = in.Byte();
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<uint8_t>(first + i);
  return fake::Bytes(bytes);
}

// Whole characters of one to three bytes: a string of JavaScript can have no others.
Ptr World::SomeText(const char* usual) {
  if (!in.Chance(60)) return fake::String(usual);
  const char* kCharacters[] = {"x", "a", "7", "\xc3\xa9", "\xe2\x82\xac", "\xef\xbf\xbd", "-", "/"};
  std::string text;
  const size_t times = in.Chance(128) ? in.Below(20) : in.Below(kTextMax / 3);
  const char* one = kCharacters[in.Below(8)];
  text += std::string(in.Below(4), 'p');
  for (size_t i = 0; i < times; i++) text += one;
  if (in.Chance(30)) text.push_back('\0');
  return fake::String(text);
}

Ptr World::Signing() {
  Ptr signing = fake::Object();
  signing->properties["signingKey"] = {fake::Bytes(std::vector<uint8_t>(64, in.Byte())), nullptr};
  signing->properties["amzDate"] = {fake::String("20260101T000000Z"), nullptr};
  signing->properties["scope"] = {fake::String("20260101/us-east-1/s3/aws4_request"), nullptr};
  signing->properties["seedSignature"] = {fake::String(std::string(64, 'a')), nullptr};
  return signing;
}

std::vector<double> World::PassNumbers(size_t index) {
  const double at = 16384 + 8192.0 * static_cast<double>(index % 4);
  const double k = 1 + static_cast<double>(in.Below(4));
  const double shardBytes = static_cast<double>(in.Below(1000));
  const double state = in.Chance(128) ? -1 : index == 0 ? kStateAt : kOtherStateAt;
  return {state, At(at), k * shardBytes, k, 1, shardBytes, At(at + 4096), At(at + 6144), 256, 1, 2, 0};
}

std::vector<double> World::JobNumbers() { return {At(in.Byte()), Length(), At(16384), 1024, 1, 2, 0, 0}; }

Ptr World::Request() {
  const char* kNames[] = {"a", "b", "d", "d/a", "none/x", "data"};
  Ptr request = fake::Object();
  const auto set = [&](const char* name, Ptr value) { request->properties[name] = {std::move(value), nullptr}; };
  set("kind", fake::Number(in.Below(13)));
  set("path", fake::String(kNames[in.Below(6)]));
  set("toPath", fake::String(kNames[in.Below(6)]));
  if (in.Chance(128)) set("fd", fake::Number(kFd));
  set("fileOffset", fake::Number(in.Chance(128) ? 0 : in.Byte() * 512.0));
  if (in.Chance(100)) {
    set("checks", fake::Doubles(JobNumbers()));
  } else {
    const double bytes = in.Byte() * 64.0;
    set("segments", fake::Doubles({At(0), bytes, At(20480), bytes}));
  }
  set("bytes", fake::Number(in.Byte() * 64.0));
  set("flags", fake::Number(in.Byte() & 127));
  return request;
}

Ptr Numbers(std::vector<double> numbers) { return fake::Doubles(numbers); }
Ptr N(double number) { return fake::Number(number); }
double Digest(World& world) { return static_cast<double>(1u << world.in.Below(6)); }

const Binding kBindings[] = {
    {"createArena", Binding::kExports,
     [](World& w) { return Arguments{N(static_cast<double>(1 + w.in.Below(9000)))}; }},
    {"attachArena", Binding::kExports,
     [](World& w) {
       // Of another size now and then: what was a range is none any more.
       if (w.in.Chance(40)) w.arena = fake::SharedBuffer(8192 + 64 * w.in.Below(900));
       return Arguments{w.arena};
     }},
    {"setHashKey", Binding::kExports, [](World& w) { return Arguments{w.SomeBytes(32)}; }},
    {"copyToArena", Binding::kExports,
     [](World& w) {
       const size_t bytes = w.in.Below(300);
       return Arguments{N(w.At(w.in.Byte())), w.SomeBytes(bytes), N(0), N(static_cast<double>(bytes))};
     }},
    {"copyWithinArena", Binding::kExports,
     [](World& w) {
       return Arguments{N(w.At(0)), N(w.At(w.in.Byte())), N(w.Length())};
     }},
    {"streamInit", Binding::kExports,
     [](World& w) {
       return Arguments{N(w.in.Chance(128) ? kStateAt : kOtherStateAt), N(w.in.Byte() & 63),
                        w.in.Chance(128) ? fake::Null() : w.Signing()};
     }},
    {"streamUpdate", Binding::kExports,
     [](World& w) {
       const double at = w.At(16384);
       const double bytes = w.Length();
       if (w.in.Chance(128)) return Arguments{N(kStateAt), N(at), N(bytes), fake::Null(), fake::Null()};
       const size_t chunks = 1 + w.in.Below(40);
       std::vector<double> ends;
       for (size_t i = 1; i <= chunks; i++) ends.push_back(std::floor(bytes * static_cast<double>(i) / 40));
       return Arguments{N(kStateAt), N(at), N(bytes), Numbers(ends), w.SomeBytes(32 * chunks)};
     }},
    {"streamUpdates", Binding::kExports,
     [](World& w) {
       std::vector<double> numbers = {kStateAt, w.At(16384), w.Length()};
       if (w.in.Chance(128)) numbers.insert(numbers.end(), {w.At(kOtherStateAt), w.At(16384), w.Length()});
       return Arguments{Numbers(numbers)};
     }},
    {"streamDigest", Binding::kExports,
     [](World& w) {
       return Arguments{N(kStateAt), N(Digest(w))};
     }},
    {"streamDigestHex", Binding::kExports,
     [](World& w) {
       return Arguments{N(kStateAt), N(Digest(w))};
     }},
    {"streamTrailerSignature", Binding::kExports,
     [](World& w) {
       return Arguments{N(kStateAt), w.SomeBytes(w.in.Byte()), w.SomeBytes(32)};
     }},
    {"putPass", Binding::kExports,
     [](World& w) {
       if (w.in.Chance(200)) return Arguments{Numbers(w.PassNumbers(0)), fake::Null(), fake::Null()};
       return Arguments{Numbers(w.PassNumbers(0)), Numbers({static_cast<double>(w.in.Byte())}), w.SomeBytes(32)};
     }},
    {"putPasses", Binding::kExports,
     [](World& w) {
       std::vector<double> numbers;
       const size_t count = w.in.Below(4);
       for (size_t i = 0; i < count; i++) {
         const std::vector<double> one = w.PassNumbers(i);
         numbers.insert(numbers.end(), one.begin(), one.end());
       }
       const std::vector<Ptr> nothing(count, fake::Null());
       return Arguments{Numbers(numbers), fake::Array(nothing), fake::Array(nothing)};
     }},
    {"verifyBlocks", Binding::kExports, [](World& w) { return Arguments{Numbers(w.JobNumbers())}; }},
    {"hashBlocks", Binding::kExports, [](World& w) { return Arguments{Numbers(w.JobNumbers())}; }},
    {"encode", Binding::kExports,
     [](World& w) {
       const size_t k = 1 + w.in.Below(5);
       std::vector<double> offsets;
       for (size_t i = 0; i < k + 2; i++) offsets.push_back(4096.0 * static_cast<double>(i));
       return Arguments{N(static_cast<double>(k)), N(2), N(static_cast<double>(w.in.Below(4097))), Numbers(offsets)};
     }},
    {"reconstruct", Binding::kExports,
     [](World& w) {
       const size_t k = 1 + w.in.Below(5);
       std::vector<double> offsets;
       for (size_t i = 0; i < k + 3; i++) offsets.push_back(4096.0 * static_cast<double>(i));
       // All but up to three, which are wanted.
       uint32_t lost = 0;
       for (int times = 0; times < 3; times++) lost |= 1u << w.in.Below(k + 3);
       const uint32_t present = ((1u << (k + 3)) - 1) & ~lost;
       return Arguments{N(static_cast<double>(k)), N(3),       N(static_cast<double>(w.in.Below(4097))),
                        Numbers(offsets),          N(present), N(lost)};
     }},
    {"digest", Binding::kExports,
     [](World& w) {
       return Arguments{N(Digest(w)), w.SomeBytes(w.in.Below(1000))};
     }},
    {"highwayHash256", Binding::kExports,
     [](World& w) {
       return Arguments{w.SomeBytes(32), w.SomeBytes(w.in.Below(300))};
     }},
    {"crcCombine", Binding::kExports,
     [](World& w) {
       const size_t kind = w.in.Below(3);
       const size_t bytes = kind == 2 ? 8 : 4;
       return Arguments{N(static_cast<double>(8u << kind)), w.SomeBytes(bytes), w.SomeBytes(bytes),
                        N(w.SomeBytes(3)->count)};
     }},
    {"argon2id", Binding::kExports,
     [](World& w) { return Arguments{w.SomeBytes(8), w.SomeBytes(16), N(1), N(16), N(1 + w.in.Below(2)), N(32)}; }},
    {"replaceProcess", Binding::kExports,
     [](World& w) {
       return Arguments{w.SomeText("none"), fake::Array({w.SomeText("x"), w.SomeText("y")})};
     }},
    {"hmacSha256", Binding::kExports,
     [](World& w) {
       return Arguments{w.SomeBytes(w.in.Byte()), w.SomeText("message")};
     }},
    {"hmacSha1", Binding::kExports,
     [](World& w) {
       return Arguments{w.SomeBytes(w.in.Byte()), w.SomeText("message")};
     }},
    {"sha256Hex", Binding::kExports,
     [](World& w) { return Arguments{w.in.Chance(128) ? w.SomeText("message") : w.SomeBytes(w.in.Byte())}; }},
    {"createSigningKey", Binding::kExports,
     [](World& w) {
       return Arguments{w.SomeText("secret"), w.SomeText("20260101"), w.SomeText("us-east-1"), w.SomeText("s3")};
     }},
    {"sign", Binding::kExports,
     [](World& w) {
       return Arguments{w.SomeBytes(64), w.SomeText("text")};
     }},
    {"verifyRequest", Binding::kExports,
     [](World& w) {
       return Arguments{w.SomeBytes(64), w.SomeText("20260101T000000Z"), w.SomeText("scope"), w.SomeText("request"),
                        fake::String(std::string(64, 'a'))};
     }},
    {"constantTimeEqual", Binding::kExports,
     [](World& w) {
       return Arguments{w.SomeText("a"), w.SomeBytes(w.in.Byte())};
     }},
    {"paths", Binding::kExports, [](World&) { return Arguments{}; }},
    {"availablePaths", Binding::kExports, [](World&) { return Arguments{}; }},
    {"threadCpuMicros", Binding::kExports, [](World&) { return Arguments{}; }},
    {"createIoQueue", Binding::kExports,
     [](World& w) {
       return Arguments{w.arena, w.SomeText("more"), N(1 + w.in.Below(3)), N(1 + w.in.Below(64))};
     }},
    {"lockFile", Binding::kExports, [](World&) { return Arguments{N(kFd)}; }},
    {"submit", Binding::kQueue, [](World& w) { return Arguments{w.Request()}; }},
    {"enter", Binding::kQueue, [](World& w) { return Arguments{N(w.in.Chance(32) ? kFd : kFolderFd)}; }},
    {"hold", Binding::kQueue, [](World&) { return Arguments{N(kFd)}; }},
    {"cancel", Binding::kQueue, [](World& w) { return Arguments{N(1 + w.in.Below(8))}; }},
    {"openNow", Binding::kQueue, [](World& w) { return Arguments{w.SomeText("data")}; }},
    {"readNow", Binding::kQueue,
     [](World& w) {
       return Arguments{N(kFd), N(w.in.Byte() * 16.0), N(w.At(0)), N(w.in.Byte() * 16.0)};
     }},
    {"readCheckedNow", Binding::kQueue,
     [](World& w) {
       return Arguments{N(kFd), N(0), Numbers(w.JobNumbers())};
     }},
    {"close", Binding::kQueue, [](World& w) { return Arguments{N(w.in.Byte())}; }},
    {"depth", Binding::kQueue, [](World&) { return Arguments{}; }},
    {"openIndexStore", Binding::kExports,
     [](World& w) {
       return Arguments{fake::String(w.in.Chance(128) ? "index" : "other"), N(4096), N(4096), N(60000)};
     }},
    {"get", Binding::kStore,
     [](World& w) {
       return Arguments{w.SomeBytes(w.in.Below(8)), w.SomeBytes(w.in.Byte())};
     }},
    {"put", Binding::kStore,
     [](World& w) {
       return Arguments{w.SomeBytes(w.in.Below(8)), w.SomeBytes(w.in.Below(600))};
     }},
    {"delete", Binding::kStore, [](World& w) { return Arguments{w.SomeBytes(w.in.Below(8))}; }},
    {"endBatch", Binding::kStore, [](World&) { return Arguments{}; }},
    {"isBehind", Binding::kStore, [](World&) { return Arguments{}; }},
    {"openRange", Binding::kStore,
     [](World& w) {
       return Arguments{w.SomeBytes(0), w.SomeBytes(8), N(static_cast<double>(w.in.Below(2)))};
     }},
    {"readRange", Binding::kStore,
     [](World& w) {
       return Arguments{N(w.lastRange), w.SomeBytes(w.in.Below(2000)), N(1 + w.in.Below(20))};
     }},
    {"closeRange", Binding::kStore, [](World& w) { return Arguments{N(w.lastRange)}; }},
    {"flush", Binding::kStore, [](World&) { return Arguments{}; }},
    {"isFlushed", Binding::kStore, [](World& w) { return Arguments{N(w.in.Byte())}; }},
    {"trouble", Binding::kStore, [](World&) { return Arguments{}; }},
    {"damage", Binding::kStore, [](World&) { return Arguments{}; }},
    {"clear", Binding::kStore, [](World&) { return Arguments{}; }},
    {"close", Binding::kStore, [](World&) { return Arguments{}; }},
    {"leave", Binding::kStore, [](World&) { return Arguments{}; }},
    {"figures", Binding::kStore, [](World&) { return Arguments{}; }},
};
constexpr size_t kBindingCount = sizeof(kBindings) / sizeof(kBindings[0]);

size_t IndexOf(const char* name) {
  size_t at = 0;
  while (std::strcmp(kBindings[at].name, name) != 0) at++;
  return at;
}
// The table is in this order: the kernels, queues, stores, each with what makes them.
const size_t kFirstOfQueue = IndexOf("createIoQueue");
const size_t kFirstOfStore = IndexOf("openIndexStore");

struct Counts {
  size_t answered = 0;
  size_t refused = 0;
};
Counts counts[kBindingCount];

// One line of JSON at the end, so that somebody sees whether each binding was reached.
void PrintCounts() {
  constexpr const char* kOn[] = {"exports", "queue", "store"};
  for (size_t i = 0; i < kBindingCount; i++) {
    std::printf("%s\"%s.%s\":{\"answered\":%zu,\"refused\":%zu}", i == 0 ? "{" : ",", kOn[kBindings[i].on],
                kBindings[i].name, counts[i].answered, counts[i].refused);
  }
  std::printf("}\n");
}

void RequireFuzzed(const Ptr& object, int on) {
  for (const auto& [name, slot] : object->properties) {
    bool isKnown = false;
    for (const Binding& binding : kBindings) isKnown = isKnown || (binding.on == on && name == binding.name);
    if (isKnown) continue;
    std::fprintf(stderr, "%s is not fuzzed\n", name.c_str());
    std::abort();
  }
}

// --- arguments that are wrong ---

Ptr World::Anything() {
  switch (in.Below(20)) {
    case 0:
      return fake::Undefined();
    case 1:
      return fake::Null();
    case 2:
      return fake::Boolean(true);
    case 3:
      return fake::Symbol();
    case 4:
      return fake::BigInt();
    case 5:
      return fake::Function();
    case 6:
      return fake::Object();
    case 7:
      return fake::Array({});
    case 8:
      return fake::Array({N(1), fake::String("x"), fake::Null()});
    case 9:
      return fake::TypedArray(napi_int8_array, fake::Buffer(32), 0, 32);
    case 10:
      return fake::TypedArray(napi_float32_array, fake::Buffer(32), 0, 8);
    case 11:
      return fake::Buffer(32);
    case 12: {
      Ptr claims = fake::Object();
      claims->claimsShared = true;
      return claims;
    }
    case 13: {
      // All of the arena from somewhere on, its last byte among it.
      const size_t from = in.Below(arena->bytes + 1);
      return fake::TypedArray(napi_uint8_array, arena, from, arena->bytes - from);
    }
    case 14: {
      const size_t from = 8 * in.Below(arena->bytes / 8);
      const size_t left = (arena->bytes - from) / 8;
      return fake::TypedArray(napi_float64_array, arena, from, std::min<size_t>(left, 1 + in.Below(24)));
    }
    case 15: {
      std::vector<double> numbers(in.Chance(40) ? 396 : in.Below(26));
      for (size_t i = 0; i < numbers.size() && i < 26; i++) numbers[i] = SomeNumber();
      return fake::Doubles(numbers);
    }
    case 16: {
      Ptr gone = in.Chance(128) ? fake::Bytes(std::vector<uint8_t>(64)) : fake::Doubles(std::vector<double>(24));
      fake::Detach(gone->buffer.get());
      return gone;
    }
    case 17:
      return SomeText("");
    case 18:
      return SomeBytes(in.Below(200));
    default:
      return N(SomeNumber());
  }
}

Ptr World::Similar(const Ptr& value) {
  if (value->type == Type::kNumber) return N(in.Chance(80) ? value->number + in.Byte() % 3 - 1 : SomeNumber());
  if (value->type == Type::kString) return SomeText("");
  if (value->type == Type::kTypedArray && value->elementType == napi_float64_array) {
    std::vector<double> numbers(value->count);
    if (!numbers.empty()) {
      const uint8_t* memory = fake::MemoryOf(*value->buffer);
      if (memory == nullptr) return Anything();
      std::memcpy(numbers.data(), memory + value->offset, numbers.size() * sizeof(double));
    }
    for (size_t times = 1 + in.Below(3); times > 0 && !numbers.empty(); times--) {
      numbers[in.Below(numbers.size())] = SomeNumber();
    }
    if (in.Chance(20)) numbers.resize(in.Below(numbers.size() + 2));
    return fake::Doubles(numbers);
  }
  if (value->type == Type::kTypedArray) return SomeBytes(in.Below(value->count + 2));
  if (value->type == Type::kArray && !value->elements.empty()) {
    Ptr changed = fake::Array({});
    changed->elements = value->elements;
    changed->elements[in.Below(changed->elements.size())] = {Anything(), nullptr};
    return changed;
  }
  if (value->type == Type::kObject && !value->properties.empty()) {
    Ptr changed = fake::Object();
    changed->properties = value->properties;
    for (size_t times = 1 + in.Below(2); times > 0; times--) {
      auto at = changed->properties.begin();
      std::advance(at, in.Below(changed->properties.size()));
      const Ptr usual = at->second.value;
      if (usual == nullptr) continue;
      at->second = {in.Chance(128) ? Similar(usual) : Anything(), nullptr};
    }
    return changed;
  }
  return Anything();
}

// A getter that throws, or takes the memory of another argument away and gives what was there.
fake::Slot World::Trap(const Ptr& usual, const Arguments& others) {
  if (in.Chance(60)) return {nullptr, [] { return Ptr(); }};
  // The victim may be what holds this getter.
  const std::weak_ptr<Value> victim = others[in.Below(others.size())];
  return {nullptr, [usual, victim] {
            const Ptr other = victim.lock();
            if (other != nullptr && other->type == Type::kTypedArray) fake::Detach(other->buffer.get());
            if (usual != nullptr && usual->type == Type::kTypedArray) fake::Detach(usual->buffer.get());
            return usual;
          }};
}

void World::Mutate(Arguments* arguments) {
  if (arguments->empty()) return;
  const size_t times = in.Chance(100) ? 1 + in.Below(3) : 0;
  for (size_t i = 0; i < times; i++) {
    Ptr& one = (*arguments)[in.Below(arguments->size())];
    one = in.Chance(180) ? Similar(one) : Anything();
  }
  if (in.Chance(8)) arguments->resize(in.Below(arguments->size()) + 1);
  if (!in.Chance(20)) return;
  const Ptr& holder = arguments->back();
  if (holder->type == Type::kArray && !holder->elements.empty()) {
    fake::Slot& slot = holder->elements[in.Below(holder->elements.size())];
    slot = Trap(slot.value, *arguments);
  } else if (holder->type == Type::kObject && !holder->properties.empty()) {
    auto at = holder->properties.begin();
    std::advance(at, in.Below(holder->properties.size()));
    // What is steered must be seen.
    if (at->first == "signingKey" || at->first == "segments" || at->first == "checks") {
      at->second = Trap(at->second.value, *arguments);
    }
  }
}

double World::SteerDescriptor(double number) {
  return number >= 0 && number < kClosedFd && number != kFd && number != kFolderFd ? kClosedFd : number;
}

void Shorten(const Ptr& argument, double most, double to) {
  if (argument->type == Type::kNumber && argument->number > most) argument->number = to;
}

// A path in the folder, whatever it is made of.
void SteerPath(const Ptr& argument) {
  if (argument->type != Type::kString) return;
  std::string& text = argument->text;
  if (text == "d/a" || text == "none/x") return;
  for (char& one : text) {
    if (one == '/' || one == '.') one = '_';
  }
}

void World::Steer(const Binding& binding, Arguments* arguments) {
  const std::string name = binding.name;
  // Arguments may be shared with what was kept; what is changed here is a copy.
  const auto own = [&](size_t index) -> Ptr {
    if (index >= arguments->size()) return fake::Undefined();
    Ptr& one = (*arguments)[index];
    if (one->type == Type::kNumber) one = N(one->number);
    if (one->type == Type::kString) one = fake::String(one->text);
    return one;
  };
  if (binding.on == Binding::kExports) {
    if (name == "createArena") Shorten(own(0), 1 << 24, 1e18);
    if (name == "replaceProcess") SteerPath(own(0));
    if (name == "argon2id") {
      Shorten(own(2), 3, 1e9);
      Shorten(own(3), 512, 1e12);
    }
    if (name == "lockFile") own(0)->number = SteerDescriptor(own(0)->number);
    if (name == "createIoQueue") Shorten(own(2), 4, 65);
    if (name == "openIndexStore") {
      SteerPath(own(0));
      Shorten(own(1), 1 << 20, 1e12);
      Shorten(own(2), 1 << 20, 1e12);
    }
    return;
  }
  if (binding.on == Binding::kStore) return;
  if (name == "readNow" || name == "readCheckedNow") own(0)->number = SteerDescriptor(own(0)->number);
  if (name == "openNow") SteerPath(own(0));
  if (name == "close") Shorten(own(0), 200, 1e12);
  if (name != "submit" || arguments->empty()) return;
  Ptr& request = (*arguments)[0];
  for (auto& [key, slot] : request->properties) {
    if (slot.value == nullptr) continue;
    if (slot.value->type == Type::kNumber) slot.value = N(slot.value->number);
    if (slot.value->type == Type::kString) slot.value = fake::String(slot.value->text);
    if (key == "fd") slot.value->number = SteerDescriptor(slot.value->number);
    if (key == "path" || key == "toPath") SteerPath(slot.value);
    if (key == "bytes") Shorten(slot.value, 1 << 16, 1e18);
    // Holes are only as cheap as their file system makes them.
    if (key == "fileOffset") Shorten(slot.value, 1 << 22, 1e18);
  }
}

// --- calls ---

void World::UseFiles() {
  if (hasFiles_) return;
  hasFiles_ = true;
  const int fd = open("data", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const std::vector<uint8_t> content(8192, 0x5a);
  if (fd < 0 || write(fd, content.data(), content.size()) != static_cast<ssize_t>(content.size()) ||
      dup2(fd, kFd) != kFd) {
    std::perror("data");
    std::abort();
  }
  close(fd);
  const int folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0 || dup2(folder, kFolderFd) != kFolderFd) {
    std::perror("the folder");
    std::abort();
  }
  close(folder);
}

Ptr World::Target(const Binding& binding) {
  if (binding.on == Binding::kExports) return environment_.exports();
  UseFiles();
  std::vector<Ptr>& all = binding.on == Binding::kQueue ? queues_ : stores_;
  if (all.empty()) {
    const Arguments arguments = binding.on == Binding::kQueue
                                    ? Arguments{arena, fake::String("fuzz"), N(1), N(8)}
                                    : Arguments{fake::String("index"), N(2048), N(4096), N(60000)};
    const char* maker = binding.on == Binding::kQueue ? "createIoQueue" : "openIndexStore";
    const Ptr made = Invoke(Find(environment_.exports(), maker), arguments).value;
    // A store whose folder another one holds, say.
    if (made == nullptr) return nullptr;
    RequireFuzzed(made, binding.on);
    all.push_back(made);
    if (binding.on == Binding::kStore) {
      for (const size_t bytes : {1, 2, 7}) Invoke(Find(made, "put"), {SomeBytes(bytes), SomeBytes(40)});
      Invoke(Find(made, "openRange"), {fake::Bytes({}), fake::Bytes({0xff}), N(in.Byte() & 1)});
    }
  }
  return all[in.Below(all.size())];
}

void World::Keep(const Binding& binding, const Ptr& value) {
  const std::string name = binding.name;
  if (name == "createIoQueue" && queues_.size() < kObjectsMax) queues_.push_back(value);
  if (name == "openIndexStore" && stores_.size() < kObjectsMax) stores_.push_back(value);
  if (name == "openRange") lastRange = value->number;
  if (name == "submit") promises_.push_back(value);
  if (name == "openNow" && value->number > 2) close(static_cast<int>(value->number));
}

void World::Step() {
  // Mostly what this input is about: the kernels are the larger part of the table.
  if (about_ != Binding::kExports && !in.Chance(64)) {
    const size_t first = about_ == Binding::kQueue ? kFirstOfQueue : kFirstOfStore;
    const size_t end = about_ == Binding::kQueue ? kFirstOfStore : kBindingCount;
    return Invoke(kBindings[first + in.Below(end - first)]);
  }
  const size_t chosen = in.Below(kFirstOfQueue + 4);
  if (chosen < kFirstOfQueue) return Invoke(kBindings[chosen]);
  if (chosen == kFirstOfQueue) return environment_.Pump(in.Chance(20));
  if (chosen == kFirstOfQueue + 1) {
    // Something else lies over a stream's state.
    const size_t at = static_cast<size_t>(kStateAt) + in.Below(800);
    const size_t bytes = 1 + in.Below(8);
    if (at + bytes <= arena->bytes) std::memset(fake::MemoryOf(*arena) + at, in.Byte(), bytes);
    return;
  }
  const double at = chosen == kFirstOfQueue + 2 ? kStateAt : kOtherStateAt;
  const Ptr signing = in.Chance(128) ? fake::Null() : Signing();
  Invoke(Find(environment_.exports(), "streamInit"), {N(at), N(63), signing});
}

void World::Invoke(const Binding& binding) {
  const std::string name = binding.name;
  if ((name == "createIoQueue" && queues_.size() == kObjectsMax) ||
      (name == "openIndexStore" && stores_.size() == kObjectsMax)) {
    return;
  }
  if (name == "lockFile") UseFiles();
  const Ptr target = Target(binding);
  if (target == nullptr) return;
  Arguments arguments = binding.make(*this);
  Mutate(&arguments);
  Steer(binding, &arguments);
  const fake::Environment::Answer answer = Invoke(Find(target, binding.name), arguments);
  Counts& count = counts[&binding - kBindings];
  if (answer.value == nullptr) {
    count.refused++;
    return;
  }
  count.answered++;
  Keep(binding, answer.value);
}

void World::Run() {
  static const bool isComplete = [this] {
    RequireFuzzed(environment_.exports(), Binding::kExports);
    return true;
  }();
  static_cast<void>(isComplete);
  const Ptr start = Find(environment_.exports(), "streamInit");
  Invoke(start, {N(kStateAt), N(in.Byte() & 63), in.Chance(128) ? Signing() : fake::Null()});
  Invoke(start, {N(kOtherStateAt), N(in.Byte() & 63), fake::Null()});
  for (size_t calls = 0; calls < kCallsMax && !in.IsAtEnd(); calls++) Step();
}

// Stores that were left end when their threads come to it: until then these write files.
bool IsIndexAtWork() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    // It may have ended meanwhile.
    if (std::getline(std::ifstream(task.path() / "comm"), name) && name.rfind("index", 0) == 0) return true;
  }
  return false;
}

World::~World() {
  if (!hasFiles_ && queues_.empty() && stores_.empty()) return;
  // What was opened for an answer is closed here; outcomes that come too late are closed by the addon.
  for (const Ptr& queue : queues_) Invoke(Find(queue, "close"), {N(1000)});
  for (int rounds = 0; rounds < 50000; rounds++) {
    environment_.Pump(false);
    bool isSettled = true;
    for (const Ptr& promise : promises_) isSettled = isSettled && promise->outcome != nullptr;
    if (isSettled) break;
    usleep(20);
  }
  std::set<int> opened;
  for (const Ptr& promise : promises_) {
    if (promise->outcome == nullptr || promise->outcome->type != Type::kObject) continue;
    const Ptr fd = Find(promise->outcome, "fd");
    if (fd == nullptr || fd->number <= 2 || fd->number == kFd || fd->number == kFolderFd || fd->number >= kClosedFd) {
      continue;
    }
    opened.insert(static_cast<int>(fd->number));
  }
  for (const int fd : opened) close(fd);
  for (const Ptr& store : stores_) Invoke(Find(store, "close"), {});
  for (int rounds = 0; rounds < 50000 && IsIndexAtWork(); rounds++) usleep(100);
  close(kFd);
  close(kFolderFd);
  for (const auto& entry : std::filesystem::directory_iterator(".")) std::filesystem::remove_all(entry.path());
}

}  // namespace

// No file outlives its input.
extern "C" int fsync(int) { return 0; }
extern "C" int fdatasync(int) { return 0; }

// The one call with memory of the addon that the sanitizer does not know.
extern "C" ssize_t preadv2(int fd, const iovec* vectors, int count, off_t at, int flags) {
  for (int i = 0; i < count; i++) {
    if (__asan_region_is_poisoned(vectors[i].iov_base, vectors[i].iov_len) == nullptr) continue;
    std::fprintf(stderr, "preadv2 past the end of its memory\n");
    std::abort();
  }
  return syscall(SYS_preadv2, fd, vectors, count, at, 0, flags);
}

// What a thread that will not end may yet touch is kept on purpose.
extern "C" const char* __lsan_default_suppressions() { return "leak:granary::*Environment::Teardown\n"; }

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if ((mkdir("files", 0700) != 0 && errno != EEXIST) || chdir("files") != 0) {
    std::perror("files");
    std::abort();
  }
  std::atexit(PrintCounts);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  World world(Input(data, bytes));
  world.Run();
  return 0;
}
