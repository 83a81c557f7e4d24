/* What is composed, as a file: fragmented MP4, a fragment a second, so that one whose
 * writer was killed plays up to then; and what parts become when there are several. */
#ifndef EGRESS_PART_H
#define EGRESS_PART_H

#include <stdbool.h>

#include "egress/out/fmp4.h"

struct part;

enum { PART_NAME = 32 };

struct part_conf {
    const char *directory;
    const char *extension; /* mp4, m4a */
    unsigned number;
    const struct encoder *encoder; /* borrowed for the call */
};

/* meeting.NUMBER.EXTENSION: in a directory there is no other of that name. */
void part_name(char out[PART_NAME], const struct part_conf *conf);

/* Returns 0 or -errno (-ENOSPC …); then there is no file. */
int part_open(struct part **out, const struct part_conf *conf);

/* Takes a packet. Returns 0 or -errno: then the file ends with what was whole before, and
 * is to be closed. */
int part_put(struct part *part, enum encoder_kind kind, const struct AVPacket *packet);

/* Ends the file, of so many bytes. Returns 0 or -errno: its last second is missing. NULL is
 * a no-op. */
int part_close(struct part *part, uint64_t *bytes);

uint64_t part_bytes(const struct part *part);

#endif
