/* AsyncAPI 3.0 of the events; see document.h. One channel, the namespace /meeting; what a
 * client sends the node receives, and its ack is the reply. */
#include <stdio.h>
#include <string.h>

#include "schema/document.h"
#include "schema/json_schema.h"

enum { KEY_LEN = 80 };

/* "chat:send" and "ack" to "chat.send.ack": the names of a document's parts have no colons.
 */
static void part_name(const char *event, const char *more, char out[KEY_LEN])
{
    (void)snprintf(out, KEY_LEN, "%s%s%s", event, more[0] != '\0' ? "." : "", more);
    for (char *p = out; *p != '\0'; p++) {
        if (*p == ':') {
            *p = '.';
        }
    }
}

static json_t *message_ref(const char *event, const char *more)
{
    char key[KEY_LEN];

    part_name(event, more, key);
    return json_pack("{s:s+}", "$ref", "#/channels/meeting/messages/", key);
}

/* ---- messages ---- */

static void add_message(json_t *messages, const char *event, const char *more,
                        const char *doc, json_t *payload)
{
    char key[KEY_LEN];

    part_name(event, more, key);
    json_schema_set(messages, key,
                    json_pack("{s:s,s:s,s:s,s:o}", "name", event, "title", key, "summary",
                              doc, "payload", payload));
}

/* What a payload has when the server tells it. */
static json_t *stamped(const struct schema_event *event, json_t *components)
{
    json_t *payload = json_schema_ref(event->payload, components);
    const char *stamp = (event->flags & SCHEMA_FACT) != 0      ? "Fact"
                        : (event->flags & SCHEMA_STAMPED) != 0 ? "Stamp"
                                                               : NULL;

    return stamp == NULL ? payload
                         : json_pack("{s:[o,{s:s+}]}", "allOf", payload, "$ref",
                                     "#/components/schemas/", stamp);
}

static json_t *ok(const struct schema_object *reply, json_t *components)
{
    return json_pack("{s:[{s:s},o]}", "allOf", "$ref", "#/components/schemas/Ok",
                     json_schema_ref(reply, components));
}

static json_t *ack(const struct schema_event *event, json_t *components)
{
    json_t *any = json_pack("[o,{s:s}]", ok(event->reply, components), "$ref",
                            "#/components/schemas/Refused");

    if (event->instead != NULL) {
        json_schema_add(any, ok(event->instead, components));
    }
    return json_pack("{s:o}", "oneOf", any);
}

/* ---- operations ---- */

static json_t *operation(const struct schema_event *event)
{
    char roles[256], text[640];
    json_t *out;

    json_schema_roles(event->who, roles, sizeof(roles));
    (void)snprintf(text, sizeof(text), "Needs `%s` (%s): %s.%s%s%s%s%s",
                   auth_permission_name(event->who), auth_permission_doc(event->who), roles,
                   event->told                            ? ""
                   : (event->flags & SCHEMA_OUTSIDE) != 0 ? " Needs no room."
                                                          : " Needs a room.",
                   event->alias != NULL ? " Alias: " : "",
                   event->alias != NULL ? event->alias : "",
                   event->tells != NULL ? " Others are told: " : "",
                   event->tells != NULL ? event->tells : "");
    out =
        json_pack("{s:s,s:{s:s},s:[o],s:s,s:s}", "action", event->told ? "send" : "receive",
                  "channel", "$ref", "#/channels/meeting", "messages",
                  message_ref(event->name, event->told ? "told" : ""), "summary",
                  event->doc, "description", text);
    json_schema_set(out, "x-permission", json_string(auth_permission_name(event->who)));
    if ((event->flags & SCHEMA_LATER) != 0) {
        json_schema_set(out, "x-not-implemented", json_true());
    }
    if (!event->told) {
        json_schema_set(out, "reply",
                        json_pack("{s:{s:s},s:[o]}", "channel", "$ref",
                                  "#/channels/meeting", "messages",
                                  message_ref(event->name, "ack")));
        if (event->paired != NULL) {
            json_schema_set(out, "x-paired", json_string(event->paired));
        }
    }
    return out;
}

static void add_event(const struct schema_event *event, json_t *messages,
                      json_t *operations, json_t *components)
{
    char key[KEY_LEN];

    part_name(event->name, event->told ? "told" : "", key);
    add_message(messages, event->name, event->told ? "told" : "", event->doc,
                stamped(event, components));
    if (!event->told) {
        add_message(messages, event->name, "ack", "The answer.", ack(event, components));
    }
    json_schema_set(operations, key, operation(event));
}

/* ---- what all share ---- */

static json_t *stamp(bool fact)
{
    json_t *out = json_pack(
        "{s:s,s:s,s:[s,s],s:{s:{s:s},s:{s:s,s:s}}}", "type", "object", "description",
        fact ? "a lasting fact: seq rises with each of the meeting, with gaps"
             : "what each event about a meeting has",
        "required", "meeting_id", "timestamp", "properties", "meeting_id", "type", "string",
        "timestamp", "type", "string", "format", "date-time");

    if (fact) {
        json_t *required = json_object_get(out, "required");
        json_t *properties = json_object_get(out, "properties");

        for (size_t i = 0; i < 2; i++) {
            const char *name = i == 0 ? "epoch" : "seq";

            json_schema_add(required, json_string(name));
            json_schema_set(properties, name,
                            json_pack("{s:s,s:i}", "type", "integer", "minimum", 0));
        }
    }
    return out;
}

static void add_shared(json_t *components)
{
    json_schema_set(components, "Stamp", stamp(false));
    json_schema_set(components, "Fact", stamp(true));
    json_schema_set(components, "Ok",
                    json_pack("{s:s,s:[s],s:{s:{s:b}}}", "type", "object", "required", "ok",
                              "properties", "ok", "const", 1));
    json_schema_set(
        components, "Refused",
        json_pack("{s:s,s:[s,s],s:{s:{s:b},s:{s:s,s:[s,s],s:{s:{s:s},s:{s:s},s:{s:s},"
                  "s:{s:s,s:{s:s,s:[s,s],s:{s:{s:s},s:{s:s}}}}}}}}",
                  "type", "object", "required", "ok", "error", "properties", "ok", "const",
                  0, "error", "type", "object", "required", "code", "message", "properties",
                  "code", "type", "string", "message", "type", "string", "retry_after_ms",
                  "type", "integer", "errors", "type", "array", "items", "type", "object",
                  "required", "path", "reason", "properties", "path", "type", "string",
                  "reason", "type", "string"));
}

json_t *schema_asyncapi(const char *version)
{
    json_t *components = json_object();
    json_t *operations = json_object();
    json_t *messages = json_object();
    const struct schema_event *event;

    add_shared(components);
    for (size_t i = 0; (event = schema_event_at(i)) != NULL; i++) {
        add_event(event, messages, operations, components);
    }
    return json_schema_whole(json_pack(
        "{s:s,s:{s:s,s:s,s:s},s:s,s:{s:{s:s,s:s,s:o}},s:o,s:{s:o}}", "asyncapi", "3.0.0",
        "info", "title", "KCS meetings", "version", version, "description",
        "Socket.IO v4, path /socket.io/, namespace /meeting, auth: {token}. Made from the "
        "table that events are checked against.",
        "defaultContentType", "application/json", "channels", "meeting", "address",
        "/meeting", "description", "The namespace.", "messages", messages, "operations",
        operations, "components", "schemas", components));
}
