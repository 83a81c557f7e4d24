#include "egress/out/manifest.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DATE = 40 };

struct text {
    char *out;
    size_t len;
};

static void add(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    size_t room = MANIFEST_TEXT - text->len;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text->out + text->len, room, format, args);
    va_end(args);
    text->len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static void date_of(int64_t wall_us, char out[DATE])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    char whole[DATE - 8] = "";
    struct tm tm;

    if (gmtime_r(&seconds, &tm) != NULL) {
        (void)strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &tm);
    }
    (void)snprintf(out, DATE, "%s.%03uZ", whole, (unsigned)(wall_us / 1000 % 1000));
}

void manifest_init_name(const struct manifest *manifest, unsigned track,
                        char out[MANIFEST_NAME])
{
    (void)snprintf(out, MANIFEST_NAME, "%u-%s.mp4", manifest->part,
                   manifest->tracks[track].name);
}

void manifest_segment_name(const struct manifest *manifest, unsigned track, uint64_t number,
                           char out[MANIFEST_NAME])
{
    (void)snprintf(out, MANIFEST_NAME, "%u-%s-%" PRIu64 ".m4s", manifest->part,
                   manifest->tracks[track].name, number);
}

void manifest_playlist_name(const struct manifest *manifest, unsigned track,
                            char out[MANIFEST_NAME])
{
    (void)snprintf(out, MANIFEST_NAME, "%s.m3u8", manifest->tracks[track].name);
}

/* ---- HLS ---- */

size_t manifest_write_master(const struct manifest *manifest, char out[MANIFEST_TEXT])
{
    const struct manifest_track *sound = &manifest->tracks[manifest->n_tracks - 1];
    struct text text = {.out = out};
    char name[MANIFEST_NAME];

    manifest_playlist_name(manifest, manifest->n_tracks - 1, name);
    add(&text,
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"%s\",NAME=\"%s\",DEFAULT=YES,AUTOSELECT=YES,"
        "CHANNELS=\"2\",URI=\"%s\"\n",
        sound->name, sound->name, name);
    for (unsigned i = 0; i + 1 < manifest->n_tracks; i++) {
        const struct manifest_track *t = &manifest->tracks[i];

        manifest_playlist_name(manifest, i, name);
        add(&text,
            "#EXT-X-STREAM-INF:BANDWIDTH=%" PRIu32 ",AVERAGE-BANDWIDTH=%" PRIu32
            ",CODECS=\"%s,%s\",RESOLUTION=%ux%u,FRAME-RATE=%" PRIu32
            ".000,AUDIO=\"%s\"\n%s\n",
            t->peak_bps + sound->peak_bps, t->bps + sound->bps, t->codec, sound->codec,
            t->width, t->height, t->fps, sound->name, name);
    }
    return text.len;
}

size_t manifest_write_playlist(const struct manifest *manifest, unsigned track,
                               char out[MANIFEST_TEXT])
{
    const struct manifest_track *t = &manifest->tracks[track];
    struct text text = {.out = out};
    char name[MANIFEST_NAME], date[DATE];

    manifest_init_name(manifest, track, name);
    add(&text,
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        "#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:%" PRIu64
        "\n#EXT-X-DISCONTINUITY-SEQUENCE:%u\n#EXT-X-MAP:URI=\"%s\"\n",
        manifest->number, manifest->part - 1, name);
    for (unsigned i = 0; i < manifest->n; i++) {
        const struct manifest_segment *s = &t->segments[i];

        date_of(manifest->zero_wall_us + s->at * 1000000 / t->hz, date);
        manifest_segment_name(manifest, track, manifest->number + i, name);
        add(&text, "#EXT-X-PROGRAM-DATE-TIME:%s\n#EXTINF:%.5f,\n%s\n", date,
            (double)s->length / t->hz, name);
    }
    if (manifest->over) {
        add(&text, "#EXT-X-ENDLIST\n");
    }
    return text.len;
}

/* ---- DASH ---- */

/* When the period begins. Of what is over that is where the first segment is that is left:
 * who plays it from its beginning finds something there, and no time is another. */
static int64_t begin_ms(const struct manifest *manifest)
{
    const struct manifest_track *t = &manifest->tracks[0];

    return manifest->over && manifest->n > 0 ? t->segments[0].at * 1000 / t->hz
                                             : manifest->begin_ms;
}

static void add_template(struct text *text, const struct manifest *manifest,
                         const struct manifest_track *t)
{
    add(text,
        "<SegmentTemplate timescale=\"%" PRIu32 "\" presentationTimeOffset=\"%" PRId64
        "\" startNumber=\"%" PRIu64 "\" initialization=\"%u-$RepresentationID$.mp4\" "
        "media=\"%u-$RepresentationID$-$Number$.m4s\">\n<SegmentTimeline>\n",
        t->hz, begin_ms(manifest) * t->hz / 1000, manifest->number, manifest->part,
        manifest->part);
    for (unsigned i = 0; i < manifest->n; i++) {
        add(text, "<S t=\"%" PRId64 "\" d=\"%" PRId64 "\"/>\n", t->segments[i].at,
            t->segments[i].length);
    }
    add(text, "</SegmentTimeline>\n</SegmentTemplate>\n");
}

static void add_pictures(struct text *text, const struct manifest *manifest)
{
    add(text, "<AdaptationSet id=\"0\" contentType=\"video\" mimeType=\"video/mp4\" "
              "segmentAlignment=\"true\" startWithSAP=\"1\">\n");
    add_template(text, manifest, &manifest->tracks[0]); /* all are cut at the same times */
    for (unsigned i = 0; i + 1 < manifest->n_tracks; i++) {
        const struct manifest_track *t = &manifest->tracks[i];

        add(text,
            "<Representation id=\"%s\" codecs=\"%s\" width=\"%u\" height=\"%u\" "
            "frameRate=\"%" PRIu32 "\" sar=\"1:1\" bandwidth=\"%" PRIu32 "\"/>\n",
            t->name, t->codec, t->width, t->height, t->fps, t->peak_bps);
    }
    add(text, "</AdaptationSet>\n");
}

static void add_sound(struct text *text, const struct manifest *manifest)
{
    const struct manifest_track *t = &manifest->tracks[manifest->n_tracks - 1];

    add(text, "<AdaptationSet id=\"1\" contentType=\"audio\" mimeType=\"audio/mp4\" "
              "segmentAlignment=\"true\" startWithSAP=\"1\">\n");
    add_template(text, manifest, t);
    add(text,
        "<Representation id=\"%s\" codecs=\"%s\" audioSamplingRate=\"%" PRIu32
        "\" bandwidth=\"%" PRIu32 "\">\n<AudioChannelConfiguration "
        "schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" "
        "value=\"2\"/>\n</Representation>\n</AdaptationSet>\n",
        t->name, t->codec, t->hz, t->peak_bps);
}

/* One that is over says how long it was, and needs not be asked for again. */
static void add_life(struct text *text, const struct manifest *manifest)
{
    const struct manifest_track *t = &manifest->tracks[0];
    const struct manifest_segment *last =
        manifest->n > 0 ? &t->segments[manifest->n - 1] : NULL;

    if (manifest->over) {
        add(text, "mediaPresentationDuration=\"PT%.3fS\" ",
            last != NULL ? (double)(last->at + last->length) / t->hz : 0.0);
    } else {
        add(text,
            "minimumUpdatePeriod=\"PT1S\" timeShiftBufferDepth=\"PT%dS\" "
            "suggestedPresentationDelay=\"PT2.5S\" ",
            MANIFEST_WINDOW);
    }
}

size_t manifest_write_mpd(const struct manifest *manifest, uint64_t now_wall_us,
                          char out[MANIFEST_TEXT])
{
    struct text text = {.out = out};
    char zero[DATE], now[DATE];

    date_of(manifest->zero_wall_us + manifest->behind_us, zero);
    date_of((int64_t)now_wall_us, now);
    add(&text,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
        "profiles=\"urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:"
        "2019\" "
        "type=\"%s\" availabilityStartTime=\"%s\" publishTime=\"%s\" ",
        manifest->over ? "static" : "dynamic", zero, now);
    add_life(&text, manifest);
    add(&text,
        "minBufferTime=\"PT1S\" maxSegmentDuration=\"PT2S\">\n<Period id=\"%u\" "
        "start=\"PT%.3fS\">\n",
        manifest->part, (double)begin_ms(manifest) / 1000);
    add_pictures(&text, manifest);
    add_sound(&text, manifest);
    /* who looks at another clock would look for segments that are not there */
    add(&text,
        "</Period>\n<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:direct:2014\" "
        "value=\"%s\"/>\n</MPD>\n",
        now);
    return text.len;
}
