#include "core/nack.h"

#include <errno.h>
#include <string.h>

void nack_init(struct nack *nack, const struct nack_conf *conf)
{
    memset(nack, 0, sizeof(*nack));
    nack->conf = *conf;
    nack->deadline_us = UINT64_MAX;
}

void nack_reset(struct nack *nack)
{
    nack->n_lost += nack->n;
    nack->n = 0;
    nack->started = false;
    nack->deadline_us = UINT64_MAX;
}

void nack_set_rtt(struct nack *nack, uint32_t rtt_us)
{
    nack->rtt_us = nack->rtt_us == 0
                       ? rtt_us
                       : (uint32_t)(((uint64_t)nack->rtt_us * 7 + rtt_us) / 8);
}

/* A little longer than the round trip, so that an answer under way is waited for. */
static uint64_t retry_us(const struct nack *nack)
{
    uint64_t us = nack->rtt_us != 0 ? (uint64_t)nack->rtt_us * 5 / 4 : nack->conf.retry_us;

    us = us > nack->conf.retry_min_us ? us : nack->conf.retry_min_us;
    return us < nack->conf.retry_max_us ? us : nack->conf.retry_max_us;
}

/* The first hole that is not below 'seq'. */
static uint16_t find(const struct nack *nack, uint64_t seq)
{
    uint16_t low = 0;
    uint16_t high = nack->n;

    while (low < high) {
        uint16_t mid = (uint16_t)((low + high) / 2);

        if (nack->holes[mid].seq < seq) {
            low = (uint16_t)(mid + 1);
        } else {
            high = mid;
        }
    }
    return low;
}

/* Opens holes from nack->next up to 'seq', which has come. */
static int skip_to(struct nack *nack, uint64_t seq, uint64_t now_us)
{
    uint64_t gap = seq - nack->next;

    if (gap > (uint64_t)(NACK_MAX_HOLES - nack->n)) {
        nack->n_lost += nack->n + gap;
        nack->n = 0;
        nack->deadline_us = UINT64_MAX;
        nack->next = seq + 1;
        return -EOVERFLOW;
    }
    for (uint64_t i = 0; i < gap; i++) {
        nack->holes[nack->n++] = (struct nack_hole){
            .seq = nack->next + i, .due_us = now_us + nack->conf.reorder_us};
    }
    if (gap > 0 && nack->deadline_us > now_us + nack->conf.reorder_us) {
        nack->deadline_us = now_us + nack->conf.reorder_us;
    }
    nack->next = seq + 1;
    return 0;
}

static int on_arrival(struct nack *nack, uint64_t seq, uint64_t now_us, bool repair)
{
    uint16_t i;

    if (!nack->started) {
        nack->started = true;
        nack->next = seq + 1;
        return 0;
    }
    if (seq >= nack->next) {
        return skip_to(nack, seq, now_us);
    }
    i = find(nack, seq);
    if (i == nack->n || nack->holes[i].seq != seq) {
        return -EALREADY;
    }
    /* of several requests nobody knows which one was answered (Karn) */
    if (repair && nack->holes[i].n_tries == 1) {
        uint64_t took_us = now_us - nack->holes[i].asked_us;

        nack_set_rtt(nack, (uint32_t)(took_us < UINT32_MAX ? took_us : UINT32_MAX));
    }
    nack->n--;
    memmove(&nack->holes[i], &nack->holes[i + 1],
            (size_t)(nack->n - i) * sizeof(nack->holes[0]));
    nack->n_mended++;
    if (nack->n == 0) {
        nack->deadline_us = UINT64_MAX;
    }
    return 0;
}

int nack_on_packet(struct nack *nack, uint64_t seq, uint64_t now_us)
{
    return on_arrival(nack, seq, now_us, false);
}

int nack_on_repair(struct nack *nack, uint64_t seq, uint64_t now_us)
{
    return on_arrival(nack, seq, now_us, true);
}

size_t nack_take_due(struct nack *nack, uint64_t now_us, uint64_t *out, size_t cap)
{
    size_t n_out = 0;
    uint16_t kept = 0;

    if (now_us < nack->deadline_us) {
        return 0;
    }
    nack->deadline_us = UINT64_MAX;
    for (uint16_t i = 0; i < nack->n; i++) {
        struct nack_hole hole = nack->holes[i];

        if (hole.due_us <= now_us && hole.n_tries == nack->conf.max_tries) {
            nack->n_given_up++;
            nack->n_lost++;
            continue;
        }
        if (hole.due_us <= now_us && n_out < cap) {
            out[n_out++] = hole.seq;
            hole.n_tries++;
            hole.asked_us = now_us;
            hole.due_us = now_us + retry_us(nack);
            nack->n_asked++;
        }
        if (hole.due_us < nack->deadline_us) {
            nack->deadline_us = hole.due_us;
        }
        nack->holes[kept++] = hole;
    }
    nack->n = kept;
    return n_out;
}

uint32_t nack_take_given_up(struct nack *nack)
{
    uint32_t n = nack->n_given_up;

    nack->n_given_up = 0;
    return n;
}
