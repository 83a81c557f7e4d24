/* See addrs.h. */
#include "io/addrs.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool usable(const struct sockaddr *sa, struct io_addr *out)
{
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        uint8_t v4[4];

        memcpy(&in, sa, sizeof(in));
        memcpy(v4, &in.sin_addr, 4);
        out->family = 4;
        path_map_v4(out->ip, v4);
        return v4[0] != 0 && v4[0] != 127;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, sa, sizeof(in6));
        memcpy(out->ip, &in6.sin6_addr, 16);
        out->family = 6;
        return !IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr) &&
               !IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) &&
               !IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr);
    }
    return false;
}

int addrs_list(const char *ifname, struct host_addr *out, unsigned cap)
{
    struct ifaddrs *all;
    unsigned n = 0;

    if (getifaddrs(&all) != 0) {
        return -errno;
    }
    for (const struct ifaddrs *it = all; it != NULL && n < cap; it = it->ifa_next) {
        if (it->ifa_addr == NULL || (it->ifa_flags & IFF_UP) == 0 ||
            (ifname != NULL && strcmp(ifname, it->ifa_name) != 0) ||
            !usable(it->ifa_addr, &out[n].addr)) {
            continue;
        }
        snprintf(out[n].ifname, sizeof(out[n].ifname), "%.15s", it->ifa_name);
        n++;
    }
    freeifaddrs(all);
    return (int)n;
}

int addrs_reserve(const struct port_env *env, const struct io_addr *addr)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons(env->conf->media_port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                               .sin6_port = htons(env->conf->media_port)};
    bool v4 = addr->family == 4;
    int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char text[INET6_ADDRSTRLEN];
    int code, one = 1;

    memcpy(&in.sin_addr, addr->ip + 12, 4);
    memcpy(&in6.sin6_addr, addr->ip, 16);
    if (fd < 0 || bind(fd, v4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6,
                       v4 ? sizeof(in) : sizeof(in6)) != 0) {
        code = -errno;
        if (fd >= 0) {
            close(fd);
        }
        return port_fail(env, code,
                         "%s port %u: %s: 'ss -ulnp sport = :%u' shows by whom it is used",
                         port_ip_text(addr->ip, text), env->conf->media_port,
                         strerror(-code), env->conf->media_port);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &one, sizeof(one));
    return fd;
}
