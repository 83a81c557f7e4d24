/* Traces: what a receiver of OTLP gets of a request, of a join with its steps, and what becomes of
 * spans while it is away. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Person, withBrowser } from './lib/browser.mjs';
import { ask, connect } from './lib/client.mjs';
import { withNode } from './lib/node.mjs';
import { rest, user } from './lib/rest.mjs';

const THEIRS = '4bf92f3577b34da6a3ce929d0e0e4736';
const HUSH = 'hush-hush-47';
const PARENT = '00f067aa0ba902b7';
const traceparent = (id = THEIRS) => `00-${id}-${PARENT}-01`;

/* A receiver: what it was sent is in spans. */
class Collector {
    spans = [];
    resources = [];
    status = 200;
    requests = 0;

    async listen(port = 0) {
        this.server = createServer((req, res) => {
            let text = '';

            req.on('data', (part) => (text += part));
            req.on('end', () => {
                this.requests++;
                this.headers = req.headers;
                if (this.status === 200) {
                    assert.equal(`${req.method} ${req.url}`, 'POST /v1/traces');
                    assert.equal(req.headers['content-type'], 'application/json');
                    this.take(JSON.parse(text));
                }
                res.writeHead(this.status, { 'content-type': 'application/json' }).end('{}');
            });
        });
        await new Promise((done) => this.server.listen(port, '127.0.0.1', done));
        this.port = this.server.address().port;
    }

    take({ resourceSpans }) {
        for (const { resource, scopeSpans } of resourceSpans) {
            this.resources.push(Object.fromEntries(resource.attributes.map(value)));
            for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
                assert.match(span.traceId, /^[0-9a-f]{32}$/);
                assert.match(span.spanId, /^[0-9a-f]{16}$/);
                assert.ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano));
                this.spans.push({ ...span, attributes: Object.fromEntries(span.attributes.map(value)) });
            }
        }
    }

    of(name, traceId) {
        return this.spans.filter((span) => span.name === name && (!traceId || span.traceId === traceId));
    }

    close() {
        this.server.closeAllConnections();
        return new Promise((done) => this.server.close(done));
    }
}

const value = ({ key, value: { stringValue, intValue } }) => [key, stringValue ?? Number(intValue)];
const ms = (span) => Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6;

async function withCollector(body) {
    const collector = new Collector();

    await collector.listen();
    const yaml = `tracing:\n  otlp:\n    endpoint: http://127.0.0.1:${collector.port}/\n` +
        `    headers:\n    - {name: authorization, value: Bearer ${HUSH}}\n    - {name: X-Scope-OrgID, value: kcs}\n`;
    try {
        await body(collector, yaml);
    } finally {
        await collector.close();
    }
}

test('a request goes on with its trace, to the receiver, the events and the log', { timeout: 60_000 }, () =>
    withCollector((collector, yaml) =>
        withNode({ name: 'tracing', devices: ['udp:127.0.0.1'], control: yaml }, async (node) => {
            const token = user(node, 'ada');
            const headers = { traceparent: traceparent(), 'x-request-id': 'theirs-1' };
            const made = await rest(node, 'POST', '/meeting', { token, headers,
                body: { meeting_name: 'Traced' } });
            assert.equal(made.status, 201, JSON.stringify(made.body));
            const bad = await rest(node, 'GET', '/meeting/none', { token,
                headers: { traceparent: traceparent().toUpperCase() } });
            assert.equal(bad.status, 404);
            await node.until('both spans have come', () => collector.spans.length >= 2);
            const [post] = collector.of('POST /api/meeting');
            assert.equal(post.traceId, THEIRS);
            assert.equal(post.parentSpanId, PARENT);
            assert.equal(post.kind, 2);
            assert.equal(post.attributes['http.response.status_code'], 201);
            assert.equal(post.attributes['http.route'], '/api/meeting');
            assert.equal(post.attributes['kcs.request_id'], 'theirs-1');
            const [get] = collector.of('GET /api/meeting/{id}');
            assert.notEqual(get.traceId, THEIRS, 'what is no traceparent begins a trace');
            assert.equal(get.parentSpanId, undefined);
            assert.equal(collector.resources[0]['service.name'], 'kcs-control');
            assert.equal(collector.headers.authorization, `Bearer ${HUSH}`);
            assert.equal(collector.headers['x-scope-orgid'], 'kcs');
            assert.equal(readFileSync(node.control.log, 'utf8').includes(HUSH), false);

            const { id } = made.body.data;
            const lines = () => readFileSync(join(node.dir, 'events.jsonl'), 'utf8').trim().split('\n')
                .map((line) => JSON.parse(line));
            await node.until('the event is told', () => {
                try {
                    return lines().some((event) => event.subject === id);
                } catch {
                    return false;
                }
            });
            const event = lines().find((each) => each.type === 'kcs.meeting.created');
            assert.equal(event.traceparent, `00-${THEIRS}-${post.spanId}-01`);

            /* Debug of one meeting, and the ids in it. */
            const logged = () => readFileSync(node.control.log, 'utf8').split('\n')
                .filter((line) => /^{.*}$/.test(line)).map((line) => JSON.parse(line));
            const other = '1'.repeat(32);
            await node.kcsctl('loglevel', 'info');
            const quiet = logged().length;
            await node.kcsctl('loglevel', 'debug', id);
            for (const which of [id, 'another']) {
                await rest(node, 'PATCH', `/meeting/${which}`, { token, body: { meeting_name: 'x' },
                    headers: { traceparent: traceparent(other), 'x-request-id': 'theirs-2',
                        'if-match': '"77"' } });
            }
            const refused = logged().slice(quiet).filter((line) => line.event === 'request_refused');
            assert.deepEqual(refused.map((line) => [line.meeting_id, line.trace_id, line.request_id]),
                [[id, other, 'theirs-2']]);
            await node.kcsctl('loglevel', 'debug', '-');

            const socket = await connect(node, await node.token({ meeting: 'm', role: 'host' }),
                { extraHeaders: { traceparent: traceparent(other) } });
            assert.equal((await ask(socket, 'room:join', { meeting_id: 'm', display_name: 'Ada' })).ok, true);
            const joined = logged().find((line) => line.event === 'participant_joined');
            assert.equal(joined.trace_id, other);
            await ask(socket, 'room:leave', {});
            socket.close();
            await node.until('the join is told', () => collector.of('join', other).length === 1);
            const [whole] = collector.of('join', other);
            assert.deepEqual(whole.status, { code: 2, message: 'no_media' });
            assert.equal(collector.of('room:join', other)[0].parentSpanId, whole.spanId);
            assert.equal(collector.of('token', other)[0].parentSpanId, whole.spanId);
        })));

test('a join is broken into its steps', { timeout: 120_000 }, () =>
    withCollector((collector, yaml) =>
        withBrowser((browser) =>
            withNode({ name: 'tracing-join', devices: ['udp:127.0.0.1'], control: yaml }, async (node) => {
                const people = [];

                for (const name of ['Ada', 'Bob']) {
                    people.push(await Person.open(browser, node, { name, meeting: 'm',
                        token: await node.token({ meeting: 'm', name }) }));
                    await people.at(-1).joined();
                }
                await people[1].receives('Ada');
                await node.until('both joins are told', () => collector.of('join').length >= 2);
                await node.until('and their parts', () => collector.of('dtls').length >= 2);
                for (const whole of collector.of('join')) {
                    const steps = collector.spans.filter((span) => span.traceId === whole.traceId);
                    const names = new Set(steps.map((span) => span.name));
                    for (const name of ['token', 'room:join', 'transport:create', 'transport:connect',
                        'ice', 'dtls', 'first_media', 'produce']) {
                        assert.ok(names.has(name), `${name} of ${[...names]}`);
                    }
                    const ids = new Set(steps.map((span) => span.spanId));
                    for (const span of steps) {
                        assert.ok(span === whole || ids.has(span.parentSpanId), span.name);
                        assert.equal(span.status, undefined, span.name);
                    }
                    assert.ok(steps.every((span) => ms(span) < 20_000));
                    console.log(steps.map((span) => `${span.name} ${ms(span).toFixed(1)}`).join(', '));
                }
            }))));

test('a receiver that is away is told of once, and holds up nothing', { timeout: 120_000 }, () =>
    withCollector((collector, yaml) =>
        withNode({ name: 'tracing-away', devices: ['udp:127.0.0.1'],
            control: `${yaml}limits:\n  requests_per_address: 0\n  requests_per_user: 0\n` }, async (node) => {
            const logged = (event) => readFileSync(node.control.log, 'utf8').split('\n')
                .filter((line) => line.includes(`"${event}"`)).length;
            const token = user(node, 'ada');
            const ask_ = () => rest(node, 'GET', '/meeting', { token });

            await ask_();
            await node.until('spans come', () => collector.spans.length >= 1);
            collector.status = 503;
            await ask_();
            await node.until('it is said', () => logged('traces_wait') === 1);
            await collector.close();
            /* More than the queue holds: the answers do not wait. */
            for (let i = 0; i < 52; i++) {
                const answers = await Promise.all(Array.from({ length: 50 }, ask_));
                assert.ok(answers.every(({ status }) => status === 200));
            }
            await node.until('some are dropped', async () =>
                await node.metric('kcs_trace_spans_total', 'dropped') > 0);
            assert.equal(logged('traces_wait'), 1, 'once');
            const before = collector.spans.length;
            collector.status = 200;
            await collector.listen(collector.port);
            await node.until('what was kept comes', () => collector.spans.length >= before + 2000, 90_000);
            assert.equal(logged('traces_go'), 1);
            const told = await node.metric('kcs_trace_spans_total', 'exported');
            await node.until('each is counted', async () =>
                await node.metric('kcs_trace_spans_total', 'exported') === collector.spans.length);
            assert.ok(told > 0);

            collector.status = 400;
            await ask_();
            await node.until('it is refused', async () =>
                await node.metric('kcs_trace_spans_total', 'refused') >= 1);
            assert.equal(logged('traces_refused'), 1);
        })));
