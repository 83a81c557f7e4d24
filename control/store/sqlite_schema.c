/* The tables, version by version. A version that was released is never edited: what comes
 * later is a step of its own, so that every older file can be brought forward. */
#include <errno.h>

#include "store/sqlite_priv.h"

const char *sqlite_table(enum store_kind kind)
{
    return kind == STORE_KEY ? "key_" : store_kind_name(kind); /* KEY is a word of SQL */
}

static int run(sqlite3 *db, const char *sql)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

    return code == SQLITE_OK ? 0 : sqlite_errno(db, code);
}

static int make_table(sqlite3 *db, const char *t)
{
    char sql[1536];

    (void)snprintf(sql, sizeof(sql),
                   "CREATE TABLE %s (tenant TEXT NOT NULL, id TEXT NOT NULL, name TEXT,"
                   " grp TEXT NOT NULL, ref TEXT NOT NULL, state TEXT NOT NULL,"
                   " at INTEGER NOT NULL, expires INTEGER NOT NULL,"
                   " version INTEGER NOT NULL, doc TEXT NOT NULL, UNIQUE (tenant, id));"
                   "CREATE UNIQUE INDEX %s_name ON %s (tenant, name)"
                   " WHERE name IS NOT NULL;"
                   "CREATE INDEX %s_at ON %s (tenant, at, id);"
                   "CREATE INDEX %s_grp ON %s (tenant, grp, at, id);"
                   "CREATE INDEX %s_ref ON %s (tenant, ref, at, id);"
                   "CREATE INDEX %s_expires ON %s (expires) WHERE expires > 0;",
                   t, t, t, t, t, t, t, t, t, t, t);
    return run(db, sql);
}

/* Documents, events, and each meeting's last number. */
static int step_1(sqlite3 *db)
{
    int err = 0;

    for (int i = 0; err == 0 && i <= STORE_KEY; i++) {
        err = make_table(db, sqlite_table((enum store_kind)i));
    }
    if (err != 0) {
        return err;
    }
    return run(db, "CREATE TRIGGER audit_fixed BEFORE UPDATE ON audit"
                   " BEGIN SELECT RAISE(ABORT, 'audit entries do not change'); END;"
                   "CREATE TABLE event (position INTEGER PRIMARY KEY AUTOINCREMENT,"
                   " tenant TEXT NOT NULL, meeting TEXT NOT NULL, epoch INTEGER NOT NULL,"
                   " seq INTEGER NOT NULL, type TEXT NOT NULL, at_us INTEGER NOT NULL,"
                   " acked INTEGER NOT NULL DEFAULT 0, doc TEXT NOT NULL,"
                   " UNIQUE (tenant, meeting, epoch, seq));"
                   "CREATE INDEX event_waiting ON event (position) WHERE acked = 0;"
                   "CREATE INDEX event_at ON event (at_us);"
                   "CREATE TABLE head (tenant TEXT NOT NULL, meeting TEXT NOT NULL,"
                   " epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
                   " PRIMARY KEY (tenant, meeting)) WITHOUT ROWID;");
}

/* Whom an event is about: for the erasure of a person. */
static int step_2(sqlite3 *db)
{
    return run(db, "ALTER TABLE event ADD COLUMN ref TEXT NOT NULL DEFAULT '';"
                   "CREATE INDEX event_ref ON event (tenant, ref) WHERE ref <> '';");
}

/* Who was there, from when to when. */
static int step_3(sqlite3 *db)
{
    return make_table(db, sqlite_table(STORE_ATTENDANCE));
}

/* How long it lasts, or recurs: of meetings that were made before as long as may be. */
static int step_4(sqlite3 *db)
{
    char sql[128];
    int err = 0;

    for (int i = 0; err == 0 && i <= STORE_ATTENDANCE; i++) {
        (void)snprintf(sql, sizeof(sql),
                       "ALTER TABLE %s ADD COLUMN until INTEGER NOT NULL DEFAULT 0",
                       sqlite_table((enum store_kind)i));
        err = run(db, sql);
    }
    return err != 0 ? err
                    : run(db, "UPDATE meeting SET until = 9223372036854775807"
                              " WHERE json_valid(doc)"
                              " AND doc ->> '$.meeting_type' = 'recurring'");
}

/* What events were a part of. */
static int step_5(sqlite3 *db)
{
    return run(db, "ALTER TABLE event ADD COLUMN trace TEXT NOT NULL DEFAULT ''");
}

/* Up to which position events are acknowledged, instead of a mark on each: they always were
 * in their order. Nothing is found by when it was. */
static int step_6(sqlite3 *db)
{
    return run(db, "CREATE TABLE outbox (acked INTEGER NOT NULL);"
                   "INSERT INTO outbox SELECT COALESCE((SELECT MIN(position) - 1 FROM event"
                   " WHERE acked = 0), (SELECT MAX(position) FROM event), 0);"
                   "DROP INDEX IF EXISTS event_waiting; DROP INDEX IF EXISTS event_at;"
                   "ALTER TABLE event DROP COLUMN acked");
}

/* What was recorded of meetings. */
static int step_7(sqlite3 *db)
{
    int err = make_table(db, sqlite_table(STORE_RECORDING));

    return err != 0 ? err
                    : run(db, "ALTER TABLE recording"
                              " ADD COLUMN until INTEGER NOT NULL DEFAULT 0");
}

static int (*const steps[])(sqlite3 *db) = {step_1, step_2, step_3, step_4,
                                            step_5, step_6, step_7};
enum { VERSION = sizeof(steps) / sizeof(steps[0]) };

static int read_version(sqlite3 *db, int *out)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(
        db, "SELECT COALESCE(MAX(version), 0) FROM schema_version", -1, &stmt, NULL);

    if (code == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        *out = sqlite3_column_int(stmt, 0);
        code = SQLITE_OK;
    } else {
        code = sqlite3_errcode(db);
    }
    (void)sqlite3_finalize(stmt);
    return code == SQLITE_OK ? 0 : sqlite_errno(db, code);
}

static int take_step(sqlite3 *db, int to)
{
    char sql[128];
    int err = run(db, "BEGIN IMMEDIATE");

    if (err != 0) {
        return err;
    }
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO schema_version VALUES (%d, strftime('%%s'));COMMIT", to);
    err = steps[to - 1](db);
    if (err == 0) {
        err = run(db, sql);
    }
    if (err != 0) {
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return err;
}

int sqlite_migrate(sqlite3 *db, char err[STORE_ERR_MAX])
{
    int version = 0;
    int ret = run(db, "CREATE TABLE IF NOT EXISTS schema_version"
                      " (version INTEGER PRIMARY KEY, at INTEGER NOT NULL)");

    if (ret == 0) {
        ret = read_version(db, &version);
    }
    if (ret == 0 && version > VERSION) {
        (void)snprintf(err, STORE_ERR_MAX,
                       "the store is of version %d, this program knows versions up to %d: "
                       "run the newer kcs-control, or restore a backup of before",
                       version, VERSION);
        return -ENOTSUP;
    }
    for (; ret == 0 && version < VERSION; version++) {
        ret = take_step(db, version + 1);
    }
    if (ret != 0) {
        (void)snprintf(err, STORE_ERR_MAX, "the store cannot be brought to version %d: %s",
                       VERSION, sqlite3_errmsg(db));
    }
    return ret;
}
