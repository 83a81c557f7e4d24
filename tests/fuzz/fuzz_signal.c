/* Signaling as a whole, from what a listener hands over to the domain and back: HTTP
 * requests and WebSocket messages of several clients, Engine.IO, Socket.IO, every event
 * with any payload, transports, producers, consumers; the dataplane answers, fails or sends
 * datagrams. */
#include "signal_world.h"

enum { MAX_OPS = 48 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool attached;
    uint8_t how;

    if (!attached) {
        world_begin();
        plane_open(&w.plane);
        world_attach();
        attached = true;
    }
    world_begin_signal();
    w.in = fuzz_in(data, size);
    how = rbytes_u8(&w.in);
    for (unsigned n = 0; n < MAX_OPS && fuzz_more(&w.in); n++) {
        world_step();
    }
    world_end_signal(how % 2 != 0);
    FUZZ_CHECK(world_is_empty());
    world_forget();
    return 0;
}
