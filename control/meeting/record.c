/* A participant and one of its transports as bytes of the transport's record in the vault;
 * see priv.h. Each transport says all of its owner: whichever is left, the person is known.
 * Texts are a length byte and their characters. */
#include <errno.h>
#include <string.h>

#include "meeting/priv.h"
#include "sfu/base/bytes.h"

enum {
    MAGIC = 'P',
    VERSION = 4, /* 1 had no fronts, 2 nothing of what hosts do, 3 no watched user */
    FLAG_SEND = 1,
    FLAG_BOUND = 2,
    FLAG_HTTP = 4, /* what follows the name is there */
    FLAG_VIEWER = 8,
    FLAG_RECORD_DECLINED = 16 /* the room's */
};

_Static_assert(4 + 6 * 8 + 2 * 4 + 9 + 3 * MEETING_OBJECT_ID + MEETING_TOKEN +
                       MEETING_ID_MAX + 2 * AUTH_ID_MAX + MEETING_NAME_MAX +
                       MEETING_FRONT_DATA + 25 + MEETING_BANS_KEPT * 8 <=
                   VAULT_BLOB_MAX,
               "the longest one fits");

void meeting_save(const struct transport *t)
{
    const struct participant *p = t->owner;
    const struct room *room = p->room;
    uint8_t bytes[VAULT_BLOB_MAX];
    struct wbytes w = wbytes_of(bytes, sizeof(bytes));

    wbytes_u8(&w, MAGIC);
    wbytes_u8(&w, VERSION);
    wbytes_u8(&w, (uint8_t)((t->send ? FLAG_SEND : 0) |
                            (p->who.meeting_id[0] != '\0' ? FLAG_BOUND : 0) |
                            (p->front == MEETING_HTTP ? FLAG_HTTP : 0) |
                            (p->viewer ? FLAG_VIEWER : 0) |
                            (room->auto_record.declined ? FLAG_RECORD_DECLINED : 0)));
    wbytes_u8(&w, (uint8_t)p->who.role);
    wbytes_be64(&w, (uint64_t)p->who.expires_s);
    wbytes_be64(&w, room->epoch);
    wbytes_be64(&w, room->seq);
    wbytes_be64(&w, p->joined_us);
    wbytes_be32(&w, t->next_mid);
    wbytes_be32(&w, t->next_ssrc);
    wbytes_text(&w, t->id);
    wbytes_text(&w, p->id);
    wbytes_text(&w, p->resume_token);
    wbytes_text(&w, room->id);
    wbytes_text(&w, p->who.tenant);
    wbytes_text(&w, p->who.user_id);
    wbytes_text(&w, p->name);
    if (p->front == MEETING_HTTP) {
        wbytes_text(&w, p->watched);
        wbytes_be64(&w, p->watched_user);
        wbytes_u8(&w, p->n_front_data);
        wbytes_put(&w, p->front_data, p->n_front_data);
    }
    wbytes_u8(&w, p->muted);
    wbytes_u8(&w, p->off);
    wbytes_be64(&w, p->hand);
    wbytes_u8(&w, p->group);
    wbytes_be64(&w, room->breakouts != NULL ? room->breakouts->closes_us : 0);
    wbytes_be32(&w, room->flags);
    wbytes_u8(&w, (uint8_t)room->layout);
    wbytes_u8(&w, (uint8_t)MEETING_BANS_KEPT);
    for (unsigned i = 0; i < MEETING_BANS_KEPT; i++) {
        wbytes_be64(&w, room->bans[i]);
    }
    session_save(t->session, bytes, wbytes_len(&w));
    explicit_bzero(bytes, sizeof(bytes));
}

void meeting_save_person(const struct participant *p)
{
    for (const struct transport *t = p->transports; t != NULL; t = t->next) {
        meeting_save(t);
    }
}

void meeting_save_room(struct room *room)
{
    for (struct participant *p = room->participants; room->anchor == NULL && p != NULL;
         p = p->next) {
        room->anchor = p->transports;
    }
    if (room->anchor != NULL) {
        meeting_save(room->anchor);
    }
}

static void read_hosts(struct rbytes *r, struct meeting_record *out)
{
    uint8_t layout;
    uint8_t n;

    out->person.muted = rbytes_u8(r);
    out->person.off = rbytes_u8(r);
    out->person.hand = rbytes_be64(r);
    out->person.group = rbytes_u8(r);
    out->closes_us = rbytes_be64(r);
    out->flags = rbytes_be32(r) & ((UINT32_C(1) << N_MEETING_FLAGS) - 1);
    layout = rbytes_u8(r);
    out->layout =
        layout < N_MEETING_LAYOUTS ? (enum meeting_layout)layout : MEETING_LAYOUT_GRID;
    n = rbytes_u8(r);
    if (n > MEETING_BANS_KEPT) {
        r->bad = true;
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        out->bans[i] = rbytes_be64(r);
    }
}

static void read_front(struct rbytes *r, uint8_t version, struct participant *p)
{
    const uint8_t *data;

    p->front = MEETING_HTTP;
    rbytes_text(r, p->watched, sizeof(p->watched));
    p->watched_user = version >= 4 ? rbytes_be64(r) : 0;
    p->n_front_data = rbytes_u8(r);
    data = rbytes_take(r, p->n_front_data);
    if (data == NULL || p->n_front_data > sizeof(p->front_data)) {
        r->bad = true;
        return;
    }
    memcpy(p->front_data, data, p->n_front_data);
}

int meeting_record_read(const struct vault_blob *blob, struct meeting_record *out)
{
    struct rbytes r =
        rbytes_of(blob->data, blob->len <= sizeof(blob->data) ? blob->len : 0);
    struct participant *p = &out->person;
    uint8_t magic = rbytes_u8(&r);
    uint8_t version = rbytes_u8(&r);
    uint8_t flags;
    uint8_t role;

    memset(out, 0, sizeof(*out));
    if (magic != MAGIC || version == 0 || version > VERSION) {
        return -EBADMSG;
    }
    flags = rbytes_u8(&r);
    role = rbytes_u8(&r);
    out->send = (flags & FLAG_SEND) != 0;
    p->who.role = role < N_AUTH_ROLES ? (enum auth_role)role : AUTH_GUEST;
    p->who.expires_s = (int64_t)rbytes_be64(&r);
    out->epoch = rbytes_be64(&r);
    out->seq = rbytes_be64(&r);
    p->joined_us = rbytes_be64(&r);
    out->next_mid = rbytes_be32(&r);
    out->next_ssrc = rbytes_be32(&r);
    rbytes_text(&r, out->transport_id, sizeof(out->transport_id));
    rbytes_text(&r, p->id, sizeof(p->id));
    rbytes_text(&r, p->resume_token, sizeof(p->resume_token));
    rbytes_text(&r, out->room_id, sizeof(out->room_id));
    rbytes_text(&r, p->who.tenant, sizeof(p->who.tenant));
    rbytes_text(&r, p->who.user_id, sizeof(p->who.user_id));
    rbytes_text(&r, p->name, sizeof(p->name));
    if ((flags & FLAG_HTTP) != 0) {
        read_front(&r, version, p);
    }
    p->viewer = (flags & FLAG_VIEWER) != 0;
    out->record_declined = (flags & FLAG_RECORD_DECLINED) != 0;
    out->flags = MEETING_FLAGS_FIRST;
    if (version >= 3) {
        read_hosts(&r, out);
    }
    if ((flags & FLAG_BOUND) != 0) {
        memcpy(p->who.meeting_id, out->room_id, sizeof(p->who.meeting_id));
    }
    return r.bad || p->id[0] == '\0' || p->resume_token[0] == '\0' ||
                   out->transport_id[0] == '\0' || out->room_id[0] == '\0'
               ? -EBADMSG
               : 0;
}
