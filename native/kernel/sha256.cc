#include "sha256.h"

#include <algorithm>
#include <cstring>

namespace granary {
namespace {

// The message's length in bits lies in two 32-bit words.
void AddLength(SHA256_CTX* context, size_t bytes) {
  const uint64_t bits = (static_cast<uint64_t>(context->Nh) << 32 | context->Nl) + (static_cast<uint64_t>(bytes) << 3);
  context->Nl = static_cast<SHA_LONG>(bits);
  context->Nh = static_cast<SHA_LONG>(bits >> 32);
}

void Feed(Sha256Job* job, size_t bytes) {
  if (bytes == 0) return;
  SHA256_Update(job->context, job->data, bytes);
  job->data += bytes;
  job->bytes -= bytes;
}

// Whole blocks of two jobs, as far as the shorter one goes.
void RunPair(Sha256Blocks run, Sha256Job* const* jobs) {
  const size_t blocks = std::min(jobs[0]->bytes, jobs[1]->bytes) / kSha256BlockBytes;
  Sha256Lane lanes[kSha256Lanes];
  for (int i = 0; i < kSha256Lanes; i++) {
    std::memcpy(lanes[i].words, jobs[i]->context->h, sizeof(lanes[i].words));
    lanes[i].data = jobs[i]->data;
  }
  run(lanes, blocks);
  for (int i = 0; i < kSha256Lanes; i++) {
    std::memcpy(jobs[i]->context->h, lanes[i].words, sizeof(lanes[i].words));
    AddLength(jobs[i]->context, blocks * kSha256BlockBytes);
    jobs[i]->data += blocks * kSha256BlockBytes;
    jobs[i]->bytes -= blocks * kSha256BlockBytes;
  }
}

}  // namespace

void Sha256UpdateMany(Sha256Blocks blocks, Sha256Job* jobs, int count) {
  // A block begun earlier is filled up first.
  for (int i = 0; i < count; i++) {
    const size_t begun = jobs[i].context->num;
    if (begun != 0) Feed(&jobs[i], std::min(jobs[i].bytes, kSha256BlockBytes - begun));
  }
  if (blocks != nullptr) {
    Sha256Job* pair[kSha256Lanes] = {nullptr, nullptr};
    int next = 0;
    for (;;) {
      for (Sha256Job*& job : pair) {
        while (job == nullptr || job->bytes < kSha256BlockBytes) {
          if (next == count) break;
          job = &jobs[next++];
        }
      }
      const auto isRunning = [](const Sha256Job* job) { return job != nullptr && job->bytes >= kSha256BlockBytes; };
      if (!isRunning(pair[0]) || !isRunning(pair[1])) break;
      RunPair(blocks, pair);
    }
  }
  for (int i = 0; i < count; i++) Feed(&jobs[i], jobs[i].bytes);
}

}  // namespace granary
