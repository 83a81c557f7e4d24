/* What becomes of recordings that have ended: to an object store, handed out from there, and
 * taken away when their time is over; told by documents that the test writes into the store
 * and files that it puts beside them. And one that is made here, till the quota is used up. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
    existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, utimesSync,
    writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { ask, connect, next } from './lib/client.mjs';
import { BUILD, withNode } from './lib/node.mjs';
import { killControl, rest, user } from './lib/rest.mjs';
import { ObjectStore } from './lib/s3.mjs';

const DAY_S = 86_400;
const PART = 8 << 20;
const QUOTA_MB = 64;
const SECRET = 'this+is/nobodys+secret+key+0123456789';

/* A recording as control has written it when it ended, and its files. */
function seed(node, directory, meeting, { id, state = 'stopped', days = 0, until = 0, files, archived }) {
    const json = JSON.stringify({
        by_user_id: 'ada', started_at: new Date().toISOString(), duration_ms: 1000,
        ...(state === 'running' ? {} : {
            files: Object.entries(files).map(([file, bytes]) => ({
                file, user_id: null, display_name: null, source: null, start_ms: 0,
                duration_ms: 1000, size_bytes: bytes.length, complete: true,
                ...(archived ? { archived } : {}),
            })),
        }),
    });

    mkdirSync(join(directory, id));
    for (const [file, bytes] of Object.entries(archived ? {} : files)) {
        writeFileSync(join(directory, id, file), bytes);
        utimesSync(join(directory, id, file), 1e9, 1e9);
    }
    utimesSync(join(directory, id), 1e9, 1e9);
    execFileSync('python3', ['-c', `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=10)
db.execute("INSERT INTO recording (tenant, id, grp, ref, state, at, until, expires, version, doc)"
           " VALUES ('acme', ?, ?, '', ?, ?, ?, 0, 1, ?)", sys.argv[2:])
db.commit()`, node.storePath, id, meeting, state, `${Math.floor(Date.now() / 1000) - days * DAY_S}`, `${until}`, json]);
}

const logOf = (node) => readFileSync(join(node.dir, 'kcs-control.log'), 'utf8');
/* Of the process that runs. */
const linesOf = (node, event) => logOf(node).split('"ready"').at(-1).split('\n')
    .filter((line) => line.includes(`"${event}"`));

/* A recording of the meeting itself, till the directory holds too much: hosts are told, none
 * begins, and what there is of it goes the way of all. */
async function untilQuota(node, directory, store, { meeting, owner }) {
    const ticket = await rest(node, 'POST', `/meeting/${meeting}/join`, { token: owner, body: {} });
    const host = await connect(node, ticket.body.data.token);
    const start = () => ask(host, 'recording:start', { options: { mode: 'composite' } });
    const told = next(host, 'recording:status', 20_000);
    const filler = join(directory, 'filler');

    assert.equal((await ask(host, 'room:join', { meeting_id: meeting, display_name: 'Ada' })).ok, true);
    const { recording_id: id } = await start();
    await node.until('something is recorded', () => existsSync(join(directory, id, 'meeting.1.mp4')));
    writeFileSync(filler, '');
    truncateSync(filler, QUOTA_MB << 20);
    assert.deepEqual([(await told).state, (await told).reason], ['failed', 'the quota of recordings is used up']);
    assert.equal((await start()).error?.code, 'store_full');
    await node.until('it is in the object store', () => store.objects.has(`a/b/${id}/meeting.1.mp4`));
    const { body } = await rest(node, 'GET', `/meeting/${meeting}/recordings`, { token: owner });
    const days = (Date.parse(body.data.find((r) => r.id === id).expires_at) - Date.now()) / 1000 / DAY_S;
    assert.ok(days > 6.9 && days < 7, `as its meeting says: ${days}`);
    rmSync(filler);
    host.close();
}

test('files go to an object store, whatever breaks, and are handed out and taken away there', { timeout: 90_000 }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kcs-archive-'));
    const store = new ObjectStore({ access: 'AKIDTEST', secret: SECRET, region: 'eu-test-1', bucket: 'tapes' });
    const secretFile = join(directory, '.secret');
    const recordings = join(directory, 'recordings');

    mkdirSync(recordings);
    await store.listen();
    writeFileSync(secretFile, `not-${SECRET}\n`);
    const control = `recording:
  directory: ${recordings}
  retention_days: 30
  quota_mb: ${QUOTA_MB}
  s3:
    endpoint: ${store.origin}
    bucket: tapes
    prefix: a/b
    region: eu-test-1
    access_key: AKIDTEST
    secret_key_file: ${secretFile}
    allow_loopback: true
`;
    await withNode({ name: 'archive', devices: ['udp:127.0.0.1'], control }, async (node) => {
        const owner = user(node, 'ada');
        const { body } = await rest(node, 'POST', '/meeting', { token: owner,
            body: { meeting_name: 'Kept', recording_config: { retention_days: 7 } } });
        const meeting = body.data.id;
        const large = randomBytes(3 * PART + 4711);
        const small = randomBytes(10_000);
        const put = (...made) => seed(node, recordings, meeting, ...made);
        const list = async () => (await rest(node, 'GET', `/meeting/${meeting}/recordings`, { token: owner })).body.data;
        const there = (name) => store.objects.get(`a/b/${name}`);

        put({ id: 'new', files: { 'meeting.mp4': large, 'x.1.webm': small } });
        put({ id: 'died', state: 'running', files: { 'meeting.1.mp4': small } });
        put({ id: 'old', days: 31, files: { 'here.mp4': small } });
        put({ id: 'old-there', days: 31, files: { 'there.mp4': small }, archived: true });
        put({ id: 'told-longer', days: 31, until: Math.floor(Date.now() / 1000) + DAY_S, files: { 'z.webm': small } });
        store.objects.set('a/b/old-there/there.mp4', small);

        /* A wrong secret is told of once, and takes nothing away. */
        await killControl(node);
        const before = store.refused.length; /* by the process that is dead */
        await node.until('it was tried again', () => store.refused.length >= before + 2);
        assert.deepEqual([...new Set(store.refused)], ['SignatureDoesNotMatch']);
        const told = linesOf(node, 'archive_failed');
        assert.equal(told.length, 1, told.join('\n'));
        assert.match(told[0], /403 SignatureDoesNotMatch/);
        assert.ok(existsSync(join(recordings, 'new', 'meeting.mp4')));
        /* What lies here alone needs no object store to be taken away. */
        await node.until('what is old is gone', () => !existsSync(join(recordings, 'old')));
        assert.ok(store.objects.has('a/b/old-there/there.mp4'));

        /* The first part breaks off in the middle, the next stalls: control is killed there. */
        writeFileSync(secretFile, `${SECRET}\n`);
        let broken = 0;
        let stalled = false;
        store.fault = (request, url) => {
            const part = url.searchParams.get('partNumber');

            if (part === '1' && broken++ === 0) {
                request.once('data', () => request.destroy());
                return true;
            }
            stalled ||= part === '3';
            if (stalled) {
                request.resume();
            }
            return stalled;
        };
        await killControl(node);
        await node.until('the third part is on its way', () => stalled);
        assert.ok(broken >= 2, 'what broke off was sent again');
        store.fault = () => false;
        store.asked.length = 0;
        await killControl(node);
        await node.until('all of it is there', () => there('new/meeting.mp4') && there('new/x.1.webm')
            && there('died/meeting.1.mp4') && there('told-longer/z.webm'));
        assert.ok(there('new/meeting.mp4').equals(large), 'the same bytes');
        assert.ok(there('new/x.1.webm').equals(small));
        assert.ok(there('died/meeting.1.mp4').equals(small));
        const parts = store.asked.filter((line) => line.includes('partNumber='))
            .map((line) => /partNumber=(\d)/.exec(line)[1]);
        assert.deepEqual(parts, ['3', '4'], 'what was there was not sent again');
        assert.equal(store.uploads.size, 0);
        await node.until('the files here are gone', () =>
            ['new', 'died', 'told-longer'].every((id) => !existsSync(join(recordings, id))));
        await node.until('what is old is gone there, too', () => !there('old-there/there.mp4'));

        /* What there is of it, and what there was. */
        let all;
        await node.until('all is known', async () => {
            all = new Map((await list()).map((r) => [r.id, r]));
            return all.size === 3 && [...all.values()].every(({ files }) => files.every((f) => f.archived));
        });
        assert.equal(all.get('died').state, 'interrupted');
        assert.equal(all.get('new').size_bytes, large.length + small.length);
        assert.ok(Date.parse(all.get('new').expires_at) > Date.now() + 29 * DAY_S * 1000);
        assert.doesNotMatch(JSON.stringify([...all.values()]), /upload|erased|https?:/);
        const { body: audit } = await rest(node, 'GET', `/meeting/${meeting}/audit`, { token: owner });
        assert.deepEqual(audit.data.filter(({ act }) => act === 'recording.expire').map(({ target, result }) => [target, result]).sort(),
            [['old', 'ok'], ['old-there', 'ok']]);

        /* Who may have it is sent there, whatever part of it is asked for. */
        const path = (id, file) => `${node.origin}/api/meeting/${meeting}/recordings/${id}/download?file=${encodeURIComponent(file)}`;
        const get = (id, file, token, headers = {}) => fetch(path(id, file), {
            redirect: 'manual', headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers },
        });
        assert.equal((await get('new', 'meeting.mp4')).status, 401);
        assert.equal((await rest(node, 'POST', `/meeting/${meeting}/participants`,
            { token: owner, body: { user_id: 'eve', role: 'attendee' } })).status, 201);
        assert.equal((await get('new', 'meeting.mp4', user(node, 'eve'))).status, 403);
        assert.equal((await get('new', 'meeting.mp4', user(node, 'eve', { tenant: 'other' }))).status, 404);
        const answer = await get('new', 'meeting.mp4', owner);
        assert.equal(answer.status, 302);
        const link = answer.headers.get('location');
        assert.ok(Buffer.from(await (await fetch(link)).arrayBuffer()).equals(large));
        const part = await fetch(link, { headers: { range: 'bytes=100-199' } });
        assert.equal(part.status, 206);
        assert.ok(Buffer.from(await part.arrayBuffer()).equals(large.subarray(100, 200)));
        assert.equal((await fetch(link.replace('/new/', '/died/'))).status, 403, 'for that file alone');
        assert.match(await (await fetch(`http://127.0.0.1:${node.metricsPort}/metrics`)).text(),
            /^kcs_recording_downloads_total 1$/m);

        /* Nothing beside the recordings is handed out, by whatever name. */
        put({ id: 'last', files: { 'a.mp4': small } });
        symlinkSync(secretFile, join(recordings, 'last', 'link.mp4'));
        const here = await get('last', 'a.mp4', owner, { range: 'bytes=-5' });
        assert.equal(here.status, 206);
        assert.ok(Buffer.from(await here.arrayBuffer()).equals(small.subarray(-5)));
        for (const file of ['../../.secret', '../new/meeting.mp4', '/etc/passwd', '..%2f..%2f.secret', 'link.mp4', '.', '..']) {
            assert.equal((await get('last', file, owner)).status, 404, file);
        }
        for (const id of ['..', '%2e%2e', '..%2f..']) {
            assert.ok([400, 404].includes((await get(id, '.secret', owner)).status), id);
        }

        await untilQuota(node, recordings, store, { meeting, owner });
        assert.ok(!logOf(node).includes(SECRET), 'the secret is in no log');
        assert.ok(!execFileSync(join(BUILD, 'kcs-control'),
            ['--config', join(node.dir, 'control.yaml'), '--check-config'], { encoding: 'utf8' }).includes(SECRET));
    }).finally(() => {
        store.close();
        rmSync(directory, { recursive: true });
    });
});

/* With 'keep_local' the files stay here and are handed out from here, too, until their time is
 * over: then they go from both. One of them is the chat. */
test('what was said is kept with a recording, here and there, whoever is killed', { timeout: 90_000 }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kcs-archive-'));
    const store = new ObjectStore({ access: 'AKIDTEST', secret: SECRET, region: 'eu-test-1', bucket: 'tapes' });

    await store.listen();
    const control = `recording:
  directory: ${directory}
  s3: { endpoint: "${store.origin}", bucket: tapes, region: eu-test-1, access_key: AKIDTEST, secret_key: "${SECRET}", keep_local: true, allow_loopback: true }
`;
    await withNode({ name: 'archive-chat', devices: ['udp:127.0.0.1'], control }, async (node) => {
        const owner = user(node, 'ada');
        const { body } = await rest(node, 'POST', '/meeting', { token: owner,
            body: { meeting_name: 'Said', recording_config: { record_chat: true } } });
        const meeting = body.data.id;
        const come = async (sub) => {
            const ticket = await rest(node, 'POST', `/meeting/${meeting}/join`, { token: user(node, sub), body: {} });
            const socket = await connect(node, ticket.body.data.token);

            assert.equal((await ask(socket, 'room:join', { meeting_id: meeting, display_name: sub })).ok, true);
            return socket;
        };
        const list = async () => (await rest(node, 'GET', `/meeting/${meeting}/recordings`, { token: owner })).body.data;
        assert.equal((await rest(node, 'POST', `/meeting/${meeting}/participants`,
            { token: owner, body: { user_id: 'eve', role: 'attendee' } })).status, 201);
        const ada = await come('ada');
        const eve = await come('eve');
        const say = async (socket, message, more = {}) => {
            let answer = await ask(socket, 'chat:send', { message, ...more });

            while (answer.error?.code === 'rate_limited') {
                await sleep(answer.error.retry_after_ms);
                answer = await ask(socket, 'chat:send', { message, ...more });
            }
            assert.equal(answer.ok, true, JSON.stringify(answer));
            return answer.message_id;
        };

        await say(ada, 'before');
        const begun = Date.now();
        const { recording_id: id } = await ask(ada, 'recording:start', { options: { mode: 'composite', record_video: false } });
        await say(eve, 'one');
        await say(eve, 'between us', { to: 'ada' });
        const wrong = await say(ada, 'tow');
        process.kill(Number(execFileSync('pgrep', ['-P', `${node.control.pid}`, '-f', id], { encoding: 'utf8' })), 'SIGKILL');
        assert.equal((await ask(ada, 'chat:edit', { message_id: wrong, message: 'two' })).ok, true);
        const gone = await say(ada, 'nothing');
        assert.equal((await ask(ada, 'chat:delete', { message_id: gone })).ok, true);
        await node.until('another process goes on', () => existsSync(join(directory, id, 'meeting.2.m4a')));
        for (let i = 0; i < 20; i++) {
            await say(eve, `m${i}`);
        }
        const paused = next(eve, 'recording:paused');
        const resumed = next(eve, 'recording:resumed', 20_000);
        assert.equal((await ask(eve, 'recording:pause')).error?.code, 'forbidden');
        assert.equal((await ask(ada, 'recording:pause', { recording_id: id })).ok, true);
        const since = Date.now();
        assert.deepEqual([(await paused).recording_id, (await paused).by_user_id], [id, 'ada']);
        assert.equal((await ask(ada, 'recording:pause')).error?.code, 'already_exists');
        assert.equal((await list())[0].state, 'paused');
        await say(eve, 'while it is paused');
        await sleep(4000);
        assert.equal((await ask(ada, 'recording:resume')).ok, true);
        const pause = Date.now() - since;
        assert.equal((await resumed).recording_id, id);
        assert.equal((await ask(ada, 'recording:resume')).error?.code, 'already_exists');
        await say(eve, 'and on');
        await node.until('it goes on', () => existsSync(join(directory, id, 'meeting.3.m4a')));
        assert.equal((await ask(ada, 'recording:stop')).ok, true);
        await say(ada, 'after');
        await node.until('its files are ended', async () => (await list())[0].state === 'stopped');
        ada.close();
        eve.close();
        await killControl(node); /* before, while or after it is written */

        await node.until('all is there', async () => {
            const [{ files }] = await list();

            return files.length === 2 && files.every((file) => file.archived);
        });
        const [{ files, duration_ms: duration }] = await list();
        assert.deepEqual(files.map(({ file }) => file), ['meeting.m4a', 'chat.json']);
        const text = readFileSync(join(directory, id, 'chat.json'), 'utf8');
        assert.equal(store.objects.get(`${id}/chat.json`).toString(), text);
        assert.equal(files[1].size_bytes, text.length);
        const log = JSON.parse(text);
        assert.deepEqual([log.recording_id, log.meeting_id, log.complete], [id, meeting, true]);
        assert.deepEqual(log.messages.map(({ user_id: who, message }) => `${who}: ${message}`),
            ['eve: one', 'ada: two', ...Array.from({ length: 20 }, (_, i) => `eve: m${i}`), 'eve: and on']);
        const times = log.messages.map(({ at_ms: at }) => at);
        assert.deepEqual(times, times.toSorted((a, b) => a - b));
        assert.ok(times[0] >= 0 && times.at(-1) < duration && duration < Date.now() - begun - pause, `${times} of ${duration}`);
        assert.ok(files[0].duration_ms < duration + 1000, `${files[0].duration_ms} of ${duration}`);

        /* It is here, and so handed out from here, in parts too. */
        const got = await fetch(`${node.origin}/api/meeting/${meeting}/recordings/${id}/download?file=chat.json`,
            { redirect: 'manual', headers: { authorization: `Bearer ${owner}`, range: 'bytes=0-9' } });
        assert.equal(got.status, 206);
        assert.match(got.headers.get('content-type'), /json/);
        assert.equal(await got.text(), text.slice(0, 10));

        /* Its time is over. */
        execFileSync('python3', ['-c', `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=10)
db.execute("UPDATE recording SET until = 1 WHERE id = ?", sys.argv[2:])
db.commit()`, node.storePath, id]);
        await killControl(node);
        await node.until('it is gone', async () => (await list()).length === 0);
        assert.deepEqual([existsSync(join(directory, id)), [...store.objects.keys()]], [false, []]);
    }).finally(() => {
        store.close();
        rmSync(directory, { recursive: true });
    });
});
