#include "rest/users.h"

#include <errno.h>

#include "auth/account.h"
#include "rest/rest.h"
#include "rest/task.h"

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text != NULL ? text : "";
}

static void on_added(void *arg, int err, const char *code,
                     const struct account_tokens *tokens)
{
    struct task *task = arg;

    if (err == -EEXIST) {
        task_refuse(task, 409, code, "there is an account of this login already");
    } else if (err != 0) {
        task_fail(task, err);
    } else {
        task->answer =
            json_pack("{s:s, s:s, s:s, s:s, s:s}", "user_id", tokens->who.user_id, "tenant",
                      tokens->who.tenant, "login", text_of(task->body, "login"), "name",
                      tokens->who.name, "role", auth_role_name(tokens->who.role));
        task_audit(task, tokens->who.user_id);
        task_commit(task);
    }
}

/* Of the administrator's own tenant. */
void users_create(const struct rest_call *call)
{
    struct task *task = task_new(call);
    enum auth_role role = AUTH_PRESENTER;
    int err;

    if (task == NULL) {
        return;
    }
    (void)auth_role_find(text_of(call->body, "role"), &role);
    err = accounts_add(call->conf->accounts, call->who.tenant, text_of(call->body, "login"),
                       text_of(call->body, "name"), role, text_of(call->body, "password"),
                       on_added, task);
    if (err == -EINVAL) {
        task_refuse(task, 400, "invalid",
                    "the login, the name or the password is too long");
    } else if (err != 0) {
        task_fail(task, err);
    }
}
