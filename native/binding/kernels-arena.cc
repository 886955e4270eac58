// The arena itself: attaching it, copying into it, and what the kernels run on.
#include <cstring>

#include "../kernel/copy.h"
#include "../kernel/dispatch.h"
#include "instance.h"

namespace granary {
namespace {

napi_value AttachArena(Call& call) {
  InstanceOf(call).AttachArena(call, 0);
  return call.Undefined();
}

napi_value SetHashKey(Call& call) {
  InstanceOf(call).SetHashKey(call.Bytes(0, "key"));
  return call.Undefined();
}

napi_value CopyToArena(Call& call) {
  const double bytes = call.Number(3, "bytes");
  uint8_t* target = InstanceOf(call).Range(call.Number(0, "arenaOffset"), bytes, "arenaOffset");
  const ByteSpan source = call.Bytes(1, "source");
  const double start = call.Integer(2, "sourceStart", 0, static_cast<double>(source.bytes));
  if (bytes > static_cast<double>(source.bytes) - start) FailRange("bytes reaches past the source");
  // The source may itself be a view of the arena.
  CopyBytes(target, source.data + static_cast<size_t>(start), static_cast<size_t>(bytes));
  return call.Undefined();
}

napi_value CopyWithinArena(Call& call) {
  const KernelInstance& instance = InstanceOf(call);
  const double bytes = call.Number(2, "bytes");
  uint8_t* target = instance.Range(call.Number(0, "to"), bytes, "to");
  const uint8_t* source = instance.Range(call.Number(1, "from"), bytes, "from");
  CopyBytes(target, source, static_cast<size_t>(bytes));
  return call.Undefined();
}

napi_value SetNames(Call& call, napi_value rs, napi_value hash, napi_value crc, napi_value md5, napi_value sha256) {
  napi_value object;
  Check(napi_create_object(call.env(), &object));
  Check(napi_set_named_property(call.env(), object, "rs", rs));
  Check(napi_set_named_property(call.env(), object, "highwayHash", hash));
  Check(napi_set_named_property(call.env(), object, "crc", crc));
  Check(napi_set_named_property(call.env(), object, "md5", md5));
  Check(napi_set_named_property(call.env(), object, "sha256", sha256));
  return object;
}

napi_value NameOf(Call& call, const char* name) { return call.Latin1Value(name, std::strlen(name)); }

napi_value GetPaths(Call& call) {
  const PathTable& table = Paths();
  return SetNames(call, NameOf(call, table.rsPaths[0].name), NameOf(call, table.hashPaths[0].name),
                  NameOf(call, table.crcPaths[0].name), NameOf(call, table.md5Paths[0].name),
                  NameOf(call, table.sha256Paths[0].name));
}

template <typename Path>
napi_value NamesOf(Call& call, const Path* paths, int count) {
  napi_value array;
  Check(napi_create_array_with_length(call.env(), static_cast<size_t>(count), &array));
  for (int i = 0; i < count; i++) {
    Check(napi_set_element(call.env(), array, static_cast<uint32_t>(i), NameOf(call, paths[i].name)));
  }
  return array;
}

napi_value GetAvailablePaths(Call& call) {
  const PathTable& table = Paths();
  return SetNames(call, NamesOf(call, table.rsPaths, table.rsPathCount),
                  NamesOf(call, table.hashPaths, table.hashPathCount),
                  NamesOf(call, table.crcPaths, table.crcPathCount), NamesOf(call, table.md5Paths, table.md5PathCount),
                  NamesOf(call, table.sha256Paths, table.sha256PathCount));
}

constexpr Method kMethods[] = {
    {"createArena", Entry<CreateArena>},
    {"attachArena", Entry<AttachArena>},
    {"setHashKey", Entry<SetHashKey>},
    {"copyToArena", Entry<CopyToArena>},
    {"copyWithinArena", Entry<CopyWithinArena>},
    {"paths", Entry<GetPaths>},
    {"availablePaths", Entry<GetAvailablePaths>},
};

}  // namespace

void DefineArenaMethods(napi_env env, napi_value exports, KernelInstance* instance) {
  DefineMethods(env, exports, kMethods, sizeof(kMethods) / sizeof(kMethods[0]), instance);
}

}  // namespace granary
