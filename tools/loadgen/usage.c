#include "loadgen/usage.h"

#include <ctype.h>
#include <string.h>

#include "loadgen/dtls.h"

#define VERSION "0.1.0"

enum { HELP_AT = 22, HELP_END = 90 }; /* columns */

/* 'help' begins in lower case, and has no full stop behind it: the manual page gives it both. */
struct usage {
    struct option of;
    const char *value; /* NULL: it takes none */
    const char *help;
};

static const struct usage known[] = {
    {{"url", required_argument, NULL, 'u'}, "URL",
     "the node: http[s]://HOST:PORT"},
    {{"secret-file", required_argument, NULL, 'f'}, "FILE",
     "the node's secret, which tokens are made with: its first line"},
    {{"meeting", required_argument, NULL, 'm'}, "ID",
     "that the clients join; it is made"},
    {{"publishers", required_argument, NULL, 'P'}, "P",
     "clients that send"},
    {{"subscribers", required_argument, NULL, 'S'}, "S",
     "clients that receive all of what those send"},
    {{"ca-file", required_argument, NULL, 'C'}, "FILE",
     "with https: the certificates (PEM) of whom to believe (those of the system)"},
    {{"insecure", no_argument, NULL, 'I'}, NULL,
     "with https: take any certificate"},
    {{"media", required_argument, NULL, 'M'}, "KIND",
     "audio, video or both (audio)"},
    {{"rate", required_argument, NULL, 'r'}, "N",
     "packets a second of a stream: 50 of audio, 120 of video"},
    {{"size", required_argument, NULL, 'z'}, "N",
     "payload bytes, 48 to 1200: 160 of audio, 1100 of video (with both, --rate and --size are "
     "of the video)"},
    {{"layers", required_argument, NULL, 'l'}, "N",
     "video in N encodings (simulcast), 1 to 3, each with twice the packets of the one below: "
     "the node chooses (1)"},
    {{"audio-rate", required_argument, NULL, 'a'}, "N",
     "with both: packets a second of audio (50)"},
    {{"video-pattern", required_argument, NULL, 'v'}, "P",
     "packets as a browser's encoder made them of a camera of 1280x720: vp8, vp8-simulcast "
     "(three sizes), h264; or fixed, as --rate, --size and --layers say (fixed)"},
    {{"audio-pattern", required_argument, NULL, 'y'}, "P",
     "the same of speech: opus, opus-dtx; or fixed (fixed)"},
    {{"pace", required_argument, NULL, 'e'}, "MS",
     "packets of one frame of a pattern of video leave within so long, 0: at once (0)"},
    {{"rooms", required_argument, NULL, 'o'}, "R",
     "R meetings, ID-0, ID-1, ..., each with P and S of them (1)"},
    {{"processes", required_argument, NULL, 'x'}, "N",
     "that share the clients, who need two descriptors each (as many as it takes)"},
    {{"chat", required_argument, NULL, 'c'}, "N",
     "while sending, the first publisher of each meeting writes N messages, one a second (0)"},
    {{"seconds", required_argument, NULL, 't'}, "T",
     "send so long after all have joined (10)"},
    {{"send", required_argument, NULL, 'w'}, "WHEN",
     "at-once: each publisher as soon as it has joined; when-all: when all clients of all rooms "
     "have (at-once)"},
    {{"hold", required_argument, NULL, 'H'}, "T",
     "then stay so long, silent, before leaving (0)"},
    {{"join-rate", required_argument, NULL, 'J'}, "N",
     "clients started a second (50)"},
    {{"join-timeout", required_argument, NULL, 'T'}, "T",
     "longest wait for all to have joined, after the last was started (15)"},
    {{"verify-every", required_argument, NULL, 'K'}, "K",
     "each K-th subscriber decrypts; the others count headers (1)"},
    {{"address", required_argument, NULL, 'A'}, "A",
     "use the node's media address A, not the one it prefers"},
    {{"srtp", required_argument, NULL, 'p'}, "LIST",
     "profiles to offer, as OpenSSL names them, best first (" DTLS_PROFILES ")"},
    {{"restless", required_argument, NULL, 'L'}, "T",
     "each T seconds every publisher falls silent on a stream, mutes it or has it go on, and "
     "every subscriber pauses one, resumes it or wishes for other layers; loss is then told by "
     "RTP sequence numbers alone (0: never)"},
    {{"resume", no_argument, NULL, 'R'}, NULL,
     "a lost connection is made anew, not a failure"},
    {{"no-feedback", no_argument, NULL, 'F'}, NULL,
     "subscribers send no transport-cc, so that the node limits nothing, however late this "
     "machine reads"},
    {{"allow-remote", no_argument, NULL, 'W'}, NULL,
     "addresses that are not of this machine, too"},
    {{"json", no_argument, NULL, 'j'}, NULL, "the result as JSON"},
    {{"quiet", no_argument, NULL, 'q'}, NULL, "no progress line"},
    {{"manual", no_argument, NULL, 'n'}, NULL, "print the manual page: --manual | man -l -"},
    {{"help", no_argument, NULL, 'h'}, NULL, "this text"},
    {{"version", no_argument, NULL, 'V'}, NULL, "which one this is"},
};

enum { N_KNOWN = sizeof(known) / sizeof(known[0]) };

_Static_assert((int)N_KNOWN <= (int)USAGE_MAX_OPTIONS, "as many as usage_options() has place for");

void usage_options(struct option out[USAGE_MAX_OPTIONS + 1])
{
    memset(out, 0, (USAGE_MAX_OPTIONS + 1) * sizeof(*out));
    for (size_t i = 0; i < N_KNOWN; i++) {
        out[i] = known[i].of;
    }
}

/* ---- the help ---- */

/* Words from column HELP_AT on, where the line is already, in as many lines as it takes. */
static void put_wrapped(FILE *out, const char *text)
{
    int at = HELP_AT;

    while (*text != '\0') {
        int len = (int)strcspn(text, " ");

        if (at > HELP_AT && at + 1 + len > HELP_END) {
            (void)fprintf(out, "\n%*s", HELP_AT, "");
            at = HELP_AT;
        }
        at += fprintf(out, "%s%.*s", at > HELP_AT ? " " : "", len, text);
        text += len;
        text += strspn(text, " ");
    }
    (void)fputc('\n', out);
}

void usage_print_help(FILE *out)
{
    (void)fputs("usage: kcs-loadgen --url http[s]://HOST:PORT --secret-file FILE --meeting ID\n"
                "                   --publishers P --subscribers S [options]\n"
                "\n"
                "P publishers send numbered payloads to a meeting of a node, S subscribers receive\n"
                "them all and check what they get.\n"
                "\n",
                out);
    for (size_t i = 0; i < N_KNOWN; i++) {
        const struct usage *u = &known[i];
        int at = fprintf(out, "  --%s%s%s", u->of.name, u->value != NULL ? " " : "",
                         u->value != NULL ? u->value : "");

        (void)fprintf(out, "%*s", at < HELP_AT - 1 ? HELP_AT - at : 1, "");
        put_wrapped(out, u->help);
    }
    (void)fputs("\n"
                "Exit status: 0 all joined and nothing was lost, doubled or out of order, 1 failure,\n"
                "2 usage, 3 node not reachable. kcs-loadgen --manual | man -l - has more.\n",
                out);
}

/* ---- the manual page ---- */

/* '-' is a hyphen to roff, unless it is escaped. */
static void put_roff(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        (void)fputs(*text == '-' ? "\\-" : (const char[]){*text, '\0'}, out);
    }
}

static void put_option(FILE *out, const struct usage *u)
{
    (void)fputs(".TP\n\\fB\\-\\-", out);
    put_roff(out, u->of.name);
    (void)fprintf(out, "\\fR%s%s\n%c", u->value != NULL ? " " : "",
                  u->value != NULL ? u->value : "", toupper((unsigned char)u->help[0]));
    put_roff(out, u->help + 1);
    (void)fputs(".\n", out);
}

void usage_print_manual(FILE *out)
{
    (void)fputs(
        ".\\\" Made by 'kcs-loadgen --manual' of the table of its command line.\n"
        ".TH kcs-loadgen 1 \"\" \"KCS " VERSION "\" \"KCS media node\"\n"
        ".SH NAME\n"
        "kcs\\-loadgen \\- load a KCS media node with complete clients and check what they get\n"
        ".SH SYNOPSIS\n"
        "\\fBkcs\\-loadgen\\fR \\-\\-url URL \\-\\-secret\\-file FILE \\-\\-meeting ID "
        "\\-\\-publishers P \\-\\-subscribers S [options]\n"
        ".SH DESCRIPTION\n"
        "P publishers send to a meeting, S subscribers receive all of it. Each is a complete\n"
        "client: token, Socket.IO over WebSocket, ICE, DTLS and SRTP, by OpenSSL and libsrtp2,\n"
        "with no media code of the node's. Payloads are numbered and have a hash over them:\n"
        "subscribers count what is lost up to the last that was sent (with \\fB\\-\\-send when\\-all\\fR\n"
        "from the first on, else from the first that came to each), what comes twice or out of\n"
        "order, and what is not as it was sent, and tell how late it came.\n"
        ".PP\n"
        "The report is a table, or JSON; while it runs there is a line on standard error. Only\n"
        "addresses of this machine are loaded, unless \\fB\\-\\-allow\\-remote\\fR. SIGINT and\n"
        "SIGTERM end it early, with its report; the second one at once.\n"
        ".PP\n"
        "A node may leave layers of time of VP8 out: what is lost of \\fB\\-\\-video\\-pattern\\fR\n"
        "vp8 and vp8\\-simulcast is told by RTP sequence numbers and, behind the last packet that\n"
        "came, by what was sent after it: of the lowest layer, of a frame that has begun, and of\n"
        "all layers if none was left out for 256 packets.\n"
        ".PP\n"
        "What an option is when it is not given stands behind it in parentheses.\n"
        ".SH OPTIONS\n",
        out);
    for (size_t i = 0; i < N_KNOWN; i++) {
        put_option(out, &known[i]);
    }
    (void)fputs(
        ".SH EXIT STATUS\n"
        "0 all joined and nothing was lost, doubled or out of order, 1 failure, 2 usage, 3 node\n"
        "not reachable.\n"
        ".SH EXAMPLES\n"
        ".nf\n"
        "kcs\\-loadgen \\-\\-url http://127.0.0.1:8080 \\-\\-secret\\-file secret "
        "\\-\\-meeting load \\e\n"
        "    \\-\\-publishers 3 \\-\\-subscribers 1000 \\-\\-media both \\-\\-send when\\-all\n"
        "kcs\\-loadgen \\-\\-url https://sfu.example \\-\\-allow\\-remote "
        "\\-\\-secret\\-file secret \\e\n"
        "    \\-\\-meeting load \\-\\-publishers 1 \\-\\-subscribers 20 "
        "\\-\\-video\\-pattern vp8\\-simulcast \\e\n"
        "    \\-\\-media video \\-\\-json\n"
        ".fi\n"
        ".SH SEE ALSO\n"
        "\\fBkcsctl\\fR(1), \\fBkcs\\-control\\fR(8), \\fBkcs\\-dataplane\\fR(8)\n",
        out);
}

void usage_print_version(FILE *out)
{
    (void)fputs("kcs-loadgen " VERSION "\n", out);
}
