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

const FACTS = 'kcs.facts.v1';
const LONG = (process.env.KCS_LONG ?? '') !== '';
const MEETINGS = LONG ? 20 : 4;
const notHere = process.getuid() !== 0 ? 'a file system of its own needs root'
    : !LONG && 'in the long form';
const OUTAGE_MS = LONG ? 60_000 : 4_000;

/* One person who talks until he is told to stop; resumes when control was away. */
class Talker {
    constructor(node, meeting, name) {
        Object.assign(this, { node, meeting, name, said: [], refused: 0, on: true });
        this.running = this.run();
    }

    async enter() {
        this.token ??= await this.node.token({ meeting: this.meeting, name: this.name, role: 'host' });
        this.socket = await connect(this.node, this.token);
        const answer = await ask(this.socket, 'room:join', {
            meeting_id: this.meeting, display_name: this.name, resume_token: this.resume });
        assert.equal(answer.ok, true, JSON.stringify(answer.error));
        this.resume = answer.resume_token;
    }

    async run() {
        for (let i = 0; this.on; i++) {
            try {
                if (!this.socket?.connected) {
                    await this.enter();
                }
                const answer = await ask(this.socket, 'chat:send', {
                    message: `secret ${i}${this.padding ?? ''}`, client_message_id: `${this.name}-${i}` });
                if (answer.ok) {
                    this.said.push(answer.message_id);
                } else {
                    this.refused++;
                }
                if (i % 5 === 0) {
                    await ask(this.socket, i % 2 === 0 ? 'hand:raise' : 'hand:lower');
                }
            } catch {
                this.socket?.close();
                this.socket = undefined;
            }
            await sleep(40);
        }
        this.socket?.close();
    }

    async stop() {
        this.on = false;
        await this.running;
    }
}

/* What the store has told of: {tenant/meeting: [[epoch, seq, type] …]} in order. */
function stored(node) {
    const script = `
import json, sqlite3, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
rows = db.execute("SELECT tenant, meeting, epoch, seq, type FROM event ORDER BY position")
print(json.dumps([list(row) for row in rows]))`;

    return JSON.parse(execFileSync('python3', ['-c', script, node.storePath],
        { maxBuffer: 1 << 28, encoding: 'utf8' }));
}

/* The first of each id. */
function once(messages) {
    const seen = new Set();

    return messages.filter(({ headers }) =>
        seen.has(headers.ce_id) ? false : seen.add(headers.ce_id));
}

async function drained(node, from) {
    await node.until('the outbox is empty', async () =>
        (await node.metric('kcs_event_oldest_seconds', 'kafka')) === 0 &&
        waiting(node) === 0, 60_000);
    return Date.now() - from;
}

function waiting(node) {
    return JSON.parse(execFileSync('python3', ['-c', `
import sqlite3, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
print(db.execute("SELECT COUNT(*) FROM event WHERE acked = 0").fetchone()[0])`,
    node.storePath], { encoding: 'utf8' }));
}

/* Everything that the store told of is there, once by id and in order. Returns how many came
 * again. gaps: numbers of messages that could not be written are missing. */
function assertComplete(messages, facts, { gaps: mayMiss = false } = {}) {
    const inOrder = new Map();
    const first = once(messages);

    for (const { key, headers } of first) {
        inOrder.set(key, [...(inOrder.get(key) ?? []), headers]);
    }
    const wanted = new Map();
    for (const [, meeting, epoch, seq, type] of facts) {
        wanted.set(meeting, [...(wanted.get(meeting) ?? []), [epoch, seq, type]]);
    }
    assert.deepEqual([...inOrder.keys()].sort(), [...wanted.keys()].sort());
    for (const [meeting, list] of wanted) {
        assert.deepEqual(
            inOrder.get(meeting).map((h) => [Number(h.ce_epoch), Number(h.ce_seq), h.ce_type]),
            list, `${meeting}: all of it, in its order`);
        const partitions = new Set(messages.filter((m) => m.key === meeting).map((m) => m.partition));
        assert.equal(partitions.size, 1, `${meeting} is in one partition`);
        const gaps = list.filter(([epoch, seq], i) =>
            i > 0 && epoch === list[i - 1][0] && seq !== list[i - 1][1] + 1);
        assert.ok(mayMiss || gaps.length === 0, `${meeting}: numbers are missing at ${gaps}`);
    }
    return messages.length - first.length;
}

function kafkaYaml(broker, more = '') {
    return `events:
  kafka:
    brokers: ${broker.address}
${more}`;
}

test('no fact is lost while the broker and control are killed', { timeout: 300_000 }, () =>
    withBroker((broker) =>
        withNode({ name: 'kafka', devices: ['udp'], control: kafkaYaml(broker) }, async (node) => {
            const people = [];

            for (let i = 0; i < MEETINGS; i++) {
                people.push(new Talker(node, `talk-${i}`, 'Ada'), new Talker(node, `talk-${i}`, 'Bob'));
            }
            await sleep(2_000);
            await broker.kill();
            await sleep(1_000);
            await killControl(node);
            await sleep(OUTAGE_MS);
            const health = await rest(node, 'GET', '/health/system');
            assert.equal(health.body.data.events?.state, 'degraded', JSON.stringify(health.body));
            assert.match(health.body.data.events.reason, /kafka/);
            await killControl(node);
            await broker.start();
            const back = Date.now();
            await sleep(2_000);
            await killControl(node);
            await sleep(2_000);
            await Promise.all(people.map((person) => person.stop()));
            const ms = await drained(node, Date.now());
            const messages = await broker.read(FACTS);
            const facts = stored(node);
            const again = assertComplete(messages, facts);
            const chat = new Set(messages.filter((m) => m.headers.ce_type === 'kcs.chat.message')
                .map((m) => m.body.message_id));
            for (const person of people) {
                for (const id of person.said) {
                    assert.ok(chat.has(id), `what ${person.name} was told is said is there`);
                }
            }
            const said = people.reduce((n, person) => n + person.said.length, 0);
            assert.ok(said > 50 * MEETINGS, `people talked: ${said}`);

            /* CloudEvents, binary mode */
            for (const { key, headers, body } of messages) {
                assert.equal(headers.ce_specversion, '1.0');
                assert.equal(headers.ce_subject, key);
                assert.equal(headers['content-type'], 'application/json');
                assert.match(headers.ce_source, /^\/kcs\/./);
                assert.match(headers.ce_time, /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/);
                assert.match(headers.ce_type, /^kcs\.[a-z_.]+$/);
                assert.equal(JSON.stringify(body).includes('secret'), false, 'what was said is not told');
            }
            console.log(JSON.stringify({ facts: facts.length, said, repeated: again,
                drained_ms: ms, since_broker_ms: Date.now() - back }));
        })));

test('no fact is lost while the broker is away and the disk fills', { timeout: 120_000, skip: notHere }, () =>
    withBroker(async (broker) => {
        const disk = mkdtempSync(join(tmpdir(), 'kcs-disk-'));
        const mount = (...options) => execFileSync('mount', [...options, disk]);

        mount('-t', 'tmpfs', '-o', 'size=2m', 'kcs-disk');
        try {
            await withNode({ name: 'kafka-full', devices: ['udp'], control: kafkaYaml(broker),
                store: join(disk, 'kcs.db') }, async (node) => {
                const people = ['Ada', 'Bob', 'Cem'].map((name) => new Talker(node, 'full', name));

                for (const person of people) {
                    person.padding = 'x'.repeat(3_000);
                }
                await sleep(1_000);
                await broker.kill();
                await node.until('the disk is full', () => people.every((each) => each.refused > 0));
                mount('-o', 'remount,size=64m');
                await broker.start();
                const since = people.map((each) => each.said.length);
                await node.until('people talk again', () =>
                    people.every((each, i) => each.said.length > since[i] + 5));
                await Promise.all(people.map((each) => each.stop()));
                await drained(node, Date.now());
                const messages = await broker.read(FACTS);
                assertComplete(messages, stored(node), { gaps: true });
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

test('what no broker can ever take goes to the topic of the dead and holds up nothing', { timeout: 120_000 }, () =>
    withBroker((broker) =>
        withNode({ name: 'kafka-dead', devices: ['udp'], control: kafkaYaml(broker) + '  chat_text: true\n' },
            async (node) => {
                const token = await node.token({ meeting: 'big', name: 'Ada', role: 'host' });
                const socket = await connect(node, token);
                const join = { meeting_id: 'big', display_name: 'Ada' };
                assert.equal((await ask(socket, 'room:join', join)).ok, true);
                const say = async (message) => {
                    const answer = await ask(socket, 'chat:send', { message });
                    assert.equal(answer.ok, true, JSON.stringify(answer.error));
                    return answer.message_id;
                };
                const before = await say('before');
                await say('x'.repeat(3900));
                const after = await say('after');
                socket.close();
                await drained(node, Date.now());
                const ids = once(await broker.read(FACTS)).map((m) => m.body.message_id).filter(Boolean);
                const dead = await broker.read('kcs.dead.v1');
                assert.deepEqual(ids, [before, after]);
                assert.equal(dead.length, 1, JSON.stringify(dead));
                assert.equal(dead[0].headers.ce_type, 'kcs.chat.message');
                assert.match(dead[0].headers.kcs_reason, /MSG_SIZE_TOO_LARGE/);
                assert.ok(dead[0].body.bytes > 3900);
                assert.equal(await node.metric('kcs_event_dead_total', 'kafka'), 1);
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

