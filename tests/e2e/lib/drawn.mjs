/* A source that can be read again wherever it arrives: each picture has on it who it is of
 * and its number, as bars, and once a second it flashes and beeps at the same moment. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

const WIDTH = 320;
const HEIGHT = 180;

/* Twenty pictures a second; `who` is 0 to 15. In a page of openWishPage(). Publishes by WHIP
 * and keeps the publisher as window.drawn[who]. `record`: has the browser itself write the
 * same stream to a file, as what to compare with. `layers`: two of them, half the size and whole,
 * of a `size` that is large enough. `mode`: of scalability. `by` [port, relay]: the link to the node. */
export async function publishDrawnInPage({ meeting, token, who, codec = 'VP8', beep = true, record = false, size = [320, 180], layers = false, mode, by }) {
    const [width, height] = size;
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width, height });
    const context = canvas.getContext('2d', { alpha: false });
    const sound = new AudioContext();
    const gain = sound.createGain();
    const tone = new OscillatorNode(sound, { frequency: 1000 });
    const out = sound.createMediaStreamDestination();
    const publisher = { number: 0, size: [width, height] };

    context.imageSmoothingEnabled = false;
    gain.gain.value = 0;
    tone.connect(gain).connect(out);
    tone.start();
    const bars = (y, bits) => bits.forEach((bit, i) => {
        const [w, x] = [canvas.width / bits.length, (canvas.width / bits.length) * i];
        context.fillStyle = bit ? '#fff' : '#000';
        context.fillRect(x, y, w, canvas.height / 4);
    });
    const bits = (value, n) => Array.from({ length: n }, (_, i) => (value >> (n - 1 - i)) & 1);
    const draw = () => {
        const number = publisher.number++;
        const flash = number % 20 === 0;

        context.fillStyle = `hsl(${who * 24} 60% 35%)`;
        context.fillRect(0, 0, canvas.width, canvas.height);
        bars(0, [...bits(who, 4), ...bits(~who & 15, 4)]);
        bars(canvas.height / 4, bits(number & 0xffff, 16));
        context.fillStyle = flash ? '#fff' : '#000';
        context.fillRect(canvas.width / 2, canvas.height / 2, canvas.width / 2, canvas.height / 2);
        if (flash && beep) {
            gain.gain.setValueAtTime(0.7, sound.currentTime);
            gain.gain.setValueAtTime(0, sound.currentTime + 0.05);
        }
        track.requestFrame?.();
    };
    const picture = canvas.captureStream(0);
    const [track] = picture.getVideoTracks();
    draw();
    const from = performance.now();
    const timer = setInterval(() => {
        while (performance.now() - from >= publisher.number * 50) {
            draw();
        }
    }, 5);
    const stream = new MediaStream([track, ...out.stream.getAudioTracks()]);
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });

    for (const each of stream.getTracks()) {
        const sender = pc.addTransceiver(each, {
            direction: 'sendonly',
            streams: [stream],
            ...(each.kind === 'video' ? {
                sendEncodings: layers
                    ? [{ rid: 'l', scaleResolutionDownBy: 2 }, { rid: 'h' }]
                    : [{ maxBitrate: 2_000_000, ...(mode === undefined ? {} : { scalabilityMode: mode }) }],
            } : {}),
        });
        if (each.kind === 'video') {
            const { codecs } = RTCRtpSender.getCapabilities('video');
            const own = codecs.filter(({ mimeType, sdpFmtpLine }) =>
                mimeType === `video/${codec}` &&
                (codec !== 'H264' || /packetization-mode=1;profile-level-id=42[ce]0/.test(sdpFmtpLine)));
            sender.setCodecPreferences([...own, ...codecs.filter(({ mimeType }) => mimeType === 'video/rtx')]);
        }
    }
    const { session } = await window.negotiate(pc, `/api/whip/${meeting}`, token,
        (sdp) => (by === undefined ? sdp : sdp.replaceAll(` ${by[0]} typ host`, ` ${by[1]} typ host`)));
    Object.assign(publisher, {
        pc,
        /* that layer, from the smallest, is sent or not */
        layer: async (n, active) => {
            const sender = pc.getSenders().find(({ track: each }) => each?.kind === 'video');
            const parameters = sender.getParameters();

            parameters.encodings[n].active = active;
            await sender.setParameters(parameters);
        },
        resize: (w, h) => Object.assign(canvas, { width: w, height: h }),
        stop: async () => {
            clearInterval(timer);
            pc.close();
            await sound.close();
            await fetch(session, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });
        },
    });
    if (record) {
        const chunks = [];
        const recorder = new MediaRecorder(stream, { mimeType: 'video/webm;codecs=vp8,opus' });

        recorder.ondataavailable = ({ data }) => chunks.push(data);
        recorder.start(1000);
        publisher.recorded = () => new Promise((resolve) => {
            recorder.onstop = async () => {
                const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
                let text = '';
                for (let i = 0; i < bytes.length; i += 0x8000) {
                    text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
                }
                resolve(btoa(text));
            };
            recorder.stop();
        });
    }
    window.drawn = { ...window.drawn, [who]: publisher };
}

const run = (program, args) => {
    const done = spawnSync(program, args, { maxBuffer: 1 << 30 });

    assert.equal(done.status, 0, `${program} ${args.join(' ')}: ${done.stderr}`);
    assert.equal(done.stderr.toString(), '', `${program} ${args.join(' ')}`);
    return done.stdout;
};

/* Every picture of a file as {at, luma}, `at` in seconds, 320 x 180 grey. Decodes it whole,
 * and fails if there is anything to say about it: also if two are of one time, unless the file is
 * the browser's own, which may have that. */
export function picturesOf(path, { browsers = false } = {}) {
    const times = run('ffprobe', ['-v', 'warning', '-select_streams', 'v', '-show_entries', 'packet=pts_time',
        '-of', 'csv=p=0', path]).toString().split(/[\s,]+/).filter(Boolean).map(Number);
    const raw = run('ffmpeg', ['-v', 'warning', '-nostdin', '-i', path, '-map', '0:v', '-fps_mode', 'passthrough', '-enc_time_base:v', '-1',
        '-vf', `extractplanes=y,scale=${WIDTH}:${HEIGHT},setpts=N/30/TB`, '-f', 'rawvideo', '-']);
    const size = WIDTH * HEIGHT;

    assert.equal(raw.length, times.length * size, `${path}: each packet is a picture`);
    for (let i = 1; i < times.length && !browsers; i++) {
        assert.ok(times[i] > times[i - 1], `${path}: ${times[i]} s comes after ${times[i - 1]}`);
    }
    return times.map((at, i) => ({ at, luma: raw.subarray(i * size, (i + 1) * size) }));
}

/* What is drawn in a part of the picture, `box` in 320ths and 180ths of it: {who, number,
 * flash}, or null if it is none of ours. */
export function readDrawn(luma, [x, y, w, h]) {
    const at = (px, py) => {
        let sum = 0;
        for (const [dx, dy] of [[-1, 0], [0, 0], [1, 0], [0, -1], [0, 1]]) {
            sum += luma[(Math.floor(y + py * h) + dy) * WIDTH + Math.floor(x + px * w) + dx];
        }
        return sum / 5 > 128;
    };
    const read = (n, py) => {
        let value = 0;
        for (let i = 0; i < n; i++) {
            value = value * 2 + Number(at((i + 0.5) / n, py));
        }
        return value;
    };
    const id = read(8, 1 / 8);

    return (id >> 4) === (~id & 15)
        ? { who: id >> 4, number: read(16, 3 / 8), flash: at(3 / 4, 3 / 4) }
        : null;
}

/* When each beep begins, in seconds, by the first millisecond that is loud. */
export function beepsOf(path) {
    const raw = run('ffmpeg', ['-v', 'warning', '-nostdin', '-i', path, '-map', '0:a',
        '-af', 'aresample=async=1:first_pts=0', '-ac', '1', '-ar', '48000', '-f', 's16le', '-']);
    const samples = new Int16Array(raw.buffer, raw.byteOffset, raw.length >> 1);
    const beeps = [];
    let last = -1;

    for (let i = 0; i + 48 <= samples.length; i += 48) {
        let most = 0;
        for (let k = i; k < i + 48; k++) {
            most = Math.max(most, Math.abs(samples[k]));
        }
        if (most > 5000) {
            if (i / 48000 - last > 0.3) {
                beeps.push(i / 48000);
            }
            last = i / 48000;
        }
    }
    return beeps;
}

/* When a flash begins in what `see` reads of each picture. */
export function flashesOf(pictures, see) {
    const flashes = [];
    let before = true;

    for (const { at, luma } of pictures) {
        const now = see(luma, at)?.flash ?? false;
        if (now && !before) {
            flashes.push(at);
        }
        before = now;
    }
    return flashes;
}

/* By how many milliseconds each flash comes after its beep. */
export function offsets(flashes, beeps) {
    return flashes.flatMap((flash) => {
        const beep = beeps.reduce((best, each) => (Math.abs(each - flash) < Math.abs(best - flash) ? each : best), -1e9);
        return Math.abs(beep - flash) < 0.4 ? [Math.round((flash - beep) * 1000)] : [];
    });
}

export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
