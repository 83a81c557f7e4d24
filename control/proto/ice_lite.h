/* The ICE-lite agent of one transport: judges connectivity checks, writes the answers, and
 * tells which paths the peer has proven and which one it wants. The peer's candidates never
 * reach us: they are learnt from its checks. Consent on the selected path is answered and
 * timed by the dataplane; what comes here is the rest.
 *
 * Sans-IO: no socket, no clock, no randomness. A bad check never ends anything.
 * RFC 8445 (7.3: the server side; 2.5: lite), RFC 8489; renomination as in libwebrtc. */
#ifndef PROTO_ICE_LITE_H
#define PROTO_ICE_LITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sfu/base/path.h"

enum {
    ICE_UFRAG_MIN = 4,
    ICE_UFRAG_MAX = 32,
    ICE_PWD_MIN = 22,
    ICE_PWD_MAX = 64,
    ICE_MAX_PATHS = 4,
    ICE_RANDOM_LEN = 24, /* what ice_lite_make_credentials() consumes */
    ICE_MADE_UFRAG = 8,  /* characters it makes: 48 random bits */
    ICE_MADE_PWD = 24,   /* 144 random bits */
    ICE_FOUNDATION_MAX = 10,
    ICE_MAX_RESPONSE = 96, /* bytes that any answer fits in */
    ICE_RIVAL_MS = 7000,   /* a nomination is of now so long: consent comes each 4 to 6 s */
    ICE_LATE_MS = 1000,    /* a check that was overtaken comes within it */
    ICE_PROOF_MS = 200,    /* media has left the old path if none came by it for so long */
    ICE_SILENT_MS = 1000,  /* so has the peer, if nothing came by it */
    ICE_COPY_MS = 200,     /* the original of a copy that was faster comes within it */
    ICE_SETTLE_MS = 50     /* how often to look, while a nomination waits */
};

enum ice_verdict {
    ICE_ACCEPTED,        /* authentic: answered with success */
    ICE_MALFORMED,       /* no STUN, or no FINGERPRINT; no answer */
    ICE_NOT_REQUEST,     /* an indication, response or other method; no answer */
    ICE_BAD_REQUEST,     /* 400: lacks USERNAME, integrity, PRIORITY or role */
    ICE_UNAUTHENTICATED, /* 401: not for our ufrag, or not made with our password */
    ICE_UNKNOWN_ATTR,    /* 420 */
    ICE_ROLE_CONFLICT,   /* 487: the peer says it is controlled, as we are */
    ICE_REPLAYED         /* a known transaction from another address; no answer */
};

/* What the dataplane has noticed, and what of the agent outlives this process: the
 * transactions (base/txids) that were seen. Zeroed: nothing, and nobody remembers. */
struct ice_notes {
    bool guarded; /* the peer is sent media: what could move it has to be proven */
    uint64_t heard_us[ICE_MAX_PATHS]; /* by path: when its media came last; 0 never */
    uint64_t checked_us;              /* last check of the selected path; 0 never */
    uint64_t nominated_us;            /* the last of them that nominated it; 0 never */
    const uint64_t *answered; /* checks that the dataplane has answered; NULL: none */
    uint64_t *judged;         /* those of ice_lite_on_check(), written by it; NULL: none */
    uint32_t n_answered, n_judged; /* words */
};

/* A path from which an authentic check came. */
struct ice_path {
    struct path path;
    uint64_t since_us;     /* it is known */
    uint64_t seen_us;      /* last check */
    uint64_t nominated_us; /* last nomination without a number; 0 never */
    uint64_t left_us;      /* when another was selected instead of it; 0 never */
    uint32_t priority;     /* as its last check says */
    /* bytes that its checks were longer than two thirds of their answers, times 1.5: what may
     * be sent there until it is proven to be the peer's. The owner takes them. */
    uint32_t credit;
};

struct ice_lite {
    char ufrag[ICE_UFRAG_MAX + 1];
    char pwd[ICE_PWD_MAX + 1];
    /* those before a restart, good until the peer nominates with the new; empty: none */
    char old_ufrag[ICE_UFRAG_MAX + 1];
    char old_pwd[ICE_PWD_MAX + 1];
    struct ice_path paths[ICE_MAX_PATHS];
    uint8_t n_paths;
    int8_t selected; /* index in 'paths', -1 none */
    int8_t rival;    /* the path whose nomination waits for proof, -1 none */
    bool rival_wins; /* by its number or priority; else only media speaks for it */
    uint8_t rival_txid[12];
    uint64_t rival_us;       /* when it was nominated last */
    uint64_t rival_since_us; /* and at first */
    uint64_t selected_us;    /* when 'selected' was; 0: in an earlier life */
    bool has_nomination;
    uint32_t nomination; /* the largest seen */
    struct ice_notes notes;
};

struct ice_result {
    enum ice_verdict verdict;
    size_t response_len; /* 0: send nothing; else to where the check came from */
    bool path_validated; /* this path was not known before */
    bool path_selected;  /* the selection moved to this path */
    bool restarted;      /* the peer has nominated by new credentials: the old are void */
};

/* Starts an agent. The strings are copied.
 *
 * Returns 0, or -EINVAL if one has a wrong length or a character that is no ice-char. */
int ice_lite_init(struct ice_lite *ice, const char *ufrag, const char *pwd);

/* Gives an agent that was just started what it knew in an earlier life: 'n' validated paths
 * and which one is selected (-1 none). Returns 0, or -EINVAL if that cannot be. */
int ice_lite_restore(struct ice_lite *ice, const struct path *paths, uint8_t n,
                     int8_t selected);

/* New credentials (RFC 8445, section 9). The old ones stay good, and the paths and the
 * selected one stay, until the peer nominates by the new (ice_result.restarted); its first
 * such nomination is followed whatever there was before. Of several restarts without a
 * nomination between them only the last one's credentials are good, beside the old.
 * Returns 0, or -EINVAL as ice_lite_init(); then nothing has changed. */
int ice_lite_restart(struct ice_lite *ice, const char *ufrag, const char *pwd);

/* Says what is known of now. Call before ice_lite_on_check() and ice_lite_settle(); what
 * 'notes' points to is borrowed until the next call. */
void ice_lite_note(struct ice_lite *ice, const struct ice_notes *notes);

/* Wipes the password. */
void ice_lite_fini(struct ice_lite *ice);

/* Judges one STUN datagram.
 *
 * data   borrowed
 * path   where it came from; borrowed, copied if it becomes a validated path
 * out    filled with the answer; ICE_MAX_RESPONSE bytes
 *
 * An answer to a check that is not authentic is never larger than the check. A transaction
 * that was seen before is answered again on its path, but validates and selects nothing.
 *
 * A nomination moves the selection. A peer that numbers its nominations means the largest.
 * One that does not means the last, unless it nominates two paths all the time (aggressive
 * nomination): then the one of higher priority is kept (RFC 5245, 8.1.1.2), so that the
 * selection does not go to and fro with each check.
 *
 * Once the peer is guarded (ice_notes), a nomination of another path waits until that path
 * is proven: see ice_lite_settle(). Anybody on the way can copy a check, and nothing in it
 * says where it was sent from. */
struct ice_result ice_lite_on_check(struct ice_lite *ice, const uint8_t *data, size_t len,
                                    const struct path *path, uint64_t now_us,
                                    uint8_t out[ICE_MAX_RESPONSE]);

/* Whether a nomination waits; then ice_lite_settle() is due each ICE_SETTLE_MS. */
bool ice_lite_is_settling(const struct ice_lite *ice);

/* Decides on a nomination that waits. It is followed when media that only the peer can make
 * came by the new path, and by the old one none for ICE_PROOF_MS before; or, if it would be
 * followed without a guard, when nothing at all came by the old one for ICE_SILENT_MS, the
 * last ICE_COPY_MS since the nomination. It is void when the transaction has come by the
 * old path as well, so was a copy; or when the peer goes on nominating the old one.
 * Returns true if the selection has moved. */
bool ice_lite_settle(struct ice_lite *ice, uint64_t now_us);

/* The path that the peer chose, or NULL; borrowed until the next check. */
const struct path *ice_lite_selected(const struct ice_lite *ice);

/* True if an authentic check came from this 5-tuple and it was not displaced since. */
bool ice_lite_is_validated(const struct ice_lite *ice, const struct path *path);

/* Reads from a check for which agent it is: the part of USERNAME before the colon. Nothing
 * is authenticated by that.
 *
 * Returns 0, or -EBADMSG if it is no binding request with such a name. */
int ice_lite_peek_ufrag(const uint8_t *data, size_t len, char ufrag[ICE_UFRAG_MAX + 1]);

/* Spells random bytes as credentials. */
void ice_lite_make_credentials(const uint8_t random[ICE_RANDOM_LEN],
                               char ufrag[ICE_MADE_UFRAG + 1], char pwd[ICE_MADE_PWD + 1]);

/* RFC 8445, section 5.1.2.1: type_pref 0..126 (host 126), component 1..256. */
uint32_t ice_lite_priority(uint8_t type_pref, uint16_t local_pref, uint16_t component);

/* The foundation of a UDP host candidate: the same for the same address (IPv4 mapped),
 * another for another one. RFC 8445, section 5.1.1.3. */
void ice_lite_foundation(const uint8_t ip[16], char out[ICE_FOUNDATION_MAX + 1]);

#endif
