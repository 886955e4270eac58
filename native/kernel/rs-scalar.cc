#include <cstring>

#include "reed-solomon.h"

namespace granary {

void RsApplyScalar(const RsPlan& plan, const uint8_t* const* in, uint8_t* const* out, size_t bytes) {
  for (int output = 0; output < plan.outputs; output++) std::memset(out[output], 0, bytes);
  for (int input = 0; input < plan.inputs; input++) {
    const uint8_t* source = in[input];
    for (int output = 0; output < plan.outputs; output++) {
      const uint8_t* low = plan.nibble[input][output];
      const uint8_t* high = low + 16;
      uint8_t* target = out[output];
      for (size_t i = 0; i < bytes; i++) {
        target[i] = static_cast<uint8_t>(target[i] ^ low[source[i] & 15] ^ high[source[i] >> 4]);
      }
    }
  }
}

}  // namespace granary
