/* What a producer or a consumer leaves in its records for a successor of this process, as
 * bytes: a tag of the owner's, then the parameters that were negotiated. What stands in the
 * record itself (MID, SSRCs, extension ids) is not said twice.
 *
 * Pure. Whatever is read is checked: an earlier version may have written it. */
#ifndef SESSION_RECORD_H
#define SESSION_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "proto/ortc.h"
#include "sfu/abi/vault.h"

/* A stream's. 'params' stands in the first encoding's record alone (NULL in the others).
 * Returns the length, or 0 if it does not fit. */
size_t record_write_stream(uint8_t out[VAULT_BLOB_MAX], const void *tag, size_t tag_len,
                           uint8_t encoding, const struct ortc_producer *params);

/* tag and params may be NULL. Returns 0 or -EBADMSG; -ENOENT if params are asked of another
 * than the first encoding's. */
int record_read_stream(const struct vault_blob *blob, const uint8_t **tag, size_t *tag_len,
                       uint8_t *encoding, uint8_t *n_encodings,
                       struct ortc_producer *params);

/* 'caps': all that the receiver of a movable one can take; they are kept too. Or NULL. */
size_t record_write_sub(uint8_t out[VAULT_SUB_BLOB_MAX], const void *tag, size_t tag_len,
                        const struct ortc_consumer *params, const struct ortc_caps *caps);

/* 'conf' gives what the blob leaves out. params may be NULL, and caps, which are zeros if
 * there are none. */
int record_read_sub(const struct vault_sub_conf *conf, const uint8_t **tag, size_t *tag_len,
                    struct ortc_consumer *params, struct ortc_caps *caps);

#endif
