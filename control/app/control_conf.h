/* The configuration of kcs-control: what conf/control.yaml may say, its defaults and its
 * limits. Read at start, and by SIGHUP anew; each module is handed its own section. */
#ifndef APP_CONTROL_CONF_H
#define APP_CONTROL_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    CONTROL_CONF_HTTP = 8,
    CONTROL_CONF_SECRET_MIN = 32, /* RFC 7518, section 3.2 */
    CONTROL_CONF_ICE_SERVERS = 4,
    CONTROL_CONF_ISSUERS = 4,
    CONTROL_CONF_ORIGINS = 16,
    CONTROL_CONF_PROXIES = 16,
    CONTROL_CONF_RENDITIONS = 4,
    CONTROL_CONF_SETTINGS = 32,
    CONTROL_CONF_HEADERS = 8,
    CONTROL_CONF_WEBHOOKS = 4
};

enum control_synchronous { CONTROL_SYNC_FULL, CONTROL_SYNC_NORMAL };

enum control_log_level {
    CONTROL_LOG_ERROR,
    CONTROL_LOG_WARN,
    CONTROL_LOG_INFO,
    CONTROL_LOG_DEBUG
};

struct control_dataplane {
    char socket[108]; /* where the dataplane listens; sun_path's size */
};

struct control_tls {
    char cert[256]; /* PEM chain; empty: plain HTTP */
    char key[256];
};

struct control_http {
    char address[64]; /* "::" is every address, IPv4 too */
    uint16_t port;
    struct control_tls tls;
};

/* Proxies that are trusted to say who asks. */
struct control_proxy {
    char network[64]; /* "10.0.0.0/8" */
};

/* Told to clients of WHIP and WHEP; the node itself needs none. */
struct control_ice_server {
    char url[128];
    char username[128];
    char credential[128];
    char secret[256];      /* shared with a TURN server; instead of the two above */
    char secret_file[256]; /* whose first line it is */
};

struct control_admin {
    char socket[108]; /* kcsctl; guarded by file permissions */
    char metrics_address[64];
    uint16_t metrics_port;
};

struct control_web {
    char root[256]; /* directory of the page; empty: none is served */
};

/* Who else issues tokens. */
struct control_issuer {
    char jwks_file[256];
    char issuer[256];
    char audience[256];
    char tenant[65];
};

struct control_auth {
    char hs256_secret_file[256];
    char hs256_secret[256]; /* at least CONTROL_CONF_SECRET_MIN bytes; never printed */
    uint32_t access_minutes;
    uint32_t refresh_days;
    uint32_t refresh_grace_s;
    uint32_t key_days;
    uint16_t hash_threads;
    uint32_t hash_queue;
    struct control_issuer issuers[CONTROL_CONF_ISSUERS];
    uint32_t n_issuers;
};

struct control_store {
    char path[256]; /* empty: nothing is kept */
    char url[512];  /* mongodb://…, in place of the path; may have a password in it */
    char url_file[256];
    enum control_synchronous synchronous;
    uint32_t max_mb;
    uint32_t event_days;
    uint32_t audit_days;
};

/* One of librdkafka's own, or a header of HTTP. */
struct control_setting {
    char name[64];
    char value[1024];
    char value_file[256]; /* whose first line it is */
};

struct control_kafka {
    char brokers[512]; /* empty: none */
    bool create_topics;
    uint32_t partitions;
    uint32_t replication;
    struct control_setting settings[CONTROL_CONF_SETTINGS];
    uint32_t n_settings;
};

struct control_event_file {
    char path[256];  /* empty: beside the store, if there is no broker */
    uint32_t max_mb; /* 0: none */
    uint32_t keep;
};

struct control_webhook {
    char url[512];
    char secret[256];
    char secret_file[256];
    char types[512];
    uint32_t give_up_hours;
};

struct control_events {
    bool chat_text;
    struct control_kafka kafka;
    struct control_event_file file;
    struct control_webhook webhooks[CONTROL_CONF_WEBHOOKS];
    uint32_t n_webhooks;
};

struct control_meetings {
    bool require_stored;
};

struct control_origin {
    char origin[256]; /* "https://app.example.org" */
};

struct control_socketio {
    uint32_t ping_interval_ms;
    uint32_t ping_timeout_ms;
    uint32_t max_payload; /* bytes */
    bool compression;     /* permessage-deflate on WebSockets */
};

struct control_dtls {
    uint16_t threads;
};

struct control_audio {
    uint32_t loudest;
    bool keep_silence;
};

struct control_s3 {
    char endpoint[256]; /* "https://s3.example.org"; empty: there is none */
    char bucket[128];
    char prefix[128];
    char region[64];
    char access_key[128];
    char secret_key[128];
    char secret_key_file[256];
    bool keep_local;
    bool allow_loopback;
};

struct control_rendition {
    uint16_t height;
    uint32_t kbps;
};

struct control_recording {
    char directory[256];     /* empty: nothing is recorded */
    char live[256];          /* of live streams; empty: there are none */
    char program[256];       /* kcs-egress; empty: the one beside this program */
    uint32_t memory_mb;      /* of a process; 0: any */
    uint32_t quota_mb;       /* 0: none */
    uint32_t retention_days; /* 0: for ever */
    struct control_s3 s3;
    struct control_rendition renditions[CONTROL_CONF_RENDITIONS]; /* of live streams */
    uint32_t n_renditions;
    char push_ca_file[256]; /* empty: the system's */
    bool push_private;
};

struct control_limits {
    uint32_t connections;             /* Socket.IO clients */
    uint32_t connections_per_address; /* of TCP, and sessions of Socket.IO; 0: no limit */
    uint32_t handshakes_per_address;  /* of Socket.IO, a second; 0: no limit */
    uint32_t rooms;
    uint32_t participants; /* of the node */
    uint32_t participants_per_room;
    uint32_t joins_waiting; /* that may wait for their turn; 0: none */
    uint32_t join_wait_ms;  /* none waits longer */
    uint32_t producers_per_participant;
    uint32_t consumers_per_participant;
    uint32_t requests_per_address; /* REST, a second; 0: no limit, as of those below */
    uint32_t requests_per_user;
    uint32_t logins_per_address; /* a minute */
};

struct control_shutdown {
    uint32_t drain_s; /* on SIGTERM; 0: it stops at once */
};

struct control_otlp {
    char endpoint[512]; /* "http://127.0.0.1:4318"; empty: nothing is exported */
    struct control_setting headers[CONTROL_CONF_HEADERS];
    uint32_t n_headers;
    uint32_t percent;
};

struct control_tracing {
    struct control_otlp otlp;
};

struct control_log {
    enum control_log_level level;
};

struct control_conf {
    struct control_dataplane dataplane;
    struct control_http http[CONTROL_CONF_HTTP];
    uint32_t n_http;
    struct control_proxy proxies[CONTROL_CONF_PROXIES];
    uint32_t n_proxies;
    struct control_ice_server ice_servers[CONTROL_CONF_ICE_SERVERS];
    uint32_t n_ice_servers;
    struct control_admin admin;
    struct control_web web;
    struct control_auth auth;
    struct control_store store;
    struct control_events events;
    struct control_meetings meetings;
    struct control_origin cors[CONTROL_CONF_ORIGINS];
    uint32_t n_cors;
    struct control_socketio socketio;
    struct control_dtls dtls;
    struct control_audio audio;
    struct control_recording recording;
    struct control_limits limits;
    struct control_shutdown shutdown;
    struct control_log log;
    struct control_tracing tracing;
};

/* Reads 'path' (NULL: only defaults) into 'out' (filled). The secret is only where the file
 * says it; control_conf_secret() fetches it.
 *
 * err  filled on failure with one line that names file, line and cure
 *
 * Returns 0, -EINVAL if the file is wrong, or the errno of reading it. At start only. */
int control_conf_load(const char *path, struct control_conf *out, char *err, size_t cap);

/* Puts the secret into conf->auth.hs256_secret: that of the environment (KCS_HS256_SECRET),
 * else the first line of hs256_secret_file, else the one written in the configuration; and
 * those of the other *_file keys (TURN, webhooks, Kafka) beside them.
 *
 * err  filled on failure with one line that says how to make one
 *
 * Returns 0, -ENOENT if there is none, -EINVAL if it is too short or too long, or the errno
 * of reading the file. The caller wipes hs256_secret with explicit_bzero(). */
int control_conf_secrets(struct control_conf *conf, char *err, size_t cap);

/* What --check-config does: reads 'path' and the secret as above and prints the effective
 * configuration as YAML to 'file', the secret masked, or the error to stderr. Returns the
 * program's exit status: 0, 1 or 4. */
int control_conf_check(const char *path, FILE *file);

/* What --describe-config does: prints a line a key (conf_describe()). */
void control_conf_describe(FILE *file);

#endif
