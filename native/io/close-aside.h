#pragma once

namespace granary::io {

// Closes a descriptor for a thread that must not hang, on one of its own: close() may wait for the server of a network
// file system. Waits until it is closed, but no more than a second, and not at all while another close hangs.
void CloseAside(int fd);

}  // namespace granary::io
