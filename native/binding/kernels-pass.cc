// Streams, the stripe pass, checksum blocks and Reed-Solomon on ranges of the arena.
#include <cmath>
#include <cstring>
#include <string>

#include "../kernel/dispatch.h"
#include "../kernel/pass.h"
#include "../kernel/stream.h"
#include "instance.h"
#include "ranges.h"

namespace granary {
namespace {

StreamState* StateAt(const KernelInstance& instance, double offset) {
  uint8_t* at = instance.Range(offset, kStreamStateBytes, "stateOffset");
  if (std::fmod(offset, kStreamStateAlignment) != 0) FailRange("stateOffset must be a multiple of 64");
  return reinterpret_cast<StreamState*>(at);
}

StreamState* LiveStateAt(const KernelInstance& instance, double offset) {
  StreamState* state = StateAt(instance, offset);
  if (!StreamIsValid(*state)) FailRange("no stream was started at stateOffset");
  return state;
}

template <size_t kCountMax>
void AddState(Ranges<kCountMax>* ranges, const StreamState* state) {
  ranges->Writes(reinterpret_cast<const uint8_t*>(state), kStreamStateBytes);
}

bool IsHex(const char* text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) return false;
  }
  return true;
}

napi_value StreamInit(Call& call) {
  StreamState* state = StateAt(InstanceOf(call), call.Number(0, "stateOffset"));
  const auto digests = static_cast<uint32_t>(call.Integer(1, "digests", 0, kDigestAll));
  if (call.IsNullish(2)) {
    StreamBegin(state, digests, nullptr);
    return call.Undefined();
  }
  StreamSigning signing;
  const ByteSpan key = call.BytesOf(call.Property(2, "signingKey"), "signingKey");
  if (key.bytes != sizeof(HmacPads)) FailRange("signingKey must come from createSigningKey");
  std::memcpy(&signing.key, key.data, sizeof(HmacPads));
  Text amzDate;
  Text scope;
  Text seed;
  call.StringOf(call.Property(2, "amzDate"), "amzDate", &amzDate);
  call.StringOf(call.Property(2, "scope"), "scope", &scope);
  call.StringOf(call.Property(2, "seedSignature"), "seedSignature", &seed);
  if (amzDate.bytes() != kAmzDateBytes) FailRange("amzDate must be YYYYMMDDTHHMMSSZ");
  if (scope.bytes() > kScopeBytesMax) FailRange("scope is longer than 256 bytes");
  if (seed.bytes() != kSignatureHexBytes || !IsHex(seed.chars(), seed.bytes())) {
    FailRange("seedSignature must be 64 lower-case hex digits");
  }
  signing.amzDate = amzDate.chars();
  signing.scope = scope.chars();
  signing.scopeBytes = scope.bytes();
  signing.seedSignature = seed.chars();
  StreamBegin(state, digests, &signing);
  return call.Undefined();
}

// A chunk list, checked against the bytes it divides.
ChunkList ChunksOf(Call& call, napi_value endsValue, napi_value signaturesValue, const StreamState* state,
                   double dataBytes) {
  if (call.IsNullishValue(endsValue)) return {nullptr, nullptr, 0};
  const DoubleSpan ends = call.DoublesOf(endsValue, "chunkEnds");
  if (ends.count == 0) return {nullptr, nullptr, 0};
  const ByteSpan signatures = call.BytesOf(signaturesValue, "chunkSignatures");
  if (state == nullptr || !state->isSigned) FailRange("chunkEnds need a stream that was started with signing");
  if (signatures.bytes / kSignatureBytes != ends.count || signatures.bytes % kSignatureBytes != 0) {
    FailRange("chunkSignatures must hold 32 bytes for each of chunkEnds");
  }
  double before = 0;
  for (size_t i = 0; i < ends.count; i++) {
    const double end = ends.data[i];
    if (!IsInteger(end, before, dataBytes)) FailRange("chunkEnds must ascend within the data");
    before = end;
  }
  return {ends.data, signatures.data, ends.count};
}

napi_value StreamUpdateEntry(Call& call) {
  const KernelInstance& instance = InstanceOf(call);
  StreamState* state = LiveStateAt(instance, call.Number(0, "stateOffset"));
  const double bytes = call.Number(2, "dataBytes");
  const uint8_t* data = instance.Range(call.Number(1, "dataOffset"), bytes, "dataOffset");
  Ranges<2> ranges;
  AddState(&ranges, state);
  ranges.Reads(data, static_cast<size_t>(bytes));
  ranges.RequireApart();
  const ChunkList chunks = ChunksOf(call, call.at(3), call.at(4), state, bytes);
  return call.NumberValue(StreamUpdate(state, data, static_cast<size_t>(bytes), chunks) ? 1 : 0);
}

constexpr size_t kUpdateNumbers = 3;
// Two sets of MD5 lanes; a batch is one task of a worker.
constexpr size_t kStreamsMax = 32;

// Several streams a run of bytes each, their MD5 side by side.
napi_value StreamUpdates(Call& call) {
  const KernelInstance& instance = InstanceOf(call);
  const DoubleSpan args = call.Doubles(0, "args");
  const size_t count = args.count / kUpdateNumbers;
  if (args.count % kUpdateNumbers != 0 || count > kStreamsMax) {
    FailRange("args must hold 3 numbers for each of 0 to 32 streams");
  }
  StreamState* states[kStreamsMax];
  const uint8_t* data[kStreamsMax];
  size_t bytes[kStreamsMax];
  Ranges<2 * kStreamsMax> ranges;
  for (size_t i = 0; i < count; i++) {
    const double* numbers = args.data + i * kUpdateNumbers;
    const double dataBytes = numbers[2];
    states[i] = LiveStateAt(instance, numbers[0]);
    if (states[i]->isSigned) FailRange("a stream with signing needs its chunks");
    for (size_t j = 0; j < i; j++) {
      if (states[i] == states[j]) FailRange("a stream can be named once");
    }
    data[i] = instance.Range(numbers[1], dataBytes, "dataOffset");
    bytes[i] = static_cast<size_t>(dataBytes);
    AddState(&ranges, states[i]);
    ranges.Reads(data[i], bytes[i]);
  }
  ranges.RequireApart();
  Md5Job jobs[kStreamsMax];
  int jobCount = 0;
  for (size_t i = 0; i < count; i++) {
    StreamUpdate(states[i], data[i], bytes[i], {nullptr, nullptr, 0}, kDigestMd5);
    if (states[i]->digest.digests & kDigestMd5) jobs[jobCount++] = {&states[i]->digest.md5, data[i], bytes[i]};
  }
  Md5UpdateMany(Paths().md5, jobs, jobCount);
  return call.Undefined();
}

bool IsOneDigest(double value) {
  return IsInteger(value, 1, kDigestAll) && (static_cast<uint32_t>(value) & (static_cast<uint32_t>(value) - 1)) == 0;
}

size_t PeekedDigest(Call& call, uint8_t out[kDigestBytesMax]) {
  const StreamState* state = LiveStateAt(InstanceOf(call), call.Number(0, "stateOffset"));
  const double digest = call.Number(1, "digest");
  if (!IsOneDigest(digest) || !(state->digest.digests & static_cast<uint32_t>(digest))) {
    FailRange("digest must be one that the stream was started with");
  }
  return DigestPeek(state->digest, static_cast<uint32_t>(digest), out);
}

napi_value StreamDigestEntry(Call& call) {
  uint8_t out[kDigestBytesMax];
  const size_t bytes = PeekedDigest(call, out);
  return call.BytesValue(out, bytes);
}

// As text: a string costs a fraction of an array with memory of its own.
napi_value StreamDigestHex(Call& call) {
  uint8_t out[kDigestBytesMax];
  const size_t bytes = PeekedDigest(call, out);
  char hex[2 * kDigestBytesMax];
  HexOf(out, bytes, hex);
  return call.Latin1Value(hex, 2 * bytes);
}

napi_value StreamTrailerSignatureEntry(Call& call) {
  StreamState* state = LiveStateAt(InstanceOf(call), call.Number(0, "stateOffset"));
  if (!state->isSigned) FailRange("the stream was not started with signing");
  const ByteSpan block = call.Bytes(1, "trailerBlock");
  const ByteSpan signature = call.Bytes(2, "signature");
  if (signature.bytes != kSignatureBytes) FailRange("signature must be 32 bytes");
  return call.NumberValue(StreamCheckTrailer(state, block.data, block.bytes, signature.data) ? 1 : 0);
}

struct Geometry {
  int k;
  int m;
};

Geometry GeometryOf(double k, double m) {
  if (!IsInteger(k, 1, kDataShardsMax)) FailRange("k must be 1 to 16");
  if (!IsInteger(m, 0, kParityShardsMax)) FailRange("m must be 0 to 8");
  return {static_cast<int>(k), static_cast<int>(m)};
}

uint64_t Whole(double value, const char* name) {
  if (!IsInteger(value, 0, kSafeIntegerMax)) FailRange(std::string(name) + " is out of range");
  return static_cast<uint64_t>(value);
}

constexpr size_t kPassNumbers = 12;
constexpr size_t kPassesMax = kStreamsMax;

struct Pass {
  StreamState* state;
  const uint8_t* data;
  size_t dataBytes;
  StripeLayout layout;
  ChunkList chunks;
  bool isAccepted;
};

constexpr size_t kRangesOfPass = 4;

// The data of two passes may be the same, unless one of them is padded: then it is written.
template <size_t kCountMax>
void AddRanges(Ranges<kCountMax>* ranges, const Pass& pass) {
  const StripeLayout& layout = pass.layout;
  const size_t shards = static_cast<size_t>(layout.k + layout.m);
  const size_t blockCount = layout.shardBytes == 0 ? 0 : (layout.shardBytes - 1) / layout.checksumBlockBytes + 1;
  const size_t stripeBytes = static_cast<size_t>(layout.k) * layout.shardBytes;
  if (pass.state != nullptr) AddState(ranges, pass.state);
  if (pass.dataBytes < stripeBytes) {
    ranges->Writes(pass.data, stripeBytes);
  } else {
    ranges->Reads(pass.data, stripeBytes);
  }
  if (layout.m != 0) ranges->Writes(layout.shards[layout.k], static_cast<size_t>(layout.m) * layout.shardBytes);
  ranges->Writes(layout.hashes, kHashBytes * shards * blockCount);
}

// Checks everything about one pass; touches nothing.
void ReadPass(Call& call, const double* numbers, napi_value ends, napi_value signatures, Pass* pass) {
  const KernelInstance& instance = InstanceOf(call);
  double a[kPassNumbers];
  std::memcpy(a, numbers, sizeof(a));
  pass->state = a[0] == -1 ? nullptr : LiveStateAt(instance, a[0]);
  const double dataBytes = a[2];
  const Geometry geometry = GeometryOf(a[3], a[4]);
  const double shardBytes = a[5];
  if (!IsInteger(shardBytes, 0, instance.arenaBytes())) FailRange("shardBytes is out of range");
  uint8_t* data = instance.Range(a[1], geometry.k * shardBytes, "dataOffset");
  if (!IsInteger(dataBytes, 0, geometry.k * shardBytes)) FailRange("dataBytes is out of range");
  uint8_t* parity = instance.Range(geometry.m == 0 ? 0 : a[6], geometry.m * shardBytes, "parityOffset");
  if (!IsInteger(a[8], 1, kSafeIntegerMax)) FailRange("checksumBlockBytes is out of range");
  const double blockCount = std::ceil(shardBytes / a[8]);
  StripeLayout& layout = pass->layout;
  layout.hashes = instance.Range(a[7], kHashBytes * (geometry.k + geometry.m) * blockCount, "hashesOffset");
  layout.k = geometry.k;
  layout.m = geometry.m;
  layout.shardBytes = static_cast<size_t>(shardBytes);
  layout.checksumBlockBytes = static_cast<size_t>(a[8]);
  layout.idHigh = Whole(a[9], "idHigh");
  layout.idLow = Whole(a[10], "idLow");
  layout.firstBlock = Whole(a[11], "firstBlock");
  for (int i = 0; i < geometry.k; i++) layout.shards[i] = data + static_cast<size_t>(i) * layout.shardBytes;
  for (int j = 0; j < geometry.m; j++) {
    layout.shards[geometry.k + j] = parity + static_cast<size_t>(j) * layout.shardBytes;
  }
  pass->data = data;
  pass->dataBytes = static_cast<size_t>(dataBytes);
  pass->chunks = ChunksOf(call, ends, signatures, pass->state, dataBytes);
}

// MD5 and SHA-256 of all streams side by side; the rest stripe by stripe.
void RunPasses(KernelInstance& instance, Pass* passes, size_t count) {
  const HashKey& key = instance.hashKey();
  constexpr uint32_t kSideBySide = kDigestMd5 | kDigestSha256;
  Md5Job md5Jobs[kPassesMax];
  Sha256Job sha256Jobs[kPassesMax];
  int md5Count = 0;
  int sha256Count = 0;
  for (size_t i = 0; i < count; i++) {
    Pass& pass = passes[i];
    StreamState* state = pass.state;
    pass.isAccepted = state == nullptr || StreamUpdate(state, pass.data, pass.dataBytes, pass.chunks, kSideBySide);
    if (!pass.isAccepted || state == nullptr) continue;
    DigestState& digest = state->digest;
    if (digest.digests & kDigestMd5) md5Jobs[md5Count++] = {&digest.md5, pass.data, pass.dataBytes};
    if (digest.digests & kDigestSha256) sha256Jobs[sha256Count++] = {&digest.sha256, pass.data, pass.dataBytes};
  }
  Md5UpdateMany(Paths().md5, md5Jobs, md5Count);
  Sha256UpdateMany(Paths().sha256, sha256Jobs, sha256Count);
  for (size_t i = 0; i < count; i++) {
    const Pass& pass = passes[i];
    if (!pass.isAccepted) continue;
    const StripeLayout& layout = pass.layout;
    std::memset(layout.shards[0] + pass.dataBytes, 0,
                static_cast<size_t>(layout.k) * layout.shardBytes - pass.dataBytes);
    CodeAndHash(instance.EncodePlan(layout.k, layout.m), key, layout);
  }
}

napi_value PutPass(Call& call) {
  const DoubleSpan args = call.Doubles(0, "args");
  if (args.count != kPassNumbers) FailRange("args must hold 12 numbers");
  Pass pass;
  ReadPass(call, args.data, call.at(1), call.at(2), &pass);
  Ranges<kRangesOfPass> ranges;
  AddRanges(&ranges, pass);
  ranges.RequireApart();
  RunPasses(InstanceOf(call), &pass, 1);
  return call.NumberValue(pass.isAccepted ? 1 : 0);
}

napi_value PutPasses(Call& call) {
  napi_value ends[kPassesMax];
  napi_value signatures[kPassesMax];
  const size_t count = call.Doubles(0, "args").count / kPassNumbers;
  if (count > kPassesMax) FailRange("args must hold 12 numbers for each of 0 to 32 passes");
  for (size_t i = 0; i < count; i++) {
    ends[i] = call.Element(1, static_cast<uint32_t>(i), "chunkEnds");
    signatures[i] = call.Element(2, static_cast<uint32_t>(i), "chunkSignatures");
  }
  // Looked at anew: an element may have been a getter, which can take the memory of the others away.
  const DoubleSpan args = call.Doubles(0, "args");
  if (args.count != count * kPassNumbers) FailRange("args must hold 12 numbers for each of 0 to 32 passes");
  Pass passes[kPassesMax];
  Ranges<kRangesOfPass * kPassesMax> ranges;
  for (size_t i = 0; i < count; i++) {
    ReadPass(call, args.data + i * kPassNumbers, ends[i], signatures[i], &passes[i]);
    for (size_t j = 0; j < i; j++) {
      if (passes[i].state != nullptr && passes[i].state == passes[j].state) {
        FailRange("two passes of a batch cannot go on with the same stream");
      }
    }
    AddRanges(&ranges, passes[i]);
  }
  ranges.RequireApart();
  RunPasses(InstanceOf(call), passes, count);
  napi_value answers;
  Check(napi_create_array_with_length(call.env(), count, &answers));
  for (size_t i = 0; i < count; i++) {
    Check(napi_set_element(call.env(), answers, static_cast<uint32_t>(i),
                           call.NumberValue(passes[i].isAccepted ? 1 : 0)));
  }
  return answers;
}

constexpr size_t kJobNumbers = 8;

// One job of verifyBlocks or hashBlocks, checked; `hashes` receives where its hashes lie.
HashRun RunOf(const KernelInstance& instance, const double* numbers, uint8_t** hashes) {
  // A copy: the numbers may lie in shared memory.
  double job[kJobNumbers];
  std::memcpy(job, numbers, sizeof(job));
  if (!IsInteger(job[3], 1, kSafeIntegerMax)) FailRange("checksumBlockBytes is out of range");
  HashRun run;
  run.data = instance.Range(job[0], job[1], "dataOffset");
  run.bytes = static_cast<size_t>(job[1]);
  run.checksumBlockBytes = static_cast<size_t>(job[3]);
  *hashes = instance.Range(job[2], kHashBytes * std::ceil(job[1] / job[3]), "hashesOffset");
  run.place = {Whole(job[4], "idHigh"), Whole(job[5], "idLow"), Whole(job[6], "shardIndex"),
               Whole(job[7], "firstBlock")};
  return run;
}

DoubleSpan JobsOf(Call& call) {
  const DoubleSpan jobs = call.Doubles(0, "jobs");
  if (jobs.count % kJobNumbers != 0) FailRange("jobs must hold 8 numbers each");
  return jobs;
}

napi_value VerifyBlocksEntry(Call& call) {
  const KernelInstance& instance = InstanceOf(call);
  const DoubleSpan jobs = JobsOf(call);
  const HashKey& key = instance.hashKey();
  napi_value wrong;
  Check(napi_create_array(call.env(), &wrong));
  uint32_t wrongCount = 0;
  for (size_t i = 0; i < jobs.count / kJobNumbers; i++) {
    uint8_t* hashes;
    const HashRun run = RunOf(instance, jobs.data + i * kJobNumbers, &hashes);
    if (VerifyBlocks(key, run, hashes)) continue;
    Check(napi_set_element(call.env(), wrong, wrongCount++, call.NumberValue(static_cast<double>(i))));
  }
  return wrong;
}

napi_value HashBlocksEntry(Call& call) {
  const KernelInstance& instance = InstanceOf(call);
  const DoubleSpan jobs = JobsOf(call);
  const HashKey& key = instance.hashKey();
  for (size_t i = 0; i < jobs.count / kJobNumbers; i++) {
    uint8_t* hashes;
    const HashRun run = RunOf(instance, jobs.data + i * kJobNumbers, &hashes);
    Ranges<2> ranges;
    ranges.Reads(run.data, run.bytes);
    const size_t blockCount = run.bytes == 0 ? 0 : (run.bytes - 1) / run.checksumBlockBytes + 1;
    ranges.Writes(hashes, kHashBytes * blockCount);
    ranges.RequireApart();
    HashBlocks(key, run, hashes);
  }
  return call.Undefined();
}

napi_value Encode(Call& call) {
  KernelInstance& instance = InstanceOf(call);
  const Geometry geometry = GeometryOf(call.Number(0, "k"), call.Number(1, "m"));
  const double shardBytes = call.Number(2, "shardBytes");
  const DoubleSpan offsets = call.Doubles(3, "offsets");
  if (offsets.count != static_cast<size_t>(geometry.k + geometry.m)) FailRange("offsets must hold k + m numbers");
  const uint8_t* in[kDataShardsMax];
  uint8_t* out[kOutputsMax];
  Ranges<kShardsMax> ranges;
  for (int i = 0; i < geometry.k; i++) {
    in[i] = instance.Range(offsets.data[i], shardBytes, "offsets");
    ranges.Reads(in[i], static_cast<size_t>(shardBytes));
  }
  for (int j = 0; j < geometry.m; j++) {
    out[j] = instance.Range(offsets.data[geometry.k + j], shardBytes, "offsets");
    ranges.Writes(out[j], static_cast<size_t>(shardBytes));
  }
  ranges.RequireApart();
  if (geometry.m != 0) {
    Paths().rs(instance.EncodePlan(geometry.k, geometry.m), in, out, static_cast<size_t>(shardBytes));
  }
  return call.Undefined();
}

napi_value Reconstruct(Call& call) {
  KernelInstance& instance = InstanceOf(call);
  const Geometry geometry = GeometryOf(call.Number(0, "k"), call.Number(1, "m"));
  const int shardCount = geometry.k + geometry.m;
  const double shardBytes = call.Number(2, "shardBytes");
  const DoubleSpan offsets = call.Doubles(3, "offsets");
  if (offsets.count != static_cast<size_t>(shardCount)) FailRange("offsets must hold k + m numbers");
  const double maskMax = static_cast<double>((uint32_t{1} << shardCount) - 1);
  const auto present = static_cast<uint32_t>(call.Integer(4, "present", 0, maskMax));
  // A wanted shard that is present is left as it is.
  const uint32_t wanted = static_cast<uint32_t>(call.Integer(5, "wanted", 0, maskMax)) & ~present;
  if (__builtin_popcount(present) < geometry.k) FailRange("present must have at least k bits");
  if (wanted == 0) return call.Undefined();
  const uint8_t* in[kDataShardsMax];
  uint8_t* out[kOutputsMax];
  uint32_t used = 0;
  int inputs = 0;
  int outputs = 0;
  Ranges<kShardsMax> ranges;
  for (int shard = 0; shard < shardCount; shard++) {
    if (present >> shard & 1 && inputs < geometry.k) {
      in[inputs] = instance.Range(offsets.data[shard], shardBytes, "offsets");
      ranges.Reads(in[inputs++], static_cast<size_t>(shardBytes));
      used |= uint32_t{1} << shard;
    }
    if (wanted >> shard & 1) {
      out[outputs] = instance.Range(offsets.data[shard], shardBytes, "offsets");
      ranges.Writes(out[outputs++], static_cast<size_t>(shardBytes));
    }
  }
  ranges.RequireApart();
  const RsPlan& plan = instance.RebuildPlan(geometry.k, geometry.m, used, wanted);
  Paths().rs(plan, in, out, static_cast<size_t>(shardBytes));
  return call.Undefined();
}

constexpr Method kMethods[] = {
    {"streamInit", Entry<StreamInit>},
    {"streamUpdate", Entry<StreamUpdateEntry>},
    {"streamUpdates", Entry<StreamUpdates>},
    {"streamDigest", Entry<StreamDigestEntry>},
    {"streamDigestHex", Entry<StreamDigestHex>},
    {"streamTrailerSignature", Entry<StreamTrailerSignatureEntry>},
    {"putPass", Entry<PutPass>},
    {"putPasses", Entry<PutPasses>},
    {"verifyBlocks", Entry<VerifyBlocksEntry>},
    {"hashBlocks", Entry<HashBlocksEntry>},
    {"encode", Entry<Encode>},
    {"reconstruct", Entry<Reconstruct>},
};

}  // namespace

void DefinePassMethods(napi_env env, napi_value exports, KernelInstance* instance) {
  DefineMethods(env, exports, kMethods, sizeof(kMethods) / sizeof(kMethods[0]), instance);
}

}  // namespace granary
