/* See client.h. */
#include "loadgen/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "loadgen/run.h"
#include "proto/jwt.h"

enum { TOKEN_TTL_S = 86400, AUDIO_SIZE = 160 };

void client_fail(struct client *client, const char *reason)
{
    if (client->state != CLIENT_FAILED && client->state != CLIENT_LEFT) {
        client->state = CLIENT_FAILED;
        client->sending = false;
        (void)loop_set(client->run->loop, &client->retry, UINT64_MAX);
        signaling_close(&client->signaling);
        run_on_failed(client->run, client, reason);
    }
}

/* ---- coming, going, coming again ---- */

void client_step(struct client *client, enum account_step step)
{
    if (!client->was_up && client->step_us[step] == 0) {
        client->step_us[step] = loop_now_us();
    }
}

void client_check_up(struct client *client)
{
    uint32_t n = 0;

    if (client->state != CLIENT_JOINING || client->media.state != TRANSPORT_UP) {
        return;
    }
    for (uint32_t i = 0; i < client->n_senders; i++) {
        n += client->senders[i].producer_id[0] != '\0';
    }
    for (uint32_t i = 0; i < client->n_receivers; i++) {
        const struct receiver *r = &client->receivers[i];

        n += r->resumed && !r->closed && run_sender(client, r->producer_id, 0) != NULL;
    }
    if (n < (client->publisher ? client->n_senders : client->run->n_streams)) {
        return;
    }
    client->state = CLIENT_UP;
    client_step(client, STEP_STREAMS);
    if (client->was_up) {
        run_on_returned(client->run, client, false);
    } else {
        client->was_up = true;
        run_on_up(client->run, client);
    }
}

/* Tries again to connect, in a while. */
static void come_again(struct client *client)
{
    if (client->state == CLIENT_UP) {
        client->lost_us = loop_now_us();
    } else if (client->state == CLIENT_JOINING) {
        client->participant_id[0] = client->resume_token[0] = '\0'; /* half of a life */
    }
    client->state = CLIENT_RETURNING;
    client->put_off = false;
    (void)loop_set(client->run->loop, &client->retry, loop_now_us() + CLIENT_RETRY_US);
}

bool client_retry(struct client *client)
{
    if (!client->was_up || client->state == CLIENT_LEFT || !client->run->options->resume) {
        return false;
    }
    signaling_close(&client->signaling);
    come_again(client);
    return true;
}

static void on_closed(void *user, const char *reason)
{
    struct client *client = user;

    if (!client_retry(client)) {
        client_fail(client, reason);
    }
}

void client_put_off(struct client *client, uint32_t ms)
{
    client->put_off = true;
    client->run->account->n_put_off++;
    (void)loop_set(client->run->loop, &client->retry, loop_now_us() + ms * UINT64_C(1000));
}

static void on_retry(struct loop_timer *timer, uint64_t now_us)
{
    struct client *client = timer->user;

    (void)now_us;
    if (client->put_off) {
        client->put_off = false;
        client_on_open(client);
    } else if (signaling_open(&client->signaling) != 0) {
        come_again(client);
    }
}

void client_on_media_up(struct client *client)
{
    client_step(client, STEP_DTLS);
    client_check_up(client);
}

void client_on_media_failed(struct client *client, const char *reason)
{
    client->resume_token[0] = '\0'; /* there is nothing to go on with */
    if (!client_retry(client)) {
        client_fail(client, reason);
    }
}

void client_start(struct client *client)
{
    int err;

    client->state = CLIENT_JOINING;
    client->started_us = loop_now_us();
    err = signaling_open(&client->signaling);
    if (err != 0) {
        char reason[128];

        (void)snprintf(reason, sizeof(reason), "cannot connect: %s", strerror(-err));
        client_fail(client, reason);
    }
}

void client_leave(struct client *client)
{
    if (client->state != CLIENT_FAILED && client->state != CLIENT_WAITING) {
        client->state = CLIENT_LEFT;
        client->sending = false;
        (void)loop_set(client->run->loop, &client->retry, UINT64_MAX);
        client_ask_leave(client);
        if (client->signaling.state != SIGNALING_OPEN) {
            signaling_close(&client->signaling);
        }
    }
}

/* ---- making one ---- */

static int mint(struct client *client)
{
    const struct run *run = client->run;
    int64_t now_s = (int64_t)time(NULL);
    struct jwt_claims claims = {.iat = now_s, .exp = now_s + TOKEN_TTL_S};

    (void)snprintf(claims.sub, sizeof(claims.sub), "loadgen-%d-%s", (int)getpid(),
                   client->name);
    (void)snprintf(claims.name, sizeof(claims.name), "%s", client->name);
    (void)snprintf(claims.role, sizeof(claims.role), "%s",
                   client->publisher ? "presenter" : "attendee");
    (void)snprintf(claims.meeting_id, sizeof(claims.meeting_id), "%s", client->meeting);
    return jwt_mint(&claims, run->secret, run->secret_len, client->token,
                    sizeof(client->token)) == JWT_OK
               ? 0
               : -EINVAL;
}

static int add_senders(struct client *client, uint32_t index)
{
    const struct options *o = client->run->options;
    uint32_t seed;

    client->senders = &client->run->crew->senders[(size_t)index * CLIENT_MAX_SENDERS];
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        return -errno;
    }
    for (int video = 0; video < 2; video++) {
        bool main = video != 0 || !o->video; /* what --rate and --size are of */
        uint32_t layers = video != 0 ? o->layers : 1;

        for (uint32_t i = 0; (video != 0 ? o->video : o->audio) && i < layers; i++) {
            struct sender *s = &client->senders[client->n_senders++];

            sender_init(s, video != 0, index * 2 + (uint32_t)video + 1,
                        main ? o->rate : o->audio_rate,
                        (uint16_t)(main ? o->size : AUDIO_SIZE), seed);
            if (layers > 1) {
                sender_set_layer(s, (uint8_t)i, (uint8_t)layers);
            }
            if (video != 0 && o->video_pattern != NULL) {
                sender_set_pattern(s, &o->video_pattern[i], seed, o->pace_ms * 1000);
            }
            if (video == 0 && o->audio_pattern != NULL) {
                sender_set_pattern(s, o->audio_pattern, seed, 0);
            }
            s->mid = (uint8_t)video;
        }
    }
    return 0;
}

int client_init(struct client *client, struct run *run, bool publisher, uint32_t index)
{
    static const struct signaling_ops ops = {client_on_open, client_on_event,
                                             client_on_answer, on_closed};
    struct signaling_conf conf = {.ops = &ops,
                                  .user = client,
                                  .loop = run->loop,
                                  .to = &run->to,
                                  .authority = run->authority,
                                  .tls = run->tls,
                                  .host = run->host,
                                  .wanted = client_wanted,
                                  .token = client->token};
    const struct options *o = run->options;
    int err;

    *client =
        (struct client){.run = run,
                        .index = index,
                        .room = index / (publisher ? o->publishers : o->subscribers),
                        .publisher = publisher,
                        .sampled = publisher || index % run->options->verify_every == 0,
                        .timer = {.on_due = client_media_on_due, .user = client},
                        .retry = {.on_due = on_retry, .user = client},
                        .whim = {.on_due = client_on_whim, .user = client}};
    (void)snprintf(client->name, sizeof(client->name), "%s-%u",
                   publisher ? "publisher" : "subscriber", index);
    signaling_init(&client->signaling, &conf); /* first: client_fini() closes it */
    if (snprintf(client->meeting, sizeof(client->meeting), o->rooms > 1 ? "%s-%u" : "%s",
                 o->meeting, client->room) >= (int)sizeof(client->meeting)) {
        return -EINVAL;
    }
    err = mint(client);
    if (err == 0 && publisher) {
        err = add_senders(client, index);
    }
    if (err == 0) {
        err = client_media_init(client);
    }
    return err;
}

void client_fini(struct client *client)
{
    if (client->run == NULL) {
        return;
    }
    signaling_close(&client->signaling);
    transport_fini(&client->media);
    (void)loop_set(client->run->loop, &client->timer, UINT64_MAX);
    (void)loop_set(client->run->loop, &client->retry, UINT64_MAX);
    (void)loop_set(client->run->loop, &client->whim, UINT64_MAX);
    json_decref(client->capabilities);
    free(client->receivers);
    *client = (struct client){0};
}
