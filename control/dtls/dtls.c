#include "dtls/dtls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dtls/dtls_cert.h"
#include "dtls/dtls_conn.h"
#include "dtls/dtls_worker.h"

struct dtls {
    struct dtls_shared shared;
    struct dtls_cert cert;
    LIST_HEAD(dtls_conn_list, dtls_conn) conns;
    unsigned n_workers, next_worker;
    struct dtls_worker workers[];
};

static void conn_free(struct dtls_conn *conn)
{
    explicit_bzero(conn, sizeof(*conn));
    free(conn);
}

static void read_mail(struct dtls_mail *mail)
{
    struct dtls_conn *conn = mail->conn;

    switch (mail->kind) {
    case DTLS_MAIL_SEND:
        if (!conn->closed) {
            conn->shared->on_send(conn->user, &mail->to, mail->data, mail->len);
        }
        free(mail);
        break;
    case DTLS_MAIL_DATA:
        if (!conn->closed) {
            conn->shared->on_data(conn->user, mail->data, mail->len);
        }
        free(mail);
        break;
    case DTLS_MAIL_DONE: {
        /* A copy, because the callback may close the connection. */
        struct dtls_keys keys = conn->keys;
        int err = conn->err;

        explicit_bzero(&conn->keys, sizeof(conn->keys));
        if (!conn->closed) {
            conn->shared->on_done(conn->user, err, err == 0 ? &keys : NULL);
        }
        explicit_bzero(&keys, sizeof(keys));
        break;
    }
    case DTLS_MAIL_PARTED:
        if (!conn->closed && conn->shared->on_parted != NULL) {
            conn->shared->on_parted(conn->user);
        }
        break;
    case DTLS_MAIL_CLOSED:
        if (conn->parting && conn->farewell_len > 0 && conn->shared->on_farewell != NULL) {
            conn->shared->on_farewell(conn->shared->farewell_user, &conn->to,
                                      conn->farewell, conn->farewell_len);
        }
        LIST_REMOVE(conn, link);
        atomic_fetch_sub_explicit(&conn->shared->n_open, 1, memory_order_relaxed);
        conn_free(conn);
        break;
    }
}

static bool conf_valid(const struct dtls_conf *conf)
{
    return conf->threads >= 1 && conf->threads <= DTLS_MAX_THREADS && conf->post != NULL &&
           conf->on_send != NULL && conf->on_done != NULL;
}

int dtls_create(struct dtls **out, const struct dtls_conf *conf)
{
    struct dtls *dtls;
    int err = -ENOMEM;

    if (!conf_valid(conf)) {
        return -EINVAL;
    }
    dtls = calloc(1, sizeof(*dtls) + conf->threads * sizeof(dtls->workers[0]));
    if (dtls == NULL) {
        return -ENOMEM;
    }
    LIST_INIT(&dtls->conns);
    dtls->shared.handshake_us =
        (conf->handshake_ms != 0 ? conf->handshake_ms : DTLS_HANDSHAKE_MS) * UINT64_C(1000);
    dtls->shared.on_send = conf->on_send;
    dtls->shared.on_done = conf->on_done;
    dtls->shared.on_data = conf->on_data;
    dtls->shared.on_parted = conf->on_parted;
    dtls->shared.on_farewell = conf->on_farewell;
    dtls->shared.farewell_user = conf->farewell_user;
    dtls->shared.box = dtls_mailbox_create(conf, read_mail);
    dtls->shared.bio_method = dtls_bio_method_new();
    if (dtls->shared.box == NULL || dtls->shared.bio_method == NULL) {
        goto out;
    }
    err = dtls_cert_init(&dtls->cert);
    if (err != 0) {
        goto out;
    }
    while (dtls->n_workers < conf->threads) {
        SSL_CTX *ctx = dtls_cert_context(&dtls->cert);

        if (ctx == NULL) {
            err = -EIO;
            goto out;
        }
        dtls_conn_context(ctx);
        err = dtls_worker_start(&dtls->workers[dtls->n_workers], ctx,
                                conf->queue_len != 0 ? conf->queue_len : DTLS_QUEUE_LEN);
        if (err != 0) {
            goto out;
        }
        dtls->n_workers++;
    }
    *out = dtls;
    dtls = NULL;
out:
    dtls_destroy(dtls);
    return err;
}

void dtls_destroy(struct dtls *dtls)
{
    struct dtls_conn *conn;
    struct dtls_mail *mail = NULL;

    if (dtls == NULL) {
        return;
    }
    for (unsigned i = 0; i < dtls->n_workers; i++) {
        dtls_worker_stop(&dtls->workers[i]);
    }
    if (dtls->shared.box != NULL) {
        mail = dtls_mailbox_destroy(dtls->shared.box);
    }
    while (mail != NULL) {
        struct dtls_mail *next = mail->next;

        if (mail->kind == DTLS_MAIL_SEND || mail->kind == DTLS_MAIL_DATA) {
            free(mail);
        }
        mail = next;
    }
    while ((conn = LIST_FIRST(&dtls->conns)) != NULL) {
        LIST_REMOVE(conn, link);
        dtls_conn_stop(conn);
        conn_free(conn);
    }
    dtls_cert_fini(&dtls->cert);
    dtls_bio_method_free(dtls->shared.bio_method);
    free(dtls);
}

const struct dtls_fp *dtls_fingerprint(const struct dtls *dtls)
{
    return &dtls->cert.fp;
}

void dtls_counts(struct dtls *dtls, struct dtls_counts *out)
{
    struct dtls_shared *shared = &dtls->shared;

    *out = (struct dtls_counts){
        .done = atomic_load_explicit(&shared->n_done, memory_order_relaxed),
        .failed = atomic_load_explicit(&shared->n_failed, memory_order_relaxed),
        .wrong_fingerprint = atomic_load_explicit(&shared->n_wrong, memory_order_relaxed),
        .ignored = atomic_load_explicit(&shared->n_ignored, memory_order_relaxed),
        .refused = atomic_load_explicit(&shared->n_refused, memory_order_relaxed),
        .open = atomic_load_explicit(&shared->n_open, memory_order_relaxed),
    };
}

void dtls_load(struct dtls *dtls, struct dtls_load *out)
{
    *out = (struct dtls_load){.threads = dtls->n_workers};
    for (unsigned i = 0; i < dtls->n_workers; i++) {
        uint64_t delay_us = dtls_worker_delay_us(&dtls->workers[i]);

        out->delay_us = delay_us > out->delay_us ? delay_us : out->delay_us;
        out->busy_us +=
            atomic_load_explicit(&dtls->workers[i].busy_us, memory_order_relaxed);
    }
}

int dtls_conn_open(struct dtls_conn **out, struct dtls *dtls, enum dtls_role role,
                   const struct dtls_fp *fps, size_t n_fps, void *user)
{
    struct dtls_conn *conn;

    if (n_fps == 0 || n_fps > DTLS_MAX_FPS ||
        (role != DTLS_SERVER && role != DTLS_CLIENT)) {
        return -EINVAL;
    }
    for (size_t i = 0; i < n_fps; i++) {
        if (fps[i].hash >= N_DTLS_HASHES || fps[i].len != dtls_hash_len(fps[i].hash)) {
            return -EINVAL;
        }
    }
    conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        return -ENOMEM;
    }
    conn->user = user;
    conn->shared = &dtls->shared;
    conn->worker = &dtls->workers[dtls->next_worker++ % dtls->n_workers];
    conn->role = role;
    memcpy(conn->fps, fps, n_fps * sizeof(*fps));
    conn->n_fps = n_fps;
    conn->deadline_us = UINT64_MAX;
    conn->heap_index = DTLS_HEAP_NONE;
    conn->open_job = (struct dtls_job){.conn = conn, .kind = DTLS_JOB_OPEN};
    conn->close_job = (struct dtls_job){.conn = conn, .kind = DTLS_JOB_CLOSE};
    conn->done = (struct dtls_mail){.conn = conn, .kind = DTLS_MAIL_DONE};
    conn->parting_mail = (struct dtls_mail){.conn = conn, .kind = DTLS_MAIL_PARTED};
    conn->gone = (struct dtls_mail){.conn = conn, .kind = DTLS_MAIL_CLOSED};
    LIST_INSERT_HEAD(&dtls->conns, conn, link);
    atomic_fetch_add_explicit(&dtls->shared.n_open, 1, memory_order_relaxed);
    (void)dtls_worker_put(conn->worker, &conn->open_job); /* only a FEED may be refused */
    *out = conn;
    return 0;
}

/* Moves it. Returns 0, or -EAGAIN if the thread's queue is full. */
static int put_job(struct dtls_job *job)
{
    struct dtls_shared *shared = job->conn->shared;
    int err = dtls_worker_put(job->conn->worker, job);

    if (err != 0) {
        atomic_fetch_add_explicit(&shared->n_refused, 1, memory_order_relaxed);
        free(job);
    }
    return err;
}

/* 'from' may be NULL. */
static int put_data(struct dtls_conn *conn, enum dtls_job_kind kind,
                    const struct path *from, const void *data, size_t len)
{
    struct dtls_job *job = malloc(sizeof(*job) + len);

    if (job == NULL) {
        return -ENOMEM;
    }
    job->conn = conn;
    job->kind = kind;
    if (from != NULL) {
        job->from = *from;
    }
    job->len = (uint32_t)len;
    job->data = memcpy(job + 1, data, len);
    return put_job(job);
}

int dtls_conn_feed(struct dtls_conn *conn, const struct path *from, const void *data,
                   size_t len)
{
    return len == 0 || len > DTLS_MAX_DATAGRAM
               ? -EINVAL
               : put_data(conn, DTLS_JOB_FEED, from, data, len);
}

int dtls_conn_grant(struct dtls_conn *conn, const struct path *from, uint32_t n)
{
    struct dtls_job *job = malloc(sizeof(*job));

    if (job == NULL) {
        return -ENOMEM;
    }
    *job = (struct dtls_job){
        .conn = conn, .kind = DTLS_JOB_GRANT, .from = *from, .len = n};
    return put_job(job);
}

void dtls_conn_keep(struct dtls_conn *conn)
{
    atomic_store_explicit(&conn->keep, true, memory_order_relaxed);
}

int dtls_conn_send(struct dtls_conn *conn, const void *data, size_t len)
{
    return len == 0 || len > DTLS_MAX_DATA ? -EINVAL
                                           : put_data(conn, DTLS_JOB_SEND, NULL, data, len);
}

void dtls_conn_close(struct dtls_conn *conn)
{
    if (conn == NULL) {
        return;
    }
    conn->closed = true;
    (void)dtls_worker_put(conn->worker, &conn->close_job); /* only a FEED may be refused */
}

void dtls_conn_part(struct dtls_conn *conn, const struct path *to)
{
    if (conn != NULL) {
        conn->to = *to;
        conn->parting = true;
    }
    dtls_conn_close(conn);
}
