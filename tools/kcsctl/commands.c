/* The tables that the command line, its help, what shells complete and the manual page are
 * made of. */
#include <stddef.h>
#include <string.h>

#include "kcsctl/kcsctl.h"

#define ROLES "host co_host presenter attendee guest"
#define KINDS "audio video screen"
#define LEVELS "error warn info debug"

const struct command kcsctl_commands[] = {
    {.name = "node",
     .path = "/status",
     .takes = "js",
     .summary = "the node at a glance",
     .run = kcsctl_read,
     .more = "Its processes, devices, lanes and totals."},
    {.name = "rooms",
     .path = "/rooms",
     .takes = "js",
     .summary = "meetings with somebody in them",
     .run = kcsctl_read},
    {.name = "room",
     .path = "/room",
     .takes = "jsT",
     .summary = "one meeting: its settings and its people",
     .run = kcsctl_read_about,
     .argument = "MEETING",
     .more = "If several tenants have a meeting of that name, say which with --tenant."},
    {.name = "participants",
     .path = "/participants",
     .takes = "jsmT",
     .summary = "people, of all meetings or of --meeting",
     .run = kcsctl_read_about},
    {.name = "peers",
     .path = "/peers",
     .takes = "js",
     .summary = "transports of clients",
     .run = kcsctl_read},
    {.name = "peer",
     .path = "/peer",
     .takes = "js",
     .summary = "all of one client's transports, or of one",
     .run = kcsctl_read_about,
     .argument = "ID",
     .more =
         "ID is of a transport or a participant. Tells the pairs of addresses that ICE has "
         "validated and which is used, DTLS, the SRTP profile, what its link carries and "
         "how "
         "long packets wait in its queue; of each stream that it publishes or receives "
         "loss, "
         "jitter, round trip and score; of each that it receives the layer that it is "
         "sent, "
         "the one that is aimed at, and why: requested (the client wished it), bandwidth, "
         "source (a layer began or ceased to come), no_keyframe, started."},
    {.name = "streams",
     .path = "/streams",
     .takes = "js",
     .summary = "published streams, and who receives them",
     .run = kcsctl_read},
    {.name = "egress",
     .path = "/egress",
     .takes = "js",
     .summary = "recordings and live streams that run",
     .run = kcsctl_read,
     .more = "With how many files there are of a recording so far, and their bytes."},
    {.name = "drops",
     .path = "/drops",
     .takes = "js",
     .summary = "dropped packets by reason",
     .run = kcsctl_read},
    {.name = "lanes",
     .path = "/lanes",
     .takes = "js",
     .summary = "lanes: how busy, and counters; move TRANSPORT LANE moves a transport",
     .run = kcsctl_lanes,
     .takes_rest = true,
     .rest = "[move TRANSPORT LANE]",
     .words = "move",
     .more = "busy_percent, packets_per_s and cycles_per_packet are of the last whole "
             "second; all "
             "else has been counted since the dataplane began. packets_per_s are those that "
             "the lane took from its devices, gave to them, or gave to the lane that has the "
             "device's queue (handed_tx; in the other's tx_packets, too). The reasons of what was dropped, and "
             "all other counters, are in --json; see kcsctl drops, too. A move (TRANSPORT is an id "
             "of kcsctl peers) loses, doubles and misorders nothing; "
             "with one lane there is nowhere to move to."},
    {.name = "trace",
     .path = "/trace",
     .takes = "jsl",
     .summary = "what each stage of a lane takes",
     .run = kcsctl_trace,
     .more = "Of one burst of packets in so many (lanes.trace of the dataplane) it is "
             "measured: "
             "nanoseconds a burst and a packet, p50 and p99, and how many packets a burst "
             "has. Of "
             "the last minute, or --time; of each stage the last 512 at most are kept."},
    {.name = "top",
     .takes = "jsic",
     .summary = "lanes, meetings and transports, again and again; q ends it",
     .run = kcsctl_top,
     .more =
         "Rates are of the last interval. Of many meetings and transports the busiest are "
         "shown; of more than 500 clients no transports. With --json an object a line."},
    {.name = "close",
     .takes = "jsT",
     .summary = "end a meeting for everybody",
     .run = kcsctl_close,
     .argument = "MEETING"},
    {.name = "kick",
     .takes = "jsTRb",
     .summary = "remove somebody from a meeting",
     .run = kcsctl_kick,
     .argument = "MEETING",
     .takes_rest = true,
     .rest = "WHO",
     .more = "WHO is the id of a participant or of a user. With --ban the user cannot come "
             "back."},
    {.name = "mute",
     .takes = "jsTRk",
     .summary = "mute somebody in a meeting",
     .run = kcsctl_mute,
     .argument = "MEETING",
     .takes_rest = true,
     .rest = "WHO",
     .more = "WHO is the id of a participant or of a user."},
    {.name = "audit",
     .path = "/audit",
     .takes = "js",
     .summary = "who did what, the newest first",
     .run = kcsctl_read,
     .more = "The last hundred sensitive acts of all tenants. What kcsctl has done stands "
             "there "
             "as of 'operator', with the number of the user of the machine who did it."},
    {.name = "events",
     .takes = "js",
     .summary = "what happens in meetings, as it does",
     .run = kcsctl_events,
     .argument = "tail",
     .takes_rest = true,
     .rest = "[LINES]",
     .words = "tail",
     .more = "The last ten events, or LINES, and each that comes from then on: time, type, "
             "meeting, number, user. What was said is not shown. With --json an object a "
             "line."},
    {.name = "capture",
     .takes = "jsclDp",
     .summary = "copy the packets of one transport into a file",
     .run = kcsctl_capture,
     .argument = "TRANSPORT",
     .takes_rest = true,
     .rest = "FILE",
     .more = "TRANSPORT is an id of kcsctl peers, which may be given by --peer as well; FILE, which must not be there yet, is "
             "pcapng, for "
             "tcpdump and Wireshark. As on the wire; with --decrypted what people say and "
             "show can be "
             "read from it, which the audit tells of. It ends with --count packets, after "
             "--time, at "
             "Ctrl-C, when the transport closes, or when the dataplane is gone (then with "
             "status 1). A "
             "node makes one capture at a time. Checks of paths that are not validated yet "
             "are in "
             "none."},
    {.name = "drain",
     .takes = "jsd",
     .summary = "no more meetings; the node stops when nobody is left",
     .run = kcsctl_drain,
     .more = "It begins no more meetings, tells all who are there, and ends when nobody is "
             "left, "
             "after --deadline at the latest."},
    {.name = "undrain",
     .takes = "js",
     .summary = "back into service",
     .run = kcsctl_undrain},
    {.name = "loglevel",
     .takes = "js",
     .summary = "how much control logs: error, warn, info, debug",
     .run = kcsctl_loglevel,
     .argument = "LEVEL",
     .takes_rest = true,
     .rest = "[MEETING]",
     .words = LEVELS,
     .more = "Until its next start or reload. With a MEETING the level is debug, and only "
             "what is "
             "done for requests and events of that meeting is logged with it, whatever the "
             "level "
             "of the rest; with '-' of no meeting any more."},
    {.name = "backup",
     .takes = "js",
     .summary = "copy the node's store to a new file",
     .run = kcsctl_backup,
     .argument = "FILE",
     .words = WORDS_FILES,
     .more = "As it is at one moment; the node's user must be allowed to make the file. "
             "The node "
             "goes on meanwhile."},
    {.name = "restore",
     .takes = "",
     .summary = "put a backup in a store's place",
     .run = kcsctl_restore,
     .argument = "FILE",
     .takes_rest = true,
     .rest = "STORE",
     .words = WORDS_FILES,
     .more = "STORE is store.path of the configuration. No node may have it open. What was "
             "there "
             "stays beside it, as STORE.before."},
    {.name = "user",
     .takes = "jsnrT",
     .summary = "make an account, password on standard input",
     .run = kcsctl_user,
     .argument = "add",
     .takes_rest = true,
     .rest = "LOGIN",
     .words = "add",
     .more = "Its password is the first line of standard input."},
    {.name = "token",
     .takes = "jmnrtfuT",
     .needs = "m",
     .summary = "mint a meeting token",
     .run = kcsctl_token,
     .more = "A JWT, HS256, on standard output. Needs no running node, only the node's "
             "secret."},
    {.name = "check",
     .takes = "j",
     .summary = "check a configuration file and print what it amounts to",
     .run = kcsctl_check,
     .argument = "control|dataplane",
     .takes_rest = true,
     .rest = "[FILE]",
     .words = "control dataplane",
     .more = "Of kcs-control or kcs-dataplane, which must be beside kcsctl or in the PATH; "
             "FILE is "
             "/etc/kcs/control.yaml or /etc/kcs/dataplane.yaml if not given. Secrets are "
             "masked."},
    {.name = "doctor",
     .takes = "js",
     .summary = "look at this machine for what a node needs",
     .run = kcsctl_doctor,
     .more = "The CPU, hugepages, capabilities, AF_XDP and veth, limits, the clock, the "
             "default "
             "ports and whether a node runs, with the cure of each. It changes nothing. "
             "Fails only "
             "for what makes a node impossible."},
    {.name = "completion",
     .takes = "",
     .summary = "print what a shell completes by: bash or zsh",
     .run = kcsctl_completion,
     .argument = "SHELL",
     .words = "bash zsh",
     .more = "For the shell at hand: source <(kcsctl completion bash)"},
    {.name = "manual",
     .takes = "",
     .summary = "print the manual page: kcsctl manual | man -l -",
     .run = kcsctl_manual},
    {.name = NULL},
};

const struct option_text kcsctl_options[] = {
    {"help", 'h', NULL, "This list.", NULL},
    {"version", 'V', NULL, "The version of kcsctl.", NULL},
    {"json", 'j', NULL, "JSON for programs instead of tables.", NULL},
    {"socket", 's', "PATH", "The node's admin socket; " KCSCTL_SOCKET " if not given.",
     WORDS_FILES},
    {"meeting", 'm', "M", "The meeting.", NULL},
    {"name", 'n', "N", "The name that others see.", NULL},
    {"role", 'r', "R", "host, co_host, presenter (if not given), attendee or guest.",
     ROLES},
    {"ttl", 't', "T",
     "How long the token is good for: a number and s, m, h or d; 1h if not given, a year "
     "at most.",
     NULL},
    {"secret-file", 'f', "F",
     "The file whose first line is the node's secret (auth.hs256_secret_file of its "
     "configuration). Without it the environment variable KCS_HS256_SECRET is taken.",
     WORDS_FILES},
    {"user", 'u', "U", "The user's id; a random one if not given.", NULL},
    {"tenant", 'T', "T", "The tenant that the user or the meeting belongs to.", NULL},
    {"deadline", 'd', "T",
     "How long a drain takes at most, as of --ttl; 1h if not given, a day at most.", NULL},
    {"reason", 'R', "TEXT", "What the one concerned is told.", NULL},
    {"ban", 'b', NULL, "For good.", NULL},
    {"kind", 'k', "K", "What is muted: audio (if not given), video or screen.", KINDS},
    {"interval", 'i', "T", "Time between two looks, as of --ttl; 1s if not given.", NULL},
    {"count", 'c', "N", "How many looks, or packets, 1 to 100,000,000; without end if not given.", NULL},
    {"time", 'l', "T", "For so long, as of --ttl; trace: so far back.", NULL},
    {"peer", 'p', "ID", "The transport, in place of TRANSPORT.", NULL},
    {"decrypted", 'D', NULL, "SRTP and SRTCP without their protection.", NULL},
    {NULL, 0, NULL, NULL, NULL},
};

const struct option_text *kcsctl_option(char letter)
{
    const struct option_text *o = kcsctl_options;

    while (o->letter != letter) {
        o++;
    }
    return o;
}

void kcsctl_synopsis(FILE *out, const struct command *command, const char *before_option)
{
    if (command->argument != NULL) {
        fprintf(out, " %s", command->argument);
    }
    if (command->rest != NULL) {
        fprintf(out, " %s", command->rest);
    }
    for (const char *letter = command->takes; *letter != '\0'; letter++) {
        const struct option_text *o = kcsctl_option(*letter);
        bool needed = command->needs != NULL && strchr(command->needs, *letter) != NULL;

        if (*letter != 'j' && *letter != 's') { /* nearly all take these */
            fprintf(out, " %s%s%s%s%s%s", needed ? "" : "[", before_option, o->name,
                    o->value != NULL ? " " : "", o->value != NULL ? o->value : "",
                    needed ? "" : "]");
        }
    }
}
