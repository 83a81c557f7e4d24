/* The viewers' page: plays the live stream that its address names, watch.html?stream=ID, by
 * hls.js, or by the browser itself where that can. It waits for a stream that is about to
 * begin, and says when one has ended. */
import Hls from 'hls.js';
import { el } from './ui/dom';
import { words } from './words';

const RETRY_MS = 1_000;
const BEHIND = 2; /* segments, of a second each, that the picture is behind the newest */

const video = el('video', { class: 'watch-video', controls: true, autoplay: true, playsinline: true });
const status = el('p', { class: 'banner', role: 'status' }, words.watch.waiting);

function say(text: string, warn = false): void {
    status.textContent = text;
    status.hidden = text === '';
    status.classList.toggle('warn', warn);
}

/* Browsers start what sounds only after a click, what is muted at once. */
async function play(): Promise<void> {
    try {
        await video.play();
    } catch {
        video.muted = true;
        await video.play().catch(() => undefined);
    }
}

function playByHls(url: string): void {
    const hls = new Hls({
        liveSyncDurationCount: BEHIND,
        liveMaxLatencyDurationCount: BEHIND + 4,
        maxLiveSyncPlaybackRate: 1.1,
        backBufferLength: 30,
        capLevelToPlayerSize: true, /* more could not be seen */
        abrEwmaDefaultEstimate: 5_000_000, /* the first segments: as if the link were wide */
    });

    hls.on(Hls.Events.MANIFEST_PARSED, () => void play());
    hls.on(Hls.Events.LEVEL_UPDATED, (_event, { details }) =>
        say(details.live ? '' : words.watch.ended));
    hls.on(Hls.Events.ERROR, (_event, { fatal, type }) => {
        if (!fatal) {
            return;
        }
        if (type === Hls.ErrorTypes.MEDIA_ERROR) {
            hls.recoverMediaError();
            return;
        }
        hls.destroy();
        say(words.watch.waiting);
        window.setTimeout(() => void watch(url), RETRY_MS);
    });
    hls.loadSource(url);
    hls.attachMedia(video);
}

/* Not before there is something: players give up sooner than hosts begin. */
async function watch(url: string): Promise<void> {
    const found = await fetch(url, { cache: 'no-store' }).catch(() => undefined);

    if (found?.ok !== true) {
        window.setTimeout(() => void watch(url), RETRY_MS);
    } else if (Hls.isSupported()) {
        playByHls(url);
    } else if (video.canPlayType('application/vnd.apple.mpegurl') !== '') {
        video.src = url;
        say('');
        await play();
    } else {
        say(words.watch.unsupported, true);
    }
}

const stream = new URL(location.href).searchParams.get('stream') ?? '';

document.title = words.watch.title;
document.getElementById('app')?.replaceChildren(
    el('main', { class: 'watch', 'aria-label': words.watch.title }, video, status),
);
if (/^[\w-]{1,64}$/.test(stream)) {
    void watch(`/live/${stream}/master.m3u8`);
} else {
    say(words.watch.nothing, true);
}
