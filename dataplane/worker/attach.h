/* The socket on which control attaches: one at a time, versions and sizes compared. */
#ifndef KCS_WORKER_ATTACH_H
#define KCS_WORKER_ATTACH_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "worker/shared.h"

enum { ATTACH_GUESTS = 16, ATTACH_FDS = 1 + ATTACH_GUESTS };

/* The socket, and who has connected but not said hello: nobody waits for them. */
struct attach {
    int listen_fd;
    unsigned n;
    struct attach_guest {
        int fd;
        uint64_t until_us;
    } guests[ATTACH_GUESTS]; /* who came first is first */
};

/* Listens on 'path'. A socket file that nobody serves is replaced; one that is served is
 * -EADDRINUSE. Returns 0 or -errno; 'err' then says what to do. */
int attach_listen(struct attach *attach, const char *path, char *err, size_t err_cap);

/* Hangs up; the socket's file stays. */
void attach_close(struct attach *attach);

/* Fills 'fds' with what attach_accept() waits for. Returns how many. */
unsigned attach_fds(const struct attach *attach, struct pollfd fds[ATTACH_FDS]);

/* When it may have something to do without that; -1: never. */
int attach_timeout_ms(const struct attach *attach, uint64_t now_us);

/* Accepts connections and reads their hellos, without waiting. Returns the descriptor of one
 * that fits, -EAGAIN if nobody has said anything, or the error for which one was refused:
 * -EBUSY if 'attached', -EPROTO for another version, -ETIMEDOUT. Then there may be more.
 *
 * vault_fd  filled with the vault that came with the hello, or -1; the caller's to close */
int attach_accept(struct attach *attach, bool attached, uint64_t now_us, int *vault_fd);

/* Sends the welcome with all descriptors. Returns 0 or -errno. */
int attach_welcome(int fd, const struct shared *s);

/* Says good-bye: we are done with the vault. Returns false if control is gone or has said so
 * too: of two that end at once at least one hears the other. That it hangs up afterwards is
 * only its answer. */
bool attach_stays(int fd);

#endif
