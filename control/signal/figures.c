/* What the node tells rooms of themselves, unasked: figures, to hosts; and that what
 * happens is not written at present, to all. See priv.h. */
#include "signal/priv.h"
#include "store/writer.h"
#include "sys/clock.h"

/* To whom of the room; 'body' is moved. */
static void tell(const struct room *room, enum fact_reach reach, const char *name,
                 json_t *body)
{
    const struct fact_audience audience = {.reach = reach};
    struct eio_msg *msg = NULL;

    (void)json_object_set_new(body, "meeting_id", json_string(room->id));
    (void)json_object_set_new(body, "timestamp", encode_time(clock_wall_us()));
    if (sio_event_write(SIGNAL_NSP, name, body, &msg) != 0) {
        msg = NULL;
    }
    json_decref(body);
    for (const struct participant *p = msg != NULL ? room->participants : NULL; p != NULL;
         p = p->next) {
        struct client *client = p->front == MEETING_SOCKET ? p->client : NULL;

        if (client != NULL && !client->legacy && meeting_sees(p, &audience)) {
            client_send(client, msg);
            client_push(client);
        }
    }
    eio_msg_unref(msg);
}

static void tell_figures(void *arg, struct room *room)
{
    const struct signal *signal = arg;
    json_int_t producers = 0;
    json_int_t consumers = 0;

    if (quality_turn_of(room->id) != signal->turn) {
        return;
    }
    for (const struct participant *p = room->participants; p != NULL; p = p->next) {
        producers += p->n_producers;
        consumers += p->n_consumers;
    }
    tell(room, FACT_HOSTS, "stats:update",
         json_pack("{s:I,s:I,s:I}", "participants", (json_int_t)room->n_participants,
                   "producers", producers, "consumers", consumers));
}

static void tell_failing(void *arg, struct room *room)
{
    const struct signal *signal = arg;
    const char *message;
    const char *code = keep_code(store_writer_failing(signal->writer), &message);

    tell(room, FACT_ALL, "room:error",
         json_pack("{s:s,s:s}", "code", code, "message", message));
}

void figures_tick(struct signal *signal)
{
    bool failing = signal->writer != NULL && store_writer_failing(signal->writer) != 0;

    if (failing && !signal->told_failing) {
        meeting_each_room(signal->meeting, tell_failing, signal);
    }
    signal->told_failing = failing;
    meeting_each_room(signal->meeting, tell_figures, signal);
}
