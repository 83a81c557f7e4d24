/* What the error numbers of this project mean, in one place. Functions return 0 or a
 * negative errno; these are the ones with a fixed sense here.
 *
 *   -EBADMSG   malformed bytes            -ENOSPC   full
 *   -ENOENT    unknown name or handle     -EALREADY repeated
 *   -EPERM     refused                    -EINVAL   a field out of range
 *   -ESTALE    a handle of an earlier life -EAGAIN  not now: ask again
 *   -ENOMEM    no memory                  -EEXIST   taken
 *
 * Pure, header-only. */
#ifndef SFU_BASE_ERR_H
#define SFU_BASE_ERR_H

#include <errno.h>

/* The short code by which an error appears in answers and logs ("bad_message"). */
static inline const char *err_code(int err)
{
    switch (err < 0 ? -err : err) {
    case 0:
        return "ok";
    case EBADMSG:
        return "bad_message";
    case ENOSPC:
        return "full";
    case ENOENT:
        return "not_found";
    case EALREADY:
        return "already_done";
    case EPERM:
        return "refused";
    case EINVAL:
        return "invalid";
    case ESTALE:
        return "stale_handle";
    case EAGAIN:
        return "try_again";
    case ENOMEM:
        return "no_memory";
    case EEXIST:
        return "exists";
    default:
        return "internal_error";
    }
}

#endif
