/* What the workers have to say to the loop: one list, posted once however many items it
 * holds. Items of one connection arrive in the order in which they were put. */
#ifndef KCS_DTLS_DTLS_MAIL_H
#define KCS_DTLS_DTLS_MAIL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/base/path.h"

struct dtls_conf;
struct dtls_conn;

enum dtls_mail_kind {
    DTLS_MAIL_SEND,
    DTLS_MAIL_DATA,
    DTLS_MAIL_DONE,
    DTLS_MAIL_PARTED,
    DTLS_MAIL_CLOSED
};

struct dtls_mail {
    struct dtls_mail *next;
    struct dtls_conn *conn;
    enum dtls_mail_kind kind;
    struct path to;      /* SEND only */
    uint32_t len;        /* of data; SEND and DATA only: such an item is freed once read */
    const uint8_t *data; /* behind the item, in the same allocation */
};

struct dtls_mailbox;

/* 'read' gets each item on the loop's thread; it owns the item from then on. post and loop
 * as in struct dtls_conf. NULL without memory. */
struct dtls_mailbox *dtls_mailbox_create(const struct dtls_conf *conf,
                                         void (*read)(struct dtls_mail *mail));

/* Frees it, or leaves that to the call which is still posted. Returns the unread items. */
struct dtls_mail *dtls_mailbox_destroy(struct dtls_mailbox *box);

/* Moves 'mail' into the box. Any thread. */
void dtls_mailbox_put(struct dtls_mailbox *box, struct dtls_mail *mail);

#endif
