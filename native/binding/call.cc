#include "call.h"

#include <openssl/crypto.h>

#include <cmath>
#include <cstring>

namespace granary {

Text::~Text() {
  if (!wipe_) return;
  OPENSSL_cleanse(inline_, sizeof(inline_));
  if (!heap_.empty()) OPENSSL_cleanse(&heap_[0], heap_.size());
}

bool IsInteger(double value, double low, double high) {
  // False for NaN as well.
  return value >= low && value <= high && value == std::trunc(value);
}

Call::Call(napi_env env, napi_callback_info info) : env_(env) {
  size_t count = kArgumentsMax;
  // Missing arguments come out as undefined and fail their own check.
  Check(napi_get_cb_info(env, info, &count, arguments_, nullptr, &data_));
}

bool Call::IsNullish(size_t index) const { return IsNullishValue(arguments_[index]); }

bool Call::IsNullishValue(napi_value value) const {
  napi_valuetype type;
  Check(napi_typeof(env_, value, &type));
  return type == napi_null || type == napi_undefined;
}

double Call::Number(size_t index, const char* name) const {
  double value;
  if (napi_get_value_double(env_, arguments_[index], &value) != napi_ok) {
    FailType(std::string(name) + " must be a number");
  }
  return value;
}

double Call::Integer(size_t index, const char* name, double low, double high) const {
  const double value = Number(index, name);
  if (!IsInteger(value, low, high)) FailRange(std::string(name) + " is out of range");
  return value;
}

ByteSpan Call::BytesOf(napi_value value, const char* name) const {
  napi_typedarray_type type;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(env_, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    FailType(std::string(name) + " must be a Uint8Array");
  }
  return {static_cast<uint8_t*>(data), length};
}

ByteSpan Call::Bytes(size_t index, const char* name) const { return BytesOf(arguments_[index], name); }

napi_value Call::Element(size_t index, uint32_t element, const char* name) const {
  bool isArray = false;
  Check(napi_is_array(env_, arguments_[index], &isArray));
  if (!isArray) FailType(std::string(name) + " must be an array");
  napi_value value;
  Check(napi_get_element(env_, arguments_[index], element, &value));
  return value;
}

DoubleSpan Call::Doubles(size_t index, const char* name) const { return DoublesOf(arguments_[index], name); }

DoubleSpan Call::DoublesOf(napi_value value, const char* name) const {
  napi_typedarray_type type;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(env_, value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_float64_array) {
    FailType(std::string(name) + " must be a Float64Array");
  }
  return {static_cast<const double*>(data), length};
}

void Call::StringOf(napi_value value, const char* name, Text* text, bool isSecret) const {
  text->wipe_ = isSecret;
  size_t length;
  if (napi_get_value_string_utf8(env_, value, text->inline_, Text::kInlineBytes, &length) != napi_ok) {
    FailType(std::string(name) + " must be a string");
  }
  // A full buffer may have been cut, even up to three bytes short before a wide character.
  if (length + 4 < Text::kInlineBytes) {
    text->chars_ = text->inline_;
    text->bytes_ = length;
    return;
  }
  Check(napi_get_value_string_utf8(env_, value, nullptr, 0, &length));
  text->heap_.resize(length + 1);
  Check(napi_get_value_string_utf8(env_, value, &text->heap_[0], length + 1, &length));
  text->chars_ = text->heap_.data();
  text->bytes_ = length;
}

void Call::String(size_t index, const char* name, Text* text, bool isSecret) const {
  StringOf(arguments_[index], name, text, isSecret);
}

void Call::StringOrBytes(size_t index, const char* name, Text* text) const {
  napi_valuetype type;
  Check(napi_typeof(env_, arguments_[index], &type));
  if (type == napi_string) return String(index, name, text);
  napi_typedarray_type arrayType;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(env_, arguments_[index], &arrayType, &length, &data, nullptr, nullptr) != napi_ok ||
      arrayType != napi_uint8_array) {
    FailType(std::string(name) + " must be a string or a Uint8Array");
  }
  text->chars_ = static_cast<const char*>(data);
  text->bytes_ = length;
}

napi_value Call::Property(size_t index, const char* name) const {
  napi_valuetype type;
  Check(napi_typeof(env_, arguments_[index], &type));
  if (type != napi_object) FailType(std::string("an object with ") + name + " is expected");
  napi_value value;
  Check(napi_get_named_property(env_, arguments_[index], name, &value));
  return value;
}

napi_value Call::Undefined() const {
  napi_value value;
  Check(napi_get_undefined(env_, &value));
  return value;
}

napi_value Call::NumberValue(double number) const {
  napi_value value;
  Check(napi_create_double(env_, number, &value));
  return value;
}

napi_value Call::BooleanValue(bool flag) const {
  napi_value value;
  Check(napi_get_boolean(env_, flag, &value));
  return value;
}

napi_value Call::Latin1Value(const char* chars, size_t length) const {
  napi_value value;
  Check(napi_create_string_latin1(env_, chars, length, &value));
  return value;
}

napi_value Call::BytesValue(const uint8_t* data, size_t bytes) const {
  void* target;
  napi_value buffer;
  Check(napi_create_arraybuffer(env_, bytes, &target, &buffer));
  if (bytes != 0) std::memcpy(target, data, bytes);
  napi_value array;
  Check(napi_create_typedarray(env_, napi_uint8_array, bytes, buffer, 0, &array));
  return array;
}

}  // namespace granary
