/* kcs-egress is killed, or its disk is full, at random moments: what was written plays but for
 * its last seconds, all else of the node goes on. KCS_LONG=1: twenty of each. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { ask, connect, next } from './lib/client.mjs';
import { loadgen } from './lib/loadgen.mjs';
import { withNode } from './lib/node.mjs';

const LONG = (process.env.KCS_LONG ?? '') !== '';
const noRoot = process.getuid() !== 0 ? 'a file system of its own needs root' : false;
const FREE = 8 << 20; /* bytes, with less than which none begins */
const LOST_S = 3; /* may be missing at the end of what was not ended in order */

/* A moment to come, with time enough for something to be written before. */
const moment = () => 3500 + Math.random() * (LONG ? 3500 : 1000);

async function good(socket, event, payload = {}) {
    const answer = await ask(socket, event, payload);

    assert.equal(answer.ok, true, `${event}: ${JSON.stringify(answer.error)}`);
    return answer;
}

async function host(node, meeting) {
    const socket = await connect(node, await node.token({ meeting, name: 'Ada', role: 'host' }));

    await good(socket, 'room:join', { meeting_id: meeting, display_name: 'Ada' });
    return socket;
}

/* How many seconds of pictures and of sound ffmpeg decodes of a file, and what it says. */
function plays(path) {
    const seconds = ['v', 'a'].map((kind) => {
        const { status, stdout, stderr } = spawnSync('ffmpeg', [
            ...['-v', 'warning', '-nostdin', '-i', path, '-map', `0:${kind}`],
            ...['-progress', 'pipe:1', '-f', 'null', '-'],
        ], { encoding: 'utf8' });
        const us = [...stdout.matchAll(/out_time_us=(\d+)/g)].at(-1)?.[1] ?? 0;

        return { seconds: Number(us) / 1e6, status, stderr };
    });

    return {
        seconds: Math.min(...seconds.map((each) => each.seconds)),
        failed: seconds.some(({ status }) => status !== 0),
        said: seconds.map(({ stderr }) => stderr).join(''),
    };
}

const egressOf = (node, id) => Number(execFileSync('pgrep',
    ['-P', `${node.control.pid}`, '-f', id], { encoding: 'utf8' }));

/* Kills the process of a recording; what it has left, and what becomes of it, plays. */
async function killOnce(node, directory, meeting) {
    const socket = await host(node, meeting);
    const { recording_id: id } = await good(socket, 'recording:start', { options: { mode: 'composite' } });
    const begun = Date.now();
    const since = () => (Date.now() - begun) / 1000;
    const left = join(directory, `${id}.left.mp4`);

    await sleep(moment());
    process.kill(egressOf(node, id), 'SIGKILL');
    const killed = since();
    copyFileSync(join(directory, id, 'meeting.1.mp4'), left);
    await node.until('another process goes on', () =>
        readdirSync(join(directory, id)).includes('meeting.2.mp4'));
    await sleep(2500);
    await good(socket, 'recording:stop');
    const ended = since();
    await node.until('the parts are one', () => `${readdirSync(join(directory, id))}` === 'meeting.mp4');

    const part = plays(left);
    assert.ok(!part.failed && part.seconds >= killed - LOST_S,
        `killed after ${killed} s, and ${part.seconds} s play: ${part.said}`);
    const whole = plays(join(directory, id, 'meeting.mp4'));
    assert.equal(whole.said, '');
    assert.ok(Math.abs(whole.seconds - ended) < 1.5, `${whole.seconds} of ${ended} s`);
    rmSync(left);
    socket.close();
    return { killed, left: part.seconds };
}

test('killed at random moments, each recording goes on and is one file', { timeout: 300_000, skip: LONG ? false : 'with KCS_LONG: composite and recording kill one each' }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kcs-faults-'));

    await withNode({ name: 'egress-killed', devices: ['udp:127.0.0.1'], control: `recording:\n  directory: ${directory}\n` }, async (node) => {
        for (let i = 0; i < 20; i += 2) {
            const each = await Promise.all([i, i + 1].map((n) => killOnce(node, directory, `killed-${n}`)));

            for (const { killed, left } of each) {
                console.log(`# killed after ${killed.toFixed(2)} s: ${left.toFixed(2)} s play`);
            }
        }
    }).finally(() => rmSync(directory, { recursive: true }));
});

test('hosts are told of a live stream whose process died, and that another goes on', { timeout: 60_000 }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kcs-faults-'));

    await withNode({
        name: 'egress-live', devices: ['udp:127.0.0.1'], control: `recording:\n  live: ${directory}/live\n`,
    }, async (node) => {
        const socket = await host(node, 'live');
        const told = [];

        socket.on('stream:status', ({ stream_id: id, state, reason }) => told.push([id, state, reason]));
        const { stream_id: id } = await good(socket, 'stream:start', { kind: 'hls' });
        await node.until('it runs', () => told.length === 1);
        process.kill(egressOf(node, id), 'SIGKILL');
        await node.until('it runs again', () => told.length === 3);
        assert.deepEqual(told.map(([which, state]) => [which, state]),
            [[id, 'running'], [id, 'starting'], [id, 'running']]);
        assert.match(told[1][2], /its process died/);
        await good(socket, 'stream:stop');
        socket.close();
    }).finally(() => rmSync(directory, { recursive: true }));
});

/* MiB of its own that a process has. */
function memoryOf(pid) {
    const [, resident, shared] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ').map(Number);

    return (resident - shared) * 4096 / (1 << 20);
}

test('one that takes too much memory goes on in a new part, and no other is touched', { timeout: 90_000 }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kcs-faults-'));
    const LIMIT_MB = 20; /* less than an encoder of 720p has, more than one has that encodes nothing */

    await withNode({
        name: 'egress-memory', devices: ['udp:127.0.0.1'],
        control: `recording:\n  directory: ${directory}\n  memory_mb: ${LIMIT_MB}\n`,
    }, async (node) => {
        const small = await host(node, 'small');
        const large = await host(node, 'large');
        const told = next(large, 'recording:status', 20_000);
        const { recording_id: beside } = await good(small, 'recording:start');
        const { recording_id: id } = await good(large, 'recording:start', { options: { mode: 'composite' } });
        const pid = egressOf(node, beside);

        const { state, reason, recording_id: which } = await told;
        assert.deepEqual([which, state], [id, 'running']);
        assert.match(reason, /too much memory/);
        await node.until('the next part begins', () => readdirSync(join(directory, id)).includes('meeting.2.mp4'));
        assert.ok(plays(join(directory, id, 'meeting.1.mp4')).seconds > 0.3, 'what it had written plays');
        assert.equal(egressOf(node, beside), pid);
        assert.ok(memoryOf(pid) < LIMIT_MB, `${memoryOf(pid)}`);
        await good(large, 'hand:raise');
        await good(large, 'recording:stop');
        await good(small, 'recording:stop');
        await node.until('both have ended', async () => (await node.metric('kcs_recordings ')) === 0);
        assert.ok(await node.metric('kcs_recorder_restarts_total ') >= 1);
        small.close();
        large.close();
    }).finally(() => rmSync(directory, { recursive: true }));
});

/* Takes all the room that is left. */
function fill(path) {
    for (const size of [1 << 20, 1 << 12]) {
        try {
            for (;;) {
                writeFileSync(path, Buffer.alloc(size), { flag: 'a' });
            }
        } catch (error) {
            assert.equal(error.code, 'ENOSPC');
        }
    }
}

/* What hosts are told of it. */
function failure(socket, event) {
    return new Promise((done) => {
        const hear = (payload) => {
            if (payload.state === 'failed') {
                socket.off(event, hear);
                done(payload);
            }
        };

        socket.on(event, hear);
    });
}

/* A recording and a live stream of a meeting, until the disk of both is full. */
async function fillOnce(node, directory, socket) {
    const filler = join(directory, 'filler');
    const failed = ['recording', 'stream'].map((kind) => failure(socket, `${kind}:status`));
    const stopped = ['recording', 'stream'].map((kind) => next(socket, `${kind}:stopped`, 30_000));
    const { recording_id: id } = await good(socket, 'recording:start', { options: { mode: 'composite' } });
    const begun = Date.now();
    await good(socket, 'stream:start', { kind: 'hls' });

    await sleep(moment());
    const full = (Date.now() - begun) / 1000;
    fill(filler);
    /* what one of them gives back when it ends would be enough for the other */
    const again = setInterval(() => fill(filler), 20);
    for (const { reason } of await Promise.all(failed).finally(() => clearInterval(again))) {
        assert.match(reason, /No space left/);
    }
    await Promise.all(stopped);
    await good(socket, 'hand:raise');
    await good(socket, 'hand:lower');

    await node.until('its process is gone', async () => (await node.metric('kcs_recordings ')) === 0);
    const free = () => node.metric('kcs_disk_free_bytes', '"recordings"');
    fill(filler); /* what they have given back */
    await node.until('it is known to be full', async () => (await free()) < FREE);
    assert.equal((await ask(socket, 'recording:start')).error?.code, 'store_full');
    const { said, seconds } = plays(join(directory, id, 'meeting.1.mp4'));
    assert.ok(seconds >= full - LOST_S, `full after ${full} s, and ${seconds} s play: ${said}`);
    rmSync(filler);
    rmSync(join(directory, id), { recursive: true });
    await node.until('there is room again', async () => (await free()) > FREE);
    return { full, seconds };
}

test('a disk that is full at a random moment ends what is recorded, and nothing else', { timeout: 400_000, skip: noRoot }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kcs-faults-'));
    const rounds = LONG ? 20 : 1;

    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'kcs-faults', directory]);
    try {
        await withNode({
            name: 'egress-full', devices: ['udp:127.0.0.1'],
            control: `recording:\n  directory: ${directory}\n  live: ${directory}/live\n`,
        }, async (node) => {
            const socket = await host(node, 'full');
            const end = new AbortController();
            const media = loadgen(node, ['--publishers', '1', '--subscribers', '3', '--media', 'both',
                '--seconds', '400'], { patience: 420, meeting: 'beside', signal: end.signal });

            for (let i = 0; i < rounds; i++) {
                const { full, seconds } = await fillOnce(node, directory, socket);

                console.log(`# full after ${full.toFixed(2)} s: ${seconds.toFixed(2)} s play`);
            }
            end.abort();
            const { status, result, err } = await media;
            assert.equal(status, 0, err);
            assert.equal(result.lost, 0);
            assert.equal(result.streams_verified, 6);
            socket.close();
        });
    } finally {
        execFileSync('umount', [directory]);
        rmdirSync(directory);
    }
});
