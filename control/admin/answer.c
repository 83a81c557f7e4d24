/* What answers are made of. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "admin/priv.h"
#include "net/net.h"
#include "proto/jtext.h"

void admin_ip_text(const uint8_t ip[16], char out[ADMIN_IP_TEXT])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
        (void)inet_ntop(AF_INET, ip + sizeof(mapped), out, ADMIN_IP_TEXT);
    } else {
        (void)inet_ntop(AF_INET6, ip, out, ADMIN_IP_TEXT);
    }
}

void admin_send(struct net_req *req, unsigned status, json_t *body, bool allow)
{
    static const struct net_header headers[] = {
        {"content-type", "application/json"},
        {"cache-control", "no-store"},
        {"allow", "GET, HEAD"},
    };
    char *text = jtext_make(body, JSON_COMPACT);

    json_decref(body);
    if (text == NULL) {
        net_respond(req, 500, NULL, 0, NULL, 0);
        return;
    }
    net_respond(req, status, headers, allow ? 3 : 2, text, strlen(text));
    free(text);
}

void admin_answer(struct net_req *req, json_t *data)
{
    admin_send(req, 200, json_pack("{s:o}", "data", data), false);
}

json_t *admin_problem(const char *code, const char *message)
{
    return json_pack("{s:b, s:s, s:s}", "success", 0, "code", code, "message", message);
}

void admin_refuse(struct net_req *req, unsigned status, const char *code,
                  const char *message)
{
    admin_send(req, status, admin_problem(code, message), false);
}
