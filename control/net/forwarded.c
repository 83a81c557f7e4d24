/* Who asks, if the connection is that of a proxy which is trusted to say so: what it, and
 * trusted ones before it, wrote to the end of X-Forwarded-For, and to X-Forwarded-Proto.
 * What stands further in front is the client's own word, and counts for nothing. */
#include "net/priv.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { ITEM_MAX = 64 };

bool forwarded_trusts(const struct net_server *server, const struct sockaddr_storage *ss)
{
    for (size_t i = 0; i < server->n_proxies; i++) {
        if (prefix_has(&server->proxies[i], ss)) {
            return true;
        }
    }
    return false;
}

/* Cuts the last item off the list of 'len' characters; false: there is none. */
static bool take_last(const char *list, size_t *len, char out[ITEM_MAX])
{
    size_t end = *len, begin, n;

    if (list == NULL) {
        return false;
    }
    while (end > 0 && strchr(" \t", list[end - 1]) != NULL) {
        end--;
    }
    begin = end;
    while (begin > 0 && list[begin - 1] != ',') {
        begin--;
    }
    *len = begin > 0 ? begin - 1 : 0;
    begin += strspn(list + begin, " \t");
    n = end > begin ? end - begin : 0;
    if (n == 0 || n >= ITEM_MAX) {
        return false;
    }
    memcpy(out, list + begin, n);
    out[n] = '\0';
    return true;
}

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]", and those but the second with ":PORT". The
 * port is not kept: proxies seldom tell it. */
static bool parse(char item[ITEM_MAX], struct sockaddr_storage *out)
{
    char *colon = strchr(item, ':');
    char *ip = item;

    memset(out, 0, sizeof(*out));
    if (item[0] == '[') {
        ip = item + 1;
        colon = strchr(ip, ']');
        if (colon == NULL || (colon[1] != '\0' && colon[1] != ':')) {
            return false;
        }
        *colon = '\0';
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = '\0';
    }
    if (inet_pton(AF_INET, ip, &((struct sockaddr_in *)out)->sin_addr) == 1) {
        out->ss_family = AF_INET;
        return true;
    }
    out->ss_family = AF_INET6;
    return inet_pton(AF_INET6, ip, &((struct sockaddr_in6 *)out)->sin6_addr) == 1;
}

const struct net_client *forwarded_client(struct net_req *req)
{
    const struct net_conn *conn = req->conn;
    struct sockaddr_storage ss;
    char item[ITEM_MAX];
    const char *list;
    size_t len;
    bool trusted = true;

    if (!conn->proxied) {
        return &conn->client;
    }
    if (req->client.remote[0] != '\0') {
        return &req->client;
    }
    req->client = conn->client;
    list = net_req_header(req, "x-forwarded-for");
    len = list != NULL ? strlen(list) : 0;
    while (trusted && take_last(list, &len, item) && parse(item, &ss)) {
        net_client_of(&ss, &req->client);
        trusted = forwarded_trusts(conn->server, &ss);
    }
    return &req->client;
}

bool net_req_is_secure(struct net_req *req)
{
    const char *list =
        req->conn->proxied ? net_req_header(req, "x-forwarded-proto") : NULL;
    size_t len = list != NULL ? strlen(list) : 0;
    char item[ITEM_MAX];

    if (take_last(list, &len, item)) {
        return strcasecmp(item, "https") == 0;
    }
    return req->conn->listener->tls;
}
