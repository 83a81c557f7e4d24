/* See fanout_measure.h. */
#include "benchmarks/fanout_measure.h"

#include "benchmarks/numbers.h"

enum {
    ROUNDS = 25,
    ROUND_FORWARDS = 60000 /* about, of one round */
};

struct samples {
    double ours[ROUNDS], floor[ROUNDS], one_key[ROUNDS], crypt[ROUNDS];
    double stages[N_FANOUT_STAGES][ROUNDS];
};

int fanout_measure(struct fanout *fanout, struct crypt_floor *floor, unsigned n_subs,
                   bool stages, struct fanout_result *out, char *err, size_t err_cap)
{
    const unsigned want = ROUND_FORWARDS / n_subs;
    const unsigned n = want < 1 ? 1 : want > FANOUT_PACKETS_MAX ? FANOUT_PACKETS_MAX : want;
    struct samples s;
    double inside[N_FANOUT_STAGES] = {0};
    double unused;
    int e = fanout_verify(fanout, err, err_cap);

    if (e == 0) {
        e = fanout_round(fanout, n, &unused, NULL, err, err_cap); /* warms up */
    }
    for (unsigned r = 0; r < ROUNDS && e == 0; r++) {
        s.floor[r] = crypt_floor_round(floor, n_subs, ROUND_FORWARDS);
        e = fanout_round(fanout, n, &s.ours[r], stages ? inside : NULL, err, err_cap);
        s.one_key[r] = crypt_floor_round(floor, 1, ROUND_FORWARDS);
        s.crypt[r] = fanout_crypt_round(fanout, ROUND_FORWARDS);
        for (unsigned i = 0; i < N_FANOUT_STAGES; i++) {
            s.stages[i][r] = inside[i];
        }
    }
    if (e != 0) {
        return e;
    }
    out->ns = number_median(s.ours, ROUNDS);
    out->floor_ns = number_median(s.floor, ROUNDS);
    out->one_key_ns = number_median(s.one_key, ROUNDS);
    out->crypt_ns = number_median(s.crypt, ROUNDS);
    out->floor_valid = fanout_floor_valid(out->floor_ns, out->one_key_ns);
    for (unsigned i = 0; i < N_FANOUT_STAGES; i++) {
        out->stages[i] = number_median(s.stages[i], ROUNDS);
    }
    return 0;
}
