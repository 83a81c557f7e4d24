/* Passwords: hashed and compared by argon2id on threads of their own, since one costs 30 ms
 * and 19 MiB. What waits is bounded: whoever is too many is told to come again. The
 * libsodium folder.
 *
 * Thread: the loop's. */
#ifndef AUTH_HASHER_H
#define AUTH_HASHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hasher;

enum {
    HASHER_PASSWORD_MAX = 256,
    HASHER_HASH_MAX = 128,
    HASHER_DIGEST = 64,
    HASHER_SECRET = 43, /* base64url of 32 bytes */
    HASHER_NONCE_MIN = 16,
    HASHER_NONCE_MAX = 64
};

/* err   0, or -ECANCELED (the hasher was destroyed), -ENOMEM
 * hash  of hasher_hash(), valid during the call; of hasher_verify() ""
 * good  the password is the hash's */
typedef void hasher_done(void *arg, int err, const char *hash, bool good);

struct hasher_conf {
    unsigned threads; /* 1 to 16 */
    unsigned queue;   /* passwords that wait, at most */
    /* Has fn(arg) run on the loop's thread, as loop_post(). */
    int (*post)(void *loop, void (*fn)(void *arg), void *arg);
    void *loop;
};

/* Returns 0, -EINVAL, -ENOMEM or what kept a thread from starting. */
int hasher_create(struct hasher **out, const struct hasher_conf *conf);

/* Calls what callbacks are left, with -ECANCELED. NULL is a no-op. */
void hasher_destroy(struct hasher *hasher);

/* Each 0, and 'done' is called once, later; or -EAGAIN (too many wait), -EINVAL (too long),
 * -ENOMEM without it. 'password' is copied and wiped. */
int hasher_hash(struct hasher *hasher, const char *password, hasher_done *done, void *arg);

/* hash  NULL: of nobody. It takes as long, and is never good. */
int hasher_verify(struct hasher *hasher, const char *password, const char *hash,
                  hasher_done *done, void *arg);

/* SHA-256 as lower-case hex, of what has enough entropy to need no more: tokens of ours. At
 * once. */
void hasher_digest(const char *text, char out[HASHER_DIGEST + 1]);

/* The secret that follows from 'text' and a nonce of HASHER_NONCE_MIN to _MAX bytes: always the
 * same one, and nobody's who knows only hasher_digest() of 'text' and the nonce. At once. */
void hasher_derive(const char *text, const char *nonce, char out[HASHER_SECRET + 1]);

/* Compares two digests in constant time. */
bool hasher_same(const char *a, const char *b);

#endif
