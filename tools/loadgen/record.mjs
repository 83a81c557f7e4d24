/* Records what a browser's encoders send to a node and writes it as the tables of kcs-loadgen's
 * patterns: `node tools/loadgen/record.mjs DIR >tools/loadgen/recorded.c`. What DIR has of a
 * recording before is not recorded again.
 *
 * Chromium sends, by the node's own page, a camera of 1280x720 at 30 frames a second as VP8 in
 * three sizes of three temporal layers, and as H264 in one, and speech as Opus with and without
 * DTX. What the camera sees and the microphone hears is made here: a textured figure that sways
 * in front of a textured wall, with the noise of a camera; syllables with pauses. The node copies
 * what comes from the browser, opened; frames are put together again from it. */
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, existsSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { CHROMIUM, Person, withBrowser } from '../../tests/e2e/lib/browser.mjs';
import { withNode } from '../../tests/e2e/lib/node.mjs';
import { readPcapng } from '../../tests/e2e/lib/pcapng.mjs';

const [WIDTH, HEIGHT, RATE, CLIP_S] = [1280, 720, 30, 4];
const SOUND_HZ = 48000;
const SETTLE_MS = 25_000; /* until the rates of the encoders are reached */
const RECORD_S = 14;
const FRAMES = 300; /* 10 s of video */
const SOUND_MS = 10_000;
const SUBSCRIBER_WINDOW = { width: 1600, height: 1200 };

/* ---- what is seen and heard ---- */

let state = 1;
const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
};

/* A picture of brightness whose details are weaker the finer they are, as in nature. */
function texture(width, height, contrast) {
    const out = new Float32Array(width * height).fill(0);

    for (let cell = 256, force = contrast; cell >= 2; cell /= 2, force *= 0.62) {
        const across = Math.ceil(width / cell) + 2;
        const knots = Float32Array.from({ length: across * (Math.ceil(height / cell) + 2) }, random);

        for (let y = 0; y < height; y++) {
            const [row, dy] = [Math.floor(y / cell) * across, (y % cell) / cell];
            for (let x = 0; x < width; x++) {
                const [at, dx] = [row + Math.floor(x / cell), (x % cell) / cell];
                const top = knots[at] * (1 - dx) + knots[at + 1] * dx;
                const bottom = knots[at + across] * (1 - dx) + knots[at + across + 1] * dx;
                out[y * width + x] += force * (top * (1 - dy) + bottom * dy);
            }
        }
    }
    return out;
}

/* All motion comes back to where it began: the clip is played again and again. */
function writeClip(path) {
    const [w, h] = [360, 480];
    const wall = texture(WIDTH, HEIGHT, 120);
    const figure = texture(w, h, 110);
    const noise = Float32Array.from({ length: 1 << 20 }, () => 6 * (random() + random()));
    const colour = Uint8Array.from(texture(WIDTH / 2, HEIGHT, 40), (v) => 128 + v);
    const frame = new Uint8Array(WIDTH * HEIGHT);
    const file = openSync(path, 'w');

    writeSync(file, `YUV4MPEG2 W${WIDTH} H${HEIGHT} F${RATE}:1 Ip A1:1 C420mpeg2\n`);
    for (let i = 0; i < CLIP_S * RATE; i++) {
        const turn = (n) => Math.sin((2 * Math.PI * n * i) / (CLIP_S * RATE));
        const [left, top] = [440 + 50 * turn(1) + 12 * turn(3), 140 + 20 * turn(2)].map(Math.round);
        const mouth = 12 * Math.abs(turn(13));
        let grain = i * 7919;

        for (let y = 0; y < HEIGHT; y++) {
            for (let x = 0; x < WIDTH; x++) {
                const [fx, fy] = [x - left, y - top];
                const inside = ((fx - w / 2) / 175) ** 2 + ((fy - h / 2) / 235) ** 2 < 1;
                const open = Math.abs(fy - 340) < mouth && Math.abs(fx - w / 2) < 60;
                const light = inside ? (open ? 40 : 150 + figure[fy * w + fx]) : 110 + wall[y * WIDTH + x];

                frame[y * WIDTH + x] = Math.max(16, Math.min(235, light + noise[grain++ & 0xfffff]));
            }
        }
        writeSync(file, 'FRAME\n');
        writeSync(file, frame);
        writeSync(file, colour);
    }
    closeSync(file);
}

/* Syllables of changing pitch, three phrases with a second and a half between them. */
function writeSpeech(path) {
    const n = 12 * SOUND_HZ;
    const head = Buffer.alloc(44);
    const samples = new Int16Array(n);
    let phase = 0;

    for (let i = 0; i < n; i++) {
        const t = i / SOUND_HZ;
        const pitch = 120 + 25 * Math.sin(3.8 * t) + 12 * Math.sin(14 * t);
        const formant = 600 + 300 * Math.sin(10.7 * t);
        const force = t % 4 < 2.5 ? Math.max(0, Math.sin(13 * t) + 0.35) : 0;
        let sum = Math.sin(19 * t) > 0.7 ? 0.5 * random() : 0;

        phase += (2 * Math.PI * pitch) / SOUND_HZ;
        for (let k = 1; force > 0 && k < 25; k++) {
            sum += Math.sin(k * phase) * Math.exp(-(((k * pitch - formant) / 500) ** 2));
        }
        samples[i] = Math.max(-1, Math.min(1, 0.2 * force * sum)) * 32767;
    }
    head.write('RIFF');
    head.writeUInt32LE(36 + 2 * n, 4);
    head.write('WAVEfmt ', 8);
    head.writeUInt32LE(16, 16);
    head.writeUInt16LE(1, 20); /* PCM */
    head.writeUInt16LE(1, 22); /* channel */
    head.writeUInt32LE(SOUND_HZ, 24);
    head.writeUInt32LE(2 * SOUND_HZ, 28);
    head.writeUInt16LE(2, 32);
    head.writeUInt16LE(16, 34);
    head.write('data', 36);
    head.writeUInt32LE(2 * n, 40);
    writeFileSync(path, Buffer.concat([head, Buffer.from(samples.buffer)]));
}

/* ---- recording ---- */

/* Before the page's scripts: the node's description without DTX. */
function withoutDtx() {
    const native = RTCPeerConnection.prototype.setRemoteDescription;

    RTCPeerConnection.prototype.setRemoteDescription = function (description) {
        const sdp = description.sdp.replaceAll(';usedtx=1', '').replaceAll('usedtx=1;', '');
        return native.call(this, { type: description.type, sdp });
    };
}

/* All encodings of the camera begin anew, as when a PLI comes. */
async function askForKeys() {
    for (const sender of window.kcsTest.peers().flatMap((peer) => peer.getSenders())) {
        if (sender.track?.kind === 'video') {
            const parameters = sender.getParameters();
            await sender.setParameters(parameters, {
                encodingOptions: parameters.encodings.map(() => ({ keyFrame: true })),
            });
        }
    }
}

/* Writes all packets of a browser that sends so, opened, to a file. */
const record = (file, chromium, codec, layers, dtx) =>
    withNode({ name: `record-${codec}`, devices: ['udp'], level: 'warn' }, (node) =>
        withBrowser(async (browser) => {
            const windows = { newPage: async () => {
                const page = await browser.newPage();

                await page.evaluateOnNewDocument(dtx ? '' : withoutDtx);
                return page;
            } };
            const open = async (name, video) => {
                const token = await node.token({ meeting: 'record', name });
                const person = await Person.open(windows, node, { name, meeting: 'record', token,
                    codec, height: HEIGHT, layers, video, ip: 4, minKbps: 4000 });
                await person.joined();
                return person;
            };
            const ada = await open('Ada', true);
            const grace = await open('Grace', false);

            await grace.page.setViewport(SUBSCRIBER_WINDOW);
            await grace.receives('Ada');
            await ada.page.evaluate(() => window.kcsTest.keepSize());
            await sleep(SETTLE_MS);
            const { transport_id: id } = JSON.parse(await node.kcsctl('peers', '--json')).find(
                ({ name, direction }) => name === 'Ada' && direction === 'send');
            const done = node.kcsctl('capture', '--peer', id, '--time', `${RECORD_S}s`,
                '--decrypted', file);
            for (let i = 0; i < RECORD_S / 2 - 1; i++) {
                await sleep(2000);
                await ada.page.evaluate(askForKeys);
            }
            process.stderr.write(await done);
        }, chromium));

/* The RTP packets of the browser, which has sent more than the node. */
function packetsOf(file) {
    const sides = grouped(readPcapng(file), 'from');
    const size = (side) => side.reduce((sum, { udp }) => sum + udp.length, 0);

    return sides.sort((a, b) => size(b) - size(a))[0]
        .map(({ udp }) => rtp(udp)).filter((packet) => packet !== undefined);
}

function rtp(udp) {
    const type = udp[1] & 0x7f;

    if (udp[0] >> 6 !== 2 || (type >= 64 && type < 96)) {
        return undefined;
    }
    let at = 12 + 4 * (udp[0] & 15);
    if ((udp[0] & 0x10) !== 0) {
        at += 4 + 4 * udp.readUInt16BE(at + 2);
    }
    const end = (udp[0] & 0x20) !== 0 ? udp.length - udp[udp.length - 1] : udp.length;
    return { type, seq: udp.readUInt16BE(2), ts: udp.readUInt32BE(4), ssrc: udp.readUInt32BE(8),
        payload: udp.subarray(at, end) };
}

/* ---- frames ---- */

const bytes = (packets) => packets.reduce((sum, { payload }) => sum + payload.length, 0);

function grouped(packets, name) {
    const groups = new Map();

    for (const packet of packets) {
        groups.set(packet[name], [...(groups.get(packet[name]) ?? []), packet]);
    }
    return [...groups.values()];
}

const step = (a, b) => (b.ts - a.ts) | 0;

/* Of all that came: the streams of sound, and those of video, the smallest first; RTX and padding
 * are of other payload types. */
function streamsOf(packets) {
    const kinds = grouped(packets.filter(({ payload }) => payload.length > 0), 'type');
    const isSound = (kind) => bytes(kind) / kind.length < 400 &&
        kind.slice(1).every((packet, i) => step(kind[i], packet) % 120 === 0);
    const video = kinds.sort((a, b) => bytes(b) - bytes(a))[0];

    return { sound: kinds.filter(isSound).sort((a, b) => b.length - a.length)[0],
        video: grouped(video, 'ssrc').sort((a, b) => bytes(a) - bytes(b)) };
}

/* What of a packet is the frame's, and what it says of the frame. */
function opened(codec, payload) {
    if (codec === 'opus') {
        return { len: payload.length, key: false, layers: 0 };
    }
    if (codec === 'h264') {
        const type = payload[0] & 31;
        const starts = (nal) => nal === 5 || nal === 7;
        const key = type === 28 ? payload[1] & 0x80 && starts(payload[1] & 31)
            : type === 24 ? starts(payload[3] & 31) : starts(type);

        return { len: payload.length - (type === 28 ? 2 : 0), key, layers: 0 };
    }
    let at = 1;
    let layers = 0;
    if ((payload[0] & 0x80) !== 0) {
        const ext = payload[at++];

        at += (ext & 0x80) !== 0 ? (payload[at] & 0x80 ? 2 : 1) : 0;
        at += (ext & 0x40) !== 0 ? 1 : 0;
        layers = (ext & 0x20) !== 0 ? payload[at] & 0xe0 : 0;
        at += (ext & 0x30) !== 0 ? 1 : 0;
    }
    return { len: payload.length - at, key: (payload[0] & 0x17) === 0x10 && (payload[at] & 1) === 0,
        layers };
}

/* The frames of a stream in the order they were sent; no packet may be missing. */
function framesOf(codec, stream) {
    const first = stream[0].seq;
    const sorted = stream.toSorted((a, b) => ((a.seq - first) << 16) - ((b.seq - first) << 16));
    const all = sorted.filter((packet, i) => i === 0 || packet.seq !== sorted[i - 1].seq);

    all.forEach(({ seq }, i) => {
        if (((seq - first) & 0xffff) !== ((all[0].seq - first + i) & 0xffff)) {
            throw new Error(`${codec}: a packet is missing at ${i} of ${all.length}`);
        }
    });
    const frames = grouped(all, 'ts').map((packets) => {
        const parts = packets.map(({ payload }) => opened(codec, payload));

        return { ts: packets[0].ts, n: packets.length, layers: parts[0].layers,
            key: parts.some(({ key }) => key), len: parts.reduce((sum, { len }) => sum + len, 0),
            most: Math.max(...packets.map(({ payload }) => payload.length)) };
    });
    frames.forEach((frame, i) => (frame.step = i === 0 ? 0 : step(frames[i - 1], frame)));
    return frames.slice(1, -1); /* whole ones */
}

/* ---- the tables ---- */

const say = (line = '') => console.log(line);

/* A busy machine takes pictures late while it records. Frames are as far apart as the camera has
 * them instead. */
const videoMs = (i) => Math.round(((i + 1) * 1000) / RATE) - Math.round((i * 1000) / RATE);

function rows(name, frames) {
    const entries = frames.map(({ len, ms, layers }) => `{${len}, ${ms}, ${layers}},`);

    say(`static const struct pattern_frame ${name}[] = {`);
    for (let i = 0; i < entries.length; i += 6) {
        say(`    ${entries.slice(i, i + 6).join(' ')}`);
    }
    say('};\n');
}

const kbps = (frames) =>
    ((8 * frames.reduce((sum, { len }) => sum + len, 0)) /
        frames.reduce((sum, { ms }) => sum + ms, 0)).toFixed(0);

const pattern = (name, codec, most, more) => [`.frames = ${name}_frames,`,
    `.n_frames = COUNT(${name}_frames),`, `.packet_max = ${most},`,
    `.kind = PAYLOAD_${codec.toUpperCase()},`, ...more];

/* Returns how a pattern of what it has written is initialized. */
function videoTable(name, what, codec, stream) {
    const frames = framesOf(codec, stream);
    const others = frames.filter(({ key }) => !key);
    const begin = others.findIndex(({ layers }) => layers >> 6 === 0);
    const span = others.slice(begin, begin + FRAMES).map((frame, i) => ({ ...frame, ms: videoMs(i) }));
    const keys = frames.filter(({ key }) => key).map((frame) => ({ ...frame, ms: videoMs(0) }));
    const most = Math.max(...frames.map((frame) => frame.most));

    say(`/* ${what}: ${kbps(span)} kbit/s, key frames apart. */`);
    rows(`${name}_frames`, span);
    rows(`${name}_keys`, keys);
    return pattern(name, codec, most, [`.keys = ${name}_keys,`, `.n_keys = COUNT(${name}_keys),`,
        `.temporal = ${codec === 'vp8'},`]);
}

function soundTable(name, what, stream) {
    let left = SOUND_MS;
    const span = framesOf('opus', stream)
        .map((frame) => ({ ...frame, ms: Math.round(frame.step / 48) }))
        .filter(({ ms }) => (left -= ms) >= 0);

    say(`/* ${what}: ${kbps(span)} kbit/s. */`);
    rows(`${name}_frames`, span);
    return pattern(name, 'opus', 'PAYLOAD_MAX', []);
}

const dir = process.argv[2];
if (dir === undefined) {
    console.error('usage: node tools/loadgen/record.mjs DIR');
    process.exit(2);
}
const chromium = join(dir, 'chromium');
const files = { vp8: join(dir, 'vp8.pcapng'), h264: join(dir, 'h264.pcapng') };

if (!existsSync(chromium)) {
    writeClip(join(dir, 'clip.y4m'));
    writeSpeech(join(dir, 'speech.wav'));
    writeFileSync(chromium, `#!/bin/sh
exec ${CHROMIUM} --use-file-for-fake-video-capture=${dir}/clip.y4m \\
    --use-file-for-fake-audio-capture=${dir}/speech.wav "$@"
`);
    chmodSync(chromium, 0o755);
}
if (!existsSync(files.vp8)) {
    await record(files.vp8, chromium, 'vp8', 3, true);
}
if (!existsSync(files.h264)) {
    await record(files.h264, chromium, 'h264', 1, false);
}
const vp8 = streamsOf(packetsOf(files.vp8));
const h264 = streamsOf(packetsOf(files.h264));

say(`/* Written by record.mjs: what ${execFileSync(CHROMIUM, ['--version'], { encoding: 'utf8' }).trim()}
 * has sent. {bytes, ms after the one before, TID and Y}; see pattern.h. */
#include "loadgen/pattern.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
`);
const sizes = ['320x180', '640x360', '1280x720'];
const layers = vp8.video.map((stream, i) =>
    videoTable(`vp8_${i}`, `VP8, ${sizes[i]}, three layers of time`, 'vp8', stream));
const single = videoTable('h264', 'H264, 1280x720', 'h264', h264.video[0]);
const opus = soundTable('opus', 'Opus, speech, no DTX', h264.sound);
const dtx = soundTable('opus_dtx', 'Opus, speech, DTX', vp8.sound);

say('const struct pattern pattern_vp8[PATTERN_LAYERS] = {');
layers.forEach((fields) => say(`    {\n${fields.map((field) => `        ${field}\n`).join('')}    },`));
say('};');
for (const [name, fields] of Object.entries({ h264: single, opus, opus_dtx: dtx })) {
    say(`\nconst struct pattern pattern_${name} = {`);
    fields.forEach((field) => say(`    ${field}`));
    say('};');
}
