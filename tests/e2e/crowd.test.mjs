/* A large meeting, and several at once, of clients of several processes: everybody gets in, gets
 * all that is sent and has what is written to all; one report tells of all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadgen } from './lib/loadgen.mjs';
import { withNode } from './lib/node.mjs';

const FAULTS = ['lost', 'duplicates', 'misordered', 'corrupt', 'misrouted', 'forged', 'malformed'];
const STEPS = ['signaling', 'room', 'transport', 'ice', 'dtls', 'streams'];
const TIMEOUT = { timeout: 90_000 };
const CHATS = 2;

async function join(t, name, { rooms, publishers, subscribers, processes }) {
    await withNode({ name, devices: ['udp:127.0.0.1'], level: 'warn' }, async (node) => {
        const { status, result, err } = await loadgen(node, [
            ...['--publishers', `${publishers}`, '--subscribers', `${subscribers}`],
            ...['--rooms', `${rooms}`, '--processes', `${processes}`, '--media', 'both'],
            ...['--rate', '5', '--audio-rate', '10', '--seconds', '3', '--chat', `${CHATS}`],
            ...['--join-rate', '100', '--verify-every', '7', '--no-feedback'],
        ], { patience: 80 });
        const people = publishers + subscribers;

        assert.equal(status, 0, `kcs-loadgen: ${err}`);
        assert.equal(result.processes, processes);
        assert.equal(result.joined, people * rooms);
        assert.equal(result.streams, 2 * publishers * subscribers * rooms);
        for (const fault of FAULTS) {
            assert.equal(result[fault], 0, fault);
        }
        assert.ok(result.verified > 0 && result.verified < result.received);
        assert.equal(result.producers.length, 2 * publishers * rooms);
        assert.equal(result.chats_sent, CHATS * rooms);
        assert.equal(result.chat_us.count, CHATS * people * rooms, 'all have what was written');
        for (const step of STEPS.slice(0, -1)) { /* the last may be over with the one before */
            assert.equal(result.join_steps_us[step].count, people * rooms, step);
        }
        t.diagnostic(`join p99 ${result.join_us.p99} us, chat p99 ${result.chat_us.p99} us`);
    });
}

test('more than 200 in a meeting', TIMEOUT, (t) =>
    join(t, 'crowd', { rooms: 1, publishers: 2, subscribers: 240, processes: 2 }));

test('many meetings at once', TIMEOUT, (t) =>
    join(t, 'rooms', { rooms: 10, publishers: 1, subscribers: 9, processes: 3 }));
