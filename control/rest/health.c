#include "rest/health.h"

#include <errno.h>

#include "rest/call.h"
#include "rest/respond.h"
#include "rest/rest.h"
#include "store/store.h"

const char *health_unfit(const struct rest_facts *facts)
{
    uint32_t n_addrs = 0, n_lost = 0;

    if (!facts->attached) {
        return facts->reason;
    }
    for (uint32_t i = 0; i < facts->n_devices; i++) {
        if (facts->devices[i].lost) {
            n_lost += facts->devices[i].n_addrs;
        } else {
            n_addrs += facts->devices[i].n_addrs;
        }
    }
    return n_addrs > 0  ? NULL
           : n_lost > 0 ? "the interface of every device of the dataplane is down or gone: "
                          "its log and kcsctl node tell which and what mends it"
                        : "no device of the dataplane has an address: give one to its "
                         "interface, or change media.devices";
}

/* Fills 'facts'; answers 503 and returns false if no call can be made. */
static bool fit(const struct rest_call *call, struct rest_facts *facts)
{
    const char *reason;

    *facts = (struct rest_facts){0};
    call->conf->facts(call->conf->user, facts);
    reason = health_unfit(facts);
    if (reason != NULL) {
        respond_problem(call->req, 503,
                        facts->attached ? "no_address" : "media_unavailable", reason, NULL);
    }
    return reason == NULL;
}

void health_live(const struct rest_call *call)
{
    respond_data(call->req, json_pack("{s:s}", "status", "live"));
}

void health_ready(const struct rest_call *call)
{
    struct rest_facts facts;

    if (!fit(call, &facts)) {
        return;
    }
    if (facts.draining) {
        respond_problem(call->req, 503, "draining",
                        "the node is going to stop and begins no more meetings (kcsctl "
                        "undrain)",
                        NULL);
        return;
    }
    respond_data(call->req, json_pack("{s:s}", "status", "ready"));
}

static json_t *device_json(const struct rest_device *device)
{
    json_t *addrs = json_array();

    for (uint32_t i = 0; i < device->n_addrs; i++) {
        json_array_append_new(addrs,
                              json_pack("{s:s, s:s, s:i}", "ip", device->addrs[i].ip,
                                        "public_ip", device->addrs[i].public_ip,
                                        "public_port", (int)device->addrs[i].public_port));
    }
    return json_pack("{s:s, s:s, s:i, s:o}", "kind", device->kind, "name", device->name,
                     "port", (int)device->port, "addresses", addrs);
}

void health_webrtc(const struct rest_call *call)
{
    struct rest_facts facts;
    json_t *devices;

    if (!fit(call, &facts)) {
        return;
    }
    devices = json_array();
    for (uint32_t i = 0; i < facts.n_devices; i++) {
        json_array_append_new(devices, device_json(&facts.devices[i]));
    }
    respond_data(call->req,
                 json_pack("{s:b, s:o, s:s, s:s}", "attached", 1, "devices", devices,
                           "dtls_fingerprint_algorithm", facts.fingerprint_alg,
                           "srtp_backend", facts.srtp_backend));
}

static json_t *outlets_json(const struct rest_facts *facts)
{
    if (facts->outlets == 0) {
        return json_pack("{s:s}", "state", "off");
    }
    if (facts->outlets_failing == 0) {
        return json_pack("{s:s}", "state", "ok");
    }
    return json_pack("{s:s, s:s}", "state", "degraded", "reason", facts->outlet_reason);
}

/* What it reads and writes goes on as far as it can: that is no reason to send nobody here.
 */
static json_t *store_json(const struct store *store)
{
    int err = store != NULL ? store_failing(store) : 0;

    if (err == 0) {
        return json_pack("{s:s}", "state", store != NULL ? "ok" : "off");
    }
    return json_pack("{s:s, s:s}", "state", "degraded", "reason",
                     err == -ENOSPC
                         ? "the disk is full, or the store has store.max_mb: make room"
                     : err == -EHOSTDOWN ? "the database does not answer: see store.url"
                     : err == -EAGAIN    ? "another process holds the store's file: end it"
                                         : "it cannot be read or written: see the log");
}

void health_system(const struct rest_call *call)
{
    struct rest_facts facts = {0};

    call->conf->facts(call->conf->user, &facts);
    respond_data(call->req,
                 json_pack("{s:I, s:i, s:i, s:i, s:b, s:b, s:o, s:o, s:{s:s, s:i}}",
                           "uptime_ms", (json_int_t)(facts.uptime_us / 1000), "rooms",
                           (int)facts.rooms, "participants", (int)facts.participants,
                           "clients", (int)facts.clients, "attached", (int)facts.attached,
                           "draining", (int)facts.draining, "events", outlets_json(&facts),
                           "store", store_json(call->conf->store), "versions", "kcs",
                           call->conf->version, "contract", (int)facts.contract));
}
