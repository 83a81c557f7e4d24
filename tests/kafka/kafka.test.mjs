/* Events of meetings, read from a real Kafka: while the broker is killed and started again,
 * control is killed, and the disk of the store is full for a while, every fact arrives, once
 * by its id and in the order of its meeting. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { ask, connect } from '../e2e/lib/client.mjs';
import { withNode } from '../e2e/lib/node.mjs';
import { killControl, rest } from '../e2e/lib/rest.mjs';
import { withBroker } from './broker.mjs';
import { Talker, assertComplete, call, once, outage, stored } from './outage.mjs';
import { FACTS, drained, kafkaYaml } from './outbox.mjs';

const LONG = (process.env.KCS_LONG ?? '') !== '';
const notHere = process.getuid() !== 0 ? 'a file system of its own needs root'
    : !LONG && 'in the long form';

test('no fact is lost while the broker and control are killed', { timeout: 300_000 }, async () => {
    const tally = await outage({ meetings: LONG ? 20 : 4, away: [LONG ? 60_000 : 4_000] });

    console.log(JSON.stringify(tally));
});

/* The people who talk are in the meeting of a call, so that its room outlives control. */
test('no fact is lost while the broker is away, the disk fills, and control is killed then',
    { timeout: 180_000, skip: notHere }, () => withBroker(async (broker) => {
        const disk = mkdtempSync(join(tmpdir(), 'kcs-disk-'));
        const mount = (...options) => execFileSync('mount', [...options, disk]);

        mount('-t', 'tmpfs', '-o', 'size=4m', 'kcs-disk');
        try {
            await withNode({ name: 'kafka-full', devices: ['udp'], control: kafkaYaml(broker),
                store: join(disk, 'kcs.db') }, async (node) => {
                const endCall = await call(node);
                const people = ['Ada', 'Bob', 'Cem'].map((name) => new Talker(node, 'call', name));
                const talkAgain = (since) => node.until('people talk again', () =>
                    people.every((each, i) => each.said.length > since[i] + 5));

                for (const person of people) {
                    person.padding = 'x'.repeat(3_000);
                }
                await sleep(1_000);
                await broker.kill();
                await node.until('the disk is full', () => people.every((each) => each.refused > 0));
                await sleep(500); // facts are told that nobody can write
                await killControl(node);
                await sleep(2_000);
                mount('-o', 'remount,size=64m');
                await broker.start();
                await talkAgain(people.map((each) => each.said.length));
                await endCall();
                await Promise.all(people.map((each) => each.stop()));
                await drained(node);
                const messages = await broker.read(FACTS);
                assertComplete(messages, stored(node));
                const chat = new Set(messages.map(({ body }) => body.message_id));
                for (const id of people.flatMap((each) => each.said)) {
                    assert.ok(chat.has(id), 'what was answered is there');
                }
            });
        } finally {
            execFileSync('umount', [disk]);
            rmdirSync(disk);
        }
    }));

/* Somebody in a meeting: say() resolves with the id of what was said. */
async function speaker(node) {
    const token = await node.token({ meeting: 'big', name: 'Ada', role: 'host' });
    const socket = await connect(node, token);
    const { ok } = await ask(socket, 'room:join', { meeting_id: 'big', display_name: 'Ada' });

    assert.equal(ok, true);
    return { socket,
        say: async (message) => {
            const answer = await ask(socket, 'chat:send', { message });

            assert.equal(answer.ok, true, JSON.stringify(answer.error));
            return answer.message_id;
        } };
}

test('what no broker can ever take goes to the topic of the dead and holds up nothing', { timeout: 120_000 }, () =>
    withBroker((broker) =>
        withNode({ name: 'kafka-dead', devices: ['udp'], control: kafkaYaml(broker) + '  chat_text: true\n' },
            async (node) => {
                const { socket, say } = await speaker(node);
                const before = await say('before');
                await say('x'.repeat(3900));
                const after = await say('after');
                socket.close();
                await drained(node);
                const ids = once(await broker.read(FACTS)).map((m) => m.body.message_id).filter(Boolean);
                const dead = await broker.read('kcs.dead.v1');
                assert.deepEqual(ids, [before, after]);
                assert.equal(dead.length, 1, JSON.stringify(dead));
                assert.equal(dead[0].headers.ce_type, 'kcs.chat.message');
                assert.match(dead[0].headers.kcs_reason, /MSG_SIZE_TOO_LARGE/);
                assert.ok(dead[0].body.bytes > 3900);
                assert.equal(await node.metric('kcs_event_dead_total', 'kafka'), 1);
            }), ['message.max.bytes=3000']));

/* A broker refuses a whole batch for one of its messages, while others are on their way. */
test('nothing overtakes what was refused with a message that is too large', { timeout: 120_000 }, () =>
    withBroker((broker) =>
        withNode({ name: 'kafka-order', devices: ['udp'], control: kafkaYaml(broker) + '  chat_text: true\n' },
            async (node) => {
                const { socket, say } = await speaker(node);
                const said = [];
                for (let round = 0; round < 4; round++) {
                    const before = say('before');
                    const big = say('x'.repeat(3900));
                    const after = [];
                    for (let i = 0; i < 4; i++) {
                        await sleep(3); // in requests of their own
                        after.push(say(`after ${i}`));
                    }
                    said.push(await before, ...(await Promise.all(after)));
                    await big;
                    await drained(node);
                    await sleep(5_600); // until messages go in batches again
                }
                socket.close();
                await drained(node);
                const ids = once(await broker.read(FACTS)).map((m) => m.body.message_id).filter(Boolean);
                assert.deepEqual(ids, said);
                assert.equal(await node.metric('kcs_event_dead_total', 'kafka'), 4);
            }), ['message.max.bytes=3000']));

test('wrong brokers and settings are told once, and the meeting goes on', { timeout: 60_000 }, () =>
    withNode({ name: 'kafka-away', devices: ['udp'],
        control: 'events:\n  kafka:\n    brokers: 127.0.0.1:1\n' }, async (node) => {
        const token = await node.token({ meeting: 'm', name: 'Ada', role: 'host' });
        const socket = await connect(node, token);
        assert.equal((await ask(socket, 'room:join', { meeting_id: 'm', display_name: 'Ada' })).ok, true);
        await node.until('the node says that Kafka is away', async () => {
            const { body } = await rest(node, 'GET', '/health/system');
            return body.data.events.state === 'degraded' && /kafka/.test(body.data.events.reason);
        });
        assert.equal((await ask(socket, 'chat:send', { message: 'hello' })).ok, true);
        assert.equal((await rest(node, 'GET', '/health/ready')).status, 200);
        socket.close();
    }));

