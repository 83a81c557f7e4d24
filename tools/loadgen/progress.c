#include "loadgen/progress.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "loadgen/run.h"

enum { PERIOD_US = 1000000 };

static uint64_t shown_us;
static uint64_t received_then;
static bool visible;

void progress_show(const struct run *run, const char *phase)
{
    uint64_t now_us = loop_now_us();
    struct account_sums a = {0};
    uint64_t rate;

    if (run->me != 0 || run->options->quiet || now_us - shown_us < PERIOD_US ||
        isatty(STDERR_FILENO) == 0) {
        return;
    }
    for (uint32_t i = 0; i < run->crew->n; i++) { /* as they were a second ago */
        const struct account_sums *of = &run->crew->seats[i].account.sums;

        a.sent += of->sent;
        a.received += of->received;
        a.lost += of->lost;
    }
    rate = shown_us == 0 || a.received < received_then
               ? 0
               : (a.received - received_then) * 1000000u / (now_us - shown_us);
    shown_us = now_us;
    received_then = a.received;
    visible = true;
    fprintf(stderr,
            "\r\033[K%-8s joined %u/%u  sent %" PRIu64 "  received %" PRIu64 " (%" PRIu64
            "/s)  missing %" PRIu64 "  p99 %.1f ms",
            phase, crew_up(run->crew), run->n_all, a.sent, a.received, rate, a.lost,
            (double)hist_quantile(&run->account->delays_us, 990) / 1e3);
    (void)fflush(stderr);
}

void progress_end(void)
{
    if (visible) {
        fputs("\r\033[K", stderr);
        visible = false;
    }
}
