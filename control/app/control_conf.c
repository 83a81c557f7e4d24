#include "app/control_conf.h"

#include <arpa/inet.h>
#include <ctype.h>

#include "sfu/conf/conf.h"
#include "sys/prefix.h"

static const struct control_conf defaults = {
    .dataplane = {.socket = "/run/kcs/dataplane.sock"},
    .http = {{.address = "::", .port = 8080}},
    .n_http = 1,
    .admin = {.socket = "/run/kcs/admin.sock",
              .metrics_address = "127.0.0.1",
              .metrics_port = 9090},
    .web = {.root = "/usr/share/kcs/web"},
    .auth = {.hs256_secret_file = "",
             .access_minutes = 15,
             .refresh_days = 7,
             .refresh_grace_s = 10,
             .key_days = 30,
             .hash_threads = 1,
             .hash_queue = 64},
    .store = {.path = "/var/lib/kcs/kcs.db", .event_days = 30, .audit_days = 365},
    .events = {.kafka = {.create_topics = true, .partitions = 6},
               .file = {.max_mb = 100, .keep = 10}},
    .socketio = {.ping_interval_ms = 25000,
                 .ping_timeout_ms = 20000,
                 .max_payload = 1000000},
    .dtls = {.threads = 1},
    .recording = {.memory_mb = 1024,
                  .s3 = {.region = "us-east-1"},
                  .renditions = {{720, 3000}, {360, 800}, {180, 250}},
                  .n_renditions = 3},
    .limits = {.connections = 20000,
               .connections_per_address = 4000,
               .rooms = 4096,
               .participants = 20000,
               .participants_per_room = 10000,
               .joins_waiting = 2000,
               .join_wait_ms = 4000,
               .producers_per_participant = 16,
               .consumers_per_participant = 256,
               .handshakes_per_address = 1000,
               .requests_per_address = 100,
               .requests_per_user = 50,
               .logins_per_address = 30},
    .log = {.level = CONTROL_LOG_INFO},
    .tracing = {.otlp = {.percent = 100}},
};

static const cyaml_strval_t level_names[] = {
    {"error", CONTROL_LOG_ERROR},
    {"warn", CONTROL_LOG_WARN},
    {"info", CONTROL_LOG_INFO},
    {"debug", CONTROL_LOG_DEBUG},
};

static const cyaml_strval_t synchronous_names[] = {
    {"full", CONTROL_SYNC_FULL},
    {"normal", CONTROL_SYNC_NORMAL},
};

static const cyaml_schema_field_t dataplane_fields[] = {
    CONF_STRING("socket", struct control_dataplane, socket),
    CONF_END,
};

static const cyaml_schema_field_t tls_fields[] = {
    CONF_STRING("cert", struct control_tls, cert),
    CONF_STRING("key", struct control_tls, key),
    CONF_END,
};

static const cyaml_schema_field_t http_fields[] = {
    CONF_STRING("address", struct control_http, address),
    CONF_UINT("port", struct control_http, port, 1, 65535),
    CONF_MAPPING("tls", struct control_http, tls, tls_fields),
    CONF_END,
};

static const cyaml_schema_value_t http_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct control_http, http_fields)};

static const cyaml_schema_field_t proxy_fields[] = {
    CONF_STRING("network", struct control_proxy, network),
    CONF_END,
};

static const cyaml_schema_value_t proxy_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct control_proxy, proxy_fields)};

static const cyaml_schema_field_t ice_server_fields[] = {
    CONF_STRING("url", struct control_ice_server, url),
    CONF_STRING("username", struct control_ice_server, username),
    CONF_STRING("credential", struct control_ice_server, credential),
    CONF_STRING("secret", struct control_ice_server, secret),
    CONF_STRING("secret_file", struct control_ice_server, secret_file),
    CONF_END,
};

static const cyaml_schema_value_t ice_server_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct control_ice_server, ice_server_fields)};

static const cyaml_schema_field_t admin_fields[] = {
    CONF_STRING("socket", struct control_admin, socket),
    CONF_STRING("metrics_address", struct control_admin, metrics_address),
    CONF_UINT("metrics_port", struct control_admin, metrics_port, 1, 65535),
    CONF_END,
};

static const cyaml_schema_field_t web_fields[] = {
    CONF_STRING("root", struct control_web, root),
    CONF_END,
};

static const cyaml_schema_field_t issuer_fields[] = {
    CONF_STRING("jwks_file", struct control_issuer, jwks_file),
    CONF_STRING("issuer", struct control_issuer, issuer),
    CONF_STRING("audience", struct control_issuer, audience),
    CONF_STRING("tenant", struct control_issuer, tenant),
    CONF_END,
};

static const cyaml_schema_value_t issuer_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct control_issuer, issuer_fields)};

static const cyaml_schema_field_t auth_fields[] = {
    CONF_STRING("hs256_secret_file", struct control_auth, hs256_secret_file),
    CONF_STRING("hs256_secret", struct control_auth, hs256_secret),
    CONF_UINT("access_minutes", struct control_auth, access_minutes, 1, 1440),
    CONF_UINT("refresh_days", struct control_auth, refresh_days, 1, 365),
    CONF_UINT("refresh_grace_s", struct control_auth, refresh_grace_s, 0, 60),
    CONF_UINT("key_days", struct control_auth, key_days, 1, 3650),
    CONF_UINT("hash_threads", struct control_auth, hash_threads, 1, 16),
    CONF_UINT("hash_queue", struct control_auth, hash_queue, 1, 4096),
    CONF_LIST("issuers", struct control_auth, issuers, n_issuers, &issuer_value),
    CONF_END,
};

static const cyaml_schema_field_t s3_fields[] = {
    CONF_STRING("endpoint", struct control_s3, endpoint),
    CONF_STRING("bucket", struct control_s3, bucket),
    CONF_STRING("prefix", struct control_s3, prefix),
    CONF_STRING("region", struct control_s3, region),
    CONF_STRING("access_key", struct control_s3, access_key),
    CONF_STRING("secret_key", struct control_s3, secret_key),
    CONF_STRING("secret_key_file", struct control_s3, secret_key_file),
    CONF_BOOL("keep_local", struct control_s3, keep_local),
    CONF_BOOL("allow_loopback", struct control_s3, allow_loopback),
    CONF_END,
};

static const cyaml_schema_field_t rendition_fields[] = {
    CONF_UINT("height", struct control_rendition, height, 90, 720),
    CONF_UINT("kbps", struct control_rendition, kbps, 50, 20000),
    CONF_END,
};

static const cyaml_schema_value_t rendition_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct control_rendition, rendition_fields)};

static const cyaml_schema_field_t recording_fields[] = {
    CONF_STRING("directory", struct control_recording, directory),
    CONF_STRING("live", struct control_recording, live),
    CONF_STRING("program", struct control_recording, program),
    CONF_UINT("memory_mb", struct control_recording, memory_mb, 0, 1000000),
    CONF_UINT("quota_mb", struct control_recording, quota_mb, 0, 1000000000),
    CONF_UINT("retention_days", struct control_recording, retention_days, 0, 3650),
    CONF_MAPPING("s3", struct control_recording, s3, s3_fields),
    CONF_LIST("renditions", struct control_recording, renditions, n_renditions,
              &rendition_value),
    CONF_STRING("push_ca_file", struct control_recording, push_ca_file),
    CONF_BOOL("push_private", struct control_recording, push_private),
    CONF_END,
};

static const cyaml_schema_field_t store_fields[] = {
    CONF_STRING("path", struct control_store, path),
    CONF_STRING("url", struct control_store, url),
    CONF_STRING("url_file", struct control_store, url_file),
    CONF_ENUM("synchronous", struct control_store, synchronous, synchronous_names),
    CONF_UINT("max_mb", struct control_store, max_mb, 0, 1000000),
    CONF_UINT("event_days", struct control_store, event_days, 1, 3650),
    CONF_UINT("audit_days", struct control_store, audit_days, 1, 36500),
    CONF_END,
};

static const cyaml_schema_field_t setting_fields[] = {
    CONF_STRING("name", struct control_setting, name),
    CONF_STRING("value", struct control_setting, value),
    CONF_STRING("value_file", struct control_setting, value_file),
    CONF_END,
};

static const cyaml_schema_value_t setting_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct control_setting, setting_fields)};

static const cyaml_schema_field_t kafka_fields[] = {
    CONF_STRING("brokers", struct control_kafka, brokers),
    CONF_BOOL("create_topics", struct control_kafka, create_topics),
    CONF_UINT("partitions", struct control_kafka, partitions, 1, 10000),
    CONF_UINT("replication", struct control_kafka, replication, 0, 100),
    CONF_LIST("settings", struct control_kafka, settings, n_settings, &setting_value),
    CONF_END,
};

static const cyaml_schema_field_t event_file_fields[] = {
    CONF_STRING("path", struct control_event_file, path),
    CONF_UINT("max_mb", struct control_event_file, max_mb, 0, 1000000),
    CONF_UINT("keep", struct control_event_file, keep, 0, 1000),
    CONF_END,
};

static const cyaml_schema_field_t webhook_fields[] = {
    CONF_STRING("url", struct control_webhook, url),
    CONF_STRING("secret", struct control_webhook, secret),
    CONF_STRING("secret_file", struct control_webhook, secret_file),
    CONF_STRING("types", struct control_webhook, types),
    CONF_UINT("give_up_hours", struct control_webhook, give_up_hours, 0, 8760),
    CONF_END,
};

static const cyaml_schema_value_t webhook_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct control_webhook, webhook_fields)};

static const cyaml_schema_field_t events_fields[] = {
    CONF_BOOL("chat_text", struct control_events, chat_text),
    CONF_MAPPING("kafka", struct control_events, kafka, kafka_fields),
    CONF_MAPPING("file", struct control_events, file, event_file_fields),
    CONF_LIST("webhooks", struct control_events, webhooks, n_webhooks, &webhook_value),
    CONF_END,
};

static const cyaml_schema_field_t meetings_fields[] = {
    CONF_BOOL("require_stored", struct control_meetings, require_stored),
    CONF_END,
};

static const cyaml_schema_field_t origin_fields[] = {
    CONF_STRING("origin", struct control_origin, origin),
    CONF_END,
};

static const cyaml_schema_value_t origin_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct control_origin, origin_fields)};

static const cyaml_schema_field_t socketio_fields[] = {
    CONF_UINT("ping_interval_ms", struct control_socketio, ping_interval_ms, 100, 600000),
    CONF_UINT("ping_timeout_ms", struct control_socketio, ping_timeout_ms, 100, 600000),
    CONF_UINT("max_payload", struct control_socketio, max_payload, 1024, 16777216),
    CONF_BOOL("compression", struct control_socketio, compression),
    CONF_END,
};

static const cyaml_schema_field_t dtls_fields[] = {
    CONF_UINT("threads", struct control_dtls, threads, 1, 16),
    CONF_END,
};

static const cyaml_schema_field_t audio_fields[] = {
    CONF_UINT("loudest", struct control_audio, loudest, 0, 64),
    CONF_BOOL("keep_silence", struct control_audio, keep_silence),
    CONF_END,
};

static const cyaml_schema_field_t limits_fields[] = {
    CONF_UINT("connections", struct control_limits, connections, 1, 1000000),
    CONF_UINT("connections_per_address", struct control_limits, connections_per_address, 0,
              1000000),
    CONF_UINT("handshakes_per_address", struct control_limits, handshakes_per_address, 0,
              1000000),
    CONF_UINT("rooms", struct control_limits, rooms, 1, 1000000),
    CONF_UINT("participants", struct control_limits, participants, 1, 1000000),
    CONF_UINT("participants_per_room", struct control_limits, participants_per_room, 1,
              10000),
    CONF_UINT("joins_waiting", struct control_limits, joins_waiting, 0, 100000),
    CONF_UINT("join_wait_ms", struct control_limits, join_wait_ms, 100, 60000),
    CONF_UINT("producers_per_participant", struct control_limits, producers_per_participant,
              1, 256),
    CONF_UINT("consumers_per_participant", struct control_limits, consumers_per_participant,
              1, 1024),
    CONF_UINT("requests_per_address", struct control_limits, requests_per_address, 0,
              1000000),
    CONF_UINT("requests_per_user", struct control_limits, requests_per_user, 0, 1000000),
    CONF_UINT("logins_per_address", struct control_limits, logins_per_address, 0, 1000000),
    CONF_END,
};

static const cyaml_schema_field_t shutdown_fields[] = {
    CONF_UINT("drain_s", struct control_shutdown, drain_s, 0, 86400),
    CONF_END,
};

static const cyaml_schema_field_t log_fields[] = {
    CONF_ENUM("level", struct control_log, level, level_names),
    CONF_END,
};

static const cyaml_schema_field_t otlp_fields[] = {
    CONF_STRING("endpoint", struct control_otlp, endpoint),
    CONF_LIST("headers", struct control_otlp, headers, n_headers, &setting_value),
    CONF_UINT("percent", struct control_otlp, percent, 0, 100),
    CONF_END,
};

static const cyaml_schema_field_t tracing_fields[] = {
    CONF_MAPPING("otlp", struct control_tracing, otlp, otlp_fields),
    CONF_END,
};

static const cyaml_schema_field_t fields[] = {
    CONF_MAPPING("dataplane", struct control_conf, dataplane, dataplane_fields),
    CONF_LIST("http", struct control_conf, http, n_http, &http_value),
    CONF_LIST("trusted_proxies", struct control_conf, proxies, n_proxies, &proxy_value),
    CONF_LIST("ice_servers", struct control_conf, ice_servers, n_ice_servers,
              &ice_server_value),
    CONF_MAPPING("admin", struct control_conf, admin, admin_fields),
    CONF_MAPPING("web", struct control_conf, web, web_fields),
    CONF_MAPPING("auth", struct control_conf, auth, auth_fields),
    CONF_MAPPING("store", struct control_conf, store, store_fields),
    CONF_MAPPING("events", struct control_conf, events, events_fields),
    CONF_MAPPING("meetings", struct control_conf, meetings, meetings_fields),
    CONF_LIST("cors", struct control_conf, cors, n_cors, &origin_value),
    CONF_MAPPING("socketio", struct control_conf, socketio, socketio_fields),
    CONF_MAPPING("dtls", struct control_conf, dtls, dtls_fields),
    CONF_MAPPING("audio", struct control_conf, audio, audio_fields),
    CONF_MAPPING("recording", struct control_conf, recording, recording_fields),
    CONF_MAPPING("limits", struct control_conf, limits, limits_fields),
    CONF_MAPPING("shutdown", struct control_conf, shutdown, shutdown_fields),
    CONF_MAPPING("log", struct control_conf, log, log_fields),
    CONF_MAPPING("tracing", struct control_conf, tracing, tracing_fields),
    CONF_END,
};

static const cyaml_schema_value_t top = CONF_TOP(struct control_conf, fields);

static bool is_ice_url(const char *text)
{
    return (strncmp(text, "stun:", 5) == 0 || strncmp(text, "stuns:", 6) == 0 ||
            strncmp(text, "turn:", 5) == 0 || strncmp(text, "turns:", 6) == 0) &&
           strpbrk(text, "<> \"\r\n") == NULL;
}

/* RFC 9110, section 5.6.2. */
static bool is_token(const char *text)
{
    return text[0] != '\0' &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789!#$%&'*+-.^_`|~")] == '\0';
}

/* Of a URL of which nothing but scheme, host and port may be said. */
static bool is_origin(const char *text)
{
    return (strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0) &&
           strpbrk(strstr(text, "//") + 2, "/*?#@ \"\\\r\n") == NULL;
}

/* What stands in a path as it is. */
static bool is_plain(const char *text, const char *more)
{
    for (; *text != '\0'; text++) {
        if (!isalnum((unsigned char)*text) && strchr(more, *text) == NULL) {
            return false;
        }
    }
    return true;
}

static const char *check(const char *key, const char *text)
{
    unsigned char ip[16];
    struct prefix prefix;

    if ((strcmp(key, "http.address") == 0 || strcmp(key, "admin.metrics_address") == 0) &&
        inet_pton(AF_INET, text, ip) != 1 && inet_pton(AF_INET6, text, ip) != 1) {
        return "an IPv4 or IPv6 address";
    }
    if (strcmp(key, "trusted_proxies.network") == 0 && prefix_parse(text, &prefix) != 0) {
        return "a network like 10.0.0.0/8, or an address";
    }
    if ((strcmp(key, "dataplane.socket") == 0 || strcmp(key, "admin.socket") == 0) &&
        text[0] == '\0') {
        return "set";
    }
    if (strcmp(key, "auth.hs256_secret") == 0 && text[0] != '\0' &&
        strlen(text) < CONTROL_CONF_SECRET_MIN) {
        return "at least 32 bytes (openssl rand -hex 32)";
    }
    if (strcmp(key, "cors.origin") == 0 && !is_origin(text)) {
        return "an origin like https://HOST or https://HOST:PORT";
    }
    if (strcmp(key, "ice_servers.url") == 0 && !is_ice_url(text)) {
        return "a URL like stun:HOST:PORT or turn:HOST:PORT?transport=udp";
    }
    if (strcmp(key, "tracing.otlp.endpoint") == 0 && text[0] != '\0' &&
        strncmp(text, "https://", 8) != 0 && strncmp(text, "http://", 7) != 0) {
        return "a URL like http://HOST:4318";
    }
    if (strcmp(key, "tracing.otlp.headers.name") == 0 && !is_token(text)) {
        return "a header's name, like authorization";
    }
    if (strcmp(key, "tracing.otlp.headers.value") == 0 && strpbrk(text, "\r\n") != NULL) {
        return "without line breaks";
    }
    if (strcmp(key, "recording.s3.endpoint") == 0 && text[0] != '\0' && !is_origin(text)) {
        return "a URL like https://HOST or https://HOST:PORT";
    }
    if (strcmp(key, "recording.s3.bucket") == 0 && !is_plain(text, "-._")) {
        return "of letters, digits, '-', '.' and '_'";
    }
    if (strcmp(key, "recording.s3.prefix") == 0 &&
        (!is_plain(text, "-._/") || text[0] == '/' || strstr(text, "//") != NULL ||
         (text[0] != '\0' && text[strlen(text) - 1] == '/'))) {
        return "of letters, digits, '-', '.' and '_', with '/' between";
    }
    if (strcmp(key, "recording.s3.region") == 0 && !is_plain(text, "-")) {
        return "of letters, digits and '-'";
    }
    if (strcmp(key, "recording.s3.access_key") == 0 && !is_plain(text, "-._+=/")) {
        return "of letters, digits and -._+=/";
    }
    if (strcmp(key, "events.webhooks.url") == 0 && strncmp(text, "https://", 8) != 0 &&
        strncmp(text, "http://", 7) != 0) {
        return "a URL like https://HOST/PATH";
    }
    if (strncmp(key, "ice_servers.", strlen("ice_servers.")) == 0 &&
        strpbrk(text, "\"\\\r\n") != NULL) {
        return "without quotes, backslashes and line breaks";
    }
    return NULL;
}

static const struct conf_spec spec = {
    .schema = &top, .defaults = &defaults, .check = check};

/* Viewers and encoders count on the order: each is made of the one above it. */
static int check_renditions(const char *path, const struct control_recording *recording,
                            char *err, size_t cap)
{
    unsigned above = UINT16_MAX;

    if (recording->n_renditions == 0) {
        snprintf(err, cap, "%s: recording.renditions is empty: nothing could be seen",
                 path);
        return -EINVAL;
    }
    for (uint32_t i = 0; i < recording->n_renditions; i++) {
        const struct control_rendition *rendition = &recording->renditions[i];

        if (rendition->height == 0 || rendition->kbps == 0 || rendition->height >= above) {
            snprintf(err, cap,
                     "%s: recording.renditions[%u] needs a 'height', less than the one "
                     "before, and 'kbps'",
                     path, i);
            return -EINVAL;
        }
        above = rendition->height;
    }
    return 0;
}

static int check_recording(const char *path, const struct control_recording *recording,
                           char *err, size_t cap)
{
    const struct control_s3 *s3 = &recording->s3;

    if (s3->endpoint[0] != '\0' &&
        (recording->directory[0] == '\0' || s3->bucket[0] == '\0' ||
         s3->region[0] == '\0' || s3->access_key[0] == '\0' ||
         (s3->secret_key[0] == '\0') == (s3->secret_key_file[0] == '\0'))) {
        (void)snprintf(
            err, cap,
            "%s: recording.s3 needs a 'bucket', a 'region', an 'access_key', one "
            "of 'secret_key' and 'secret_key_file', and recording.directory",
            path);
        return -EINVAL;
    }
    return check_renditions(path, recording, err, cap);
}

/* What no single line shows; a listener without an address listens on all. */
static int check_whole(const char *path, struct control_conf *conf, char *err, size_t cap)
{
    if (conf->n_http == 0) {
        snprintf(err, cap, "%s: http is empty: nobody could connect", path);
        return -EINVAL;
    }
    for (uint32_t i = 0; i < conf->n_proxies; i++) {
        if (conf->proxies[i].network[0] == '\0') {
            snprintf(err, cap, "%s: trusted_proxies[%u] needs a 'network'", path, i);
            return -EINVAL;
        }
    }
    for (uint32_t i = 0; i < conf->n_ice_servers; i++) {
        const struct control_ice_server *server = &conf->ice_servers[i];

        if (server->username[0] != '\0' &&
            (server->secret[0] != '\0' || server->secret_file[0] != '\0')) {
            snprintf(err, cap,
                     "%s: ice_servers[%u] has both a username and a secret, with "
                     "which usernames are made",
                     path, i);
            return -EINVAL;
        }
    }
    for (uint32_t i = 0; i < conf->events.n_webhooks; i++) {
        const struct control_webhook *hook = &conf->events.webhooks[i];

        if (hook->url[0] == '\0' ||
            (hook->secret[0] == '\0') == (hook->secret_file[0] == '\0')) {
            snprintf(err, cap,
                     "%s: events.webhooks[%u] needs a 'url' and one of 'secret' and "
                     "'secret_file'",
                     path, i);
            return -EINVAL;
        }
    }
    for (uint32_t i = 0; i < conf->n_http; i++) {
        struct control_http *http = &conf->http[i];

        if (http->port == 0) {
            snprintf(err, cap, "%s: http[%u] needs a 'port'", path, i);
            return -EINVAL;
        }
        if ((http->tls.cert[0] == '\0') != (http->tls.key[0] == '\0')) {
            snprintf(err, cap, "%s: http[%u].tls needs both 'cert' and 'key'", path, i);
            return -EINVAL;
        }
        if (http->address[0] == '\0') {
            snprintf(http->address, sizeof(http->address), "::");
        }
    }
    return check_recording(path, &conf->recording, err, cap);
}

int control_conf_load(const char *path, struct control_conf *out, char *err, size_t cap)
{
    int ret;

    if (path == NULL) {
        *out = defaults;
        return 0;
    }
    ret = conf_load(path, &spec, out, err, cap);
    return ret != 0 ? ret : check_whole(path, out, err, cap);
}

/* Takes 'secret' (borrowed) for the configuration; 'from' names its source in the error. */
static int take_secret(struct control_conf *conf, const char *secret, size_t len,
                       const char *from, char *err, size_t cap)
{
    if (len < CONTROL_CONF_SECRET_MIN || len >= sizeof(conf->auth.hs256_secret)) {
        snprintf(
            err, cap,
            "%s: the HS256 secret has %zu bytes and must have %d to %zu: make one with "
            "'openssl rand -hex 32'",
            from, len, CONTROL_CONF_SECRET_MIN, sizeof(conf->auth.hs256_secret) - 1);
        return -EINVAL;
    }
    memmove(conf->auth.hs256_secret, secret, len);
    conf->auth.hs256_secret[len] = '\0';
    return 0;
}

/* The first line of a file of a secret, whose key is named in the error; the caller's to
 * wipe
 * ('size') and free. */
static int read_secret(const char *key, const char *path, const char *how_to_make_one,
                       char **text, size_t *len, size_t *size, char *err, size_t cap)
{
    int ret = conf_slurp(path, text, size);

    *len = 0;
    if (*text == NULL) {
        snprintf(err, cap, "%s %s: %s; %s%s'", key, path, strerror(-ret),
                 ret == -ENOENT
                     ? how_to_make_one
                     : "the user of kcs-control must be able to read it: 'ls -l ",
                 path);
        return ret;
    }
    while (*len < *size && strchr("\n\r", (*text)[*len]) == NULL) { /* NUL too */
        (*len)++;
    }
    return 0;
}

static void wipe(char *text, size_t size)
{
    if (text != NULL) {
        explicit_bzero(text, size);
        free(text);
    }
}

static int signing_secret(struct control_conf *conf, char *err, size_t cap)
{
    const char *env = getenv("KCS_HS256_SECRET");
    const char *path = conf->auth.hs256_secret_file;
    const char *secret = conf->auth.hs256_secret;
    char *text = NULL;
    size_t len, size = 0;
    int ret;

    if (env != NULL && env[0] != '\0') {
        return take_secret(conf, env, strlen(env), "KCS_HS256_SECRET", err, cap);
    }
    if (path[0] == '\0') {
        if (secret[0] != '\0') {
            return take_secret(conf, secret, strlen(secret), "auth.hs256_secret", err, cap);
        }
        snprintf(err, cap,
                 "no HS256 secret: run 'openssl rand -hex 32 > FILE' and set "
                 "auth.hs256_secret_file: FILE (or set KCS_HS256_SECRET)");
        return -ENOENT;
    }
    ret =
        read_secret("auth.hs256_secret_file", path, "make it with 'openssl rand -hex 32 > ",
                    &text, &len, &size, err, cap);
    if (ret == 0) {
        ret = take_secret(conf, text, len, path, err, cap);
    }
    wipe(text, size);
    return ret;
}

/* Fills 'secret' (of 'size' bytes) with the first line of 'path', if there is one. */
static int fill_secret(const char *key, const char *path, const char *how_to_make_one,
                       char *secret, size_t size, char *err, size_t cap)
{
    char *text = NULL;
    size_t len, text_size = 0;
    int ret = 0;

    if (path[0] == '\0') {
        return 0;
    }
    ret = read_secret(key, path, how_to_make_one, &text, &len, &text_size, err, cap);
    if (ret == 0 && (len == 0 || len >= size)) {
        snprintf(err, cap, "%s %s: its first line has %zu bytes and must have 1 to %zu",
                 key, path, len, size - 1);
        ret = -EINVAL;
    }
    if (ret == 0) {
        memcpy(secret, text, len);
        secret[len] = '\0';
    }
    wipe(text, text_size);
    return ret;
}

int control_conf_secrets(struct control_conf *conf, char *err, size_t cap)
{
    struct control_events *events = &conf->events;
    struct control_otlp *otlp = &conf->tracing.otlp;
    int ret = signing_secret(conf, err, cap);

    if (ret == 0) {
        ret = fill_secret("store.url_file", conf->store.url_file,
                          "write mongodb://USER:PASSWORD@HOST/DATABASE into '",
                          conf->store.url, sizeof(conf->store.url), err, cap);
    }
    if (ret == 0) {
        struct control_s3 *s3 = &conf->recording.s3;

        ret = fill_secret("recording.s3.secret_key_file", s3->secret_key_file,
                          "write the access key's secret into '", s3->secret_key,
                          sizeof(s3->secret_key), err, cap);
    }
    for (uint32_t i = 0; ret == 0 && i < conf->n_ice_servers; i++) {
        struct control_ice_server *server = &conf->ice_servers[i];

        ret = fill_secret("ice_servers.secret_file", server->secret_file,
                          "write static-auth-secret of the TURN server into '",
                          server->secret, sizeof(server->secret), err, cap);
    }
    for (uint32_t i = 0; ret == 0 && i < events->kafka.n_settings; i++) {
        struct control_setting *setting = &events->kafka.settings[i];

        ret = fill_secret("events.kafka.settings.value_file", setting->value_file,
                          "write the value into '", setting->value, sizeof(setting->value),
                          err, cap);
    }
    for (uint32_t i = 0; ret == 0 && i < otlp->n_headers; i++) {
        struct control_setting *header = &otlp->headers[i];

        ret = fill_secret("tracing.otlp.headers.value_file", header->value_file,
                          "write the value into '", header->value, sizeof(header->value),
                          err, cap);
    }
    for (uint32_t i = 0; ret == 0 && i < events->n_webhooks; i++) {
        struct control_webhook *hook = &events->webhooks[i];

        ret = fill_secret("events.webhooks.secret_file", hook->secret_file,
                          "make it with 'openssl rand -hex 32 > ", hook->secret,
                          sizeof(hook->secret), err, cap);
    }
    return ret;
}

static void mask(char *secret, size_t size)
{
    bool is_set = secret[0] != '\0';

    explicit_bzero(secret, size);
    snprintf(secret, size, "%s", is_set ? "********" : "");
}

int control_conf_check(const char *path, FILE *file)
{
    struct control_conf conf = {0};
    char err[512];
    int ret = control_conf_load(path, &conf, err, sizeof(err));
    int secret_ret = ret == 0 ? control_conf_secrets(&conf, err, sizeof(err)) : 0;

    if (ret == 0) {
        explicit_bzero(conf.auth.hs256_secret, sizeof(conf.auth.hs256_secret));
        snprintf(conf.auth.hs256_secret, sizeof(conf.auth.hs256_secret), "%s",
                 secret_ret == 0 ? "********" : "");
        mask(conf.store.url, sizeof(conf.store.url));
        mask(conf.recording.s3.secret_key, sizeof(conf.recording.s3.secret_key));
        for (uint32_t i = 0; i < conf.n_ice_servers; i++) {
            mask(conf.ice_servers[i].credential, sizeof(conf.ice_servers[i].credential));
            mask(conf.ice_servers[i].secret, sizeof(conf.ice_servers[i].secret));
        }
        for (uint32_t i = 0; i < conf.events.kafka.n_settings; i++) {
            mask(conf.events.kafka.settings[i].value,
                 sizeof(conf.events.kafka.settings[i].value));
        }
        for (uint32_t i = 0; i < conf.tracing.otlp.n_headers; i++) {
            mask(conf.tracing.otlp.headers[i].value,
                 sizeof(conf.tracing.otlp.headers[i].value));
        }
        for (uint32_t i = 0; i < conf.events.n_webhooks; i++) {
            mask(conf.events.webhooks[i].secret, sizeof(conf.events.webhooks[i].secret));
        }
        ret = conf_print(&spec, &conf, file);
        if (ret != 0) {
            fprintf(stderr, "kcs-control: cannot print: %s\n", strerror(-ret));
            return 1;
        }
    }
    if (ret != 0 || secret_ret != 0) {
        fprintf(stderr, "kcs-control: %s\n", err);
        return 4;
    }
    return 0;
}

void control_conf_describe(FILE *file)
{
    conf_describe(&spec, file);
}
