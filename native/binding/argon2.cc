// Key derivation on a thread of libuv's pool: it takes tenths of a second and 64 MiB.
#include "../kernel/argon2.h"

#include <openssl/crypto.h>

#include <memory>
#include <vector>

#include "instance.h"

namespace granary {
namespace {

class Derivation {
 public:
  Derivation(napi_env env, const ByteSpan& password, const ByteSpan& salt)
      : env_(env), password_(password.data, password.data + password.bytes), salt_(salt.data, salt.data + salt.bytes) {}
  Derivation(const Derivation&) = delete;
  Derivation& operator=(const Derivation&) = delete;
  ~Derivation() {
    if (!password_.empty()) OPENSSL_cleanse(password_.data(), password_.size());
    OPENSSL_cleanse(tag_, sizeof(tag_));
    if (work_ != nullptr) napi_delete_async_work(env_, work_);
  }

  static napi_value Start(std::unique_ptr<Derivation> derivation) {
    Derivation& self = *derivation;
    napi_value promise;
    napi_value name;
    Check(napi_create_string_latin1(self.env_, "granary:argon2id", NAPI_AUTO_LENGTH, &name));
    Check(napi_create_async_work(self.env_, nullptr, name, Execute, Complete, &self, &self.work_));
    Check(napi_create_promise(self.env_, &self.deferred_, &promise));
    Check(napi_queue_async_work(self.env_, self.work_));
    derivation.release();
    return promise;
  }

  uint32_t passes = 0;
  uint32_t memoryKiB = 0;
  uint32_t lanes = 0;
  size_t tagBytes = 0;

 private:
  static void Execute(napi_env, void* data) {
    auto* self = static_cast<Derivation*>(data);
    const Argon2Input input = {{self->password_.data(), self->password_.size()},
                               {self->salt_.data(), self->salt_.size()},
                               {nullptr, 0},
                               {nullptr, 0},
                               self->passes,
                               self->memoryKiB,
                               self->lanes};
    self->isDone_ = Argon2id(input, self->tag_, self->tagBytes);
  }

  static void Complete(napi_env env, napi_status status, void* data) {
    const std::unique_ptr<Derivation> self(static_cast<Derivation*>(data));
    napi_value value;
    if (status == napi_ok && self->isDone_) {
      void* target;
      napi_value buffer;
      if (napi_create_arraybuffer(env, self->tagBytes, &target, &buffer) != napi_ok) return;
      for (size_t i = 0; i < self->tagBytes; i++) static_cast<uint8_t*>(target)[i] = self->tag_[i];
      if (napi_create_typedarray(env, napi_uint8_array, self->tagBytes, buffer, 0, &value) != napi_ok) return;
      napi_resolve_deferred(env, self->deferred_, value);
      return;
    }
    napi_value text;
    const char* cause = status == napi_ok ? "no memory for a key derivation" : "the key derivation was given up";
    if (napi_create_string_latin1(env, cause, NAPI_AUTO_LENGTH, &text) != napi_ok) return;
    if (napi_create_error(env, nullptr, text, &value) != napi_ok) return;
    napi_reject_deferred(env, self->deferred_, value);
  }

  napi_env env_;
  napi_async_work work_ = nullptr;
  napi_deferred deferred_ = nullptr;
  std::vector<uint8_t> password_;
  std::vector<uint8_t> salt_;
  uint8_t tag_[kArgon2TagBytesMax] = {};
  bool isDone_ = false;
};

napi_value Argon2idEntry(Call& call) {
  constexpr double kInputBytesMax = 65536;
  const ByteSpan password = call.Bytes(0, "password");
  const ByteSpan salt = call.Bytes(1, "salt");
  if (password.bytes > kInputBytesMax || salt.bytes > kInputBytesMax) FailRange("password or salt is too long");
  auto derivation = std::make_unique<Derivation>(call.env(), password, salt);
  derivation->passes = static_cast<uint32_t>(call.Integer(2, "passes", 1, 1000));
  derivation->lanes = static_cast<uint32_t>(call.Integer(4, "lanes", 1, kArgon2LanesMax));
  derivation->memoryKiB =
      static_cast<uint32_t>(call.Integer(3, "memoryKiB", 8.0 * derivation->lanes, kArgon2MemoryKiBMax));
  derivation->tagBytes = static_cast<size_t>(call.Integer(5, "tagBytes", kArgon2TagBytesMin, kArgon2TagBytesMax));
  return Derivation::Start(std::move(derivation));
}

constexpr Method kMethods[] = {{"argon2id", Entry<Argon2idEntry>}};

}  // namespace

void DefineArgon2Methods(napi_env env, napi_value exports, KernelInstance* instance) {
  DefineMethods(env, exports, kMethods, sizeof(kMethods) / sizeof(kMethods[0]), instance);
}

}  // namespace granary
