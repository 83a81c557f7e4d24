#include "auth/hasher.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "sys/thread.h"

/* OWASP's password storage cheat sheet: argon2id with 19 MiB, two passes, one lane. */
enum { OPS = 2, MEMORY = 19 << 20, THREADS_MAX = 16 };

struct job {
    struct job *next;
    hasher_done *done;
    void *arg;
    int err;
    bool verify;
    bool nobody;
    bool good;
    char password[HASHER_PASSWORD_MAX + 1];
    char hash[crypto_pwhash_STRBYTES];
};

_Static_assert((int)HASHER_HASH_MAX >= (int)crypto_pwhash_STRBYTES, "its text fits");

struct hasher {
    struct hasher_conf conf;
    pthread_t threads[THREADS_MAX];
    unsigned n_threads;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct job *first, **last;
    struct job *answers, **last_answer;
    unsigned n; /* jobs that are not answered */
    bool stop;
    bool posted; /* a call of deliver() is on its way */
    bool dead;   /* that call frees */
    char nobody[crypto_pwhash_STRBYTES];
};

static void job_free(struct job *job)
{
    sodium_memzero(job, sizeof(*job));
    free(job);
}

static void hasher_free(struct hasher *hasher)
{
    (void)pthread_cond_destroy(&hasher->wake);
    (void)pthread_mutex_destroy(&hasher->lock);
    free(hasher);
}

static void answer_all(struct hasher *hasher, struct job *job)
{
    while (job != NULL) {
        struct job *next = job->next;

        (void)pthread_mutex_lock(&hasher->lock);
        hasher->n--;
        (void)pthread_mutex_unlock(&hasher->lock);
        job->done(job->arg, job->err, job->err == 0 && !job->verify ? job->hash : "",
                  job->good);
        job_free(job);
        job = next;
    }
}

static void deliver(void *arg)
{
    struct hasher *hasher = arg;
    struct job *list;
    bool dead;

    (void)pthread_mutex_lock(&hasher->lock);
    hasher->posted = false;
    dead = hasher->dead;
    list = hasher->answers;
    hasher->answers = NULL;
    hasher->last_answer = &hasher->answers;
    (void)pthread_mutex_unlock(&hasher->lock);
    if (dead) {
        hasher_free(hasher);
    } else {
        answer_all(hasher, list);
    }
}

static void work(const struct hasher *hasher, struct job *job)
{
    size_t len = strlen(job->password);

    if (job->verify) {
        const char *hash = job->nobody ? hasher->nobody : job->hash;
        bool same = crypto_pwhash_str_verify(hash, job->password, len) == 0;

        job->good = same && !job->nobody;
    } else if (crypto_pwhash_str(job->hash, job->password, len, OPS, MEMORY) != 0) {
        job->err = -ENOMEM;
    }
    sodium_memzero(job->password, sizeof(job->password));
}

static void *hasher_main(void *arg)
{
    struct hasher *hasher = arg;

    thread_of_work("kcs-passwords");
    (void)pthread_mutex_lock(&hasher->lock);
    while (!hasher->stop) {
        struct job *job = hasher->first;

        if (job == NULL) {
            (void)pthread_cond_wait(&hasher->wake, &hasher->lock);
            continue;
        }
        hasher->first = job->next;
        if (hasher->first == NULL) {
            hasher->last = &hasher->first;
        }
        (void)pthread_mutex_unlock(&hasher->lock);
        work(hasher, job);
        (void)pthread_mutex_lock(&hasher->lock);
        job->next = NULL;
        *hasher->last_answer = job;
        hasher->last_answer = &job->next;
        if (!hasher->posted) {
            /* If it cannot be posted now, the next answer tries again. */
            hasher->posted = hasher->conf.post(hasher->conf.loop, deliver, hasher) == 0;
        }
    }
    (void)pthread_mutex_unlock(&hasher->lock);
    return NULL;
}

static void stop_threads(struct hasher *hasher)
{
    (void)pthread_mutex_lock(&hasher->lock);
    hasher->stop = true;
    (void)pthread_cond_broadcast(&hasher->wake);
    (void)pthread_mutex_unlock(&hasher->lock);
    for (unsigned i = 0; i < hasher->n_threads; i++) {
        (void)pthread_join(hasher->threads[i], NULL);
    }
}

int hasher_create(struct hasher **out, const struct hasher_conf *conf)
{
    struct hasher *hasher;
    int err = 0;

    if (conf->threads < 1 || conf->threads > THREADS_MAX || sodium_init() < 0) {
        return -EINVAL;
    }
    hasher = calloc(1, sizeof(*hasher));
    if (hasher == NULL) {
        return -ENOMEM;
    }
    hasher->conf = *conf;
    hasher->last = &hasher->first;
    hasher->last_answer = &hasher->answers;
    (void)pthread_mutex_init(&hasher->lock, NULL); /* neither can fail on Linux */
    (void)pthread_cond_init(&hasher->wake, NULL);
    /* An unknown login must not answer sooner than a known one. */
    if (crypto_pwhash_str(hasher->nobody, "", 0, OPS, MEMORY) != 0) {
        err = -ENOMEM;
    }
    while (err == 0 && hasher->n_threads < conf->threads) {
        err =
            -pthread_create(&hasher->threads[hasher->n_threads], NULL, hasher_main, hasher);
        hasher->n_threads += err == 0;
    }
    if (err != 0) {
        stop_threads(hasher);
        hasher_free(hasher);
        return err;
    }
    *out = hasher;
    return 0;
}

void hasher_destroy(struct hasher *hasher)
{
    bool posted;

    if (hasher == NULL) {
        return;
    }
    stop_threads(hasher);
    *hasher->last_answer = hasher->first;
    for (struct job *job = hasher->answers; job != NULL; job = job->next) {
        job->err = -ECANCELED;
        job->good = false;
    }
    answer_all(hasher, hasher->answers);
    (void)pthread_mutex_lock(&hasher->lock);
    posted = hasher->posted;
    hasher->dead = true;
    (void)pthread_mutex_unlock(&hasher->lock);
    if (!posted) {
        hasher_free(hasher);
    }
}

static int put(struct hasher *hasher, const char *password, const char *hash, bool verify,
               hasher_done *done, void *arg)
{
    struct job *job;
    int err = 0;

    if (strlen(password) > HASHER_PASSWORD_MAX ||
        (hash != NULL && strlen(hash) >= sizeof(job->hash))) {
        return -EINVAL;
    }
    job = calloc(1, sizeof(*job));
    if (job == NULL) {
        return -ENOMEM;
    }
    strcpy(job->password, password);
    if (hash != NULL) {
        strcpy(job->hash, hash);
    }
    job->verify = verify;
    job->nobody = hash == NULL;
    job->done = done;
    job->arg = arg;
    (void)pthread_mutex_lock(&hasher->lock);
    if (hasher->stop) {
        err = -ECANCELED;
    } else if (hasher->n >= hasher->conf.queue) {
        err = -EAGAIN;
    } else {
        hasher->n++;
        *hasher->last = job;
        hasher->last = &job->next;
        (void)pthread_cond_signal(&hasher->wake);
    }
    (void)pthread_mutex_unlock(&hasher->lock);
    if (err != 0) {
        job_free(job);
    }
    return err;
}

int hasher_hash(struct hasher *hasher, const char *password, hasher_done *done, void *arg)
{
    return put(hasher, password, NULL, false, done, arg);
}

int hasher_verify(struct hasher *hasher, const char *password, const char *hash,
                  hasher_done *done, void *arg)
{
    return put(hasher, password, hash, true, done, arg);
}

void hasher_digest(const char *text, char out[HASHER_DIGEST + 1])
{
    unsigned char sum[crypto_hash_sha256_BYTES];

    (void)crypto_hash_sha256(sum, (const unsigned char *)text, strlen(text));
    (void)sodium_bin2hex(out, HASHER_DIGEST + 1, sum, sizeof(sum));
}

/* Not an HMAC with 'text' for its key: of one longer than a block that takes SHA-256 first, which
 * is hasher_digest(). */
void hasher_derive(const char *text, const char *nonce, char out[HASHER_SECRET + 1])
{
    unsigned char sum[(HASHER_SECRET * 3) / 4];

    (void)crypto_generichash(sum, sizeof(sum), (const unsigned char *)text, strlen(text),
                             (const unsigned char *)nonce, strlen(nonce));
    (void)sodium_bin2base64(out, HASHER_SECRET + 1, sum, sizeof(sum),
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(sum, sizeof(sum));
}

bool hasher_same(const char *a, const char *b)
{
    return strlen(a) == HASHER_DIGEST && strlen(b) == HASHER_DIGEST &&
           sodium_memcmp(a, b, HASHER_DIGEST) == 0;
}
