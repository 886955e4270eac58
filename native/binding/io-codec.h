// I/O requests and results as JavaScript objects.
#pragma once

#include <node_api.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "../io/operation.h"
#include "call.h"

namespace granary {

constexpr double kDescriptorMax = 0x7fffffff;
constexpr size_t kSegmentsMax = 65536;
constexpr size_t kPathBytesMax = 4096;

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
  kKeyChecks,
  kKeyErrno,
  kKeyNames,
  kKeyValues,
  kKeyCount,
};
constexpr const char* kKeyText[kKeyCount] = {"kind",  "path",  "toPath", "fd",    "fileOffset", "segments",
                                             "bytes", "flags", "checks", "errno", "names",      "values"};

// Reads requests and writes results of src/native/io.ts. Every number and range is checked here.
class IoCodec {
 public:
  explicit IoCodec(napi_env env) : env_(env) {}
  IoCodec(const IoCodec&) = delete;
  IoCodec& operator=(const IoCodec&) = delete;

  bool Start();
  // False for anything that is not a whole number from `least` to `most`.
  bool ReadInteger(napi_value value, double least, double most, double* out) const;
  bool ReadString(napi_value value, std::string* out) const;
  // `hashKey` null: none is set, and no read can be checked.
  bool ReadOperation(napi_value request, size_t arenaBytes, const HashKey* hashKey, io::Operation* operation) const;
  // Segments, and how each is checked.
  bool ReadChecks(napi_value value, size_t arenaBytes, io::Operation* operation) const;
  napi_value WriteResult(const io::Outcome& outcome) const;

 private:
  bool Text(Key key, napi_value* text) const;
  bool Has(napi_value object, Key key, napi_value* value) const;
  bool ReadSegments(napi_value value, size_t arenaBytes, std::vector<io::Segment>* out) const;
  void Set(napi_value object, Key key, napi_value value) const;

  const napi_env env_;
  napi_ref texts_ = nullptr;
};

// Strings cannot be referenced at this version of Node-API: an array of them can.
inline bool IoCodec::Start() {
  napi_value texts;
  if (napi_create_array_with_length(env_, kKeyCount, &texts) != napi_ok) return false;
  for (uint32_t key = 0; key < kKeyCount; ++key) {
    napi_value text;
    if (napi_create_string_utf8(env_, kKeyText[key], NAPI_AUTO_LENGTH, &text) != napi_ok) return false;
    if (napi_set_element(env_, texts, key, text) != napi_ok) return false;
  }
  return napi_create_reference(env_, texts, 1, &texts_) == napi_ok;
}

inline bool IoCodec::Text(Key key, napi_value* text) const {
  napi_value texts;
  return napi_get_reference_value(env_, texts_, &texts) == napi_ok &&
         napi_get_element(env_, texts, static_cast<uint32_t>(key), text) == napi_ok;
}

inline bool IoCodec::Has(napi_value object, Key key, napi_value* value) const {
  napi_value text;
  napi_valuetype type;
  return Text(key, &text) && napi_get_property(env_, object, text, value) == napi_ok &&
         napi_typeof(env_, *value, &type) == napi_ok && type != napi_undefined;
}

inline void IoCodec::Set(napi_value object, Key key, napi_value value) const {
  napi_value text;
  if (Text(key, &text)) napi_set_property(env_, object, text, value);
}

inline bool IoCodec::ReadInteger(napi_value value, double least, double most, double* out) const {
  return napi_get_value_double(env_, value, out) == napi_ok && *out >= least && *out <= most &&
         std::floor(*out) == *out;
}

inline bool IoCodec::ReadString(napi_value value, std::string* out) const {
  char text[kPathBytesMax + 4];
  size_t bytes = 0;
  if (napi_get_value_string_utf8(env_, value, text, sizeof(text), &bytes) != napi_ok) return false;
  if (bytes == 0 || bytes >= kPathBytesMax || memchr(text, 0, bytes) != nullptr) return false;
  out->assign(text, bytes);
  return true;
}

inline bool IoCodec::ReadSegments(napi_value value, size_t arenaBytes, std::vector<io::Segment>* out) const {
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
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= static_cast<double>(arenaBytes))) return false;
    if (std::floor(offset) != offset || std::floor(bytes) != bytes) return false;
    out->push_back({static_cast<uint64_t>(offset), static_cast<uint64_t>(bytes)});
  }
  return true;
}

// Rows of eight numbers, those of `verifyBlocks`: they are the segments, and how each is checked.
inline bool IoCodec::ReadChecks(napi_value value, size_t arenaBytes, io::Operation* operation) const {
  constexpr size_t kNumbers = 8;
  napi_typedarray_type type;
  size_t length;
  void* data;
  if (napi_get_typedarray_info(env_, value, &type, &length, &data, nullptr, nullptr) != napi_ok) return false;
  if (type != napi_float64_array || length == 0 || length % kNumbers != 0 || length / kNumbers > kSegmentsMax) {
    return false;
  }
  const double* row = static_cast<const double*>(data);
  const double last = static_cast<double>(arenaBytes);
  operation->segments.reserve(length / kNumbers);
  operation->checks.reserve(length / kNumbers);
  for (size_t index = 0; index < length; index += kNumbers, row += kNumbers) {
    for (size_t i = 0; i < kNumbers; i++) {
      if (!(row[i] >= 0 && row[i] <= kSafeIntegerMax && std::floor(row[i]) == row[i])) return false;
    }
    if (row[3] < 1 || row[0] + row[1] > last) return false;
    if (row[2] + std::ceil(row[1] / row[3]) * static_cast<double>(kHashBytes) > last) return false;
    operation->segments.push_back({static_cast<uint64_t>(row[0]), static_cast<uint64_t>(row[1])});
    operation->checks.push_back({static_cast<uint64_t>(row[2]),
                                 static_cast<size_t>(row[3]),
                                 {static_cast<uint64_t>(row[4]), static_cast<uint64_t>(row[5]),
                                  static_cast<uint64_t>(row[6]), static_cast<uint64_t>(row[7])}});
  }
  return true;
}

inline bool IoCodec::ReadOperation(napi_value request, size_t arenaBytes, const HashKey* hashKey,
                                   io::Operation* operation) const {
  napi_value value;
  double number;
  if (!Has(request, kKeyKind, &value) || !ReadInteger(value, 0, io::kKindLast, &number)) return false;
  operation->kind = static_cast<io::Kind>(static_cast<int>(number));
  if (Has(request, kKeyPath, &value) && !ReadString(value, &operation->path)) return false;
  if (Has(request, kKeyToPath, &value) && !ReadString(value, &operation->toPath)) return false;
  if (Has(request, kKeyFd, &value)) {
    if (!ReadInteger(value, 0, kDescriptorMax, &number)) return false;
    operation->fd = static_cast<int>(number);
  }
  if (Has(request, kKeyFileOffset, &value)) {
    if (!ReadInteger(value, 0, kSafeIntegerMax, &number)) return false;
    operation->fileOffset = static_cast<uint64_t>(number);
  }
  if (Has(request, kKeyBytes, &value)) {
    if (!ReadInteger(value, 0, kSafeIntegerMax, &number)) return false;
    operation->bytes = static_cast<uint64_t>(number);
  }
  if (Has(request, kKeyFlags, &value)) {
    if (!ReadInteger(value, 0, io::kFlagsAll, &number)) return false;
    operation->flags = static_cast<uint32_t>(number);
  }
  if (Has(request, kKeySegments, &value) && !ReadSegments(value, arenaBytes, &operation->segments)) return false;
  if (Has(request, kKeyChecks, &value)) {
    if (operation->kind != io::Kind::kRead || !operation->segments.empty() || hashKey == nullptr) return false;
    if (!ReadChecks(value, arenaBytes, operation)) return false;
    operation->hashKey = *hashKey;
  }
  if (operation->kind == io::Kind::kRename && operation->toPath.empty()) return false;
  if (operation->kind == io::Kind::kClose) return operation->fd >= 0;
  if (io::IsOnNames(operation->kind)) return !operation->path.empty();
  return operation->fd >= 0 || !operation->path.empty();
}

inline napi_value IoCodec::WriteResult(const io::Outcome& outcome) const {
  napi_value result;
  napi_value value;
  napi_create_object(env_, &result);
  napi_create_int32(env_, outcome.error, &value);
  Set(result, kKeyErrno, value);
  napi_create_double(env_, static_cast<double>(outcome.bytes), &value);
  Set(result, kKeyBytes, value);
  napi_create_int32(env_, outcome.fd, &value);
  Set(result, kKeyFd, value);
  if (outcome.hasNames) {
    napi_value names;
    napi_create_array_with_length(env_, outcome.names.size(), &names);
    for (size_t index = 0; index < outcome.names.size(); ++index) {
      const std::string& name = outcome.names[index];
      napi_create_string_utf8(env_, name.data(), name.size(), &value);
      napi_set_element(env_, names, static_cast<uint32_t>(index), value);
    }
    Set(result, kKeyNames, names);
  }
  if (outcome.valueCount > 0) {
    napi_value values;
    napi_create_array_with_length(env_, outcome.valueCount, &values);
    for (uint32_t index = 0; index < outcome.valueCount; ++index) {
      napi_create_double(env_, outcome.values[index], &value);
      napi_set_element(env_, values, index, value);
    }
    Set(result, kKeyValues, values);
  }
  return result;
}

}  // namespace granary
