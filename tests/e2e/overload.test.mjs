/* More join than can be served, and one writes to a thousand: all come in when they were told
 * to, and control answers whoever asks how it does. */
import assert from 'node:assert/strict';
import { constants, setPriority } from 'node:os';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { askForHealth, assertResponsive } from './lib/health.mjs';
import { loadgen } from './lib/loadgen.mjs';
import { withNode } from './lib/node.mjs';

const IDLE_MS = 2_000;
const TIMEOUT = { timeout: 110_000 };

test('far more join at once than can be served', TIMEOUT, (t) =>
    withNode({
        name: 'overload-joins',
        devices: ['udp:127.0.0.1'],
        level: 'warn',
        control: 'limits:\n  joins_waiting: 40\n  join_wait_ms: 1000\n',
        dataplane: 'limits:\n  peers: 2048\n',
    }, async (node) => {
        const people = 1200;
        const idle = await askForHealth(node, sleep(IDLE_MS));
        const running = loadgen(node, [
            ...['--publishers', '0', '--subscribers', '20', '--rooms', `${people / 20}`],
            ...['--join-rate', '100000', '--join-timeout', '60', '--seconds', '1'],
        ], { patience: 90 });
        /* they share this machine with the node, and give way to it as if they did not */
        setPriority(node.witnesses.at(-1).pid, constants.priority.PRIORITY_LOW);
        const loaded = await askForHealth(node, running);
        const { status, result, err } = await running;

        assert.equal(status, 0, `kcs-loadgen: ${err}`);
        assert.equal(result.joined, people, 'whoever was put off came again, and in');
        assert.ok(result.put_off > 0, 'more came than might wait');
        const became = (what) => node.metric('kcs_joins_total', `result="${what}"`);
        assert.equal(await became('refused') + await became('too_late'), result.put_off);
        assert.equal(await became('at_once') + await became('waited'), people);
        assert.ok(await became('waited') > 0);
        assert.equal(await node.metric('kcs_joins_waiting'), 0);
        assert.equal(await node.metric('kcs_dtls_handshakes_total', 'result="done"'), people,
            'nothing was begun for those who were put off');
        t.diagnostic(`put off ${result.put_off} times; from admission p99 ` +
            `${result.admitted_us.p99 / 1000} ms, in all ${result.join_us.p99 / 1000}`);
        assertResponsive(t, 'joins', idle, loaded);
    }));

test('all hear what is written in a room of a thousand', TIMEOUT, (t) =>
    withNode({
        name: 'overload-chat',
        devices: ['udp:127.0.0.1'],
        level: 'warn',
        dataplane: 'limits:\n  peers: 2048\n',
    }, async (node) => {
        const people = 1000;
        const chats = 8;
        const idle = await askForHealth(node, sleep(IDLE_MS));
        const running = loadgen(node, [
            ...['--publishers', '1', '--subscribers', `${people - 1}`, '--media', 'audio'],
            ...['--rate', '2', '--verify-every', '100', '--no-feedback'],
            ...['--chat', `${chats}`, '--join-rate', '400', '--join-timeout', '60'],
            ...['--seconds', '10'],
        ], { patience: 90 });

        await node.until('all are there', async () =>
            (await node.metric('kcs_participants')) === people, 60_000);
        const loaded = await askForHealth(node, running);
        const { status, result, err } = await running;
        assert.equal(status, 0, `kcs-loadgen: ${err}`);
        assert.equal(result.chat_us.count, chats * people);
        t.diagnostic(`chat p99 ${result.chat_us.p99 / 1000} ms`);
        assertResponsive(t, 'chat', idle, loaded);
    }));

test('the node is full before anything is done for one more', TIMEOUT, () =>
    withNode({
        name: 'overload-full',
        devices: ['udp:127.0.0.1'],
        control: 'limits:\n  participants: 5\n  participants_per_room: 3\n',
    }, async (node) => {
        const join = (rooms, subscribers) => loadgen(node, [
            ...['--publishers', '0', '--subscribers', `${subscribers}`, '--rooms', `${rooms}`],
            ...['--seconds', '1', '--join-rate', '50', '--join-timeout', '5'],
        ]);

        const room = await join(1, 4);
        assert.equal(room.status, 1);
        assert.match(room.err, /room:join refused: .*\(room_full\)/);
        assert.equal(room.result.joined, 3);
        await node.until('nobody is there', async () =>
            (await node.metric('kcs_participants')) === 0);
        const all = await join(3, 2);
        assert.equal(all.status, 1);
        assert.match(all.err, /room:join refused: .*\(node_full\)/);
        assert.equal(all.result.joined, 5);
        assert.equal(await node.metric('kcs_joins_total', 'result="room_full"'), 1);
        assert.equal(await node.metric('kcs_joins_total', 'result="node_full"'), 1);
        assert.equal(await node.metric('kcs_dtls_handshakes_total', 'result="done"'), 3 + 5);
    }));
