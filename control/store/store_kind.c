#include "store/store_priv.h"

const char *store_kind_name(enum store_kind kind)
{
    static const char *const names[STORE_N_KINDS] = {
        [STORE_USER] = "user",
        [STORE_MEETING] = "meeting",
        [STORE_PARTICIPANT] = "participant",
        [STORE_BAN] = "ban",
        [STORE_CHAT] = "chat",
        [STORE_POLL] = "poll",
        [STORE_AUDIT] = "audit",
        [STORE_FAMILY] = "family",
        [STORE_REVOKED] = "revoked",
        [STORE_IDEMPOTENCY] = "idempotency",
        [STORE_KEY] = "key",
        [STORE_ATTENDANCE] = "attendance",
        [STORE_RECORDING] = "recording",
    };

    return names[kind];
}
