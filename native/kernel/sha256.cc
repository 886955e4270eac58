#include "sha256.h"

#include <algorithm>
#include <cstring>

#include "digest-jobs.h"

namespace granary {
namespace {

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
    TakeBlocks(jobs[i], blocks);
  }
}

}  // namespace

void Sha256UpdateMany(Sha256Blocks blocks, Sha256Job* jobs, int count) {
  for (int i = 0; i < count; i++) FillBegun(&jobs[i]);
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
