/* Headless Chromium with a fake camera (a green clock) and microphone (beeps), driving
 * the real page; and what a test may ask of a page in a call. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import puppeteer from 'puppeteer-core';
import { KEPT } from './node.mjs';

export const CHROMIUM = process.env.KCS_CHROMIUM ?? '/usr/bin/chromium';
const JOIN_MS = 20_000;
const MEDIA_MS = 30_000;
const PICTURES = 6;
const PICTURE_STEP_MS = 170;

/* Runs `body` with a browser of its own and closes it, whatever happens. `wrapper`: a program
 * that starts it elsewhere (wire.mjs). */
export async function withBrowser(body, wrapper = CHROMIUM) {
    assert.ok(existsSync(CHROMIUM), `${CHROMIUM} is missing: apt-get install chromium`);
    const browser = await puppeteer.launch({
        executablePath: wrapper,
        headless: true,
        acceptInsecureCerts: true,
        pipe: true,
        args: [
            '--no-sandbox',
            '--disable-gpu',
            '--use-fake-device-for-media-stream',
            '--use-fake-ui-for-media-stream',
            '--autoplay-policy=no-user-gesture-required',
            '--disable-background-networking',
            '--no-first-run',
            /* both pages stay as lively as the one in front */
            '--disable-background-timer-throttling',
            '--disable-backgrounding-occluded-windows',
            '--disable-renderer-backgrounding',
        ],
    });
    try {
        return await body(browser);
    } finally {
        await browser.close();
    }
}

const FIREFOX = process.env.KCS_FIREFOX ?? '/usr/bin/firefox-esr';

/* The same with Firefox, whose fake camera is a picture of one colour that changes. */
export async function withFirefox(body) {
    assert.ok(existsSync(FIREFOX), `${FIREFOX} is missing: apt-get install firefox-esr`);
    const browser = await puppeteer.launch({
        browser: 'firefox',
        executablePath: FIREFOX,
        headless: true,
        acceptInsecureCerts: true,
        extraPrefsFirefox: {
            'media.navigator.streams.fake': true,
            'media.navigator.permission.disabled': true,
            'media.autoplay.default': 0,
            'media.peerconnection.ice.obfuscate_host_addresses': false,
            /* it would fetch a codec that the machine may not have */
            'media.gmp-manager.updateEnabled': false,
        },
    });
    try {
        return await body(browser);
    } finally {
        await browser.close();
    }
}

/* Before the page's own scripts: remembers its peer connections, so that a test can stop
 * the sending at its source; lets the page see only the node's candidates of one IP
 * version, or instead of them a relay's port; and, on request, takes its camera away, or has
 * its microphone hear a sound that never stops. */
function prepare({ ip, camera, relay, minKbps, tone }) {
    const Native = window.RTCPeerConnection;
    const peers = [];
    const held = [];

    window.RTCPeerConnection = class extends Native {
        constructor(...args) {
            super(...args);
            peers.push(this);
        }

        setRemoteDescription(description) {
            const sdp = description.sdp
                .split('\r\n')
                .map((line) => {
                    const words = line.split(' ');
                    if (minKbps !== 0 && line.includes('x-google-start-bitrate')) {
                        return `${line};x-google-min-bitrate=${minKbps}`;
                    }
                    if (relay !== 0 && line.startsWith('a=candidate:')) {
                        words[4] = '127.0.0.1';
                        words[5] = String(relay);
                    }
                    return words.join(' ');
                })
                .filter((line) => {
                    const address = line.startsWith('a=candidate:')
                        ? line.split(' ')[4]
                        : '';
                    return (
                        ip === 0 || address === '' || address.includes(':') === (ip === 6)
                    );
                })
                .join('\r\n');
            return super.setRemoteDescription({ type: description.type, sdp });
        }
    };
    const sockets = [];
    const scores = new Map();
    const NativeSocket = window.WebSocket;

    window.WebSocket = class extends NativeSocket {
        constructor(...args) {
            super(...args);
            sockets.push(this);
            this.addEventListener('message', ({ data }) => {
                const at = typeof data === 'string' ? data.indexOf('["consumer:score",') : -1;

                if (at >= 0) {
                    const [, told] = JSON.parse(data.slice(at));
                    scores.set(told.producer_id, told.score);
                }
            });
        }
    };
    window.kcsTest = {
        /* what the node has said last of how a producer arrives here, 0 to 10 */
        score: (producerId) => scores.get(producerId) ?? 10,
        /* as if the network had dropped them */
        cutSockets: () => sockets.splice(0).forEach((socket) => socket.close()),
        /* what is sent */
        tracks() {
            return peers
                .filter((peer) => peer.connectionState !== 'closed')
                .flatMap((peer) => peer.getSenders())
                .map((sender) => sender.track)
                .filter((track) => track !== null);
        },
        peers: () => peers,
        /* the layers of the camera's only encoding */
        mode() {
            const sender = peers
                .flatMap((peer) => (peer.connectionState === 'closed' ? [] : peer.getSenders()))
                .find((found) => found.track?.kind === 'video');
            return sender?.getParameters().encodings[0]?.scalabilityMode ?? '';
        },

        /* the encodings of the camera: which are active */
        encodings() {
            const sender = peers
                .flatMap((peer) => (peer.connectionState === 'closed' ? [] : peer.getSenders()))
                .find((found) => found.track?.kind === 'video');
            return sender?.getParameters().encodings.map((each) => each.active) ?? [];
        },
        /* the camera's size stays, however busy the machine is: fewer frames instead */
        async keepSize() {
            for (const sender of peers.flatMap((peer) => peer.getSenders())) {
                if (sender.track?.kind === 'video') {
                    const parameters = sender.getParameters();
                    parameters.degradationPreference = 'maintain-resolution';
                    await sender.setParameters(parameters);
                }
            }
        },
        async hold() {
            for (const peer of peers) {
                for (const sender of peer.connectionState === 'closed'
                    ? []
                    : peer.getSenders()) {
                    if (sender.track !== null) {
                        held.push([sender, sender.track]);
                        await sender.replaceTrack(null);
                    }
                }
            }
        },
        /* getStats() of what is received or sent ('inbound-rtp', 'outbound-rtp'), by kind;
         * 1234 is the padding of probes (mediasoup-client's) */
        async rtp(type) {
            const found = {};
            for (const peer of peers.filter((entry) => entry.connectionState !== 'closed')) {
                for (const stats of (await peer.getStats()).values()) {
                    if (stats.type === type && stats.ssrc !== 1234) {
                        found[stats.kind] = stats;
                    }
                }
            }
            return found;
        },
        /* Watches the received sound: the longest time in sequence that the jitter buffer
         * made up for want of packets, or a little more: of a look that has the end of one
         * such time and the beginning of the next both have all. A look at the same
         * figures as before says nothing. */
        watchSound() {
            const seen = { longest: 0, now: 0, concealed: 0, events: 0, total: 0 };
            window.setInterval(async () => {
                const { audio } = await window.kcsTest.rtp('inbound-rtp');
                if (audio === undefined || audio.totalSamplesReceived === seen.total) {
                    return;
                }
                const madeUp = (audio.concealedSamples - seen.concealed) / 48;
                const again = audio.concealmentEvents > seen.events;
                seen.concealed = audio.concealedSamples;
                seen.events = audio.concealmentEvents;
                seen.total = audio.totalSamplesReceived;
                seen.longest = Math.max(seen.longest, seen.now + madeUp);
                seen.now = again ? madeUp : madeUp > 0 ? seen.now + madeUp : 0;
            }, 50);
            window.kcsTest.longestGapMs = () => Math.round(seen.longest);
            window.kcsTest.forgetGap = () => (seen.longest = seen.now = 0);
        },
        /* what tells one association from another */
        async identities() {
            const found = [];
            for (const peer of peers.filter((entry) => entry.connectionState !== 'closed')) {
                for (const stats of (await peer.getStats()).values()) {
                    if (stats.type === 'transport') {
                        found.push([stats.iceLocalUsernameFragment, stats.dtlsState]);
                    }
                }
            }
            return found.sort();
        },
        /* true once the page has left 'joined' and come back since expectReconnect() */
        expectReconnect() {
            const seen = { away: false };
            const timer = window.setInterval(() => {
                if (window.kcs.state === 'reconnecting') {
                    seen.away = true;
                    window.clearInterval(timer);
                }
            }, 5);
            window.kcsTest.reconnected = () => seen.away;
        },
        async release() {
            for (const [sender, track] of held.splice(0)) {
                await sender.replaceTrack(track);
            }
        },
    };
    if (tone) {
        const native = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wanted) => {
            const stream = await native(wanted);
            if (wanted.audio) {
                const context = new AudioContext();
                const out = context.createMediaStreamDestination();
                const source = new OscillatorNode(context, {
                    type: 'sawtooth',
                    frequency: 220,
                });
                source.connect(out);
                source.start();
                await context.resume();
                for (const track of stream.getAudioTracks()) {
                    stream.removeTrack(track);
                    track.stop();
                }
                stream.addTrack(out.stream.getAudioTracks()[0]);
            }
            return stream;
        };
    }
    if (!camera) {
        const native = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wanted) => {
            if (wanted.video) {
                throw new DOMException('Requested device not found', 'NotFoundError');
            }
            return native(wanted);
        };
    }
}

/* One person's tab. */
export class Person {
    constructor(page, name) {
        this.page = page;
        this.name = name;
        this.console = [];
        page.on('console', (message) => this.console.push(message.text()));
        page.on('pageerror', (error) => this.console.push(`uncaught: ${error.message}`));
    }

    /* Opens the page of a meeting. With `form`, the name is typed as a person does; 'open'
     * leaves it at that, until join().
     * ip: 4 or 6 lets only the node's candidates of that version through.
     * relay: the port of a Relay (relay.mjs) that its media goes through.
     * minKbps: what it sends at least, whatever its estimate of the link says.
     * tone: its microphone hears one without a pause, instead of beeps. */
    static async open(browser, node, options) {
        const {
            name,
            meeting,
            token,
            codec,
            form = false,
            ip = 0,
            camera = true,
            relay = 0,
            height = 360,
            layers,
            video = true,
            minKbps = 0,
            tone = false,
        } = options;
        const page = await browser.newPage();
        const person = new Person(page, name);
        const query = new URLSearchParams({ meeting, height: String(height) });

        if (codec !== undefined) {
            query.set('codec', codec);
        }
        if (layers !== undefined) {
            query.set('layers', String(layers));
        }
        if (!video) {
            query.set('video', '0');
        }
        if (!form) {
            query.set('name', name);
        }
        await page.setViewport({ width: 1120, height: 700 });
        await page.evaluateOnNewDocument(prepare, { ip, camera, relay, minKbps, tone });
        await page.goto(`${node.origin}/?${query}#token=${token}`);
        if (form) {
            await page.type('#join-form input[name=name]', name);
        }
        if (form === true) {
            await person.join();
        }
        return person;
    }

    /* Sends the form. */
    async join() {
        await this.page.click('#join-form button[type=submit]');
    }

    /* Waits for a condition in the page; when it does not come, says how the page is. */
    async until(what, condition, argument, timeout = JOIN_MS) {
        try {
            await this.page.waitForFunction(condition, { timeout, polling: 100 }, argument);
        } catch (error) {
            throw new Error(
                `${this.name}: waited ${timeout} ms in vain: ${what} (${error.message})\n` +
                    (await this.describe()),
            );
        }
    }

    async joined() {
        await this.until('the page has joined', () => window.kcs.state === 'joined');
    }

    /* Waits until the first picture and the first sound of `name` were decoded. */
    async receives(name) {
        await this.until(
            `picture and sound of ${name} arrive`,
            async (wanted) => {
                const { received } = await window.kcs.stats();
                const of = (kind) =>
                    received.find((entry) => entry.name === wanted && entry.kind === kind);
                return of('video')?.framesDecoded > 0 && of('audio')?.packetsReceived > 0;
            },
            name,
            MEDIA_MS,
        );
    }

    stats() {
        return this.page.evaluate(() => window.kcs.stats());
    }

    /* What is received from `name`, of one kind. */
    async received(name, kind) {
        const { received } = await this.stats();
        const entry = received.find((found) => found.name === name && found.kind === kind);

        assert.ok(
            entry !== undefined,
            `${this.name} receives ${kind} of ${name}: ${JSON.stringify(received)}`,
        );
        return entry;
    }

    hold() {
        return this.page.evaluate(() => window.kcsTest.hold());
    }

    release() {
        return this.page.evaluate(() => window.kcsTest.release());
    }

    /* Presses a button by what it is called for screen readers. */
    async press(label) {
        await this.page.bringToFront();
        await this.page
            .locator(`button[aria-label="${label}"]`)
            .setTimeout(JOIN_MS)
            .click();
    }

    /* Draws the picture shown of `name`, a few times within a second, and resolves with
     * the greatest standard deviation of its brightness (0 to 127). A picture of one
     * colour has 0; the fake camera's clock comes near to it once in each turn. */
    async contrast(name) {
        let best = 0;

        await this.page.bringToFront();
        for (let i = 0; i < PICTURES; i++) {
            best = Math.max(best, await this.contrastNow(name));
            await sleep(PICTURE_STEP_MS);
        }
        return best;
    }

    async contrastNow(name) {
        const result = await this.page.evaluate((wanted) => {
            const tile = [...document.querySelectorAll('.tile:not(.own)')].find(
                (found) => found.getAttribute('aria-label') === wanted,
            );
            const video = tile?.querySelector('video');
            if (!video?.videoWidth || !tile.classList.contains('has-video')) {
                return null;
            }
            const canvas = document.createElement('canvas');
            canvas.width = 64;
            canvas.height = 36;
            const context = canvas.getContext('2d');
            context.drawImage(video, 0, 0, canvas.width, canvas.height);
            const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
            let sum = 0;
            let squares = 0;
            for (let i = 0; i < data.length; i += 4) {
                const light = 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
                sum += light;
                squares += light * light;
            }
            const n = data.length / 4;
            return Math.sqrt(Math.max(0, squares / n - (sum / n) ** 2));
        }, name);

        assert.notEqual(result, null, `${this.name} shows a picture of ${name}`);
        return result;
    }

    async screenshot(file) {
        mkdirSync(KEPT, { recursive: true });
        await this.page.bringToFront();
        await this.page.screenshot({ path: join(KEPT, file) });
    }

    /* How the page is, for a failure's message. */
    async describe() {
        const state = await this.page
            .evaluate(async () => ({
                state: window.kcs?.state,
                reason: window.kcs?.reason,
                problems: window.kcs?.problems,
                people: window.kcs?.people,
                stats: await window.kcs?.stats(),
            }))
            .catch((error) => `the page does not answer: ${error.message}`);

        return `${JSON.stringify(state, null, 1)}\nconsole: ${this.console.join('\n')}`;
    }
}
