/* What SQLite itself says of a file. */
#ifndef TESTS_STORE_SQLITE_ASK_H
#define TESTS_STORE_SQLITE_ASK_H

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static inline int64_t ask_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    int64_t answer;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    answer = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return answer;
}

static inline void assert_whole(const char *path)
{
    assert_int_equal(ask_sql(path, "SELECT COUNT(*) FROM pragma_integrity_check"
                                   " WHERE integrity_check = 'ok'"),
                     1);
}

#endif
