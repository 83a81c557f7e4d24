/* The command line of kcs-loadgen. */
#ifndef LOADGEN_OPTIONS_H
#define LOADGEN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "loadgen/pattern.h"

enum { LOADGEN_OK = 0, LOADGEN_FAILED, LOADGEN_USAGE, LOADGEN_UNREACHABLE };

/* Strings are borrowed from argv. */
struct options {
    const char *url;
    const char *secret_file;
    const char *meeting;
    const char *ca_file;  /* whom to believe with https; NULL: whom the system does */
    const char *address;  /* of the node's candidates take only this one; NULL: the best */
    const char *profiles; /* of SRTP, as OpenSSL lists them */
    uint32_t publishers;  /* of each room */
    uint32_t subscribers; /* of each room */
    uint32_t rooms;
    uint32_t processes;  /* 0: as many as it takes */
    const struct pattern *video_pattern; /* one for each encoding; NULL: fixed rate and size */
    const struct pattern *audio_pattern;
    uint32_t pattern_layers; /* encodings of video_pattern */
    uint32_t pace_ms;    /* the packets of one frame of a pattern leave within */
    uint32_t layers;     /* encodings of each video */
    uint32_t audio_rate; /* where there is video, too */
    uint32_t chat;       /* messages */
    uint32_t rate; /* packets a second */
    uint32_t size; /* payload bytes */
    uint32_t join_rate;
    uint32_t verify_every; /* each so manieth subscriber looks inside of packets */
    double seconds;
    double hold;         /* stay so long, silent, before leaving */
    double join_timeout; /* after the last was started */
    double restless;     /* seconds between two whims of each client; 0: none */
    bool audio;
    bool video;
    bool insecure;    /* https with any certificate */
    bool when_all;    /* nobody sends before all clients have joined */
    bool resume;      /* come again when the connection is lost */
    bool no_feedback; /* subscribers send no transport-cc */
    bool json;
    bool quiet;
    bool allow_remote;
};

/* Reads the command line. Returns true to go on; else the program ends with 'status' and
 * all has been said. */
bool options_parse(int argc, char **argv, struct options *out, int *status);

#endif
