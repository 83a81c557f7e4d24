/* RTP header extensions by the ids that the router gives them on every outgoing packet. The
 * same numbers stand in the vault (sfu/abi/media.h; worker/ asserts it). */
#ifndef KCS_PKT_EXT_H
#define KCS_PKT_EXT_H

enum ext_id {
    EXT_NONE = 0,
    EXT_MID = 1,
    EXT_RID = 2,
    EXT_REPAIRED_RID = 3,
    EXT_ABS_SEND_TIME = 4,
    EXT_TRANSPORT_CC = 5,
    EXT_AUDIO_LEVEL = 6,
    EXT_DEPENDENCY = 7,
    EXT_VIDEO_ORIENTATION = 8,
    EXT_TOFFSET = 9,
    EXT_ABS_CAPTURE_TIME = 10,
    EXT_PLAYOUT_DELAY = 11,
    N_EXTS = 16
};

/* Those that travel from publisher to subscriber unchanged, as a mask of ids. */
enum {
    EXT_FORWARDED = 1 << EXT_AUDIO_LEVEL | 1 << EXT_DEPENDENCY |
                    1 << EXT_VIDEO_ORIENTATION | 1 << EXT_ABS_CAPTURE_TIME |
                    1 << EXT_PLAYOUT_DELAY
};

#endif
