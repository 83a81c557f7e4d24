/* POST /api/auth/login, /refresh and /logout: auth/account.h over HTTP. */
#include "rest/login.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth/account.h"
#include "rest/rest.h"
#include "rest/task.h"
#include "sys/clock.h"

/* -errno without an answer to come. */
static void refuse(struct task *task, int err)
{
    if (err == -EINVAL) {
        task_refuse(task, 401, "bad_credentials", "the token or the password was refused");
    } else {
        task_fail(task, err);
    }
}

static void on_tokens(void *arg, int err, const char *code,
                      const struct account_tokens *tokens)
{
    struct task *task = arg;

    if (tokens != NULL) {
        task->who = tokens->who;
    }
    if (err == -EPERM) {
        if (task_text(task->body, "login") != NULL || tokens != NULL) {
            task_note(task, task_text(task->body, "login"), "refused");
        } /* else a refresh token that was never one: nobody's */
        task_refuse(task, 401, code, "refused");
    } else if (err == -EAGAIN) {
        task_refuse(task, 503, code, "too many at once; try again in a second");
    } else if (err != 0) {
        task_fail(task, err);
    } else if (tokens == NULL) { /* a logout */
        task_note(task, NULL, "ok");
        task_answer(task, NULL, 0);
    } else {
        if (task_text(task->body, "login") != NULL) { /* else it goes on with one */
            task_note(task, task_text(task->body, "login"), "ok");
        }
        task_answer(task,
                    json_pack("{s:s, s:s, s:I, s:s, s:I, s:s, s:s, s:s, s:s}",
                              "access_token", tokens->access, "token_type", "Bearer",
                              "expires_in_s", (json_int_t)tokens->access_s, "refresh_token",
                              tokens->refresh, "refresh_expires_in_s",
                              (json_int_t)tokens->refresh_s, "user_id", tokens->who.user_id,
                              "tenant", tokens->who.tenant, "name", tokens->who.name,
                              "role", auth_role_name(tokens->who.role)),
                    0);
    }
}

void login_begin(const struct rest_call *call)
{
    struct task *task = task_new(call);
    const char *tenant = task_text(call->body, "tenant");
    int err;

    if (task == NULL) {
        return;
    }
    /* the entry is of the tenant that was asked for: it has no other */
    (void)snprintf(task->who.tenant, sizeof(task->who.tenant), "%s",
                   tenant != NULL ? tenant : "");
    err = accounts_login(call->conf->accounts, tenant != NULL ? tenant : "",
                         task_text(call->body, "login"), task_text(call->body, "password"),
                         on_tokens, task);
    if (err != 0) {
        refuse(task, err);
    }
}

void login_refresh(const struct rest_call *call)
{
    struct task *task = task_new(call);
    int err;

    if (task == NULL) {
        return;
    }
    err = accounts_refresh(call->conf->accounts, task_text(call->body, "refresh_token"),
                           on_tokens, task);
    if (err != 0) {
        refuse(task, err);
    }
}

void login_end(const struct rest_call *call)
{
    struct task *task = task_new(call);
    int err;

    if (task == NULL) {
        return;
    }
    if (call->who.jti[0] == '\0') {
        task_refuse(task, 409, "not_revocable",
                    "the token has no id (jti): it ends when it expires");
        return;
    }
    err = accounts_logout(call->conf->accounts, &call->who,
                          task_text(call->body, "refresh_token"), on_tokens, task);
    if (err != 0) {
        refuse(task, err);
    }
}
