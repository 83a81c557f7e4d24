/* What clients do with --restless; see client.h. */
#include "loadgen/client.h"
#include "loadgen/run.h"

/* All encodings of what the sender at 'index' is one of are silent, or go on. */
static void silence(struct client *client, uint32_t index, bool silent)
{
    uint64_t now_us = loop_now_us();

    for (uint32_t i = 0; i < client->n_senders; i++) {
        struct sender *s = &client->senders[i];

        if (s->mid == client->senders[index].mid && s->silent != silent) {
            s->silent = silent;
            if (!silent) {
                sender_go_on(s, now_us);
            }
        }
    }
    client_media_arm(client);
}

/* A stream falls silent, is muted, is not muted, goes on; then the next one. It is not sent
 * meanwhile: what the node leaves out of it would be missing. */
static void change_sender(struct client *client)
{
    uint32_t at = client->n_whims / 4 % client->n_senders;
    uint32_t what = client->n_whims % 4;
    const struct sender *s = &client->senders[at];

    if (s->producer_id[0] == '\0' || s->layer != 0) {
        return;
    }
    if (what == 0 || what == 3) {
        silence(client, at, what == 0);
    } else {
        client_ask(client, what == 1 ? ASK_MUTE : ASK_UNMUTE, at,
            json_pack("{s:s}", "producer_id", s->producer_id));
    }
}

/* A stream is paused, goes on, is to be small, is to be large, then the next one. */
static void change_receiver(struct client *client)
{
    uint32_t at = client->n_whims / 4 % client->n_receivers;
    const struct receiver *r = &client->receivers[at];
    uint32_t what = client->n_whims % 4;
    int layer = what == 2 ? 0 : (int)client->run->options->layers - 1;

    if (r->closed || !r->resumed || (what >= 2 && !r->layered)) {
        return;
    }
    if (what < 2) {
        client_ask(client, what == 0 ? ASK_PAUSE : ASK_RESUME, at,
            json_pack("{s:s}", "consumer_id", r->consumer_id));
    } else {
        client_ask(client, ASK_LAYERS, at,
            json_pack("{s:s,s:i,s:i}", "consumer_id", r->consumer_id, "spatial", layer,
                      "temporal", 0));
    }
}

void client_on_whim(struct loop_timer *timer, uint64_t now_us)
{
    struct client *client = timer->user;

    if (client->state == CLIENT_UP && client->n_senders > 0) {
        change_sender(client);
    }
    if (client->state == CLIENT_UP && client->n_receivers > 0) {
        change_receiver(client);
    }
    client->n_whims++;
    (void)loop_set(client->run->loop, timer,
                   now_us + (uint64_t)(client->run->options->restless * 1e6));
}
