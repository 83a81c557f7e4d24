/* Live streams: what a host begins, thousands may watch; here the node's own page for viewers
 * does, in which hls.js plays, and dash.js in an empty one. And the buttons for it, and for recording, in the page. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Person, withBrowser } from './lib/browser.mjs';
import { ask, connect, next } from './lib/client.mjs';
import { picturesOf, publishDrawnInPage } from './lib/drawn.mjs';
import { assertAccessible, pictures } from './lib/look.mjs';
import { listed, recordingNode } from './lib/recording.mjs';
import { openWishPage } from './lib/wish.mjs';

const ANN = 5;

/* In a viewer's page: the number of the picture that its video shows; -1 if it is none. */
function numberShown() {
    const video = document.querySelector('video');
    const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
    const context = canvas.getContext('2d', { willReadFrequently: true });

    context.drawImage(video, 0, 0, 320, 180);
    const bit = (n, i, y) => context.getImageData(((i + 0.5) * 320) / n, y, 1, 1).data[1] > 128;
    const read = (n, y) => Array.from({ length: n }, (_, i) => i).reduce((sum, i) => sum * 2 + bit(n, i, y), 0);
    const id = read(8, 22);

    return (id >> 4) === (~id & 15) ? read(16, 67) : -1;
}

/* What a viewer sees is behind what the source shows, in ms, ten times within 4 s. */
async function delays(source, viewer) {
    const behind = [];

    await viewer.bringToFront(); /* behind another it need not play */
    await viewer.waitForFunction(`(${numberShown})() >= 0`, { timeout: 20_000, polling: 100 });
    await sleep(4000); /* it has settled */
    for (let i = 0; i < 10; i++) {
        const now = await source.evaluate((who) => window.drawn[who].number, ANN);
        behind.push((now - (await viewer.evaluate(numberShown))) * 50);
        await sleep(400);
    }
    return behind;
}

/* A page with dash.js as it comes from npm, that plays this. */
async function openDash(browser, node, url) {
    const page = await browser.newPage();
    const player = new URL('node_modules/dashjs/dist/modern/umd/dash.all.min.js', import.meta.url);

    await page.goto(`${node.origin}/watch.html`);
    await page.evaluate(readFileSync(player, 'utf8'));
    await page.evaluate((address) => {
        const video = document.querySelector('video');
        const dash = window.dashjs.MediaPlayer().create();

        window.dashFailed = [];
        dash.on('error', ({ error }) => window.dashFailed.push(error?.message ?? 'unknown'));
        dash.on('playbackEnded', () => (window.dashEnded = true));
        video.muted = true;
        dash.initialize(video, address, true);
        window.dash = dash;
    }, url);
    return page;
}

/* The profile, constraints and level that an initialization segment's avcC has. */
function profileOf(init) {
    const at = init.indexOf('avcC');

    assert.ok(at > 0, 'it has an avcC box');
    return init.subarray(at + 5, at + 8).toString('hex');
}

test('what is live is seen within five seconds, by anybody who has the address', { timeout: 120_000 }, () =>
    recordingNode('live', (room) => withBrowser(async (browser) => {
        const { node, host, token, id, directory } = room;
        const attendee = await connect(node, token('eve', 'attendee'));
        assert.equal((await ask(attendee, 'room:join', { meeting_id: id, display_name: 'Eve' })).ok, true);
        const refused = async (socket, event, payload) => (await ask(socket, event, payload)).error?.code;

        assert.equal(await refused(attendee, 'stream:start', { kind: 'hls' }), 'forbidden');
        assert.equal(await refused(host, 'stream:start', { kind: 'hls', layout: 'round' }), 'invalid');
        assert.equal(await refused(host, 'stream:start', { kind: 'carrier-pigeon' }), 'invalid');
        assert.equal(await refused(host, 'stream:stop', {}), 'not_found');

        const source = await openWishPage(browser, node);
        await source.evaluate(publishDrawnInPage, { meeting: id, token: token('ann'), who: ANN });
        const told = next(attendee, 'stream:started');
        const running = next(host, 'stream:status', 15_000);
        const started = await ask(host, 'stream:start', { kind: 'hls' });
        assert.equal(started.ok, true, JSON.stringify(started));
        assert.equal(started.playback_url, `/live/${started.stream_id}/master.m3u8`);
        assert.deepEqual([(await told).stream_id, (await told).by_user_id], [started.stream_id, 'ada']);
        assert.equal(await refused(host, 'stream:start', { kind: 'hls' }), 'already_exists');
        assert.equal(await refused(attendee, 'stream:stop', {}), 'forbidden');
        const late = await connect(node, token('late'));
        const joined = await ask(late, 'room:join', { meeting_id: id, display_name: 'Late' });
        assert.equal(joined.live_stream.playback_url, started.playback_url, 'who comes later knows');
        late.close();
        assert.equal((await running).state, 'running');

        /* for caches and players: what changes each second says so, and nothing else does */
        const get = (file) => fetch(`${node.origin}/live/${started.stream_id}/${file}`);
        const master = await get('master.m3u8');
        assert.equal(master.headers.get('content-type'), 'application/vnd.apple.mpegurl');
        assert.equal(master.headers.get('cache-control'), 'public, max-age=1');
        assert.equal(master.headers.get('access-control-allow-origin'), '*');
        const words = await master.text();
        const list = await (await get('720p.m3u8')).text();
        const init = await get(/URI="([^"]+)"/.exec(list)[1]);
        assert.equal(init.headers.get('cache-control'), 'public, max-age=86400, immutable');
        assert.equal(init.headers.get('content-type'), 'video/mp4');
        const [, profile] = /CODECS="avc1\.([0-9a-f]{6}),mp4a\.40\.2",RESOLUTION=1280x720/.exec(words);
        assert.equal(profile, profileOf(Buffer.from(await init.arrayBuffer())));
        assert.deepEqual([...words.matchAll(/RESOLUTION=(\w+)/g)].map(([, size]) => size),
            ['1280x720', '640x360', '320x180']);
        const mpd = await get('manifest.mpd');
        assert.equal(mpd.headers.get('content-type'), 'application/dash+xml');
        assert.equal(mpd.headers.get('cache-control'), 'public, max-age=1');
        for (const [, seconds] of list.matchAll(/#EXTINF:([0-9.]+),/g)) {
            assert.ok(seconds >= 0.9 && seconds < 1.5, `a segment of ${seconds} s`);
        }
        assert.equal((await get('..%2F..%2Fsecret')).status, 404);
        assert.equal((await get('.new')).status, 404);

        const rows = JSON.parse(await node.kcsctl('egress', '--json'));
        assert.deepEqual(rows.map(({ kind, mode, state, meeting_id: meeting }) => [kind, mode, state, meeting]),
            [['live', 'hls', 'running', id]]);

        const viewer = await browser.newPage();
        await viewer.goto(`${node.origin}/watch.html?stream=${started.stream_id}`);
        const behind = await delays(source, viewer);
        const dash = await openDash(browser, node, `/live/${started.stream_id}/manifest.mpd`);
        const more = await delays(source, dash);
        console.log(`# glass to glass: HLS ${behind} ms, DASH ${more} ms`);
        assert.ok(behind.every((ms) => ms > 0 && ms <= 5000), `HLS: ${behind} ms`);
        assert.ok(more.every((ms) => ms > 0 && ms <= 6000), `DASH: ${more} ms`);
        assert.ok(new Set(behind.map((ms, i) => ms - i)).size > 1);
        assert.deepEqual(await dash.evaluate(() => window.dashFailed), []);

        const over = next(attendee, 'stream:stopped');
        assert.equal((await ask(host, 'stream:stop', { stream_id: started.stream_id })).ok, true);
        assert.equal((await over).stream_id, started.stream_id);
        await viewer.waitForFunction(() => /ended/.test(document.querySelector('.banner')?.innerText ?? ''),
            { timeout: 15_000, polling: 200 });
        for (const name of ['720p', '360p', '180p']) {
            assert.match(await (await get(`${name}.m3u8`)).text(), /\n#EXT-X-ENDLIST\n$/, name);
        }

        /* both players show what there is to its end, and then know that it is over */
        const ended = await (await get('manifest.mpd')).text();
        const [, hours, minutes, seconds] = /mediaPresentationDuration="PT(?:(\d+)H)?(?:(\d+)M)?([\d.]+)S"/.exec(ended);
        const length = Number(hours ?? 0) * 3600 + Number(minutes ?? 0) * 60 + Number(seconds);
        assert.match(ended, /type="static"/);
        assert.doesNotMatch(ended, /minimumUpdatePeriod|timeShiftBufferDepth/);
        await dash.bringToFront();
        await dash.waitForFunction(() => window.dashEnded === true, { timeout: 20_000, polling: 200 });
        const at = await dash.evaluate(() => [window.dash.time(), window.dash.duration(), document.querySelector('video').ended]);
        assert.ok(at[2] && Math.abs(at[0] - at[1]) < 0.5, `DASH ends at ${at}; of ${length} s`);
        assert.deepEqual(await dash.evaluate(() => window.dashFailed), []);
        await viewer.bringToFront();
        await viewer.waitForFunction(() => document.querySelector('video').ended, { timeout: 20_000, polling: 200 });

        /* who comes now sees what is left of it */
        const afterwards = await openDash(browser, node, `/live/${started.stream_id}/manifest.mpd`);
        await afterwards.bringToFront();
        await afterwards.waitForFunction(`(${numberShown})() >= 0`, { timeout: 10_000, polling: 100 });
        const from = await afterwards.evaluate(numberShown);
        await afterwards.waitForFunction(`(${numberShown})() > ${from} + 20`, { timeout: 10_000, polling: 100 });
        assert.deepEqual(await afterwards.evaluate(() => window.dashFailed), []);
        assert.ok(readdirSync(join(directory, 'live', started.stream_id)).length < 24 * 4 + 20, 'old segments have gone');
        attendee.close();
    })));

test('a host records and goes live by buttons, and everybody is asked', { timeout: 120_000 }, () =>
    recordingNode('live-page', (room) => withBrowser(async (browser) => {
        const { node, id, token, directory } = room;
        const host = await Person.open(browser, node, { name: 'Ada', meeting: id, token: token('hedy', 'co_host') });
        await host.joined();
        const guest = await Person.open(browser, node, { name: 'Bob', meeting: id, token: token('bob', 'presenter') });
        await guest.joined();
        const choose = async (who, text) => {
            await who.press('More');
            await who.page.locator(`::-p-xpath(//button[@class="menu-item" and .="${text}"])`).click();
        };
        const answer = async (who, what) => {
            await who.page.bringToFront(); /* behind another no button can be clicked */
            await who.page.click(`#consent-${what}`);
        };
        const marks = (who, text) => who.until(`the page says ${JSON.stringify(text)}`,
            (wanted) => document.querySelector('.marks').innerText.replace(/\s+/g, ' ').trim() === wanted, text);
        const focused = (who) => who.page.evaluate(() => document.activeElement.id || document.activeElement.className);
        const asks = (who, text) => who.until(`it asks: ${text}`,
            (wanted) => {
                const asked = document.querySelector('.consent');
                return wanted === null ? asked.hidden : !asked.hidden && asked.innerText.includes(wanted);
            }, text);

        await guest.press('More');
        assert.ok(!(await guest.page.evaluate(() => document.querySelector('.menu:not([hidden])').innerText)).includes('Record'),
            'who may not record has no such button');
        await guest.page.keyboard.press('Escape');
        await guest.page.focus('#toggle-mic');
        await choose(host, 'Record the meeting');
        await marks(host, 'Recording');
        await marks(guest, 'Recording');
        await asks(guest, 'This meeting is recorded.');

        /* by keys: it has the keyboard, and a space that was to talk agrees to nothing */
        await guest.page.bringToFront();
        assert.match(await focused(guest), /consent/);
        await guest.page.keyboard.press('Space');
        await asks(guest, 'This meeting is recorded.');
        await assertAccessible(guest, 'asked');
        await pictures(guest, 'consent');
        await guest.page.keyboard.press('Tab');
        assert.equal(await focused(guest), 'consent-agree');
        await guest.page.keyboard.press('Enter');
        await asks(guest, null);
        assert.equal(await focused(guest), 'toggle-mic', 'the keyboard is where it was');
        await assertAccessible(guest, 'recorded');
        await choose(host, 'Go live');
        await marks(guest, 'Recording Live');
        await asks(guest, 'recorded and shown live'); /* it is more than was agreed to */
        await answer(guest, 'agree');
        await host.press('More');
        await assertAccessible(host, 'the menu to record and go live');
        await pictures(host, 'on-air');
        await host.page.keyboard.press('Escape');
        await sleep(5000);
        const stream = readdirSync(join(directory, 'live'))[0];
        const viewer = await browser.newPage();
        await viewer.goto(`${node.origin}/watch.html?stream=${stream}`);
        await viewer.waitForFunction(() => document.querySelector('video')?.currentTime > 1, { timeout: 20_000 });
        await viewer.waitForFunction(() => [180, 360, 720].includes(document.querySelector('video').videoHeight));
        const watching = new Person(viewer, 'viewer');
        await viewer.bringToFront();
        await assertAccessible(watching, 'the viewers\' page');
        await pictures(watching, 'watch');
        await viewer.keyboard.press('Tab');
        assert.equal(await viewer.evaluate(() => document.activeElement.localName), 'video');
        await viewer.keyboard.press('Space'); /* the browser's own: it stands */
        await viewer.waitForFunction(() => document.querySelector('video').paused);
        await choose(host, 'End the live stream');
        await viewer.bringToFront();
        await viewer.keyboard.press('Space');
        await viewer.waitForFunction(() => /ended/.test(document.querySelector('.banner').innerText), { timeout: 20_000 });
        await assertAccessible(watching, 'a stream that has ended');
        await pictures(watching, 'watch-ended');
        await viewer.goto(`${node.origin}/watch.html?stream=none`);
        await assertAccessible(watching, 'a stream that is waited for');
        await viewer.close();
        await marks(guest, 'Recording');
        await choose(host, 'Stop recording');
        await marks(guest, '');
        await asks(guest, null);
        const [recording] = await listed(room, 'stopped');
        const { length } = picturesOf(join(directory, recording.id, recording.files[0].file));
        assert.ok(length > 100, `${length} pictures`);

        /* who does not agree leaves */
        await choose(host, 'Record the meeting');
        await asks(guest, 'This meeting is recorded.');
        await answer(guest, 'leave');
        await guest.until('it has left', () => window.kcs.state === 'left');
    })));
