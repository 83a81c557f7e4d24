#include "loadgen/hist.h"

static unsigned cell_of(uint64_t value)
{
    unsigned shift;

    if (value < HIST_STEPS) {
        return (unsigned)value;
    }
    shift = 63u - (unsigned)__builtin_clzll(value) - 5u;
    if (shift >= HIST_DOUBLINGS) {
        return HIST_CELLS - 1;
    }
    return (shift + 1) * HIST_STEPS + (unsigned)((value >> shift) & (HIST_STEPS - 1));
}

/* The greatest value that falls into a cell. */
static uint64_t top_of(unsigned cell)
{
    unsigned shift;

    if (cell < HIST_STEPS) {
        return cell;
    }
    shift = cell / HIST_STEPS - 1;
    return ((uint64_t)(HIST_STEPS + cell % HIST_STEPS + 1) << shift) - 1;
}

void hist_add(struct hist *hist, uint64_t value)
{
    hist->cells[cell_of(value)]++;
    hist->n++;
    if (value > hist->max) {
        hist->max = value;
    }
}

void hist_merge(struct hist *to, const struct hist *from)
{
    for (unsigned i = 0; i < HIST_CELLS; i++) {
        to->cells[i] += from->cells[i];
    }
    to->n += from->n;
    to->max = from->max > to->max ? from->max : to->max;
}

uint64_t hist_quantile(const struct hist *hist, unsigned permille)
{
    uint64_t rank = (hist->n * permille + 999) / 1000;
    uint64_t seen = 0;

    for (unsigned cell = 0; cell + 1 < HIST_CELLS && hist->n > 0; cell++) {
        seen += hist->cells[cell];
        if (seen >= rank && seen > 0) {
            return top_of(cell) < hist->max ? top_of(cell) : hist->max;
        }
    }
    return hist->max;
}
