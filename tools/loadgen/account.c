#include "loadgen/account.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const account_steps[N_STEPS] = {"signaling", "room", "transport",
                                            "ice",       "dtls", "streams"};

/* All of it is uint64_t, and sums but for the last. */
static void add_sums(struct account_sums *to, const struct account_sums *from)
{
    uint64_t silence_us = to->max_silence_us;
    uint64_t a[sizeof(*to) / sizeof(uint64_t)];
    uint64_t b[sizeof(*to) / sizeof(uint64_t)];

    memcpy(a, to, sizeof(a));
    memcpy(b, from, sizeof(b));
    for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++) {
        a[i] += b[i];
    }
    memcpy(to, a, sizeof(a));
    to->max_silence_us =
        silence_us > from->max_silence_us ? silence_us : from->max_silence_us;
}

void account_add(struct account *to, const struct account *from)
{
    add_sums(&to->sums, &from->sums);
    hist_merge(&to->delays_us, &from->delays_us);
    hist_merge(&to->joins_us, &from->joins_us);
    hist_merge(&to->admitted_us, &from->admitted_us);
    hist_merge(&to->resumes_us, &from->resumes_us);
    hist_merge(&to->chats_us, &from->chats_us);
    for (int i = 0; i < N_STEPS; i++) {
        hist_merge(&to->steps_us[i], &from->steps_us[i]);
    }
    to->chats_sent += from->chats_sent;
    to->n_up += from->n_up;
    to->n_put_off += from->n_put_off;
    to->n_resumed += from->n_resumed;
    to->n_rejoined += from->n_rejoined;
    to->unreachable |= from->unreachable;
    if (to->began_us == 0) {
        to->began_us = from->began_us;
        to->joined_us = from->joined_us;
        to->ended_us = from->ended_us;
    }
    to->cpu_seconds += from->cpu_seconds;
    to->memory_kb += from->memory_kb;
    if (from->sent_seconds > to->sent_seconds) {
        to->sent_seconds = from->sent_seconds;
    }
    for (uint32_t i = 0; i < from->n_failures; i++) {
        account_blame(to, "%s", from->failures[i]);
    }
}

void account_blame(struct account *account, const char *format, ...)
{
    va_list args;

    if (account->n_failures == ACCOUNT_FAILURES) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(account->failures[account->n_failures++], ACCOUNT_FAILURE_LEN, format,
                    args);
    va_end(args);
}

/* The first number of 'format' is 'n'. */
#define BLAME(account, n, ...)                                                             \
    do {                                                                                   \
        if ((n) != 0) {                                                                    \
            account_blame(account, __VA_ARGS__);                                           \
        }                                                                                  \
    } while (0)

void account_judge(struct account *account, uint32_t n_clients)
{
    const struct account_sums *a = &account->sums;
    uint32_t missing = n_clients - account->n_up;

    BLAME(account, missing, "%u of %u clients did not join", missing, n_clients);
    BLAME(account, a->silent, "%" PRIu64 " streams never came", a->silent);
    BLAME(account, a->lost, "%" PRIu64 " packets were lost", a->lost);
    BLAME(account, a->lost > 0 ? a->unsent : 0,
          "%" PRIu64 " packets were not taken by our own sockets", a->unsent);
    BLAME(account, a->duplicates + a->replayed, "%" PRIu64 " packets came twice",
          a->duplicates + a->replayed);
    BLAME(account, a->misordered, "%" PRIu64 " packets came out of order", a->misordered);
    BLAME(account, a->holes,
          "%" PRIu64 " RTP sequence numbers were skipped without a loss", a->holes);
    BLAME(account, a->corrupt + a->forged + a->malformed,
          "%" PRIu64 " packets were damaged (%" PRIu64 " did not decrypt)",
          a->corrupt + a->forged + a->malformed, a->forged);
    BLAME(account, a->misrouted,
          "%" PRIu64 " streams came from another producer than asked for", a->misrouted);
    BLAME(account, a->unkeyed,
          "%" PRIu64 " packets came of another encoding without its key frame", a->unkeyed);
    BLAME(account, a->misnumbered,
          "%" PRIu64 " packets of VP8 were of a picture that is not the next",
          a->misnumbered);
    BLAME(account, a->unknown, "%" PRIu64 " packets of streams that nobody asked for",
          a->unknown);
}
