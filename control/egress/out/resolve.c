#include "egress/out/resolve.h"

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/base/reach.h"

typedef int resolver(const char *node, const char *service, const struct addrinfo *hints,
                     struct addrinfo **out);

static _Thread_local bool public_only;

bool resolve_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;

        return reach_public4((const uint8_t *)&v4->sin_addr);
    }
    return address->sa_family == AF_INET6 &&
           reach_public6(
               ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr);
}

void resolve_public_only(bool on)
{
    public_only = on;
}

/* Takes away those that are not; each is an allocation of its own. */
static void sift(struct addrinfo **at)
{
    while (*at != NULL) {
        struct addrinfo *one = *at;

        if (resolve_is_public(one->ai_addr)) {
            at = &one->ai_next;
        } else {
            *at = one->ai_next;
            one->ai_next = NULL;
            freeaddrinfo(one);
        }
    }
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    resolver *next;
    int err;

    *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    if (next == NULL) {
        return EAI_SYSTEM;
    }
    err = next(node, service, hints, out);
    if (err == 0 && public_only) {
        sift(out);
        err = *out != NULL ? 0 : EAI_NONAME;
    }
    return err;
}
