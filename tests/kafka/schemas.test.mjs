/* Every type of events, read from a real Kafka, is as its schema says. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { eventSchemas, wrongWith } from '../e2e/lib/events.mjs';
import { everything } from '../e2e/lib/everything.mjs';
import { BUILD, withNode } from '../e2e/lib/node.mjs';
import { PYTHON, withBroker } from './broker.mjs';
import { assertComplete, stored } from './outage.mjs';
import { FACTS, drained, kafkaYaml } from './outbox.mjs';

const DOCS = join(dirname(fileURLToPath(import.meta.url)), '../../docs');
const run = promisify(execFile);

/* Which a meeting without media, of nobody who was erased, cannot have: other tests look. */
const ELSEWHERE = ['kcs.quality.participant', 'kcs.erased', 'kcs.node.media_lost'];

/* kcsctl events tail, while it runs: {rows}. It ends with the node. */
async function watch(node) {
    const args = ['events', 'tail', '1000', '--json', '--socket', node.adminSocket];
    const child = spawn(join(BUILD, 'kcsctl'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const watched = { rows: [] };

    node.witnesses.push(child);
    createInterface({ input: child.stdout }).on('line', (line) => watched.rows.push(JSON.parse(line)));
    await once(child, 'spawn');
    return watched;
}

/* It goes out of service and back, its dataplane dies, and it is restarted. */
async function nodeHasALife(node) {
    await node.kcsctl('drain', '--deadline', '1h');
    await node.kcsctl('undrain');
    await node.crash('kcs-dataplane');
    await node.until('the dataplane is there again', async () =>
        JSON.parse(await node.kcsctl('node', '--json')).dataplane_pid === node.dataplane.pid);
    await node.restartControl();
}

/* The sample for analysts (docs/samples) sees what happened. */
async function assertTimeline(broker, meeting) {
    const sample = join(DOCS, 'samples/timeline.py');
    const { stdout } = await run(PYTHON, [sample, broker.address, meeting, '--json']);
    const { people, screens, messages, moments } = JSON.parse(stdout);

    assert.deepEqual(people.map(({ name, role }) => [name, role]),
        [['host', 'host'], ['ann', 'presenter']]);
    for (const { from, to } of [...people, ...screens]) {
        assert.ok(from <= to, `from ${from} to ${to}`);
    }
    assert.deepEqual([screens.length, messages], [1, 1]);
    assert.equal(moments[0].type, 'kcs.meeting.created');
    assert.deepEqual(moments.map(({ at }) => at), moments.map(({ at }) => at).sort());
}

/* It knows that people are gone with a room that the node has lost. */
test('the sample for analysts ends who was in a room that was lost', async () => {
    const at = (s) => `2026-11-28T10:00:0${s}.000Z`;
    const told = (epoch, s, name) => [{ ce_type: 'kcs.participant.joined', ce_time: at(s), ce_epoch: epoch },
        { participant_id: name, display_name: name, role: 'host' }];
    const events = [told('1', 1, 'Ada'), told('1', 2, 'Bob'), told('2', 5, 'Cem')];
    const { stdout } = await run(PYTHON, ['-c', 'import json, sys; from timeline import timeline; ' +
        'print(json.dumps(timeline(json.loads(sys.argv[1]))["people"]))', JSON.stringify(events)],
    { env: { ...process.env, PYTHONPATH: join(DOCS, 'samples'), PYTHONDONTWRITEBYTECODE: '1' } });

    assert.deepEqual(JSON.parse(stdout).map(({ name, to }) => [name, to]),
        [['Ada', at(2)], ['Bob', at(2)], ['Cem', null]]);
});

/* The queries of docs/events.md work as they stand there. */
async function assertQueries(broker, meeting) {
    const queries = readFileSync(join(DOCS, 'events.md'), 'utf8').split('\n')
        .filter((line) => /^ {4}.*kcat /.test(line));

    assert.ok(queries.length >= 5, `there are queries: ${queries.length}`);
    for (const query of queries) {
        const line = query.replaceAll('BROKER', broker.address).replaceAll('MEETING', meeting);
        const { stdout } = await run('bash', ['-c', line]);
        assert.notEqual(stdout.trim(), '', line);
    }
}

test('each type of events is told, and as its schema says', { timeout: 120_000 }, (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'kcs-recordings-'));

    t.after(() => rmSync(directory, { recursive: true }));
    return withBroker((broker) =>
        withNode({ name: 'kafka-schemas', devices: ['udp'],
            control: `${kafkaYaml(broker)}recording:\n  directory: ${directory}\n  live: ${directory}/live\n` }, async (node) => {
            const tail = await watch(node);
            const meeting = await everything(node);

            await nodeHasALife(node);
            await drained(node);
            const messages = await broker.read(FACTS);
            assertComplete(messages, stored(node));
            const wrong = messages.map(({ headers, body }) => wrongWith(BUILD,
                { type: headers.ce_type, dataschema: headers.ce_dataschema, data: body }));
            assert.deepEqual(wrong.filter((each) => each !== undefined), []);
            const told = new Set(messages.map(({ headers }) => headers.ce_type));
            assert.deepEqual(eventSchemas(BUILD).types
                .filter((type) => !told.has(type) && !ELSEWHERE.includes(type)), []);
            assert.equal(JSON.stringify(messages).includes('secret'), false,
                'what was said is not told');
            assert.deepEqual([...new Set(messages.map(({ key }) => key))].sort(),
                [meeting, 'no meeting'].sort());
            const ofMeeting = messages.filter(({ key }) => key === meeting);
            const shown = () => tail.rows.filter((row) => row.meeting === meeting);
            await node.until('kcsctl events tail has shown all', () =>
                shown().length >= ofMeeting.length);
            assert.deepEqual(shown().map(({ type, seq }) => [type, `${seq}`]),
                ofMeeting.map(({ headers }) => [headers.ce_type, headers.ce_seq]));
            await assertTimeline(broker, meeting);
            await assertQueries(broker, meeting);
        }));
});
