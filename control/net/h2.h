/* What h2.c (the connection: TLS, frames, time) and h2_stream.c (requests and answers)
 * share. The frames, HPACK and flow control are nghttp2's. */
#ifndef NET_H2_H
#define NET_H2_H

#include <nghttp2/nghttp2.h>

#include "net/priv.h"

enum {
    H2_STREAMS = 100,   /* requests at once */
    H2_HELD = 16 << 20, /* bodies and answers of a connection; beyond it no new requests,
                         * beyond twice as much none of either */
    H2_FILES = 8,       /* answers at once that are read from files, each a descriptor */
    H2_STALL_US = 60000000,
};

struct h2_header {
    struct h2_header *next;
    char *value; /* behind the name, in the same piece of memory */
    char name[];
};

struct h2_stream {
    struct h2_conn *h2;
    struct net_req *req;
    struct h2_stream *next, *prev;
    struct h2_header *headers; /* the last first */
    size_t header_bytes;
    char *method, *target;
    size_t taken; /* of its answer, since its deadline was set */
    int32_t id;
    bool began;     /* its headers are whole */
    bool too_large; /* they are, for us */
    bool of_file;   /* its answer is read piece by piece, and held nowhere */
};

struct h2_conn {
    struct net_conn *conn;
    struct h2_conn *next, *prev; /* of the server's */
    struct ssl_st *ssl;
    nghttp2_session *session;
    struct loop_watch *watch;
    size_t budget; /* bytes that may go out before others have their turn */
    struct h2_stream *streams;
    size_t held;      /* bytes, see H2_HELD */
    size_t answering; /* of these, of answers */
    uint32_t files;   /* see H2_FILES */
    uint32_t resets;  /* streams that ended badly, less what time has forgiven */
    uint64_t born_us, idle_us;
    uint64_t waiting_us; /* since then there is something to send, and nothing went out */
    int fd;
    bool handshaken, greeted; /* TLS is up; the client's SETTINGS are there */
    bool closing; /* it is told so, and gets a moment */
    bool dead;
    bool within; /* one of its own callbacks: it is flushed after */
};

/* h2_stream.c, called by nghttp2 through h2.c. 0, or an error of nghttp2. */
int h2_on_begin(struct h2_conn *h2, int32_t id);
int h2_on_header(struct h2_stream *s, const uint8_t *name, size_t name_len,
                 const uint8_t *value, size_t value_len);
void h2_on_headers(struct h2_stream *s, bool end);
void h2_on_data(struct h2_stream *s, const uint8_t *data, size_t len);
void h2_on_end(struct h2_stream *s);
void h2_on_close(struct h2_stream *s);
void h2_stream_sweep(struct h2_stream *s, uint64_t now_us);

/* h2.c: has what was submitted go out soon. */
void h2_flush_soon(struct h2_conn *h2);

#endif
