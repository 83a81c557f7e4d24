/* See wheel.h. */
#include "sys/wheel.h"

#include <stddef.h>
#include <string.h>

enum { MASK = WHEEL_SLOTS - 1 };

_Static_assert((WHEEL_SLOTS & MASK) == 0 && WHEEL_SLOTS % 64 == 0, "whole words of bits");

#define NEVER UINT64_MAX
#define TICK_US (WHEEL_TICK_MS * UINT64_C(1000))

void wheel_init(struct wheel *wheel, uint64_t now_us)
{
    memset(wheel, 0, sizeof(*wheel));
    wheel->due_last = &wheel->due;
    wheel->tick = now_us / TICK_US;
}

static void link_at(struct wheel_entry **head, struct wheel_entry *entry)
{
    entry->next = *head;
    entry->at = head;
    if (entry->next != NULL) {
        entry->next->at = &entry->next;
    }
    *head = entry;
}

static void make_due(struct wheel *wheel, struct wheel_entry *entry)
{
    entry->at = wheel->due_last;
    *wheel->due_last = entry;
    wheel->due_last = &entry->next;
}

static void unlink_it(struct wheel *wheel, struct wheel_entry *entry)
{
    const uint64_t slot = entry->tick & MASK;

    *entry->at = entry->next;
    if (entry->next != NULL) {
        entry->next->at = entry->at;
    }
    if (entry->tick == 0 && entry->next == NULL) {
        wheel->due_last = entry->at;
    } else if (entry->tick != 0 && wheel->slot[slot] == NULL) {
        wheel->used[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    }
    *entry = (struct wheel_entry){.next = NULL};
}

void wheel_remove(struct wheel *wheel, struct wheel_entry *entry)
{
    if (wheel_is_set(entry)) {
        unlink_it(wheel, entry);
        wheel->n--;
    }
}

void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t at_us)
{
    const uint64_t tick = at_us / TICK_US + (at_us % TICK_US != 0);
    const uint64_t slot = tick & MASK;

    wheel_remove(wheel, entry);
    wheel->n++;
    if (tick <= wheel->tick) {
        make_due(wheel, entry);
        return;
    }
    entry->tick = tick;
    link_at(&wheel->slot[slot], entry);
    wheel->used[slot / 64] |= UINT64_C(1) << slot % 64;
}

/* The next slot from 'tick' on that is not empty, as a tick of this turn; NEVER: all are. */
static uint64_t next_used(const struct wheel *wheel, uint64_t tick)
{
    const uint64_t first = tick & MASK;
    uint64_t word = wheel->used[first / 64] & (UINT64_MAX << first % 64);

    for (uint64_t i = 0; i <= WHEEL_SLOTS / 64; i++) {
        const uint64_t at = (first / 64 + i) % (WHEEL_SLOTS / 64);

        if (i > 0) {
            word = wheel->used[at];
        }
        if (word != 0) {
            const uint64_t slot = at * 64 + (uint64_t)__builtin_ctzll(word);

            return tick + ((slot - first) & MASK);
        }
    }
    return NEVER;
}

static void become_due(struct wheel *wheel, struct wheel_entry *list, uint64_t tick)
{
    struct wheel_entry *next;

    for (struct wheel_entry *e = list; e != NULL; e = next) {
        next = e->next;
        if (e->tick <= tick) { /* else it is of a later turn */
            unlink_it(wheel, e);
            make_due(wheel, e);
        }
    }
}

struct wheel_entry *wheel_take(struct wheel *wheel, uint64_t now_us)
{
    const uint64_t now = now_us / TICK_US;
    const uint64_t last = wheel->tick + WHEEL_SLOTS; /* then each slot was looked at */
    struct wheel_entry *entry;

    while (wheel->due == NULL && wheel->tick < now) {
        const uint64_t tick = next_used(wheel, wheel->tick + 1);

        if (tick > now || tick > last) {
            wheel->tick = now;
            break;
        }
        become_due(wheel, wheel->slot[tick & MASK], now);
        wheel->tick = tick;
    }
    entry = wheel->due;
    if (entry != NULL) {
        wheel_remove(wheel, entry);
    }
    return entry;
}

uint64_t wheel_deadline(const struct wheel *wheel)
{
    uint64_t tick;

    if (wheel->due != NULL) {
        return 0;
    }
    tick = wheel->n != 0 ? next_used(wheel, wheel->tick + 1) : NEVER;
    return tick != NEVER ? tick * TICK_US : NEVER;
}
