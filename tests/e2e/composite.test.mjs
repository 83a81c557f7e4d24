/* What is composed by kcs-egress of what browsers send: the right person at the right time,
 * picture and sound together, in files about which ffprobe and ffmpeg have nothing to say. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withBrowser } from './lib/browser.mjs';
import { ask } from './lib/client.mjs';
import {
    beepsOf, flashesOf, median, offsets, picturesOf, publishDrawnInPage, readDrawn,
} from './lib/drawn.mjs';
import { egressOf, listed, recordingNode } from './lib/recording.mjs';
import { Relay } from './lib/relay.mjs';
import { openWishPage } from './lib/wish.mjs';

const [ANN, BOB] = [5, 9];
const FULL = [0, 0, 320, 180];
const LEFT = [0, 45, 160, 90];
const RIGHT = [160, 45, 160, 90];
const LARGE = [0, 18, 256, 144];
const BESIDE = [256, 72, 64, 36];

const publish = (page, { id, token }, who, options = {}) => page.evaluate(publishDrawnInPage,
    { meeting: id, token: token(`p${who}`), who, ...options });

/* What a process has taken so far: proc(5), fields 14 and 15, in hundredths. */
function cpuSeconds(pid) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');

    return (Number(fields[11]) + Number(fields[12])) / 100;
}

/* Who is in a box from one time to the other, of a picture a tenth of a second. */
function seen(pictures, box, from, to) {
    return pictures.filter(({ at }) => at >= from && at <= to)
        .map(({ luma }) => readDrawn(luma, box)?.who ?? null);
}

function assertOnly(pictures, box, who, from, to) {
    const found = seen(pictures, box, from, to);

    assert.ok(found.length >= (to - from) * 15, `${found.length} pictures from ${from} to ${to}`);
    assert.deepEqual([...new Set(found)], [who], `${box} from ${from} to ${to} s: ${found}`);
}

/* The numbers of the pictures in a box: they never go back, and few are missing. */
function assertNumbers(pictures, box, from, to) {
    const numbers = pictures.filter(({ at }) => at >= from && at <= to)
        .map(({ luma }) => readDrawn(luma, box).number);

    for (let i = 1; i < numbers.length; i++) {
        assert.ok(numbers[i] >= numbers[i - 1], `${numbers[i]} behind ${numbers[i - 1]}`);
    }
    const different = new Set(numbers).size;
    const sent = numbers.at(-1) - numbers[0] + 1;
    assert.ok(different >= sent * 0.8, `${different} of ${sent} pictures`);
}

/* Pictures beside sound, with what the browser itself makes of the same as the measure. */
function assertTogether(path, measure, see) {
    const own = offsets(flashesOf(picturesOf(measure, { browsers: true }), (luma) => readDrawn(luma, FULL)), beepsOf(measure));
    const ours = offsets(flashesOf(picturesOf(path), see), beepsOf(path));
    const differ = median(ours) - median(own);
    const all = `ours ${ours}, the browser's ${own}`;

    assert.ok(ours.length >= 5 && own.length >= 5, all);
    const spread = Math.max(...ours) - Math.min(...ours);
    assert.ok(Math.abs(differ) <= 45, `${differ} ms apart: ${all}`);
    assert.ok(spread <= 40, `a spread of ${spread} ms: ${all}`);
    return { differ, spread, ours, own };
}

test('who comes and leaves is in the picture then and there, beside its sound', { timeout: 120_000 }, () =>
    recordingNode('composite', (room) => withBrowser(async (browser) => {
        const { node, host, directory } = room;
        const page = await openWishPage(browser, node);
        const refused = async (options) => (await ask(host, 'recording:start', { options })).error?.code;

        assert.equal(await refused({ mode: 'composite', layout: 'round' }), 'invalid');
        assert.equal(await refused({ mode: 'collage' }), 'invalid');
        const started = await ask(host, 'recording:start', { options: { mode: 'composite' } });
        const begun = Date.now();
        const since = () => (Date.now() - begun) / 1000;
        assert.equal(started.ok, true, JSON.stringify(started));

        await publish(page, room, ANN, { record: true });
        const ann = since();
        await sleep(7000);
        const asked = since();
        await publish(page, room, BOB, { codec: 'H264', beep: false });
        const bob = since();
        await sleep(6000);
        const measure = await page.evaluate((who) => window.drawn[who].recorded(), ANN);
        await page.evaluate((who) => window.drawn[who].stop(), ANN);
        const left = since();
        await sleep(5000);
        const cores = cpuSeconds(egressOf(node)) / since();
        const stopped = await ask(host, 'recording:stop', {});
        const ended = since();
        assert.equal(stopped.ok, true, JSON.stringify(stopped));

        const [recording] = await listed(room, 'stopped');
        assert.deepEqual(recording.files.map(({ file, complete }) => [file, complete]), [['meeting.1.mp4', true]]);
        const path = join(directory, recording.id, 'meeting.1.mp4');
        const pictures = picturesOf(path);

        assert.ok(Math.abs(pictures.at(-1).at - ended) < 1, `${pictures.at(-1).at} of ${ended} s`);
        assertOnly(pictures, FULL, ANN, ann + 2, asked - 0.2);
        assertNumbers(pictures, FULL, ann + 2, asked - 0.2);
        assertOnly(pictures, LEFT, ANN, bob + 2, left - 0.5);
        assertOnly(pictures, RIGHT, BOB, bob + 2, left - 0.5);
        assertNumbers(pictures, LEFT, bob + 2, left - 0.5);
        assertNumbers(pictures, RIGHT, bob + 2, left - 0.5);
        assertOnly(pictures, FULL, BOB, left + 1.5, ended - 0.5);

        const control = join(directory, 'measure.webm');
        writeFileSync(control, Buffer.from(measure, 'base64'));
        const { differ, spread, ours, own } = assertTogether(path, control,
            (luma, at) => (at < asked ? readDrawn(luma, FULL) : at > bob + 2 && at < left - 0.5 ? readDrawn(luma, LEFT) : null));
        console.log(`# kcs-egress took ${cores.toFixed(2)} of a core`);
        console.log(`# picture behind sound by ${differ} ms more than in the browser's own file, spread ${spread} ms; ours ${ours}; its ${own}`);
    })));

/* Participants of the meeting by their user's id, as the host is told of them. */
async function idsOf(room) {
    const { participants } = await ask(room.host, 'participant:list', {});

    return Object.fromEntries(participants.map(({ user_id: user, participant_id: id }) => [user, id]));
}

test('layouts, mutes and another size are followed; what was killed goes on and is one file', { timeout: 120_000 }, () =>
    recordingNode('composite-killed', (room) => withBrowser(async (browser) => {
        const { node, host, directory } = room;
        const page = await openWishPage(browser, node);

        await publish(page, room, ANN);
        await publish(page, room, BOB, { codec: 'VP9', beep: false });
        const { recording_id: id } = await ask(host, 'recording:start', { options: { mode: 'composite' } });
        const begun = Date.now();
        const since = () => (Date.now() - begun) / 1000;
        await sleep(5000);
        const people = await idsOf(room);
        const changed = since();
        assert.equal((await ask(host, 'layout:change', { layout: 'speaker' })).ok, true);
        assert.equal((await ask(host, 'participant:spotlight', { target_user_id: people[`p${BOB}`], on: true })).ok, true);
        await page.evaluate((who) => window.drawn[who].resize(640, 360), BOB);
        await sleep(5000);
        const killed = since();
        process.kill(Number(egressOf(node)), 'SIGKILL');
        await node.until('another process goes on', () =>
            readdirSync(join(directory, id)).includes('meeting.2.mp4'));
        const on = since();
        await sleep(6000);
        const muted = since();
        assert.equal((await ask(host, 'participant:mute',
            { target_user_id: people[`p${BOB}`], kind: 'video' })).ok, true);
        await sleep(4000);
        assert.equal((await ask(host, 'recording:stop', {})).ok, true);
        const ended = since();

        const [recording] = await listed(room, 'stopped');
        assert.deepEqual(recording.files.map(({ file, complete }) => [file, complete]), [['meeting.mp4', true]]);
        assert.deepEqual(readdirSync(join(directory, id)), ['meeting.mp4']);
        const path = join(directory, id, 'meeting.mp4');
        const pictures = picturesOf(path);

        assert.ok(Math.abs(pictures.at(-1).at - ended) < 1, `${pictures.at(-1).at} of ${ended} s`);
        assertOnly(pictures, LEFT, ANN, 2.5, changed - 0.5);
        assertOnly(pictures, RIGHT, BOB, 2.5, changed - 0.5);
        /* the last three seconds before it was killed may be lost */
        assertOnly(pictures, LARGE, BOB, changed + 1.5, killed - 3);
        assertOnly(pictures, BESIDE, ANN, changed + 1.5, killed - 3);
        assertOnly(pictures, LARGE, BOB, on + 2.5, muted - 0.5);
        assertOnly(pictures, BESIDE, ANN, on + 2.5, muted - 0.5);
        assertNumbers(pictures, LARGE, on + 2.5, muted - 0.5);
        assertOnly(pictures, LARGE, null, muted + 1, ended - 0.5); /* a face */
        assertOnly(pictures, BESIDE, ANN, muted + 1, ended - 0.5);

        /* picture and sound are as far apart behind the joint as before it */
        const beeps = beepsOf(path);
        const flashes = flashesOf(pictures, (luma, at) =>
            readDrawn(luma, at < changed ? LEFT : BESIDE));
        const part = (from, to) => offsets(flashes.filter((at) => at > from && at < to), beeps);
        const [before, behind] = [part(2.5, killed - 3), part(on + 2.5, ended)];
        const all = `before ${before}, behind ${behind}`;
        assert.ok(before.length >= 3 && behind.length >= 4, all);
        assert.ok(Math.abs(median(before) - median(behind)) <= 40, all);
    })));

test('what a link loses freezes a picture, never breaks the file', { timeout: 120_000 }, () =>
    recordingNode('composite-loss', (room) => withBrowser(async (browser) => {
        const { node, host, directory } = room;
        const page = await openWishPage(browser, node);
        const link = await Relay.start(node, { address: '127.0.0.1' });
        const started = await ask(host, 'recording:start', { options: { layout: 'grid' } });
        const begun = Date.now();
        const since = () => (Date.now() - begun) / 1000;

        await publish(page, room, ANN, { by: [node.mediaPort, link.port] });
        const ann = since();
        link.set('up loss=0.03');
        await sleep(12_000);
        const lossy = since();
        link.set('both clear');
        await sleep(4000);
        const ended = since();
        assert.equal((await ask(host, 'recording:stop', {})).ok, true);
        await listed(room, 'stopped');
        await link.stop();

        const pictures = picturesOf(join(directory, started.recording_id, 'meeting.1.mp4'));
        /* what is there is whole, whichever picture it is */
        assertOnly(pictures, FULL, ANN, ann + 3, ended - 1);
        const numbers = (from, to) => pictures.filter(({ at }) => at > from && at < to)
            .map(({ luma }) => readDrawn(luma, FULL).number);
        const bad = numbers(ann + 3, lossy);
        for (let i = 1; i < bad.length; i++) {
            assert.ok(bad[i] >= bad[i - 1], `${bad[i]} behind ${bad[i - 1]}`);
        }
        assert.ok(new Set(bad).size < bad.at(-1) - bad[0], 'it froze now and then');
        assert.ok(new Set(bad).size > 20, `and came back: ${[...new Set(bad)]}`);
        assertNumbers(pictures, FULL, lossy + 2.5, ended - 0.5);
    }), { repair: false }));

test('an encoding that ceases is left for another, and nothing of it is seen', { timeout: 120_000 }, () =>
    recordingNode('composite-layers', (room) => withBrowser(async (browser) => {
        const { node, host, directory } = room;
        const page = await openWishPage(browser, node);
        const layer = (n, active) => page.evaluate((who, ...to) => window.drawn[who].layer(...to), ANN, n, active);

        await publish(page, room, ANN, { layers: true, size: [640, 360], beep: false });
        await sleep(4000); /* both come */
        const started = await ask(host, 'recording:start', { options: { mode: 'composite' } });
        const begun = Date.now();
        const since = () => (Date.now() - begun) / 1000;
        await sleep(5000);
        const ceased = since();
        await layer(1, false);
        await sleep(9000);
        await layer(1, true);
        await sleep(14_000);
        const ended = since();
        assert.equal((await ask(host, 'recording:stop', {})).ok, true);
        await listed(room, 'stopped');

        const pictures = picturesOf(join(directory, started.recording_id, 'meeting.1.mp4'));
        assertOnly(pictures, FULL, ANN, 2.5, ended - 1);
        assertNumbers(pictures, FULL, 2.5, ceased - 0.3);
        assertNumbers(pictures, FULL, ceased + 4.5, ended - 1);
    })));
