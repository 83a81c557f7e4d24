/* Brokers that do not let the node in, or have not what it needs: it is said once with what to
 * do, health says why, meetings go on, and all that waited arrives when that is mended. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { ask, connect } from '../e2e/lib/client.mjs';
import { withNode } from '../e2e/lib/node.mjs';
import { rest } from '../e2e/lib/rest.mjs';
import { PYTHON, withBroker } from './broker.mjs';
import { FACTS, drained } from './outbox.mjs';

const log = (node) => readFileSync(node.control.log, 'utf8').split('\n')
    .filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));

async function enter(node) {
    const token = await node.token({ meeting: 'm', name: 'Ada', role: 'host' });
    const socket = await connect(node, token);

    assert.equal((await ask(socket, 'room:join', { meeting_id: 'm', display_name: 'Ada' })).ok, true);
    return socket;
}

const degraded = (node, reason) => node.until(`health says ${reason}`, async () => {
    const { body } = await rest(node, 'GET', '/health/system');
    return body.data.events.state === 'degraded' && reason.test(body.data.events.reason);
});

/* What was told of it, in all: once, with what to do. */
function assertTold(node, reason, cure) {
    const told = log(node).filter(({ event }) => event === 'kafka_away');
    const noise = log(node).filter(({ event, level }) => event === 'kafka_says' && level !== 'debug');

    assert.equal(told.length, 1, JSON.stringify(told));
    assert.match(told[0].reason, reason);
    assert.match(told[0].cure, cure);
    assert.ok(noise.length <= 1, JSON.stringify(noise));
}

const WRONG = 'not the password';
const RIGHT = 'the-one-of-the-test';
const yaml = (broker, mechanism, password) => `events:
  kafka:
    brokers: ${broker.guarded}
    settings:
      - {name: security.protocol, value: SASL_PLAINTEXT}
      - {name: sasl.mechanism, value: ${mechanism}}
      - {name: sasl.username, value: kcs}
      - {name: sasl.password, value: '${password}'}
`;

test('a password that the brokers do not know, until it is mended', { timeout: 120_000 }, () =>
    withBroker((broker) =>
        withNode({ name: 'kafka-sasl', devices: ['udp'], control: yaml(broker, 'PLAIN', WRONG) },
            async (node) => {
                const socket = await enter(node);
                const refusals = () => readFileSync(join(broker.dir, 'broker.log'), 'utf8')
                    .split('Failed authentication').length - 1;

                await degraded(node, /^kafka: .*(authentication|credentials)/i);
                const before = refusals();
                await sleep(2_500);
                assert.ok(refusals() - before < 6, `it is tried with backoff: ${refusals() - before}`);
                assert.equal((await ask(socket, 'chat:send', { message: 'hello' })).ok, true);
                assert.equal((await rest(node, 'GET', '/health/ready')).status, 200);
                assertTold(node, /authentication/i, /sasl\.username/);
                assert.equal(JSON.stringify(log(node)).includes(WRONG), false);

                const file = join(node.dir, 'control.yaml');
                writeFileSync(file, readFileSync(file, 'utf8').replace(WRONG, RIGHT));
                await node.restartControl();
                await drained(node);
                const types = (await broker.read(FACTS)).map(({ headers }) => headers.ce_type);
                assert.ok(types.includes('kcs.chat.message'), types.join());
                const { body } = await rest(node, 'GET', '/health/system');
                assert.equal(body.data.events.state, 'ok');
                socket.close();
            }), [], { name: 'kcs', password: RIGHT }));

test('a certificate that nobody vouches for, until its authority is named', { timeout: 120_000 }, () =>
    withBroker((broker) => {
        const secret = join(broker.dir, 'password');
        const settings = (more) => `events:
  kafka:
    brokers: ${broker.veiled}
    settings:
      - {name: security.protocol, value: SASL_SSL}
      - {name: sasl.mechanism, value: PLAIN}
      - {name: sasl.username, value: kcs}
      - {name: sasl.password, value_file: ${secret}}
${more}`;

        writeFileSync(secret, `${RIGHT}\n`);
        return withNode({ name: 'kafka-tls', devices: ['udp'], control: settings('') }, async (node) => {
            const socket = await enter(node);

            await degraded(node, /^kafka: .*certificate verify failed/i);
            assert.equal((await ask(socket, 'chat:send', { message: 'hello' })).ok, true);
            await sleep(1_500);
            assertTold(node, /certificate/i, /ssl\.ca\.location/);

            const file = join(node.dir, 'control.yaml');
            writeFileSync(file, readFileSync(file, 'utf8').replace(settings(''),
                settings(`      - {name: ssl.ca.location, value: ${broker.authority}}\n`)));
            await node.restartControl();
            await drained(node);
            const types = (await broker.read(FACTS)).map(({ headers }) => headers.ce_type);
            assert.ok(types.includes('kcs.chat.message'), types.join());
            socket.close();
        });
    }, [], { name: 'kcs', password: RIGHT }));

/* Debian 12 has librdkafka 2.0.2, whose SCRAM these brokers refuse; the Python client brings a newer
 * one, which a node can run with. */
async function withNewerLibrary(body) {
    const packages = join(dirname(PYTHON), '../lib');
    const python = readdirSync(packages).find((name) => name.startsWith('python3'));
    const libs = join(packages, python, 'site-packages/confluent_kafka.libs');
    const library = readdirSync(libs).find((name) => name.startsWith('librdkafka'));
    const dir = mkdtempSync(join(tmpdir(), 'kcs-librdkafka-'));

    symlinkSync(join(libs, library), join(dir, 'librdkafka.so.1'));
    process.env.LD_LIBRARY_PATH = `${dir}:${libs}`;
    try {
        return await body();
    } finally {
        delete process.env.LD_LIBRARY_PATH;
        rmSync(dir, { recursive: true });
    }
}

for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512']) {
    test(`${mechanism}: a library that is too old is told of, a newer one gets in`, { timeout: 120_000 }, () =>
        withBroker((broker) => {
            const options = { name: `kafka-${mechanism}`, devices: ['udp'],
                control: yaml(broker, mechanism, RIGHT) };

            return withNode(options, async (node) => {
                const socket = await enter(node);

                assert.equal((await ask(socket, 'chat:send', { message: 'hello' })).ok, true);
                await degraded(node, /^kafka: .*(authentication|credentials)/i);
                assertTold(node, /authentication/i, /librdkafka 2\.6\.1/);
                await withNewerLibrary(async () => {
                    await node.restartControl();
                    await drained(node);
                });
                const types = (await broker.read(FACTS)).map(({ headers }) => headers.ce_type);
                assert.ok(types.includes('kcs.chat.message'), types.join());
                socket.close();
            });
        }, [], { name: 'kcs', password: RIGHT }));
}

test('topics that are not there, until they are', { timeout: 120_000 }, () =>
    withBroker((broker) =>
        withNode({ name: 'kafka-topics', devices: ['udp'], control: `events:
  kafka:
    brokers: ${broker.address}
    create_topics: false
` }, async (node) => {
            const socket = await enter(node);

            await degraded(node, /^kafka: topic kcs\.facts\.v1: /);
            assert.equal((await ask(socket, 'chat:send', { message: 'hello' })).ok, true);
            await sleep(1_500);
            assertTold(node, /kcs\.facts\.v1/, /create_topics/);
            await broker.makeTopics();
            await drained(node);
            const types = (await broker.read(FACTS)).map(({ headers }) => headers.ce_type);
            assert.ok(types.includes('kcs.chat.message'), types.join());
            socket.close();
        })));
