#include "app/facts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "media/media.h"
#include "rest/rest.h"

_Static_assert((int)REST_MAX_DEVICES >= (int)ABI_MAX_DEVICES, "all devices fit");
_Static_assert((int)REST_MAX_ADDRS >= (int)ABI_MAX_ADDRS, "all addresses fit");

static void ip_text(const struct abi_addr *addr, const uint8_t ip[16],
                    char out[REST_IP_TEXT])
{
    bool v4 = addr->family == 4;

    (void)inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip + 12 : ip, out, REST_IP_TEXT);
}

static void take_device(const struct abi_device *from, struct rest_device *to)
{
    (void)snprintf(to->kind, sizeof(to->kind), "%s", from->kind);
    (void)snprintf(to->name, sizeof(to->name), "%s", from->name);
    to->port = from->port;
    to->n_addrs = from->n_addrs;
    for (uint32_t i = 0; i < to->n_addrs; i++) {
        ip_text(&from->addrs[i], from->addrs[i].ip, to->addrs[i].ip);
        ip_text(&from->addrs[i], from->addrs[i].public_ip, to->addrs[i].public_ip);
        to->addrs[i].public_port = from->addrs[i].public_port;
    }
}

static void say_why_not(const struct media_status *status, const char *socket, char *out,
                        size_t cap)
{
    switch (-status->err) {
    case EBUSY:
        (void)snprintf(out, cap,
                       "another kcs-control is attached to the dataplane at %s: stop that "
                       "one",
                       socket);
        break;
    case EACCES:
    case EPERM:
        (void)snprintf(out, cap,
                       "no right to connect to the dataplane's socket %s: run kcs-control "
                       "as the user or in the group that owns it",
                       socket);
        break;
    case ENOENT:
    case ENOTCONN:
    case ECONNREFUSED:
    case ECONNRESET:
        (void)snprintf(out, cap,
                       "no dataplane answers at %s (%s): start kcs-dataplane, or set "
                       "dataplane.socket to its socket",
                       socket, strerror(-status->err));
        break;
    default:
        (void)snprintf(out, cap, "the dataplane at %s is not attached: %s (%s)", socket,
                       status->reason, strerror(-status->err));
    }
}

void facts_of_media(const struct media *media, const char *socket, struct rest_facts *out)
{
    const struct abi_shm *info = media_info(media);
    struct media_status status;

    media_status(media, &status);
    out->attached = status.attached && info != NULL;
    out->contract = ABI_VERSION;
    if (!out->attached) {
        say_why_not(&status, socket, out->reason, sizeof(out->reason));
        return;
    }
    (void)snprintf(out->srtp_backend, sizeof(out->srtp_backend), "%s", info->backend);
    out->n_devices = info->n_devices;
    for (uint32_t i = 0; i < info->n_devices; i++) {
        take_device(&info->devices[i], &out->devices[i]);
        out->devices[i].lost = media_device_state(media, i) != ABI_DEVICE_WORKS;
    }
}
