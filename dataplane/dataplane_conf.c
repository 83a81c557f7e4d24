#include "dataplane_conf.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "sfu/conf/conf.h"

static const struct dataplane_conf defaults = {
    .socket = "/run/kcs/dataplane.sock",
    .media = {.devices = {"auto"},
              .n_devices = 1,
              .port = 40000,
              .repair = true,
              .pacer_window_ms = 150},
    .veth = {.name = "kcs0", .ipv4 = "10.75.67.0/30", .ipv6 = "fd4b:4353:6b63::/64"},
    .lanes = {.count = 1, .idle = DATAPLANE_IDLE_ADAPTIVE, .trace = 256},
    .memory = {.hugepages = DATAPLANE_HUGE_AUTO,
               .numa = "auto",
               .packets = 32768,
               .streams_mib = 512},
    .limits = {.peers = 4096, .streams = 4096, .subscriptions = 32768},
    .crypto = {.backend = DATAPLANE_CRYPTO_IPSEC_MB},
};

static const cyaml_strval_t idle_names[] = {
    {"adaptive", DATAPLANE_IDLE_ADAPTIVE},
    {"busy", DATAPLANE_IDLE_BUSY},
};

static const cyaml_strval_t hugepages_names[] = {
    {"auto", DATAPLANE_HUGE_AUTO},
    {"on", DATAPLANE_HUGE_ON},
    {"off", DATAPLANE_HUGE_OFF},
};

static const cyaml_strval_t backend_names[] = {
    {"ipsec_mb", DATAPLANE_CRYPTO_IPSEC_MB},
    {"libsrtp2", DATAPLANE_CRYPTO_LIBSRTP2},
};

static const cyaml_schema_value_t device_value = {
    CYAML_VALUE_STRING(CYAML_FLAG_DEFAULT, char[256], 1, 255)};

static const cyaml_strval_t exception_names[] = {
    {"auto", DATAPLANE_EXCEPTION_AUTO},
    {"none", DATAPLANE_EXCEPTION_NONE},
    {"tap", DATAPLANE_EXCEPTION_TAP},
};

static const cyaml_schema_field_t options_fields[] = {
    CONF_STRING("device", struct dataplane_options, device),
    CONF_STRING("ipv4", struct dataplane_options, ipv4),
    CONF_STRING("ipv6", struct dataplane_options, ipv6),
    CONF_STRING("gateway4", struct dataplane_options, gateway4),
    CONF_STRING("gateway6", struct dataplane_options, gateway6),
    CONF_ENUM("exception", struct dataplane_options, exception, exception_names),
    CONF_UINT("queues", struct dataplane_options, queues, 0, DATAPLANE_CONF_CPUS),
    CONF_BOOL("zero_copy", struct dataplane_options, zero_copy),
    CONF_END,
};

static const cyaml_schema_value_t options_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct dataplane_options, options_fields)};

static const cyaml_schema_value_t cpu_value = {CONF_UINT_VALUE(uint16_t, 0, 1023)};

static const cyaml_schema_field_t announce_fields[] = {
    CONF_STRING("local", struct dataplane_announce, local),
    CONF_STRING("public", struct dataplane_announce, public),
    /* 0, as if it were left out: media.port; what is printed must be taken again */
    CONF_UINT("port", struct dataplane_announce, port, 0, 65535),
    CONF_END,
};

static const cyaml_schema_value_t announce_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct dataplane_announce, announce_fields)};

static const cyaml_schema_field_t media_fields[] = {
    CONF_LIST("devices", struct dataplane_media, devices, n_devices, &device_value),
    CONF_LIST("options", struct dataplane_media, options, n_options, &options_value),
    CONF_UINT("port", struct dataplane_media, port, 1, 65535),
    CONF_LIST("announce", struct dataplane_media, announce, n_announce, &announce_value),
    CONF_BOOL("repair", struct dataplane_media, repair),
    CONF_UINT("pacer_window_ms", struct dataplane_media, pacer_window_ms, 0, 1000),
    CONF_END,
};

static const cyaml_schema_field_t veth_fields[] = {
    CONF_STRING("name", struct dataplane_veth, name),
    CONF_STRING("ipv4", struct dataplane_veth, ipv4),
    CONF_STRING("ipv6", struct dataplane_veth, ipv6),
    CONF_END,
};

static const cyaml_schema_field_t lanes_fields[] = {
    CONF_UINT("count", struct dataplane_lanes, count, 1, DATAPLANE_CONF_CPUS),
    CONF_LIST("cpus", struct dataplane_lanes, cpus, n_cpus, &cpu_value),
    CONF_ENUM("idle", struct dataplane_lanes, idle, idle_names),
    CONF_UINT("trace", struct dataplane_lanes, trace, 0, 1000000),
    CONF_END,
};

static const cyaml_schema_field_t memory_fields[] = {
    CONF_ENUM("hugepages", struct dataplane_memory, hugepages, hugepages_names),
    CONF_STRING("numa", struct dataplane_memory, numa),
    CONF_UINT("packets", struct dataplane_memory, packets, 1024, 4194304),
    CONF_UINT("streams_mib", struct dataplane_memory, streams_mib, 1, 65536),
    CONF_END,
};

static const cyaml_schema_field_t limits_fields[] = {
    CONF_UINT("peers", struct dataplane_limits, peers, 2, 65536),
    CONF_UINT("streams", struct dataplane_limits, streams, 2, 65536),
    CONF_UINT("subscriptions", struct dataplane_limits, subscriptions, 2, 4194304),
    CONF_END,
};

static const cyaml_schema_field_t crypto_fields[] = {
    CONF_ENUM("backend", struct dataplane_crypt, backend, backend_names),
    CONF_END,
};

static const cyaml_schema_field_t fields[] = {
    CONF_STRING("socket", struct dataplane_conf, socket),
    CONF_MAPPING("media", struct dataplane_conf, media, media_fields),
    CONF_MAPPING("veth", struct dataplane_conf, veth, veth_fields),
    CONF_MAPPING("lanes", struct dataplane_conf, lanes, lanes_fields),
    CONF_MAPPING("memory", struct dataplane_conf, memory, memory_fields),
    CONF_MAPPING("limits", struct dataplane_conf, limits, limits_fields),
    CONF_MAPPING("crypto", struct dataplane_conf, crypto, crypto_fields),
    CONF_END,
};

static const cyaml_schema_value_t top = CONF_TOP(struct dataplane_conf, fields);

static bool is_address(const char *text)
{
    unsigned char ip[16];

    return inet_pton(AF_INET, text, ip) == 1 || inet_pton(AF_INET6, text, ip) == 1;
}

/* "NETWORK/LENGTH" of four addresses or more. */
static bool is_network(const char *text, int family)
{
    const char *slash = strchr(text, '/');
    size_t ip_len = family == AF_INET ? 4 : 16;
    char address[64], *end;
    unsigned char ip[16];
    long len;

    if (slash == NULL || (size_t)(slash - text) >= sizeof(address)) {
        return false;
    }
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    len = strtol(slash + 1, &end, 10);
    return inet_pton(family, address, ip) == 1 && end != slash + 1 && *end == '\0' &&
           len >= 8 && len <= (long)ip_len * 8 - 2 && (ip[ip_len - 1] & 3) == 0;
}

/* "ADDRESS" or "ADDRESS/LENGTH" of that family, or nothing. */
static bool is_own_address(const char *text, int family)
{
    size_t address_len = strcspn(text, "/");
    long most = family == AF_INET ? 32 : 128;
    char address[64], *end;
    unsigned char ip[16];
    long len = most;

    if (text[address_len] == '/') {
        len = strtol(text + address_len + 1, &end, 10);
        if (end == text + address_len + 1 || *end != '\0') {
            return false;
        }
    }
    snprintf(address, sizeof(address), "%.*s", (int)address_len, text);
    return text[0] == '\0' ||
           (inet_pton(family, address, ip) == 1 && len >= 1 && len <= most);
}

static bool is_address_or_empty(const char *text, int family)
{
    unsigned char ip[16];

    return text[0] == '\0' || inet_pton(family, text, ip) == 1;
}

static bool is_device(const char *text)
{
    static const char *const with_name[] = {"af_xdp:", "udp:", "vdev:", "pci:"};

    for (size_t i = 0; i < CYAML_ARRAY_LEN(with_name); i++) {
        size_t len = strlen(with_name[i]);

        if (strncmp(text, with_name[i], len) == 0) {
            return text[len] != '\0';
        }
    }
    return strcmp(text, "auto") == 0 || strcmp(text, "veth") == 0 ||
           strcmp(text, "udp") == 0;
}

static bool is_numa(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return strcmp(text, "auto") == 0 ||
           (digits > 0 && digits <= 2 && text[digits] == '\0' && atoi(text) < 64);
}

static const char *check_option(const char *key, const char *text)
{
    if (strcmp(key, "ipv4") == 0 && !is_own_address(text, AF_INET)) {
        return "an IPv4 address like 192.0.2.7/24";
    }
    if (strcmp(key, "ipv6") == 0 && !is_own_address(text, AF_INET6)) {
        return "an IPv6 address like 2001:db8::7/64";
    }
    if (strcmp(key, "gateway4") == 0 && !is_address_or_empty(text, AF_INET)) {
        return "an IPv4 address";
    }
    if (strcmp(key, "gateway6") == 0 && !is_address_or_empty(text, AF_INET6)) {
        return "an IPv6 address";
    }
    return NULL;
}

static const char *check(const char *key, const char *text)
{
    if (strcmp(key, "media.devices") == 0 && !is_device(text)) {
        return "one of auto, veth, udp, udp:ADDRESS, af_xdp:INTERFACE, pci:ADDRESS, "
               "vdev:ARGS";
    }
    if (strncmp(key, "media.options.", 14) == 0) {
        return check_option(key + 14, text);
    }
    if ((strcmp(key, "media.announce.local") == 0 ||
         strcmp(key, "media.announce.public") == 0) &&
        !is_address(text)) {
        return "an IPv4 or IPv6 address";
    }
    if (strcmp(key, "veth.ipv4") == 0 && !is_network(text, AF_INET)) {
        return "an IPv4 network of at least four addresses, like 10.75.67.0/30";
    }
    if (strcmp(key, "veth.ipv6") == 0 && !is_network(text, AF_INET6)) {
        return "an IPv6 network of at least four addresses, like fd4b:4353:6b63::/64";
    }
    if (strcmp(key, "memory.numa") == 0 && !is_numa(text)) {
        return "auto or the number of a NUMA node, 0 to 63";
    }
    if ((strcmp(key, "socket") == 0 || strcmp(key, "veth.name") == 0) && text[0] == '\0') {
        return "set";
    }
    return NULL;
}

static const struct conf_spec spec = {
    .schema = &top, .defaults = &defaults, .check = check};

static bool needs_options(const char *device)
{
    return strncmp(device, "vdev:", 5) == 0 || strncmp(device, "pci:", 4) == 0;
}

static bool is_af_xdp(const char *device)
{
    return strncmp(device, "af_xdp:", 7) == 0;
}

/* Entry k of media.options is for a device that there is, and says what can be said of it. */
static int check_option_of(const char *path, const struct dataplane_media *media, uint32_t k,
                           char *err, size_t cap)
{
    const struct dataplane_options *o = &media->options[k];
    const bool af_xdp = is_af_xdp(o->device);
    bool known = false;

    for (uint32_t i = 0; i < media->n_devices; i++) {
        known = known || ((af_xdp || needs_options(o->device)) &&
                          strcmp(o->device, media->devices[i]) == 0);
    }
    if (!known) {
        snprintf(err, cap,
                 "%s: media.options[%u]: device '%s' is not a vdev, pci or af_xdp entry of "
                 "media.devices",
                 path, k, o->device);
        return -EINVAL;
    }
    if (af_xdp && (o->ipv4[0] != '\0' || o->ipv6[0] != '\0' || o->gateway4[0] != '\0' ||
                   o->gateway6[0] != '\0' || o->queues != 0 ||
                   o->exception != DATAPLANE_EXCEPTION_AUTO)) {
        snprintf(err, cap,
                 "%s: media.options[%u]: of '%s' only zero_copy can be said: the kernel "
                 "knows its addresses and queues",
                 path, k, o->device);
        return -EINVAL;
    }
    if (!af_xdp && o->zero_copy) {
        snprintf(err, cap,
                 "%s: media.options[%u]: zero_copy is of af_xdp; '%s' copies nothing in "
                 "any case",
                 path, k, o->device);
        return -EINVAL;
    }
    return 0;
}

/* The devices that need options have some, and no others. */
static int check_options(const char *path, const struct dataplane_media *media, char *err,
                         size_t cap)
{
    for (uint32_t i = 0; i < media->n_devices; i++) {
        uint32_t n = 0;

        for (uint32_t k = 0; k < media->n_options; k++) {
            const struct dataplane_options *o = &media->options[k];

            if (strcmp(o->device, media->devices[i]) == 0) {
                n += o->ipv4[0] != '\0' || o->ipv6[0] != '\0' ? 1 : 2;
            }
        }
        if (needs_options(media->devices[i]) && n != 1) {
            snprintf(err, cap,
                     "%s: media.options needs one entry with 'device: %s' and its address: "
                     "ipv4, ipv6 or both",
                     path, media->devices[i]);
            return -EINVAL;
        }
    }
    for (uint32_t k = 0; k < media->n_options; k++) {
        int ret = check_option_of(path, media, k, err, cap);

        if (ret != 0) {
            return ret;
        }
    }
    return 0;
}

static int check_cpus(const char *path, const struct dataplane_lanes *lanes, char *err,
                      size_t cap)
{
    if (lanes->n_cpus != 0 && lanes->n_cpus != lanes->count) {
        snprintf(err, cap, "%s: lanes.cpus names %u CPUs for lanes.count %u: give one each",
                 path, lanes->n_cpus, lanes->count);
        return -EINVAL;
    }
    for (uint32_t i = 0; i < lanes->n_cpus; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (lanes->cpus[i] == lanes->cpus[k]) {
                snprintf(err, cap, "%s: lanes.cpus names CPU %u twice", path,
                         lanes->cpus[i]);
                return -EINVAL;
            }
        }
    }
    return 0;
}

/* What no single line shows. */
static int check_whole(const char *path, const struct dataplane_conf *conf, char *err,
                       size_t cap)
{
    const struct dataplane_media *media = &conf->media;

    if (media->n_devices == 0) {
        snprintf(err, cap, "%s: media.devices is empty: name one, or 'auto'", path);
        return -EINVAL;
    }
    for (uint32_t i = 0; i < media->n_devices; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(media->devices[i], media->devices[k]) == 0) {
                snprintf(err, cap, "%s: media.devices names '%s' twice", path,
                         media->devices[i]);
                return -EINVAL;
            }
        }
    }
    if (check_cpus(path, &conf->lanes, err, cap) != 0) {
        return -EINVAL;
    }
    for (uint32_t i = 0; i < media->n_announce; i++) {
        if (media->announce[i].local[0] == '\0' || media->announce[i].public[0] == '\0') {
            snprintf(err, cap, "%s: media.announce[%u] needs both 'local' and 'public'",
                     path, i);
            return -EINVAL;
        }
    }
    return check_options(path, media, err, cap);
}

int dataplane_conf_load(const char *path, struct dataplane_conf *out, char *err, size_t cap)
{
    int ret;

    if (path == NULL) {
        *out = defaults;
        return 0;
    }
    ret = conf_load(path, &spec, out, err, cap);
    return ret != 0 ? ret : check_whole(path, out, err, cap);
}

int dataplane_conf_check(const char *path, FILE *file)
{
    struct dataplane_conf conf = {0};
    char err[512];

    if (dataplane_conf_load(path, &conf, err, sizeof(err)) != 0) {
        fprintf(stderr, "kcs-dataplane: %s\n", err);
        return 4;
    }
    return conf_print(&spec, &conf, file) == 0 ? 0 : 1;
}

void dataplane_conf_describe(FILE *file)
{
    conf_describe(&spec, file);
}
