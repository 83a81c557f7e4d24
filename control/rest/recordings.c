#include "rest/recordings.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/archive.h"
#include "meeting/recording.h"
#include "net/net.h"
#include "rest/rest.h"
#include "rest/task.h"

/* One that nobody records or ends any more, though nothing says so: this program died
 * meanwhile. */
static bool is_orphan(const struct task *task, const struct store_doc *doc)
{
    return (strcmp(doc->state, "running") == 0 || strcmp(doc->state, "paused") == 0 ||
            strcmp(doc->state, "stopping") == 0) &&
           (task->conf->meeting == NULL ||
            meeting_find_recording(task->conf->meeting, task->who.tenant, doc->id) == NULL);
}

static bool has_directory(const struct task *task)
{
    return task->conf->recordings != NULL && task->conf->recordings[0] != '\0';
}

/* The bytes of a file that is there; -1: it is not. */
static int64_t size_of(const struct task *task, const char *id, const char *file)
{
    char path[PATH_MAX];
    struct stat st;

    if (!has_directory(task)) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/%s/%s", task->conf->recordings, id, file);
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

/* What lies in the directory, of a recording whose files nobody has told of (yet). */
static json_t *found_files(const struct task *task, const char *id)
{
    json_t *files = json_array();
    char path[PATH_MAX];
    const struct dirent *entry;
    DIR *dir = NULL;

    if (has_directory(task)) {
        (void)snprintf(path, sizeof(path), "%s/%s", task->conf->recordings, id);
        dir = opendir(path);
    }
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        int64_t size = entry->d_name[0] != '.' ? size_of(task, id, entry->d_name) : -1;

        if (size >= 0 && json_array_size(files) < RECORDER_FILES) {
            (void)json_array_append_new(
                files,
                json_pack("{s:s, s:n, s:n, s:n, s:n, s:n, s:I, s:b}", "file", entry->d_name,
                          "user_id", "display_name", "source", "start_ms", "duration_ms",
                          "size_bytes", (json_int_t)size, "complete", 0));
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return files;
}

static bool is_archived(const struct task *task, const json_t *file)
{
    return task->conf->archive != NULL && json_is_true(json_object_get(file, "archived"));
}

static json_t *files_of(const struct task *task, const struct store_doc *doc,
                        const json_t *json)
{
    json_t *known = json_object_get(json, "files");
    json_t *files;
    json_t *file;
    size_t i;

    if (known == NULL) {
        return found_files(task, doc->id);
    }
    files = json_array();
    json_array_foreach(known, i, file)
    {
        int64_t size = size_of(task, doc->id, task_text(file, "file"));

        (void)json_object_del(file, "upload"); /* archive/'s own */
        if (size >= 0) {
            (void)json_object_set_new(file, "size_bytes", json_integer(size));
        }
        if (size >= 0 || is_archived(task, file)) { /* else somebody has taken it away */
            (void)json_array_append(files, file);
        }
    }
    return files;
}

static json_t *recording_of(struct task *task, const struct store_doc *doc)
{
    json_t *json = json_loads(doc->json, 0, NULL);
    const char *state = is_orphan(task, doc) ? "interrupted" : doc->state;
    json_t *files;
    json_t *file;
    json_int_t size = 0;
    size_t i;

    if (json == NULL) {
        return NULL;
    }
    files = files_of(task, doc, json);
    json_array_foreach(files, i, file)
    {
        size += json_integer_value(json_object_get(file, "size_bytes"));
    }
    (void)json_object_set_new(json, "files", files);
    (void)json_object_set_new(json, "size_bytes", json_integer(size));
    (void)json_object_set_new(json, "id", json_string(doc->id));
    (void)json_object_set_new(json, "state", json_string(state));
    (void)json_object_del(json, "erased"); /* archive/'s own, as the next */
    (void)json_object_del(json, "chat");
    if (task->conf->archive != NULL && archive_until(task->conf->archive, doc) != 0) {
        (void)json_object_set_new(json, "expires_at",
                                  task_time(archive_until(task->conf->archive, doc)));
    }
    return json;
}

static void on_found(void *arg, const struct store_result *result)
{
    task_answer_page(arg, result, recording_of);
}

static void list(struct task *task)
{
    task_find_page(task, STORE_RECORDING, task->params.at[0], true, on_found);
}

void recordings_list(const struct rest_call *call)
{
    task_begin_with_meeting(call, list);
}

/* ---- a file ---- */

/* The file itself, or where it is for the next hour: the object store hands it out, and
 * takes Range, as well as we. */
static void send_file(struct task *task)
{
    static const struct net_header headers[] = {{"cache-control", "private, no-cache"}};
    const struct rest_conf *conf = task->conf;
    const char *file = task_text(task->query, "file");
    const bool here = size_of(task, task->params.at[1], file) >= 0;
    char path[STORE_ID_MAX + 80], url[S3_URL];
    struct net_req *req = task->req;

    (void)snprintf(path, sizeof(path), "/%s/%s", task->params.at[1], file);
    if (!here && archive_link(conf->archive, task->params.at[1], file, url) != 0) {
        task_fail(task, -ENOENT);
        return;
    }
    task_end(task);
    if (conf->archive != NULL) {
        archive_count_download(conf->archive);
    }
    if (req != NULL && here) {
        net_respond_large(req, conf->recordings, path, headers, 1);
    } else if (req != NULL) {
        const struct net_header there[] = {{"location", url},
                                           {"cache-control", "no-store"}};

        net_respond(req, 302, there, 2, NULL, 0);
    }
}

/* Which file is meant: NULL if that is not told, and there is not but one. */
static const char *pick(const struct task *task, const json_t *files)
{
    const char *wanted = task_text(task->query, "file");
    const json_t *file;
    size_t i;

    if (wanted == NULL) {
        return json_array_size(files) == 1 ? task_text(json_array_get(files, 0), "file")
                                           : NULL;
    }
    json_array_foreach(files, i, file)
    {
        if (strcmp(task_text(file, "file"), wanted) == 0) {
            return wanted;
        }
    }
    return "";
}

static void on_recording(void *arg, const struct store_result *result)
{
    struct task *task = arg;
    json_t *json = NULL;
    const char *name;

    if (result->err == 0 &&
        strcmp(result->docs[0].group, task->params.at[0]) == 0) { /* of this meeting */
        json = recording_of(task, &result->docs[0]);
    }
    if (json == NULL) {
        task_fail(task, result->err != 0 ? result->err : -ENOENT);
        return;
    }
    name = pick(task, json_object_get(json, "files"));
    if (name == NULL) {
        task_refuse(task, 400, "invalid",
                    "/file: the recording has not just one; say which");
    } else if (name[0] == '\0') {
        task_refuse(task, 404, "not_found", "that recording has no such file");
    } else {
        (void)json_object_set_new(task->query, "file", json_string(name));
        task_audit(task, task->params.at[1]);
        task->finish = send_file;
        task_commit(task);
    }
    json_decref(json);
}

static void find(struct task *task)
{
    int err = has_directory(task)
                  ? store_get(task->store, STORE_RECORDING, task->who.tenant,
                              task->params.at[1], on_recording, task)
                  : -ENOENT;

    if (err != 0) {
        task_fail(task, err);
    }
}

void recordings_download(const struct rest_call *call)
{
    task_begin_with_meeting(call, find);
}
