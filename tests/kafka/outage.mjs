/* Meetings go on while the broker and control are killed: what tests and tools/bench
 * kafka-outage do, for shorter and for longer. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

import { ask, connect } from '../e2e/lib/client.mjs';
import { loadgen } from '../e2e/lib/loadgen.mjs';
import { withNode } from '../e2e/lib/node.mjs';
import { killControl, rest } from '../e2e/lib/rest.mjs';
import { withBroker } from './broker.mjs';
import { FACTS, drained, kafkaYaml } from './outbox.mjs';

const DRAIN_MS = 300_000;

/* One person who talks until he is told to stop; resumes when control was away. */
export class Talker {
    constructor(node, meeting, name) {
        Object.assign(this, { node, meeting, name, said: [], refused: 0, on: true });
        this.running = this.run();
    }

    async enter() {
        this.token ??= await this.node.token({ meeting: this.meeting, name: this.name, role: 'host' });
        this.socket = await connect(this.node, this.token);
        const answer = await ask(this.socket, 'room:join', {
            meeting_id: this.meeting, display_name: this.name, resume_token: this.resume });
        if (answer.error?.code === 'not_found') {
            this.resume = undefined; /* who has no media is forgotten with control: anew, then */
        }
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
export function stored(node) {
    const script = `
import json, sqlite3, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
rows = db.execute("SELECT tenant, meeting, epoch, seq, type FROM event ORDER BY position")
print(json.dumps([list(row) for row in rows]))`;

    return JSON.parse(execFileSync('python3', ['-c', script, node.storePath],
        { maxBuffer: 1 << 28, encoding: 'utf8' }));
}

/* The first of each id. */
export function once(messages) {
    const seen = new Set();

    return messages.filter(({ headers }) =>
        seen.has(headers.ce_id) ? false : seen.add(headers.ce_id));
}

/* Everything that the store told of is there, once by id and in order, and no number is
 * missing. Returns how many came again. */
export function assertComplete(messages, facts) {
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
        assert.ok(gaps.length === 0, `${meeting}: numbers are missing at ${gaps}`);
    }
    return messages.length - first.length;
}

/* CloudEvents, binary mode. */
function assertBinary({ key, headers, body }) {
    assert.equal(headers.ce_specversion, '1.0');
    assert.equal(headers.ce_subject, key);
    assert.equal(headers['content-type'], 'application/json');
    assert.match(headers.ce_source, /^\/kcs\/./);
    assert.match(headers.ce_time, /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/);
    assert.match(headers.ce_type, /^kcs\.[a-z_.]+$/);
    assert.equal(JSON.stringify(body).includes('secret'), false, 'what was said is not told');
}

/* While the broker is dead control is, too, twice. Resolves with how long it took from the
 * broker's return until nothing waited any more, ms. */
async function oneOutage(node, broker, ms) {
    await sleep(2_000);
    await broker.kill();
    await sleep(1_000);
    await killControl(node);
    await sleep(ms);
    const { body } = await rest(node, 'GET', '/health/system');
    assert.equal(body.data.events?.state, 'degraded', JSON.stringify(body));
    assert.match(body.data.events.reason, /kafka/);
    await killControl(node);
    await broker.start();
    const back = Date.now();
    await node.until('what has waited has left', async () =>
        (await node.metric('kcs_event_delivered_total', 'kafka')) > 0 &&
        (await node.metric('kcs_event_oldest_seconds', 'kafka')) === 0, DRAIN_MS);
    const drain_ms = Date.now() - back;
    await killControl(node);
    return drain_ms;
}

const LISTENERS = 4;

/* A call with media, by clients that number their packets. Resolves, when they are there, with
 * what ends it and looks that no packet was lost or doubled. */
export async function call(node) {
    const stop = new AbortController();
    const ended = loadgen(node, ['--publishers', '1', '--subscribers', `${LISTENERS}`, '--resume',
        '--seconds', '86400', '--no-feedback'], { patience: 86_400, meeting: 'call', signal: stop.signal });

    await node.until('they call', async () =>
        JSON.parse(await node.kcsctl('peers', '--json'))
            .filter(({ state }) => state === 'connected').length === LISTENERS + 1);
    return async () => {
        stop.abort();
        const { status, result, err } = await ended;
        assert.equal(status, 0, `media lost nothing: ${JSON.stringify(result)} ${err}`);
        return { received: result.received, lost: result.lost, resumed: result.resumed,
            max_silence_us: result.max_silence_us };
    };
}

/* Two people talk in each of so many meetings, and a call has media, while the broker is killed
 * and away for each of 'away' ms. Every fact arrives, once by its id, in order, none missing. */
export async function outage({ meetings, away }) {
    let figures;

    await withBroker((broker) =>
        withNode({ name: 'kafka', devices: ['udp'], control: kafkaYaml(broker) }, async (node) => {
            const people = [];
            const drain_ms = [];

            const endCall = await call(node);
            for (let i = 0; i < meetings; i++) {
                people.push(new Talker(node, `talk-${i}`, 'Ada'), new Talker(node, `talk-${i}`, 'Bob'));
            }
            for (const ms of away) {
                drain_ms.push(await oneOutage(node, broker, ms));
            }
            await sleep(2_000);
            const media = await endCall();
            await Promise.all(people.map((person) => person.stop()));
            await drained(node);
            const messages = await broker.read(FACTS);
            const facts = stored(node);
            const repeated = assertComplete(messages, facts);
            const chat = new Set(messages.filter((m) => m.headers.ce_type === 'kcs.chat.message')
                .map((m) => m.body.message_id));
            for (const person of people) {
                for (const id of person.said) {
                    assert.ok(chat.has(id), `what ${person.name} was told is said is there`);
                }
            }
            const said = people.reduce((n, person) => n + person.said.length, 0);
            assert.ok(said > 50 * meetings, `people talked: ${said}`);
            messages.forEach(assertBinary);
            figures = { meetings, away_ms: away, drain_ms, facts: facts.length, said, repeated, media };
        }));
    return figures;
}
