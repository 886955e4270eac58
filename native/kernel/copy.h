// Copies of received bytes into the arena.
#pragma once

#include <cstddef>
#include <cstdint>

namespace granary {

// Like memmove. A long run goes past the caches: whoever reads it next does so much later, when other uploads have
// long displaced it, and a line that is written whole need not be read first. Half the time of memmove (bench:
// `path.put.64MiB.c16`, two fifths of whose main thread were copies).
void CopyBytes(uint8_t* to, const uint8_t* from, size_t bytes);

}  // namespace granary
