#include "app/tapes.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/control_conf.h"
#include "app/disk.h"
#include "app/keep.h"
#include "app/stored.h"
#include "archive/archive.h"
#include "meeting/meeting.h"
#include "meeting/recording.h"
#include "recording/recorder.h"

static void program_path(char out[PATH_MAX])
{
    static const char *const places[] = {"/kcs-egress", "/../lib/kcs/kcs-egress"};
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    char *slash;

    out[n > 0 ? n : 0] = '\0';
    slash = strrchr(out, '/');
    for (size_t i = 0; i < 2 && slash != NULL; i++) {
        if ((size_t)(slash - out) + strlen(places[i]) < PATH_MAX) {
            memcpy(slash, places[i], strlen(places[i]) + 1);
        }
        if (access(out, X_OK) == 0) {
            break;
        }
    }
}

static bool look_at_recordings(void *user, struct recorder_room *out)
{
    const struct tapes *tapes = user;
    struct disk_facts facts;

    if (!stored_recordings(tapes->keep, &facts)) {
        return false;
    }
    *out = (struct recorder_room){facts.file_bytes, facts.free_bytes};
    return true;
}

static void recording_over(void *user)
{
    const struct tapes *tapes = user;

    archive_soon(tapes->archive);
}

static bool recording_runs(void *user, const char *tenant, const char *id)
{
    const struct tapes *tapes = user;

    return meeting_find_recording(tapes->meeting, tenant, id) != NULL;
}

static void next_number(void *user, const char *tenant, const char *meeting,
                        uint64_t *epoch, uint64_t *seq)
{
    const struct tapes *tapes = user;

    meeting_number(tapes->meeting, tenant, meeting, epoch, seq);
}

int tapes_open_recorder(struct tapes *tapes, const struct tapes_conf *with, char *err,
                        size_t cap)
{
    const struct control_recording *from = &with->conf->recording;
    struct recorder_conf conf = {.loop = with->loop,
                                 .media = with->media,
                                 .metrics = with->metrics,
                                 .program = from->program[0] != '\0' ? from->program
                                                                     : tapes->program,
                                 .directory = from->directory,
                                 .live = from->live,
                                 .n_renditions = from->n_renditions,
                                 .push_ca_file = from->push_ca_file,
                                 .push_private = from->push_private,
                                 .memory_mb = from->memory_mb,
                                 .quota_bytes = (uint64_t)from->quota_mb << 20,
                                 .look = look_at_recordings,
                                 .over = recording_over,
                                 .user = tapes};
    char why[RECORDER_REASON] = "";
    int ret = 0;

    tapes->keep = with->keep;
    for (uint32_t i = 0; i < from->n_renditions; i++) {
        conf.renditions[i] = (struct recorder_rendition){from->renditions[i].height,
                                                         from->renditions[i].kbps};
    }
    if (from->directory[0] != '\0' || from->live[0] != '\0') {
        program_path(tapes->program);
        ret = recorder_create(&tapes->recorder, &conf, why);
    }
    if (ret != 0) {
        (void)snprintf(err, cap, "%s", why);
    }
    return ret;
}

int tapes_open_archive(struct tapes *tapes, const struct tapes_conf *with,
                       struct meeting *meeting, char *err, size_t cap)
{
    const struct control_recording *from = &with->conf->recording;
    const struct archive_conf conf = {.loop = with->loop,
                                      .store = with->keep->store,
                                      .metrics = with->metrics,
                                      .directory = from->directory,
                                      .s3 = {.endpoint = from->s3.endpoint,
                                             .bucket = from->s3.bucket,
                                             .prefix = from->s3.prefix,
                                             .region = from->s3.region,
                                             .access_key = from->s3.access_key,
                                             .secret_key = from->s3.secret_key,
                                             .allow_loopback = from->s3.allow_loopback},
                                      .keep_local = from->s3.keep_local,
                                      .retention_days = from->retention_days,
                                      .audit_days = with->conf->store.audit_days,
                                      .is_running = recording_runs,
                                      .number = next_number,
                                      .user = tapes};
    int ret = 0;

    tapes->meeting = meeting;
    if (from->directory[0] != '\0' && with->keep->store != NULL) {
        ret = archive_create(&tapes->archive, &conf);
    }
    if (ret != 0) {
        (void)snprintf(err, cap, "cannot look after recordings: %s", strerror(-ret));
    }
    return ret;
}
