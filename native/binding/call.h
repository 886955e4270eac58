// One call from JavaScript: fetches and checks arguments. A wrong argument throws CallError, which
// the entry turns into a TypeError or RangeError; nothing else may leave an entry.
#pragma once

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>

namespace granary {

struct CallError {
  bool isRange;
  std::string text;
};

[[noreturn]] inline void FailType(std::string text) { throw CallError{false, std::move(text)}; }
[[noreturn]] inline void FailRange(std::string text) { throw CallError{true, std::move(text)}; }

// An Error with a `code`, by which callers tell it from others.
struct CodedError : std::runtime_error {
  CodedError(const char* errorCode, const std::string& text) : std::runtime_error(text), code(errorCode) {}
  const char* code;
};

// A Node-API call that fails leaves its own exception or a broken environment: stop here.
struct PendingException {};
inline void Check(napi_status status) {
  if (status != napi_ok) throw PendingException{};
}

struct ByteSpan {
  uint8_t* data;
  size_t bytes;
};

struct DoubleSpan {
  const double* data;
  size_t count;
};

// The UTF-8 bytes of a string, or the bytes of a Uint8Array. Short strings need no allocation.
class Text {
 public:
  Text() = default;
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;
  ~Text();

  const char* chars() const { return chars_; }
  const uint8_t* data() const { return reinterpret_cast<const uint8_t*>(chars_); }
  size_t bytes() const { return bytes_; }

 private:
  friend class Call;
  static constexpr size_t kInlineBytes = 2048;
  char inline_[kInlineBytes];
  std::string heap_;
  const char* chars_ = inline_;
  size_t bytes_ = 0;
  bool wipe_ = false;
};

class Call {
 public:
  static constexpr size_t kArgumentsMax = 8;

  Call(napi_env env, napi_callback_info info);

  napi_env env() const { return env_; }
  void* data() const { return data_; }
  napi_value at(size_t index) const { return arguments_[index]; }

  bool IsNullish(size_t index) const;
  bool IsNullishValue(napi_value value) const;
  // Element of an array argument.
  napi_value Element(size_t index, uint32_t element, const char* name) const;
  double Number(size_t index, const char* name) const;
  // A whole number in low...high, both at most 2^53.
  double Integer(size_t index, const char* name, double low, double high) const;
  ByteSpan Bytes(size_t index, const char* name) const;
  DoubleSpan Doubles(size_t index, const char* name) const;
  DoubleSpan DoublesOf(napi_value value, const char* name) const;
  void String(size_t index, const char* name, Text* text, bool isSecret = false) const;
  void StringOrBytes(size_t index, const char* name, Text* text) const;
  void StringOf(napi_value value, const char* name, Text* text, bool isSecret = false) const;
  ByteSpan BytesOf(napi_value value, const char* name) const;
  napi_value Property(size_t index, const char* name) const;

  napi_value Undefined() const;
  napi_value NumberValue(double value) const;
  napi_value BooleanValue(bool value) const;
  napi_value Latin1Value(const char* chars, size_t length) const;
  // A new Uint8Array with these bytes.
  napi_value BytesValue(const uint8_t* data, size_t bytes) const;

 private:
  napi_env env_;
  void* data_ = nullptr;
  napi_value arguments_[kArgumentsMax];
};

constexpr double kSafeIntegerMax = 9007199254740991.0;

bool IsInteger(double value, double low, double high);

template <napi_value (*Function)(Call&)>
napi_value Entry(napi_env env, napi_callback_info info) {
  try {
    Call call(env, info);
    return Function(call);
  } catch (const CallError& error) {
    if (error.isRange) {
      napi_throw_range_error(env, nullptr, error.text.c_str());
    } else {
      napi_throw_type_error(env, nullptr, error.text.c_str());
    }
  } catch (const PendingException&) {
    bool isPending = false;
    napi_is_exception_pending(env, &isPending);
    if (!isPending) napi_throw_error(env, nullptr, "a Node-API call failed");
  } catch (const CodedError& error) {
    napi_throw_error(env, error.code, error.what());
  } catch (const std::exception& error) {
    napi_throw_error(env, nullptr, error.what());
  }
  return nullptr;
}

}  // namespace granary
