/* What one participant receives of a producer: the parameters its browser is told, and a
 * subscription of the dataplane. Starts paused, as mediasoup-client expects.
 *
 * Thread: the loop's. */
#ifndef SESSION_CONSUMER_H
#define SESSION_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session/producer.h"

struct consumer;
struct media_layers;
struct vault_sub_conf;

/* Called once when the subscription stands (0) or was refused (-errno: then close it). */
typedef void consumer_done(void *arg, int status);

struct consumer_conf {
    struct media *media;             /* borrowed for the consumer's life */
    uint64_t peer;                   /* of the receiving transport */
    struct producer *producer;       /* held for the consumer's life */
    const struct ortc_caps *caps;    /* borrowed during the call */
    const char *mid;                 /* unique in the transport; copied */
    const char *cname;               /* of the producing transport; copied */
    uint32_t ssrc, rtx_ssrc;         /* fresh in the transport */
    bool screen;                     /* detail over motion */
    bool movable; /* for consumer_move(): its receiver is told all codecs that it has */
};

/* What mediasoup calls its type. Simple ones have no layers to choose from. */
enum consumer_type { CONSUMER_SIMPLE, CONSUMER_SIMULCAST, CONSUMER_SVC };
enum consumer_type consumer_type(const struct producer_layers *layers);

/* Returns 0 and calls 'done' later; -ENOTSUP if the browser has none of the codecs;
 * -EINVAL, -ENOMEM, or an error of media.h: then 'done' is not called. */
int consumer_create(struct consumer **out, const struct consumer_conf *conf,
                    consumer_done *done, void *arg);

enum { CONSUMER_TAG_MAX = 64 };

/* Stores it for a successor of this process, as producer_save(). */
int consumer_save(const struct consumer *consumer, const void *tag, size_t tag_len);

/* The tag of a subscription's record (borrowed). Returns 0 or -EBADMSG. */
int consumer_tag(const struct vault_sub_conf *conf, const uint8_t **tag, size_t *tag_len);

/* Takes up a consumer of an earlier control, of 'producer' (held). Returns as
 * producer_restore(). */
int consumer_restore(struct consumer **out, struct media *media, uint64_t sub,
                     struct producer *producer, consumer_done *done, void *arg);

/* Ends it; 'done' is not called any more. NULL is a no-op. */
void consumer_close(struct consumer *consumer);

void consumer_set_paused(struct consumer *consumer, bool paused);
bool consumer_is_paused(const struct consumer *consumer);

/* The layers wished for, and its place among others when there is not enough for all.
 * Returns 0 or an error of media.h. */
int consumer_set_layers(struct consumer *consumer, const struct media_layers *layers);

/* Whether it may be moved to what 'to' sends: it is movable, and its receiver has the
 * codec.
 */
bool consumer_fits(const struct consumer *consumer, const struct producer *to);

/* Gives it what another producer sends: under the same SSRC, by the receiver's payload type
 * of that one's codec, with numbers that go on, from a key frame that is asked for. The
 * producer before may end at once. Follow with consumer_save().
 *
 * to      borrowed during the call
 * urgent  the producer before ends
 *
 * Returns 0; -ENOTSUP if it does not fit; -EBUSY until the answer to an earlier move (two,
 * if it is urgent), or an error of media.h: then it goes on as it was. */
int consumer_move(struct consumer *consumer, struct producer *to, bool urgent);

/* Its receiver has answered: of what it was told it takes this. It counts from the next
 * consumer_move() on, until which it is 'stale'. Of a movable one. False, and as it was, if
 * nothing is left. */
bool consumer_narrow(struct consumer *consumer, const struct ortc_caps *caps);
bool consumer_is_stale(const struct consumer *consumer);

enum rtp_kind consumer_kind(const struct consumer *consumer);

/* What the browser is told; of a movable one with every codec that it may be sent. */
void consumer_params(const struct consumer *consumer, struct rtp_params *out);

uint64_t consumer_sub(const struct consumer *consumer); /* its handle, for listings */

#endif
