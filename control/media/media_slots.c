#include "media/media_slots.h"

#include <errno.h>
#include <stdlib.h>

enum { NO_SLOT = UINT32_MAX };

int media_slots_reset(struct media_slots *slots, uint32_t n)
{
    struct media_slot *slot = calloc(n > 0 ? n : 1, sizeof(*slot));

    media_slots_fini(slots);
    if (slot == NULL) {
        return -ENOMEM;
    }
    slots->slot = slot;
    slots->n = n;
    slots->floor = slots->max_gen;
    for (uint32_t i = 0; i < n; i++) {
        slot[i].gen = handle_next_gen(slots->max_gen);
    }
    return 0;
}

void media_slots_fini(struct media_slots *slots)
{
    free(slots->slot);
    slots->slot = NULL;
    slots->n = 0;
    slots->first = NO_SLOT;
    slots->last = NO_SLOT;
}

static void slots_append(struct media_slots *slots, uint32_t i)
{
    slots->slot[i].state = SLOT_FREE;
    slots->slot[i].next = NO_SLOT;
    if (slots->last == NO_SLOT) {
        slots->first = i;
    } else {
        slots->slot[slots->last].next = i;
    }
    slots->last = i;
}

static void slots_note_gen(struct media_slots *slots, uint32_t gen)
{
    if (gen > slots->max_gen) {
        slots->max_gen = gen;
    }
}

bool media_slots_adopt(struct media_slots *slots, uint64_t handle, bool open)
{
    uint32_t i = handle_index(handle);

    if (i >= slots->n || handle_gen(handle) == 0) {
        return false;
    }
    slots->slot[i].gen = handle_gen(handle);
    slots->slot[i].state = open ? SLOT_OPEN : SLOT_CLOSING;
    slots_note_gen(slots, handle_gen(handle));
    return true;
}

void media_slots_ready(struct media_slots *slots)
{
    for (uint32_t i = 0; i < slots->n; i++) {
        if (slots->slot[i].state == SLOT_FREE) {
            /* above all lives that there ever were: a handle of the control before us may
             * still be on somebody's lips */
            slots->slot[i].gen = handle_next_gen(slots->max_gen);
            slots_append(slots, i);
        }
    }
}

uint64_t media_slots_take(struct media_slots *slots)
{
    uint32_t i = slots->first;

    if (i == NO_SLOT) {
        return HANDLE_NONE;
    }
    slots->first = slots->slot[i].next;
    if (slots->first == NO_SLOT) {
        slots->last = NO_SLOT;
    }
    slots->slot[i].state = SLOT_OPEN;
    slots_note_gen(slots, slots->slot[i].gen);
    return handle_make(i, slots->slot[i].gen);
}

struct media_slot *media_slots_find(const struct media_slots *slots, uint64_t handle,
                                    enum media_slot_state state)
{
    uint32_t i = handle_index(handle);

    if (i >= slots->n || slots->slot[i].gen != handle_gen(handle) ||
        slots->slot[i].state != state) {
        return NULL;
    }
    return &slots->slot[i];
}

void media_slots_release(struct media_slots *slots, uint64_t handle)
{
    uint32_t i = handle_index(handle);

    uint32_t gen = slots->slot[i].gen;

    /* An adopted slot may be of an older life than handles that are still around. */
    slots->slot[i].gen = handle_next_gen(gen > slots->floor ? gen : slots->floor);
    slots_append(slots, i);
}
