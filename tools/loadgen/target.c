#include "loadgen/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int target_parse(const char *text, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return 0;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return 0;
    }
    return -EINVAL;
}

/* ---- whose an address is ---- */

/* The bytes of an address and how many, 0 for a family that is none. */
static size_t bytes_of(const struct sockaddr *address, const uint8_t **out)
{
    if (address != NULL && address->sa_family == AF_INET) {
        *out = (const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr;
        return 4;
    }
    if (address != NULL && address->sa_family == AF_INET6) {
        *out = (const uint8_t *)&((const struct sockaddr_in6 *)address)->sin6_addr;
        return 16;
    }
    return 0;
}

static bool is_loopback(const uint8_t *ip, size_t len)
{
    static const uint8_t v6[16] = {[15] = 1};
    static const uint8_t mapped[13] = {[10] = 0xff, 0xff, 127};

    return len == 4 ? ip[0] == 127
                    : memcmp(ip, v6, 16) == 0 || memcmp(ip, mapped, sizeof(mapped)) == 0;
}

static long read_number(const char *interface, const char *what)
{
    char path[128];
    long value = -1;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/sys/class/net/%s/%s", interface, what);
    file = fopen(path, "re");
    if (file != NULL) {
        char line[32];

        if (fgets(line, sizeof(line), file) != NULL) {
            value = strtol(line, NULL, 10);
        }
        (void)fclose(file);
    }
    return value;
}

/* A pair of which both ends are in this network namespace: each names the other. An
 * interface of a container is one end of a pair too, but its other end is not here. */
static bool is_pair_of_ours(const char *interface)
{
    long index = read_number(interface, "ifindex");
    long other = read_number(interface, "iflink");
    char name[IF_NAMESIZE];

    return index > 0 && other > 0 && other != index &&
           if_indextoname((unsigned)other, name) != NULL &&
           read_number(name, "iflink") == index;
}

static bool same_network(const uint8_t *a, const uint8_t *b, const uint8_t *mask,
                         size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (((a[i] ^ b[i]) & mask[i]) != 0) {
            return false;
        }
    }
    return true;
}

bool target_is_local(const struct sockaddr_storage *address)
{
    const uint8_t *ip = NULL;
    size_t len = bytes_of((const struct sockaddr *)address, &ip);
    struct ifaddrs *list;
    bool found = false;

    if (len == 0) {
        return false;
    }
    if (is_loopback(ip, len)) {
        return true;
    }
    if (getifaddrs(&list) != 0) {
        return false;
    }
    for (const struct ifaddrs *i = list; i != NULL && !found; i = i->ifa_next) {
        const uint8_t *own;
        const uint8_t *mask;

        if (bytes_of(i->ifa_addr, &own) != len || bytes_of(i->ifa_netmask, &mask) != len) {
            continue;
        }
        found = memcmp(own, ip, len) == 0 ||
                (same_network(own, ip, mask, len) && is_pair_of_ours(i->ifa_name));
    }
    freeifaddrs(list);
    return found;
}

/* ---- the URL ---- */

int target_url_parse(const char *url, struct target_url *out)
{
    const char *host;
    const char *end;
    size_t len;

    if (strncasecmp(url, "https://", 8) == 0) {
        *out = (struct target_url){.port = 443, .secure = true};
        host = url + 8;
    } else if (strncasecmp(url, "http://", 7) == 0) {
        *out = (struct target_url){.port = 80};
        host = url + 7;
    } else {
        return -EINVAL;
    }
    len = strcspn(host, "/");
    if (len >= sizeof(out->authority) || (host[len] == '/' && host[len + 1] != '\0')) {
        return -EINVAL;
    }
    memcpy(out->authority, host, len);
    if (host[0] == '[') {
        host++;
        end = strchr(host, ']');
        len = end != NULL ? (size_t)(end - host) : 0;
        end = end != NULL ? end + 1 : host;
    } else {
        len = strcspn(host, ":/");
        end = host + len;
    }
    if (len == 0 || len >= sizeof(out->host)) {
        return -EINVAL;
    }
    memcpy(out->host, host, len);
    if (*end == ':') {
        char *rest;
        unsigned long port = strtoul(end + 1, &rest, 10);

        if (end[1] < '0' || end[1] > '9' || port == 0 || port > UINT16_MAX) {
            return -EINVAL;
        }
        out->port = (uint16_t)port;
        end = rest;
    }
    return *end == '\0' || *end == '/' ? 0 : -EINVAL;
}

int target_resolve(const struct target_url *url, struct sockaddr_storage *out,
                   const char **reason)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int err;

    if (target_parse(url->host, url->port, out) == 0) {
        return 0;
    }
    err = getaddrinfo(url->host, NULL, &hints, &found);
    if (err != 0) {
        *reason = gai_strerror(err);
        return -ENOENT;
    }
    memset(out, 0, sizeof(*out));
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (out->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)out)->sin6_port = htons(url->port);
    } else {
        ((struct sockaddr_in *)out)->sin_port = htons(url->port);
    }
    return 0;
}
