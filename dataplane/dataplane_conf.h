/* The configuration of kcs-dataplane: what conf/dataplane.yaml may say, its defaults and
 * its limits. Read once at start by main.c; nothing later looks at the file. */
#ifndef DATAPLANE_CONF_H
#define DATAPLANE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    DATAPLANE_CONF_DEVICES = 8,
    DATAPLANE_CONF_ANNOUNCE = 16,
    DATAPLANE_CONF_CPUS = 64,
};

enum dataplane_idle { DATAPLANE_IDLE_ADAPTIVE, DATAPLANE_IDLE_BUSY };
enum dataplane_hugepages { DATAPLANE_HUGE_AUTO, DATAPLANE_HUGE_ON, DATAPLANE_HUGE_OFF };
enum dataplane_backend { DATAPLANE_CRYPTO_IPSEC_MB, DATAPLANE_CRYPTO_LIBSRTP2 };

enum dataplane_exception {
    DATAPLANE_EXCEPTION_AUTO,
    DATAPLANE_EXCEPTION_NONE,
    DATAPLANE_EXCEPTION_TAP
};

/* What a device vdev or pci answers to; of an af_xdp only 'zero_copy' may be said. Empty
 * strings: none. */
struct dataplane_options {
    char device[256]; /* an entry of media.devices */
    char ipv4[64];    /* ADDRESS/LENGTH */
    char ipv6[64];
    char gateway4[64];
    char gateway6[64];
    enum dataplane_exception exception;
    uint16_t queues; /* 0: as io.h says */
    bool zero_copy;  /* is asked of the driver of the interface */
};

/* A candidate seen from outside a 1:1 NAT. */
struct dataplane_announce {
    char local[64];  /* our address behind the NAT */
    char public[64]; /* the address that clients are told */
    uint16_t port;   /* the port that clients are told; 0: media.port */
};

struct dataplane_media {
    char devices[DATAPLANE_CONF_DEVICES][256]; /* io/io.h lists the kinds */
    uint32_t n_devices;
    struct dataplane_options options[DATAPLANE_CONF_DEVICES];
    uint32_t n_options;
    uint16_t port; /* one UDP port for all peers of a device */
    struct dataplane_announce announce[DATAPLANE_CONF_ANNOUNCE];
    uint32_t n_announce;
    bool repair; /* NACK and retransmission, both ways */
    uint16_t pacer_window_ms; /* video is spread over so much; 0: it is not */
};

/* The private pair of the device 'veth' and its networks: the host has the first address of
 * each, the dataplane the second. */
struct dataplane_veth {
    char name[13]; /* an interface's name with room for a suffix */
    char ipv4[64];
    char ipv6[64];
};

struct dataplane_lanes {
    uint16_t count;
    uint16_t cpus[DATAPLANE_CONF_CPUS]; /* of lane i; empty: the kernel's choice */
    uint32_t n_cpus;
    enum dataplane_idle idle;
    uint32_t trace; /* one burst in so many; 0: none */
};

struct dataplane_memory {
    enum dataplane_hugepages hugepages;
    char numa[8];         /* "auto" or a node's number */
    uint32_t packets;     /* packet buffers, all lanes */
    uint32_t streams_mib; /* budget of all stream rings */
};

struct dataplane_limits {
    uint32_t peers;
    uint32_t streams;
    uint32_t subscriptions;
};

struct dataplane_crypt {
    enum dataplane_backend backend;
};

struct dataplane_conf {
    char socket[108]; /* where control attaches; sun_path's size */
    struct dataplane_media media;
    struct dataplane_veth veth;
    struct dataplane_lanes lanes;
    struct dataplane_memory memory;
    struct dataplane_limits limits;
    struct dataplane_crypt crypto;
};

/* Reads 'path' (NULL: only defaults) into 'out' (filled).
 *
 * err  filled on failure with one line that names file, line and cure
 *
 * Returns 0, -EINVAL if the file is wrong, or the errno of reading it. At start only. */
int dataplane_conf_load(const char *path, struct dataplane_conf *out, char *err,
                        size_t cap);

/* What --check-config does: reads 'path' as above and prints the effective configuration as
 * YAML to 'file', or the error to stderr. Returns the program's exit status: 0, 1 or 4. */
int dataplane_conf_check(const char *path, FILE *file);

/* What --describe-config does: prints a line a key (conf_describe()). */
void dataplane_conf_describe(FILE *file);

#endif
