/* Thousands join, open transports, produce, consume, and leave in every way there is: by
 * leaving, by closing the connection, by closing what they had before. Nothing is left of
 * them on either side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>

#include "unit/signal/user.h"

enum { LIVES = 400, LIVES_LONG = 5000 };

#define AUDIO                                                                              \
    "{\"mid\":\"0\",\"codecs\":[{\"mimeType\":\"audio/opus\",\"payloadType\":111,"         \
    "\"clockRate\":48000,\"channels\":2,\"parameters\":{},\"rtcpFeedback\":[]}],"          \
    "\"headerExtensions\":[],\"encodings\":[{\"ssrc\":%u}],\"rtcp\":{\"cname\":\"p\"}}"
#define CAPS                                                                               \
    "{\"codecs\":[{\"kind\":\"audio\",\"mimeType\":\"audio/opus\","                        \
    "\"preferredPayloadType\":100,\"clockRate\":48000,\"channels\":2,\"parameters\":{},"   \
    "\"rtcpFeedback\":[]}],\"headerExtensions\":[]}"

/* Opens a transport; its id. */
static void transport(struct site *s, struct user *u, const char *direction, char id[64])
{
    char text[64];
    json_t *body;

    (void)snprintf(text, sizeof(text), "{\"direction\":\"%s\"}", direction);
    body = user_ask(s, u, "transport:create", text);
    (void)snprintf(id, 64, "%s", text_of(body, "transport_id"));
    json_decref(body);
}

static void user_produce(struct site *s, struct user *u,
                         uint32_t ssrc, char id[64])
{
    char send[64], text[1024];
    json_t *body;
    int n;

    transport(s, u, "send", send);
    n = snprintf(text, sizeof(text),
                 "{\"transport_id\":\"%s\",\"kind\":\"audio\",\"source\":\"microphone\","
                 "\"rtp_parameters\":" AUDIO "}",
                 send, ssrc);
    assert_in_range(n, 1, sizeof(text) - 1);
    body = user_ask(s, u, "produce", text);
    (void)snprintf(id, 64, "%s", text_of(body, "producer_id"));
    json_decref(body);
}

static void user_consume(struct site *s, struct user *u, const char *producer)
{
    char recv[64], text[1024];

    transport(s, u, "recv", recv);
    (void)snprintf(text, sizeof(text),
                   "{\"transport_id\":\"%s\",\"producer_id\":\"%s\",\"rtp_capabilities\":"
                   "" CAPS "}",
                   recv, producer);
    user_do(s, u, "consume", text);
}

/* Two meet, hear each other, and go. */
static void live(struct site *s, unsigned n)
{
    struct user *a = user_join(s, false, "a");
    struct user *b = user_join(s, n % 8 == 0, "b");
    char from_a[64], from_b[64], text[128];

    user_produce(s, a, 2 * n + 1, from_a);
    user_produce(s, b, 2 * n + 2, from_b);
    user_consume(s, a, from_b);
    user_consume(s, b, from_a);
    switch (n % 4) {
    case 0:
        user_do(s, a, "room:leave", "{\"meeting_id\":\"m\"}");
        user_do(s, b, "room:leave", "{\"meeting_id\":\"m\"}");
        break;
    case 1:
        (void)snprintf(text, sizeof(text), "{\"producer_id\":\"%s\"}", from_a);
        user_do(s, a, "produce:close", text);
        break;
    case 2:
        user_send(s, a, "41/meeting,");
        break;
    default: /* with what they had asked for still under way */
        (void)user_emit(s, a, "transport:create", "{\"direction\":\"send\"}");
        (void)user_emit(s, b, "transport:create", "{\"direction\":\"recv\"}");
        break;
    }
    for (size_t i = 0; i < s->n_users; i++) {
        if (s->users[i].polling) {
            user_send(s, &s->users[i], "1");
        }
        user_vanish(&s->users[i]);
    }
    AWAIT(s, signal_n_clients(s->signal) == 0 && meeting_n_participants(s->w.meeting) == 0);
    s->n_users = 0;
}

static unsigned n_files(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 1024; fd++) {
        n += fcntl(fd, F_GETFD) != -1;
    }
    return n;
}

static void thousands_come_and_go_and_nothing_is_left(void **state)
{
    const char *asked = getenv("KCS_LONG");
    const unsigned n = asked != NULL && *asked != '\0' ? LIVES_LONG : LIVES;
    struct site s;
    unsigned files;
    (void)state;

    site_start(&s);
    live(&s, 0); /* what is made once is made */
    files = n_files();
    for (unsigned i = 1; i < n; i++) {
        live(&s, i);
    }
    AWAIT(&s, fake_dp_n_open(s.w.dp, 'p') == 0);
    assert_int_equal(fake_dp_n_open(s.w.dp, 's'), 0);
    assert_int_equal(fake_dp_n_open(s.w.dp, 'u'), 0);
    AWAIT(&s, n_files() <= files);
    site_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thousands_come_and_go_and_nothing_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
