/* What browsers send is recorded by kcs-egress, each stream in a file of its own, as it is;
 * ffprobe and ffmpeg, which share no code with the way there, read the files. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withBrowser } from './lib/browser.mjs';
import { ask, connect, next } from './lib/client.mjs';
import { picturesOf, publishDrawnInPage, readDrawn } from './lib/drawn.mjs';
import { egressOf, listed, recordingNode } from './lib/recording.mjs';
import { Relay } from './lib/relay.mjs';
import { killControl, rest, user } from './lib/rest.mjs';
import { openWishPage, publishInPage } from './lib/wish.mjs';

const CODECS = ['VP8', 'VP9', 'H264', 'AV1'];
const RECORD_MS = 12_000;

async function publish(browser, { node, id, token }, codec) {
    const page = await openWishPage(browser, node);

    await page.evaluate(publishInPage,
        { meeting: id, token: token(codec), kinds: ['audio', 'video'], codec });
}

/* What ffprobe says of the packets, and how many pictures or sounds ffmpeg decodes, of a file
 * about which neither has anything to say. */
function examine(path) {
    const probe = spawnSync('ffprobe', [
        ...['-v', 'warning', '-print_format', 'json', '-show_entries'],
        'stream=codec_name,width,height,nb_read_packets:packet=pts_time,dts_time,flags', path,
    ], { encoding: 'utf8', maxBuffer: 1 << 26 });

    assert.equal(probe.status, 0, probe.stderr);
    assert.equal(probe.stderr, '', path);
    const { packets, streams } = JSON.parse(probe.stdout);
    assert.equal(streams.length, 1);
    const decode = spawnSync('ffmpeg', [
        ...['-v', 'warning', '-nostdin', '-i', path],
        /* each picture at its own time: ffmpeg would round that to the mean rate */
        ...['-fps_mode', 'passthrough', '-enc_time_base:v', '-1', '-progress', 'pipe:1', '-f', 'null', '-'],
    ], { encoding: 'utf8' });
    assert.equal(decode.status, 0, decode.stderr);
    assert.equal(decode.stderr, '', path);
    const times = packets.map(({ pts_time: time }) => Number(time));
    for (let i = 1; i < times.length; i++) {
        assert.ok(times[i] > times[i - 1], `${path}: ${times[i - 1]} before ${times[i]}`);
    }
    assert.equal(packets.filter((p, i) => p.dts_time !== packets[i].pts_time).length, 0);
    assert.equal(packets[0].flags[0], 'K');
    assert.ok(times[0] >= 0 && times[0] < 0.1, `${path} begins at ${times[0]}`);
    return {
        ...streams[0],
        seconds: times.at(-1) - times[0],
        packets: packets.length,
        pictures: Number(/frame=(\d+)(?![^]*frame=)/.exec(decode.stdout)?.[1] ?? 0),
    };
}

function assertTrack({ source, path, wanted, seconds, slack = 1.5 }) {
    const seen = examine(path);
    const what = `${path} ${JSON.stringify(seen)}`;

    assert.ok(Math.abs(seen.seconds - seconds) < slack, `${seconds} s: ${what}`);
    if (source === 'mic') {
        assert.equal(seen.codec_name, 'opus', what);
        /* 50 a second; what is silent is not sent */
        assert.ok(seen.packets >= seen.seconds * 10 && seen.packets <= seen.seconds * 51 + 2, what);
    } else {
        assert.equal(seen.codec_name, wanted.toLowerCase(), what);
        assert.ok(seen.width >= 80 && seen.height >= 45, what);
        /* the camera's 20 a second; a busy machine encodes fewer */
        assert.ok(seen.packets >= seen.seconds * 4 && seen.packets <= seen.seconds * 31 + 2, what);
        assert.equal(seen.pictures, seen.packets, `each is a picture: ${what}`);
    }
}

/* The file in three parts, which must be what is on the disk. */
async function download({ node, id, owner, directory }, recording, file) {
    const path = `${node.origin}/api/meeting/${id}/recordings/${recording}/download?file=${file}`;
    const get = (range) => fetch(path, {
        headers: { authorization: `Bearer ${owner}`, ...(range ? { range } : {}) },
    });
    const kept = readFileSync(join(directory, recording, file));
    const whole = await get();

    assert.equal(whole.status, 200);
    assert.equal(whole.headers.get('accept-ranges'), 'bytes');
    assert.ok(Buffer.from(await whole.arrayBuffer()).equals(kept));
    const third = Math.floor(kept.length / 3);
    const parts = [];
    for (const range of [`0-${third - 1}`, `${third}-${2 * third - 1}`, `${2 * third}-`]) {
        const part = await get(`bytes=${range}`);
        assert.equal(part.status, 206);
        assert.match(part.headers.get('content-range'), new RegExp(`^bytes \\d+-\\d+/${kept.length}$`));
        parts.push(Buffer.from(await part.arrayBuffer()));
    }
    assert.ok(Buffer.concat(parts).equals(kept));
    const end = await get('bytes=-10');
    assert.ok(Buffer.from(await end.arrayBuffer()).equals(kept.subarray(-10)));
    const none = await get(`bytes=${kept.length}-`);
    assert.deepEqual([none.status, none.headers.get('content-range')], [416, `bytes */${kept.length}`]);

    /* and the same over HTTP/2 */
    const h2 = (...options) => execFileSync('curl', ['-sk', '--http2', '--max-time', '20',
        '-H', `authorization: Bearer ${owner}`, ...options, path.replace(node.origin,
            `https://127.0.0.1:${node.httpsPort}`)], { maxBuffer: 1 << 28 });
    assert.ok(h2().equals(kept));
    assert.ok(h2('-H', `range: bytes=${third}-`).equals(kept.subarray(third)));
    assert.match(h2('--head').toString(),
        new RegExp(`^HTTP/2 200[^]*content-length: ${kept.length}\r`));
}

test('four codecs and their sound are recorded as they are, listed and handed out', { timeout: 180_000 }, () =>
    recordingNode('recording', (room) => withBrowser(async (browser) => {
        const { node, id, owner, host, token, directory } = room;
        const attendee = await connect(node, token('eve', 'attendee'));
        assert.equal((await ask(attendee, 'room:join', { meeting_id: id, display_name: 'Eve' })).ok, true);
        const refused = async (socket, event, payload) => (await ask(socket, event, payload)).error?.code;

        assert.equal(await refused(attendee, 'recording:start', {}), 'forbidden');
        assert.equal(await refused(host, 'recording:start', { options: { layout: 'round' } }), 'invalid');
        assert.equal(await refused(host, 'recording:start',
            { options: { record_video: false, record_audio: false } }), 'invalid');
        assert.equal(await refused(host, 'recording:stop', {}), 'not_found');

        for (const codec of CODECS.slice(0, 3)) {
            await publish(browser, room, codec);
        }
        const told = next(attendee, 'recording:started');
        const started = await ask(host, 'recording:start', {});
        const begun = Date.now();
        assert.equal(started.ok, true, JSON.stringify(started));
        assert.deepEqual([(await told).recording_id, (await told).by_user_id],
            [started.recording_id, 'ada']);
        assert.equal(await refused(host, 'recording:start', {}), 'already_exists');
        const late = await connect(node, token('late'));
        const joined = await ask(late, 'room:join', { meeting_id: id, display_name: 'Late' });
        assert.equal(joined.recording_id, started.recording_id, 'who comes later knows');
        await publish(browser, room, CODECS[3]); /* who comes later is recorded, too */
        const later = Date.now();
        assert.equal((await listed(room, 'running'))[0].id, started.recording_id);
        await sleep(RECORD_MS);
        assert.equal(await refused(attendee, 'recording:stop', {}), 'forbidden');
        const ended = next(attendee, 'recording:stopped');
        const stopped = await ask(host, 'recording:stop', { recording_id: started.recording_id });
        const now = Date.now();
        assert.equal(stopped.ok, true, JSON.stringify(stopped));
        assert.equal((await ended).duration_ms, stopped.duration_ms);
        assert.ok(Math.abs(stopped.duration_ms - (now - begun)) < 1500);

        const [recording] = await listed(room, 'stopped');
        assert.equal(recording.by_user_id, 'ada');
        assert.equal(recording.files.length, 2 * CODECS.length, JSON.stringify(recording.files));
        assert.deepEqual(recording.files.map(({ file }) => file).sort(),
            readdirSync(join(directory, recording.id)).sort());
        for (const { user_id: wanted, source, file, complete, start_ms: start } of recording.files) {
            const since = wanted === CODECS[3] ? later : begun;
            const path = join(directory, recording.id, file);

            assert.equal(complete, true);
            assert.ok(start > -1000 && start < since - begun + 4000, `${wanted} ${source} begins at ${start}`);
            /* from its first frame to the end */
            assertTrack({ source, path, wanted, seconds: (stopped.duration_ms - start) / 1000 });
            await download(room, recording.id, file);
        }

        const get = (path, who) => rest(node, 'GET', `/meeting/${id}/recordings/${path}`, { token: who });
        assert.equal((await get(`${recording.id}/download`, owner)).body.code, 'invalid');
        assert.equal((await get(`${recording.id}/download?file=..%2Fkcs.db`, owner)).status, 404);
        assert.equal((await get(`nothing/download`, owner)).status, 404);
        assert.equal((await get(`${recording.id}/download`, user(node, 'mallory', { tenant: 'other' }))).status, 404);
        /* who may not record may not have what was recorded either */
        for (const role of ['presenter', 'attendee', 'guest']) {
            const who = `of-${role}`;
            const invited = await rest(node, 'POST', `/meeting/${id}/participants`,
                { token: owner, body: { user_id: who, role } });
            assert.equal(invited.status, 201, JSON.stringify(invited.body));
            const { file } = recording.files[0];
            for (const path of ['', `/${recording.id}/download?file=${file}`]) {
                const answer = await rest(node, 'GET', `/meeting/${id}/recordings${path}`,
                    { token: user(node, who) });
                assert.equal(answer.status, 403, `${role} ${path}`);
            }
        }
        const kept = await rest(node, 'GET', `/meeting/${id}/export`, { token: owner });
        assert.deepEqual(kept.body.data.recordings.map((r) => [r.id, r.state, r.files.length]),
            [[recording.id, 'stopped', 2 * CODECS.length]]);
        const { body } = await rest(node, 'GET', `/meeting/${id}/audit?limit=200`, { token: owner });
        const acts = body.data.map(({ act, result }) => `${act} ${result}`);
        for (const act of ['recording:start ok', 'recording:start refused', 'recording:stop ok',
            'recording.download ok']) {
            assert.ok(acts.includes(act), `${act} of ${acts}`);
        }
        late.close();
        attendee.close();
    })));

/* In the page: how many pictures, and packets again, have gone out so far, and the number on the last that was drawn. */
async function sentSoFar(who) {
    const { pc, number } = window.drawn[who];
    const stats = [...(await pc.getStats()).values()].find(({ type, kind }) => type === 'outbound-rtp' && kind === 'video');

    return { number, sent: stats.framesSent, again: stats.retransmittedPacketsSent };
}

test('of a stream whose losses are repaired each picture is there once, in its order', { timeout: 120_000 }, () =>
    recordingNode('recording-repaired', (room) => withBrowser(async (browser) => {
        const { node, host, directory } = room;
        const page = await openWishPage(browser, node);
        const link = await Relay.start(node, { address: '127.0.0.1' });

        for (const [who, codec] of CODECS.entries()) {
            await page.evaluate(publishDrawnInPage, { meeting: room.id, token: room.token(codec), who, codec,
                beep: false, by: [node.mediaPort, link.port] });
        }
        await sleep(3000);
        link.set('up loss=0.08');
        const { recording_id: id } = await ask(host, 'recording:start', {});
        await sleep(4000);
        const look = () => Promise.all(CODECS.map((_, who) => page.evaluate(sentSoFar, who)));
        const from = await look();
        await sleep(10_000);
        const to = await look();
        await sleep(1500);
        assert.equal((await ask(host, 'recording:stop', {})).ok, true);
        const [{ files }] = await listed(room, 'stopped');
        await link.stop();

        const again = to.reduce((sum, each, who) => sum + each.again - from[who].again, 0);
        assert.ok(again > 20, `${again} packets were sent again`);
        for (const [who, codec] of CODECS.entries()) {
            const { file } = files.find(({ user_id: user, source }) => user === codec && source === 'camera');
            const numbers = picturesOf(join(directory, id, file)).map(({ luma }, i) => {
                const drawn = readDrawn(luma, [0, 0, 320, 180]);

                assert.equal(drawn?.who, who, `${codec}: picture ${i}`);
                return drawn.number;
            });
            for (let i = 1; i < numbers.length; i++) {
                assert.ok(numbers[i] > numbers[i - 1], `${codec}: ${numbers[i]} behind ${numbers[i - 1]}`);
            }
            /* a browser does not send all that is drawn: what has gone out is there */
            const there = numbers.filter((number) => number > from[who].number && number <= to[who].number).length;
            const sent = to[who].sent - from[who].sent;
            assert.ok(sent > 50 && Math.abs(there - sent) <= 2, `${codec}: ${there} of ${sent} pictures`);
        }
    })));

/* Width and height of each picture. */
const sizesOf = (path) => execFileSync('ffprobe', ['-v', 'warning', '-select_streams', 'v',
    '-show_entries', 'frame=width,height', '-of', 'csv=p=0', path], { encoding: 'utf8' })
    .split('\n').filter(Boolean).map((line) => line.split(',').slice(0, 2).join('x'));

/* What one of ffmpeg's decoders makes of each picture. */
const hashesOf = (path, decoder) => execFileSync('ffmpeg', ['-v', 'warning', '-nostdin', '-c:v', decoder,
    '-i', path, '-map', '0:v', '-fps_mode', 'passthrough', '-f', 'framemd5', '-'], { encoding: 'utf8' })
    .split('\n').filter((line) => /^\d/.test(line)).map((line) => line.split(',').at(-1).trim());

for (const [mode, layers] of [['L3T3_KEY', 3], ['L2T1', 2]]) {
    test(`of VP9 with spatial layers it is the highest, in one picture each: ${mode}`, { timeout: 120_000 }, () =>
        recordingNode(`recording-${mode}`, (room) => withBrowser(async (browser) => {
            const { node, host, directory } = room;
            const page = await openWishPage(browser, node);

            await page.evaluate(publishDrawnInPage, { meeting: room.id, token: room.token('ivy'), who: 5,
                codec: 'VP9', beep: false, size: [960, 540], mode });
            await sleep(5000);
            const { recording_id: id } = await ask(host, 'recording:start', {});
            await sleep(3000);
            const from = await page.evaluate(sentSoFar, 5);
            await sleep(5000);
            const to = await page.evaluate(sentSoFar, 5);
            await sleep(1500);
            assert.equal((await ask(host, 'recording:stop', {})).ok, true);
            const [{ files }] = await listed(room, 'stopped');
            const { file, complete } = files.find(({ source }) => source === 'camera');
            const path = join(directory, id, file);

            assert.equal(complete, true);
            examine(path);
            const sizes = sizesOf(path);
            const whole = sizes.filter((size) => size === '960x540').length;
            assert.ok(whole > sizes.length * 0.9, `${whole} of ${sizes.length}: ${[...new Set(sizes)]}`);
            const numbers = picturesOf(path).map(({ luma }) => readDrawn(luma, [0, 0, 320, 180])?.number);
            for (let i = 1; i < numbers.length; i++) {
                assert.ok(numbers[i] > numbers[i - 1], `${numbers[i]} behind ${numbers[i - 1]}`);
            }
            const there = numbers.filter((number) => number > from.number && number <= to.number).length;
            const sent = (to.sent - from.sent) / layers; /* it counts each layer's */
            console.log(`# ${mode}: ${there} of ${sent} pictures, ${whole} of ${sizes.length} at 960x540`);
            assert.deepEqual(hashesOf(path, 'vp9'), hashesOf(path, 'libvpx-vp9'), 'whoever decodes them');
            assert.ok(sent > 20 && Math.abs(there - sent) <= 2, `${there} of ${sent} pictures`);
        })));
}

test('a meeting that is to be recorded is so by itself, and once after control was killed', { timeout: 90_000 }, () =>
    recordingNode('recording-auto', (room) => withBrowser(async (browser) => {
        const { node, id, owner, host } = room;
        const change = (body) => rest(node, 'PATCH', `/meeting/${id}`, { token: owner, body });
        const told = next(host, 'recording:status');

        await change({ recording_config: { auto_record: true, record_video: false },
            features: { recording_enabled: false } });
        await publish(browser, room, 'VP8');
        const { recording_id: none, state, reason } = await told;
        assert.deepEqual([none, state, reason],
            [null, 'failed', 'this meeting has that switched off']);

        assert.equal((await change({ features: { recording_enabled: true } })).status, 200);
        const [first] = await listed(room, 'running');
        assert.equal(first.by_user_id, null);
        const audit = await rest(node, 'GET', `/meeting/${id}/audit?limit=20`, { token: owner });
        assert.deepEqual(audit.body.data.filter(({ act }) => act === 'recording:start')
            .map(({ actor_id: by, result }) => [by, result]), [['auto_record', 'ok']]);

        await killControl(node);
        await node.until('another is recorded', async () => {
            const { body } = await rest(node, 'GET', `/meeting/${id}/recordings`, { token: owner });
            /* of one second, they are listed in any order */
            const others = body.data.filter((one) => one.id !== first.id);
            return others.length === 1 && others[0].state === 'running' &&
                body.data.find((one) => one.id === first.id).state === 'interrupted';
        });
    })));

test('VP8 is H264 in MP4 if that is asked for, and nothing else is touched', { timeout: 120_000 }, () =>
    recordingNode('recording-mp4', (room) => withBrowser(async (browser) => {
        const { host, directory } = room;

        for (const codec of ['VP8', 'VP9']) {
            await publish(browser, room, codec);
        }
        const { recording_id: id } = await ask(host, 'recording:start', { options: { format: 'mp4' } });
        await sleep(RECORD_MS);
        const { duration_ms: duration } = await ask(host, 'recording:stop', {});
        const [{ files }] = await listed(room, 'stopped');

        assert.equal(files.length, 4, JSON.stringify(files));
        for (const { file, source, user_id: of, complete, start_ms: start } of files) {
            assert.match(file, /\.mp4$/);
            assert.equal(complete, true);
            assertTrack({ source, path: join(directory, id, file), wanted: of === 'VP8' ? 'H264' : of, seconds: (duration - start) / 1000 });
        }
    })));

test('a killed kcs-egress leaves files that play, and the next part begins', { timeout: 120_000 }, () =>
    recordingNode('recording-killed', (room) => withBrowser(async (browser) => {
        const { node, host, directory } = room;

        for (const codec of ['VP8', 'H264']) {
            await publish(browser, room, codec);
        }
        const { recording_id: id } = await ask(host, 'recording:start', {});
        await sleep(RECORD_MS);
        const status = readFileSync(`/proc/${egressOf(node)}/status`, 'utf8');
        assert.match(status, /^NoNewPrivs:\t1\nSeccomp:\t2$/m, 'it is confined');
        assert.match(status, /^CapPrm:\t0+\nCapEff:\t0+\nCapBnd:/m, 'root has no more rights there than others');
        process.kill(Number(egressOf(node)), 'SIGKILL');
        const first = readdirSync(join(directory, id));
        assert.equal(first.length, 4);
        await node.until('another process records', () =>
            readdirSync(join(directory, id)).length === 8);
        await sleep(4000);
        assert.equal((await ask(host, 'recording:stop', {})).ok, true);
        const [{ files }] = await listed(room, 'stopped');

        assert.equal(files.length, 8);
        for (const { file, source, user_id: wanted, complete } of files) {
            const killed = first.includes(file);
            const path = join(directory, id, file);

            assert.equal(complete, !killed);
            if (killed) {
                /* it lacks its start, before the first key frame, and its last second */
                assertTrack({ source, path, wanted, seconds: RECORD_MS / 1000 - 2, slack: 2.5 });
            } else {
                assert.ok(examine(path).seconds >= 1);
            }
        }
    })));

test('a recording whose files nobody ends any more is interrupted', { timeout: 60_000 }, () =>
    recordingNode('recording-interrupted', async (room) => {
        const { node, host } = room;

        await ask(host, 'recording:start', {});
        const egress = Number(egressOf(node));
        process.kill(egress, 'SIGSTOP'); /* its files are not ended */
        assert.equal((await ask(host, 'recording:stop', {})).ok, true);
        await listed(room, 'stopping');
        await killControl(node);
        process.kill(egress, 'SIGCONT');
        await listed(room, 'interrupted');
    }));
