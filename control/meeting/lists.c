/* Short lists of a room, so that who asks does not look at thousands who only listen. */
#include "meeting/priv.h"

void meeting_note_sender(struct participant *p)
{
    if (!p->sends) {
        p->sends = true;
        p->next_sender = p->room->senders;
        p->room->senders = p;
    }
}

void meeting_note_role(struct participant *p)
{
    if (!p->on_stage && meeting_rank(p->who.role) <= meeting_rank(AUTH_PRESENTER)) {
        p->on_stage = true;
        p->next_on_stage = p->room->stage;
        p->room->stage = p;
    }
}

void meeting_take_off_lists(struct participant *p)
{
    struct participant **at;

    if (p->sends) {
        for (at = &p->room->senders; *at != p; at = &(*at)->next_sender) {
        }
        *at = p->next_sender;
    }
    if (p->on_stage) {
        for (at = &p->room->stage; *at != p; at = &(*at)->next_on_stage) {
        }
        *at = p->next_on_stage;
    }
}
