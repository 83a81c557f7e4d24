/* Where load may go: to this machine. Anything else only if the operator says so. */
#ifndef LOADGEN_TARGET_H
#define LOADGEN_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Whether an address is of this machine: loopback, an interface's own, or on the network of
 * a virtual Ethernet pair whose two ends are both here (where a dataplane answers on the
 * far end by itself). */
bool target_is_local(const struct sockaddr_storage *address);

/* The address that 'text' and 'port' spell, without asking any name server. Returns 0 or
 * -EINVAL. */
int target_parse(const char *text, uint16_t port, struct sockaddr_storage *out);

struct target_url {
    char host[256]; /* without brackets */
    uint16_t port;
    bool secure; /* https */
    char authority[280]; /* as the Host header has it */
};

/* Takes "http[s]://HOST[:PORT][/]" apart. Returns 0, or -EINVAL for anything else. */
int target_url_parse(const char *url, struct target_url *out);

/* The first address of a host name. Returns 0, or -ENOENT with why in 'reason' (constant).
 */
int target_resolve(const struct target_url *url, struct sockaddr_storage *out,
                   const char **reason);

#endif
