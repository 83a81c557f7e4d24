#include "rest/rate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* an item that could not be added has a NULL hh.tbl */
#include <uthash.h>

struct bucket {
    char key[RATE_KEY_MAX + 1];
    uint64_t level; /* micro-requests that are left */
    uint64_t at_us;
    UT_hash_handle hh;
};

struct rate {
    uint64_t per_s_milli;
    uint32_t burst;
    struct bucket *buckets; /* in the order of their last use */
};

enum { WHOLE = 1000000 };

int rate_create(struct rate **out, uint32_t per_s_milli, uint32_t burst)
{
    struct rate *rate = calloc(1, sizeof(*rate));

    if (rate == NULL) {
        return -ENOMEM;
    }
    rate->per_s_milli = per_s_milli;
    rate->burst = burst;
    *out = rate;
    return 0;
}

void rate_destroy(struct rate *rate)
{
    struct bucket *bucket;

    if (rate == NULL) {
        return;
    }
    bucket = rate->buckets;
    HASH_CLEAR(hh, rate->buckets); /* the table; what was in it is a list still */
    while (bucket != NULL) {
        struct bucket *next = bucket->hh.next;

        free(bucket);
        bucket = next;
    }
    free(rate);
}

static void refill(const struct rate *rate, struct bucket *bucket, uint64_t now_us)
{
    uint64_t most = (uint64_t)rate->burst * WHOLE;
    uint64_t passed_us = now_us - bucket->at_us;
    uint64_t cap_us = most * 1000 / (rate->per_s_milli > 0 ? rate->per_s_milli : 1) + 1;

    passed_us = passed_us < cap_us ? passed_us : cap_us;
    bucket->level += passed_us * rate->per_s_milli / 1000;
    bucket->level = bucket->level < most ? bucket->level : most;
    bucket->at_us = now_us;
}

static struct bucket *find(struct rate *rate, const char *key, uint64_t now_us)
{
    struct bucket *bucket = NULL;
    struct bucket *oldest = rate->buckets;

    HASH_FIND_STR(rate->buckets, key, bucket);
    if (bucket != NULL) {
        HASH_DELETE(hh, rate->buckets, bucket); /* to the end of the list */
    } else {
        if (HASH_COUNT(rate->buckets) >= RATE_KEYS) {
            HASH_DELETE(hh, rate->buckets, oldest);
            free(oldest);
        }
        bucket = calloc(1, sizeof(*bucket));
        if (bucket == NULL) {
            return NULL;
        }
        (void)snprintf(bucket->key, sizeof(bucket->key), "%s", key);
        bucket->level = (uint64_t)rate->burst * WHOLE;
        bucket->at_us = now_us;
    }
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed is not in the table */
    HASH_ADD_STR(rate->buckets, key, bucket);
    if (bucket->hh.tbl == NULL) {
        free(bucket);
        return NULL;
    }
    return bucket;
}

uint32_t rate_take(struct rate *rate, const char *key, uint64_t now_us)
{
    struct bucket *bucket;
    uint64_t missing;

    if (rate == NULL || strlen(key) > RATE_KEY_MAX) {
        return 0;
    }
    bucket = find(rate, key, now_us);
    if (bucket == NULL) {
        return 0;
    }
    refill(rate, bucket, now_us);
    if (bucket->level >= WHOLE) {
        bucket->level -= WHOLE;
        return 0;
    }
    missing = WHOLE - bucket->level;
    return (uint32_t)(missing * 1000 / rate->per_s_milli / WHOLE + 1);
}

uint32_t rate_burst(const struct rate *rate)
{
    return rate->burst;
}
