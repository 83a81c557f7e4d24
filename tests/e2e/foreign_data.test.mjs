/* Data channels of Pion and aiortc through the node: what one sends the other gets as it was, 64 KiB
 * included, and so it is when OpenSSL is no longer part of their connections. The test does the
 * signaling; the clients (tests/e2e/pion/data.go, tests/e2e/aiortc/data.py) know their end of a
 * transport only. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, connect } from './lib/client.mjs';
import { BUILD, withNode } from './lib/node.mjs';

const WAIT_MS = 30_000;
const SIZES = [1, 1_000, 16_384, 65_536];
const CLIENTS = {
    pion: [join(BUILD, 'kcs-pion'), '--stay', 'data'],
    aiortc: [
        join(BUILD, 'foreign/bin/python'),
        new URL('aiortc/data.py', import.meta.url).pathname,
    ],
};
const missing = Object.values(CLIENTS).find(([program]) => !existsSync(program));

/* What the node offers a client that answers. */
function offerOf({ ice_parameters: ice, ice_candidates, dtls_parameters, sctp_parameters }) {
    const [{ algorithm, value }] = dtls_parameters.fingerprints;

    return [
        ...['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=ice-lite', 'a=group:BUNDLE 0'],
        'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
        ...['c=IN IP4 0.0.0.0', 'a=mid:0', 'a=setup:actpass', 'a=sendrecv'],
        `a=ice-ufrag:${ice.usernameFragment}`,
        `a=ice-pwd:${ice.password}`,
        `a=fingerprint:${algorithm} ${value}`,
        `a=sctp-port:${sctp_parameters.port}`,
        `a=max-message-size:${sctp_parameters.maxMessageSize}`,
        ...ice_candidates.map(
            ({ foundation, priority, address, port }) =>
                `a=candidate:${foundation} 1 udp ${priority} ${address} ${port} typ host`,
        ),
        'a=end-of-candidates',
        '',
    ].join('\r\n');
}

async function ok(socket, event, body) {
    const answer = await ask(socket, event, body);

    assert.equal(answer.ok, true, `${event}: ${JSON.stringify(answer)}`);
    return answer;
}

/* A client with a transport of this direction. */
async function open(node, meeting, name, direction) {
    const [program, ...args] = CLIENTS[name];
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const socket = await connect(node, await node.token({ meeting, name }));
    const lines = [];
    let err = '';

    node.witnesses.push(child);
    child.stderr.on('data', (text) => (err += text));
    child.stdin.on('error', () => {});
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
    const client = {
        socket,
        lines,
        tell: (line) => child.stdin.write(`${JSON.stringify(line)}\n`),
        hears: async (what, good) => {
            for (const end = Date.now() + WAIT_MS; !lines.some(good); await sleep(20)) {
                assert.ok(
                    Date.now() < end && child.exitCode === null,
                    `${name}: in vain: ${what}: ${err} ${JSON.stringify(lines).slice(0, 500)}`,
                );
            }
            return lines.find(good);
        },
        end: () => {
            child.stdin.end();
            socket.close();
        },
    };
    await ok(socket, 'room:join', { meeting_id: meeting, display_name: name });
    const transport = await ok(socket, 'transport:create', { direction });
    client.transport_id = transport.transport_id;
    await client.hears('it runs', ({ ready }) => ready);
    client.tell({ offer: offerOf(transport) });
    const { answer } = await client.hears('its answer', (line) => line.answer !== undefined);
    const [, algorithm, value] = /a=fingerprint:(\S+) (\S+)/.exec(
        /a=fingerprint:sha-256 .*/i.exec(answer)[0],
    );
    await ok(socket, 'transport:connect', {
        transport_id: client.transport_id,
        dtls_parameters: {
            role: /a=setup:passive/.test(answer) ? 'server' : 'client',
            fingerprints: [{ algorithm: algorithm.toLowerCase(), value }],
        },
    });
    return client;
}

for (const [from, to] of [
    ['pion', 'aiortc'],
    ['aiortc', 'pion'],
]) {
    test(`data channels from ${from} to ${to}`, {
        skip: missing && `${missing[0]} is missing (tools/test makes it)`,
        timeout: 120_000,
    }, () =>
        withNode({ name: `foreign-data-${from}`, devices: ['udp'] }, async (node) => {
            const meeting = 'foreign-data';
            const sender = await open(node, meeting, from, 'send');
            const receiver = await open(node, meeting, to, 'recv');

            for (const [streamId, ordered, wait_ms] of [
                [0, true, 0],
                [7, false, 0],
                [9, true, 1_000],
            ]) {
                await sleep(wait_ms);
                const { data_producer_id } = await ok(sender.socket, 'data:produce', {
                    transport_id: sender.transport_id,
                    sctp_stream_parameters: { streamId, ordered },
                    label: `channel ${streamId}`,
                });
                const { sctp_stream_parameters: stream, label } = await ok(
                    receiver.socket,
                    'data:consume',
                    { transport_id: receiver.transport_id, data_producer_id },
                );
                assert.equal(label, `channel ${streamId}`);
                assert.equal(stream.ordered ?? true, ordered);
                sender.tell({ open: streamId, ordered });
                receiver.tell({ open: stream.streamId, ordered });
                await sender.hears('it is open', ({ opened }) => opened === streamId);
                await receiver.hears('it is open', ({ opened }) => opened === stream.streamId);
                const sent = SIZES.map((size) => randomBytes(size).toString('base64'));
                for (const data of sent) {
                    sender.tell({ send: streamId, data });
                }
                for (const data of sent) {
                    await receiver.hears(
                        `${data.length} characters`,
                        (line) => line.from === stream.streamId && line.data === data,
                    );
                }
                const got = receiver.lines.filter((line) => line.from === stream.streamId);
                assert.equal(got.length, sent.length, 'none twice');
                if (ordered) {
                    assert.deepEqual(got.map(({ data }) => data), sent);
                }
            }
            sender.end();
            receiver.end();
        }),
    );
}
