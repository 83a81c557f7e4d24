#include "rest/chat.h"

#include <string.h>

#include "rest/rest.h"
#include "rest/task.h"

/* One's own, what was said to all, and what was said to oneself. What was said in a
 * breakout room is for who was in it, and that is not kept: only its writer sees it here.
 */
static bool may_read(const struct task *task, const struct store_doc *doc,
                     const json_t *message)
{
    const char *to = json_string_value(json_object_get(message, "to"));
    bool in_breakout = json_integer_value(json_object_get(message, "group")) != 0;

    return strcmp(doc->ref, task->who.user_id) == 0 ||
           (to != NULL ? strcmp(to, task->who.user_id) == 0 : !in_breakout);
}

static json_t *message_of(struct task *task, const struct store_doc *doc)
{
    json_t *message = json_loads(doc->json, 0, NULL);

    if (message != NULL && !may_read(task, doc, message)) {
        json_decref(message);
        return NULL;
    }
    (void)json_object_del(message, "reactors"); /* the store's own */
    (void)json_object_del(message, "group");
    return message;
}

static void on_messages(void *arg, const struct store_result *result)
{
    task_answer_page(arg, result, message_of);
}

static void list(struct task *task)
{
    task_find_page(task, STORE_CHAT, task->params.at[0], true, on_messages);
}

void chat_list(const struct rest_call *call)
{
    task_begin_with_meeting(call, list);
}
