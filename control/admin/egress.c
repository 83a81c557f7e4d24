/* What leaves the node otherwise than to clients: recordings and live streams that run, or
 * whose files are being ended. */
#include "admin/priv.h"
#include "meeting/live.h"
#include "meeting/recording.h"
#include "sys/clock.h"

static json_t *started(uint64_t wall_us)
{
    char text[CLOCK_RFC3339_LEN];

    clock_format(wall_us, text);
    return json_string(text);
}

static void add_recording(void *arg, const struct recording *r)
{
    const struct recorder_file *files = r->files;
    size_t n = r->n_files;
    uint64_t bytes = 0;

    if (r->state == RECORDING_RUNNING || r->state == RECORDING_PAUSED) {
        files = recorder_files(r->job, &n);
    }
    for (size_t i = 0; i < n; i++) {
        bytes += files[i].bytes;
    }
    json_array_append_new(arg, json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:I,s:I}", "id",
                                         r->id, "kind", "recording", "mode", recorder_mode_names[r->mode],
                                         "meeting_id", r->meeting_id, "tenant", r->tenant,
                                         "state", recording_state_names[r->state], "started",
                                         started(r->started_us), "files", (json_int_t)n,
                                         "bytes", (json_int_t)bytes));
}

static void add_live(void *arg, const struct live *live)
{
    json_array_append_new(arg,
                          json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:o}", "id", live->id, "kind",
                                    "live", "mode", live_kind_names[live->kind], "meeting_id", live->meeting_id,
                                    "tenant", live->tenant, "state", live_state_names[live->state],
                                    "started", started(live->started_us)));
}

json_t *admin_egress(const struct admin *admin)
{
    json_t *rows = json_array();

    meeting_each_recording(admin->conf.meeting, add_recording, rows);
    meeting_each_live(admin->conf.meeting, add_live, rows);
    return rows;
}
