#include "md5.h"

#include <algorithm>

#include "digest-jobs.h"

namespace granary {
namespace {

// Whole blocks of up to kMd5LanesMax jobs, as far as the shortest goes.
void RunLanes(const Md5Path& path, Md5Job* const* jobs, int count, size_t blocks) {
  Md5Lane lanes[kMd5LanesMax];
  for (int i = 0; i < count; i++) {
    const MD5_CTX& context = *jobs[i]->context;
    lanes[i] = {{context.A, context.B, context.C, context.D}, jobs[i]->data};
  }
  path.blocks(lanes, count, blocks);
  for (int i = 0; i < count; i++) {
    MD5_CTX& context = *jobs[i]->context;
    context.A = lanes[i].words[0];
    context.B = lanes[i].words[1];
    context.C = lanes[i].words[2];
    context.D = lanes[i].words[3];
    TakeBlocks(jobs[i], blocks);
  }
}

// The longest first, so that lanes run together for as long as they can.
int LongestFirst(Md5Job* jobs, int count, Md5Job** order) {
  int filled = 0;
  for (int i = 0; i < count; i++) {
    if (jobs[i].bytes < kMd5BlockBytes) continue;
    int at = filled++;
    for (; at > 0 && order[at - 1]->bytes < jobs[i].bytes; at--) order[at] = order[at - 1];
    order[at] = &jobs[i];
  }
  return filled;
}

}  // namespace

void Md5UpdateMany(const Md5Path* path, Md5Job* jobs, int count) {
  for (int first = 0; first < count; first += kMd5LanesMax) {
    Md5Job* group = jobs + first;
    const int groupCount = std::min(count - first, kMd5LanesMax);
    for (int i = 0; i < groupCount; i++) FillBegun(&group[i]);
    if (path != nullptr) {
      Md5Job* order[kMd5LanesMax];
      int live = LongestFirst(group, groupCount, order);
      while (live >= path->streamsMin) {
        RunLanes(*path, order, live, order[live - 1]->bytes / kMd5BlockBytes);
        while (live > 0 && order[live - 1]->bytes < kMd5BlockBytes) live--;
      }
    }
    for (int i = 0; i < groupCount; i++) Feed(&group[i], group[i].bytes);
  }
}

}  // namespace granary
