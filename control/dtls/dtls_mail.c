#include "dtls/dtls_mail.h"

#include <stdlib.h>

#include "dtls/dtls.h"

struct dtls_mailbox {
    pthread_mutex_t lock;
    struct dtls_mail *first, **last;
    bool posted; /* a call of mailbox_read() is on its way */
    bool dead;   /* its owner is gone: that call frees the box */
    int (*post)(void *loop, void (*fn)(void *arg), void *arg);
    void *loop;
    void (*read)(struct dtls_mail *mail);
};

static struct dtls_mail *mailbox_take(struct dtls_mailbox *box)
{
    struct dtls_mail *mail = box->first;

    box->first = NULL;
    box->last = &box->first;
    return mail;
}

static void mailbox_free(struct dtls_mailbox *box)
{
    (void)pthread_mutex_destroy(&box->lock);
    free(box);
}

static void mailbox_read(void *arg)
{
    struct dtls_mailbox *box = arg;
    void (*read)(struct dtls_mail *) = box->read;
    struct dtls_mail *mail;
    bool dead;

    (void)pthread_mutex_lock(&box->lock);
    box->posted = false;
    dead = box->dead;
    mail = mailbox_take(box);
    (void)pthread_mutex_unlock(&box->lock);
    if (dead) {
        mailbox_free(box);
        return;
    }
    while (mail != NULL) {
        struct dtls_mail *next = mail->next;

        read(mail);
        mail = next;
    }
}

struct dtls_mailbox *dtls_mailbox_create(const struct dtls_conf *conf,
                                         void (*read)(struct dtls_mail *mail))
{
    struct dtls_mailbox *box = calloc(1, sizeof(*box));

    if (box == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&box->lock, NULL) != 0) {
        free(box);
        return NULL;
    }
    box->last = &box->first;
    box->post = conf->post;
    box->loop = conf->loop;
    box->read = read;
    return box;
}

struct dtls_mail *dtls_mailbox_destroy(struct dtls_mailbox *box)
{
    struct dtls_mail *mail;
    bool posted;

    (void)pthread_mutex_lock(&box->lock);
    mail = mailbox_take(box);
    posted = box->posted;
    box->dead = true;
    (void)pthread_mutex_unlock(&box->lock);
    if (!posted) {
        mailbox_free(box);
    }
    return mail;
}

void dtls_mailbox_put(struct dtls_mailbox *box, struct dtls_mail *mail)
{
    mail->next = NULL;
    (void)pthread_mutex_lock(&box->lock);
    *box->last = mail;
    box->last = &mail->next;
    if (!box->posted) {
        /* If it cannot be posted now, the next item tries again. The lock is held so that
         * 'posted' is never seen false while the call runs. */
        box->posted = box->post(box->loop, mailbox_read, box) == 0;
    }
    (void)pthread_mutex_unlock(&box->lock);
}
