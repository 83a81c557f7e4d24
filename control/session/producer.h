/* What one participant sends: the browser's parameters mapped onto the router's, and a
 * stream of the dataplane for each encoding. Neighbours: consumer.h reads it; session.h
 * carries it.
 *
 * Thread: the loop's. */
#ifndef SESSION_PRODUCER_H
#define SESSION_PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/ortc.h"

struct media;
struct producer;
struct vault_stream_conf;

/* Called once when every stream stands (0) or one was refused (-errno: then close it). */
typedef void producer_done(void *arg, int status);

/* Maps 'params' and opens the streams at the peer 'peer' of its transport.
 *
 * media   borrowed for the producer's life
 * room    of the same one share a lane that is overloaded with other rooms (vault.h)
 * params  borrowed
 * err     filled on -EINVAL and -ENOTSUP: what is wrong with the parameters
 *
 * Returns 0 and calls 'done' later; -EINVAL, -ENOTSUP (codec or extension unknown),
 * -ENOMEM, or an error of media.h: then 'done' is not called. */
int producer_create(struct producer **out, struct media *media, uint64_t peer,
                    uint16_t room, enum rtp_kind kind, const struct rtp_params *params, bool paused,
                    producer_done *done, void *arg, struct rtp_error *err);

enum { PRODUCER_TAG_MAX = 64 };

/* Stores it for a successor of this process, with what the owner wants to know then. Until
 * it is called a successor closes the streams. tag_len is at most PRODUCER_TAG_MAX. Returns
 * 0 or -EMSGSIZE: its parameters are too many. */
int producer_save(const struct producer *producer, const void *tag, size_t tag_len);

/* The tag of a stream's record (conf borrowed), and which of how many encodings it is.
 * Returns 0 or -EBADMSG. */
int producer_tag(const struct vault_stream_conf *conf, const uint8_t **tag, size_t *tag_len,
                 uint8_t *encoding, uint8_t *n_encodings);

/* Takes up a producer of an earlier control.
 *
 * streams  the handles of its encodings, in their order; n of them
 *
 * Returns 0 and calls 'done' later; -EBADMSG if the records do not make one, -ENOMEM, or an
 * error of media.h: then 'done' is not called, and the streams are the caller's to close.
 */
int producer_restore(struct producer **out, struct media *media, const uint64_t *streams,
                     uint8_t n, producer_done *done, void *arg);

/* Ends it; 'done' is not called any more. Its consumers must have been closed before. NULL
 * is a no-op. */
void producer_close(struct producer *producer);

/* Its parameters (some 7 kB) stay, though it is closed, until who holds it lets it go. */
void producer_hold(struct producer *producer);
void producer_let_go(struct producer *producer);

void producer_set_paused(struct producer *producer, bool paused);
bool producer_is_paused(const struct producer *producer);

/* Audio: which part of it is forwarded (enum abi_gate), and how loud it is now, 0..127. */
void producer_set_gate(struct producer *producer, uint8_t gate);
uint8_t producer_gate(const struct producer *producer);
uint8_t producer_loudness(const struct producer *producer, uint64_t now_us);

const struct ortc_producer *producer_params(const struct producer *producer);

/* The stream of the lowest layer. */
uint64_t producer_stream(const struct producer *producer);

/* What can be chosen from. Several streams are simulcast, one with layers SVC. */
struct producer_layers {
    uint8_t n_streams; /* that consumers may get: VAULT_SUB_HIGHER + 1 at most */
    uint8_t n_spatial; /* of all: streams, or layers in the one */
    uint8_t n_temporal;
};
void producer_layers(const struct producer *producer, struct producer_layers *out);

/* The streams' handles, for listings. Returns how many. */
uint8_t producer_streams(const struct producer *producer,
                         uint64_t out[RTP_PARAMS_MAX_ENCODINGS]);

#endif
