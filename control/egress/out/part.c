#include "egress/out/part.h"

#include <errno.h>
#include <fcntl.h>
#include <libavcodec/packet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct part {
    struct fmp4 *fmp4;
    int fd;
    bool picture;  /* there are pictures in it */
    int64_t since; /* the fragment's first packet, of the kind that counts; -1 none */
    uint64_t bytes;
    int err;
};

void part_name(char out[PART_NAME], const struct part_conf *conf)
{
    (void)snprintf(out, PART_NAME, "meeting.%u.%s", conf->number, conf->extension);
}

/* Writes what the muxer has made: all of it, or the file stays as it was. */
static int flush(struct part *part)
{
    size_t len;
    const uint8_t *bytes = fmp4_take(part->fmp4, &len);
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(part->fd, bytes + done, len - done);

        if (n < 0 && errno != EINTR) {
            part->err = -errno;
            (void)ftruncate(part->fd, (off_t)part->bytes);
            return part->err;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    part->bytes += len;
    return 0;
}

int part_open(struct part **out, const struct part_conf *conf)
{
    struct part *part = calloc(1, sizeof(*part));
    char name[PART_NAME], path[PATH_MAX];
    int err;

    if (part == NULL) {
        return -ENOMEM;
    }
    part_name(name, conf);
    (void)snprintf(path, sizeof(path), "%s/%s", conf->directory, name);
    part->since = -1;
    part->picture = encoder_of(conf->encoder, ENCODER_VIDEO) != NULL;
    part->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (part->fd < 0) {
        err = -errno;
        free(part);
        return err;
    }
    err = fmp4_create(&part->fmp4, conf->encoder, conf->encoder);
    if (err == 0) {
        err = flush(part);
    }
    if (err != 0) {
        (void)close(part->fd);
        (void)unlink(path);
        fmp4_destroy(part->fmp4);
        free(part);
        return err;
    }
    *out = part;
    return 0;
}

static int cut(struct part *part, bool all)
{
    int err = fmp4_cut(part->fmp4, all);

    part->since = -1;
    return err != 0 ? err : flush(part);
}

int part_put(struct part *part, enum encoder_kind kind, const AVPacket *packet)
{
    bool counts = (kind == ENCODER_VIDEO) == part->picture;
    int64_t second = kind == ENCODER_VIDEO ? ENCODER_FPS : ENCODER_HZ;

    if (part->err == 0) {
        part->err = fmp4_put(part->fmp4, kind, packet);
    }
    if (part->err == 0 && counts) {
        if (part->since < 0) {
            part->since = packet->pts;
        } else if (packet->pts - part->since >= second) {
            part->err = cut(part, false);
            part->since = packet->pts;
        }
    }
    return part->err;
}

int part_close(struct part *part, uint64_t *bytes)
{
    int err;

    if (part == NULL) {
        return 0;
    }
    if (part->err == 0) {
        part->err = cut(part, true);
    }
    err = part->err;
    *bytes = part->bytes;
    if (close(part->fd) != 0 && err == 0) {
        err = -errno;
    }
    fmp4_destroy(part->fmp4);
    free(part);
    return err;
}

uint64_t part_bytes(const struct part *part)
{
    return part->bytes;
}
