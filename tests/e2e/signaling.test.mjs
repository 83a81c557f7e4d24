/* The Socket.IO door, knocked on by the unmodified socket.io-client: transports, tokens,
 * and everything that must be answered with ok:false and change nothing. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { ask, connect, next } from './lib/client.mjs';
import { claimsFor, signToken } from './lib/jwt.mjs';
import { withNode } from './lib/node.mjs';

const GRACE_MS = 15_000; /* that the node waits for a broken connection to come back */

const CODE = /^[a-z][a-z0-9_]*$/;
const FINGERPRINT = Array.from({ length: 32 }, () => 'AB').join(':');
const OPUS = {
    mid: '0',
    codecs: [
        {
            mimeType: 'audio/opus',
            payloadType: 111,
            clockRate: 48000,
            channels: 2,
            parameters: {},
            rtcpFeedback: [],
        },
    ],
    headerExtensions: [],
    encodings: [{ ssrc: 11223344 }],
    rtcp: { cname: 'e2e' },
};

function withCodec(mimeType, clockRate) {
    const codec = { ...OPUS.codecs[0], mimeType, clockRate, channels: undefined };
    return { ...OPUS, codecs: [codec] };
}

let meeting = ''; /* each test has its own, so that none sees another's people */

/* Asks and expects a refusal; resolves with its error. */
async function refused(socket, event, ...payload) {
    const reply = await ask(socket, event, ...payload);
    const sent = JSON.stringify(payload)?.slice(0, 160);
    const what = `${event} ${sent} → ${JSON.stringify(reply)}`;

    assert.equal(reply?.ok, false, what);
    assert.match(reply.error?.code ?? '', CODE, what);
    assert.equal(typeof reply.error?.message, 'string', what);
    return reply.error;
}

async function accepted(socket, event, payload) {
    const reply = await ask(socket, event, payload);

    assert.equal(
        reply?.ok,
        true,
        `${event} ${JSON.stringify(payload)} → ${JSON.stringify(reply)}`,
    );
    return reply;
}

function join(socket, name) {
    return accepted(socket, 'room:join', { meeting_id: meeting, display_name: name });
}

describe('signaling', { timeout: 120_000 }, () => {
    let node;
    let release;
    let finished;
    let meetings = 0;
    const sockets = [];

    /* One node for all of these tests. */
    before(async () => {
        await new Promise((ready, failed) => {
            finished = withNode({ name: 'signaling', devices: ['udp'] }, (started) => {
                node = started;
                ready();
                return new Promise((done) => (release = done));
            });
            finished.catch(failed);
        });
    });
    after(async () => {
        for (const socket of sockets) {
            socket.close();
        }
        release?.();
        await finished;
    });

    const check = (title, body) =>
        test(title, async () => {
            meeting = `e2e-signaling-${++meetings}`;
            try {
                await body();
            } catch (error) {
                node.showLogs();
                throw error;
            }
        });
    const open = async (options) => {
        const socket = await connect(node, await node.token({ meeting: meeting }), options);
        sockets.push(socket);
        return socket;
    };

    for (const [name, transports, upgrades] of [
        ['long-polling alone', ['polling'], false],
        ['WebSocket alone', ['websocket'], false],
        ['long-polling upgraded to WebSocket', ['polling', 'websocket'], true],
    ]) {
        check(`${name} carries acks and events both ways`, async () => {
            const listener = await open({ transports: ['websocket'] });
            const socket = await open({ transports });
            const engine = socket.io.engine;

            if (upgrades && engine.transport.name !== 'websocket') {
                await new Promise((done, failed) => {
                    engine.once('upgrade', done);
                    engine.once('upgradeError', failed);
                });
            }
            assert.equal(engine.transport.name, transports.at(-1));
            await join(listener, 'Listener');
            const told = next(listener, 'participant:joined');
            const room = await join(socket, 'Speaker ☕');
            const joined = await told;

            assert.equal(joined.display_name, 'Speaker ☕');
            assert.equal(joined.meeting_id, meeting);
            assert.equal(typeof joined.seq, 'number');
            assert.equal(typeof joined.epoch, 'number');
            assert.equal(room.participants.length >= 1, true);
            const left = next(listener, 'participant:left');
            await accepted(socket, 'room:leave', { meeting_id: meeting });
            assert.equal((await left).user_id, joined.user_id);
            socket.close();
            listener.close();
        });
    }

    check('a socket that goes without a word is waited for, then leaves', async () => {
        const listener = await open();
        const socket = await open({ transports: ['websocket'], reconnection: false });
        const gone = Date.now();

        await join(listener, 'Listener');
        await join(socket, 'Goner');
        const left = next(listener, 'participant:left', 2 * GRACE_MS);
        socket.io.engine.close();
        assert.equal(typeof (await left).reason, 'string');
        assert.ok(Date.now() - gone >= GRACE_MS - 1_000, 'not before its time is over');
        listener.close();
    });

    check('a socket that comes back is who it was, unseen by the others', async () => {
        const listener = await open();
        const token = await node.token({ meeting });
        const socket = await connect(node, token, { reconnection: false });
        const heard = [];

        await join(listener, 'Listener');
        const first = await join(socket, 'Comer');
        assert.equal(first.resumed, false);
        const made = await accepted(socket, 'transport:create', { direction: 'send' });
        listener.onAny((event) => heard.push(event));
        socket.io.engine.close();
        const again = await connect(node, token);
        const wrong = await refused(again, 'room:join', {
            meeting_id: meeting,
            display_name: 'Comer',
            resume_token: 'x'.repeat(32),
        });
        assert.equal(wrong.code, 'not_found');
        const stranger = await open();
        await refused(stranger, 'room:join', {
            meeting_id: meeting,
            display_name: 'Comer',
            resume_token: first.resume_token,
        });
        stranger.close();
        const resumed = await accepted(again, 'room:join', {
            meeting_id: meeting,
            display_name: 'Comer',
            resume_token: first.resume_token,
        });
        assert.equal(resumed.resumed, true);
        assert.equal(resumed.participant_id, first.participant_id);
        assert.deepEqual(resumed.own_transports, [
            { transport_id: made.transport_id, direction: 'send', data: true },
        ]);
        assert.equal(resumed.seq, first.seq);
        assert.deepEqual(heard, []);
        again.close();
        listener.close();
    });

    check('a wrong token is a connect_error with a code', async () => {
        const good = claimsFor(meeting);
        const now = Math.floor(Date.now() / 1000);
        const tokens = {
            'no token': undefined,
            'an empty token': '',
            'a number': 7,
            'no JWT': 'garbage',
            'two dots': '..',
            'the wrong key': signToken(good, 'x'.repeat(64)),
            expired: signToken({ ...good, iat: now - 7200, exp: now - 3600 }, node.secret),
            'without exp': signToken({ ...good, exp: undefined }, node.secret),
            'not yet valid': signToken({ ...good, nbf: now + 3600 }, node.secret),
            'alg none': signToken(good, node.secret, { alg: 'none', typ: 'JWT' }),
            'alg none, unsigned': `${signToken(good, node.secret, { alg: 'none' })
                .split('.')
                .slice(0, 2)
                .join('.')}.`,
            'alg RS256': signToken(good, node.secret, { alg: 'RS256', typ: 'JWT' }),
            'role unknown': signToken({ ...good, role: 'emperor' }, node.secret),
            huge: signToken({ ...good, name: 'n'.repeat(20_000) }, node.secret),
        };

        for (const [what, token] of Object.entries(tokens)) {
            for (const transports of [['polling'], ['websocket']]) {
                await assert.rejects(
                    async () => {
                        const socket = await connect(node, token, { transports });
                        socket.close();
                    },
                    (error) => {
                        assert.match(
                            error.data?.code ?? '',
                            CODE,
                            `${what}: ${error.message}`,
                        );
                        return true;
                    },
                    `${what} over ${transports} is refused`,
                );
            }
        }
        const socket = await connect(node, signToken(good, node.secret));
        sockets.push(socket);
        await join(socket, 'The good one');
        socket.close();
    });

    check('a token is for one meeting', async () => {
        const socket = await open();

        await refused(socket, 'room:join', { meeting_id: 'another', display_name: 'X' });
        socket.close();
    });

    check('an unknown namespace is refused', async () => {
        const socket = await open();
        const other = socket.io.socket('/nowhere', { auth: {} });
        const error = await new Promise((done, failed) => {
            other.once('connect', () => failed(new Error('/nowhere let us in')));
            other.once('connect_error', done);
        });

        assert.equal(typeof error.message, 'string');
        other.close();
        socket.close();
    });

    check('bad input is answered with a code and changes nothing', async () => {
        const listener = await open();
        const socket = await open();
        const heard = [];
        const transportId = async () =>
            (await accepted(socket, 'transport:create', { direction: 'send' }))
                .transport_id;

        /* not in a room yet */
        await refused(socket, 'transport:create', { direction: 'send' });
        await refused(socket, 'produce', { transport_id: 'x', kind: 'audio' });

        for (const payload of [
            {},
            null,
            'text',
            7,
            [],
            [{ meeting_id: meeting, display_name: 'X' }],
            { meeting_id: 7, display_name: 'X' },
            { meeting_id: meeting },
            { meeting_id: meeting, display_name: '' },
            { meeting_id: meeting, display_name: {} },
            { meeting_id: meeting, display_name: 'x'.repeat(10_000) },
            { meeting_id: 'm'.repeat(10_000), display_name: 'X' },
        ]) {
            await refused(socket, 'room:join', payload);
        }
        await refused(socket, 'room:join');

        const first = await join(listener, 'Listener');
        listener.onAny((event) => heard.push(event));
        const known = first.participants.length;
        await join(socket, 'Clumsy');
        heard.length = 0;
        const send = await transportId();

        for (const [event, ...payloads] of [
            ['transport:create', {}, { direction: 'sideways' }, { direction: 1 }],
            [
                'transport:connect',
                {},
                { transport_id: 'nowhere', dtls_parameters: fingerprinted('client') },
                { transport_id: send },
                { transport_id: send, dtls_parameters: 'x' },
                { transport_id: send, dtls_parameters: fingerprinted('chief') },
                {
                    transport_id: send,
                    dtls_parameters: { role: 'client', fingerprints: [] },
                },
                {
                    transport_id: send,
                    dtls_parameters: {
                        role: 'client',
                        fingerprints: [{ algorithm: 'sha-256', value: 'zz' }],
                    },
                },
            ],
            [
                'produce',
                {},
                {
                    transport_id: 'nowhere',
                    kind: 'audio',
                    source: 'mic',
                    rtp_parameters: OPUS,
                },
                { transport_id: send, kind: 'smell', source: 'mic', rtp_parameters: OPUS },
                { transport_id: send, kind: 'audio', source: 'nose', rtp_parameters: OPUS },
                { transport_id: send, kind: 'audio', source: 'mic' },
                { transport_id: send, kind: 'audio', source: 'mic', rtp_parameters: {} },
                { transport_id: send, kind: 'audio', source: 'mic', rtp_parameters: [] },
                {
                    transport_id: send,
                    kind: 'audio',
                    source: 'mic',
                    rtp_parameters: { ...OPUS, encodings: [{ ssrc: 'one' }] },
                },
                {
                    transport_id: send,
                    kind: 'video',
                    source: 'camera',
                    rtp_parameters: OPUS,
                },
            ],
            ...['produce:close', 'produce:pause', 'produce:resume'].map((event) => [
                event,
                {},
                { producer_id: 'nowhere' },
                { producer_id: 7 },
            ]),
            [
                'consume',
                {},
                { transport_id: send, producer_id: 'nowhere', rtp_capabilities: {} },
                {
                    transport_id: 'nowhere',
                    producer_id: 'nowhere',
                    rtp_capabilities: first.rtp_capabilities,
                },
            ],
            ...['consumer:resume', 'consumer:pause', 'consumer:close'].map((event) => [
                event,
                {},
                { consumer_id: 'nowhere' },
                { consumer_id: null },
            ]),
            ['room:leave', { meeting_id: 'another' }, { meeting_id: [] }],
        ]) {
            for (const payload of payloads) {
                await refused(socket, event, payload);
            }
        }

        const codec = await refused(socket, 'produce', {
            transport_id: send,
            kind: 'video',
            source: 'camera',
            rtp_parameters: withCodec('video/theora', 90000),
        });
        assert.equal(codec.code, 'unsupported');
        assert.match(codec.message, /theora/i, 'the message names the codec');

        const part = await refused(socket, 'recording:pause', {});
        assert.ok(['forbidden', 'not_found'].includes(part.code), part.code);
        await refused(socket, 'no:such:event', {});

        assert.deepEqual(heard, [], 'the others heard nothing of it');
        const witness = await open();
        const room = await join(witness, 'Witness');
        assert.equal(room.participants.length, known + 2);
        assert.deepEqual(room.producers, []);
        for (const one of [witness, socket, listener]) {
            one.close();
        }
    });

    check("another's transport and producer are not to be had", async () => {
        const [owner, thief] = [await open(), await open()];

        await join(owner, 'Owner');
        await join(thief, 'Thief');
        const { transport_id } = await accepted(owner, 'transport:create', {
            direction: 'send',
        });
        const told = next(thief, 'new-producer');
        const { producer_id } = await accepted(owner, 'produce', {
            transport_id,
            kind: 'audio',
            source: 'mic',
            rtp_parameters: OPUS,
        });

        assert.equal((await told).producer_id, producer_id);
        await refused(thief, 'transport:connect', {
            transport_id,
            dtls_parameters: fingerprinted('client'),
        });
        await refused(thief, 'produce', {
            transport_id,
            kind: 'audio',
            source: 'mic',
            rtp_parameters: { ...OPUS, encodings: [{ ssrc: 55 }] },
        });
        await refused(thief, 'produce:pause', { producer_id });
        await refused(thief, 'produce:close', { producer_id });
        const closed = next(thief, 'producer:closed');
        await accepted(owner, 'produce:close', { producer_id });
        assert.equal((await closed).producer_id, producer_id);
        owner.close();
        thief.close();
    });

    check('a consumer has one fresh encoding and starts paused', async () => {
        const [speaker, listener] = [await open(), await open()];
        const { rtp_capabilities } = await join(speaker, 'Speaker');
        await join(listener, 'Listener');
        const send = await accepted(speaker, 'transport:create', { direction: 'send' });
        const recv = await accepted(listener, 'transport:create', { direction: 'recv' });

        for (const reply of [send, recv]) {
            assert.equal(reply.ice_parameters.iceLite, true);
            assert.ok(reply.ice_candidates.length > 0);
            for (const candidate of reply.ice_candidates) {
                assert.equal(candidate.ip, candidate.address);
                assert.equal(candidate.type, 'host');
                assert.equal(candidate.port, node.mediaPort);
            }
            assert.equal(reply.dtls_parameters.role, 'auto');
            assert.equal(reply.dtls_parameters.fingerprints.at(-1).algorithm, 'sha-256');
        }
        const { producer_id } = await accepted(speaker, 'produce', {
            transport_id: send.transport_id,
            kind: 'audio',
            source: 'mic',
            rtp_parameters: { ...OPUS, encodings: [{ ssrc: 987654 }] },
        });
        const consumer = await accepted(listener, 'consume', {
            transport_id: recv.transport_id,
            producer_id,
            rtp_capabilities,
        });

        assert.equal(consumer.producer_id, producer_id);
        assert.equal(consumer.kind, 'audio');
        assert.equal(consumer.producer_paused, false);
        assert.equal(consumer.rtp_parameters.encodings.length, 1);
        assert.notEqual(consumer.rtp_parameters.encodings[0].ssrc, 987654);
        assert.equal(consumer.rtp_parameters.rtcp.reducedSize, true);
        const { consumer_id } = consumer;
        await accepted(listener, 'consumer:resume', { consumer_id });
        await accepted(listener, 'consumer:pause', { consumer_id });
        const paused = next(listener, 'producer:paused');
        await accepted(speaker, 'produce:pause', { producer_id });
        assert.equal((await paused).producer_id, producer_id);
        await accepted(listener, 'consumer:close', { consumer_id });
        await refused(listener, 'consumer:resume', { consumer_id });
        speaker.close();
        listener.close();
    });

    check('without an ack a failure is told by the event error', async () => {
        const socket = await open();
        const told = next(socket, 'error');

        socket.emit('room:join', { meeting_id: meeting });
        const error = await told;
        assert.match(error.code, CODE);
        assert.equal(error.event, 'room:join');
        assert.equal(typeof error.message, 'string');
        socket.close();
    });

    check('a message that is too large ends its connection and no other', async () => {
        const bystander = await open();
        const socket = await open({ transports: ['websocket'] });
        const ended = next(socket, 'disconnect');

        socket.emit('room:join', {
            meeting_id: meeting,
            display_name: 'x'.repeat(2_000_000),
        });
        await ended;
        await join(bystander, 'Bystander');
        bystander.close();
    });

    check('health is told, the page is served, and nothing outside it', async () => {
        for (const path of ['live', 'ready', 'webrtc']) {
            const response = await fetch(`${node.origin}/api/health/${path}`);
            assert.equal(response.status, 200, path);
            assert.equal((await response.json()).success, true, path);
        }
        const page = await fetch(`${node.origin}/`);
        assert.equal(page.status, 200);
        assert.match(page.headers.get('content-type'), /^text\/html/);
        assert.match(await page.text(), /app\.js/);
        for (const path of [
            '/nothing',
            '/%2e%2e/%2e%2e/etc/passwd',
            '/..%2f..%2fetc/passwd',
        ]) {
            const response = await fetch(`${node.origin}${path}`);
            assert.ok(response.status >= 400 && response.status < 500, path);
            assert.doesNotMatch(await response.text(), /root:/);
        }
    });
});

test('without a dataplane the node is not ready and says so', { timeout: 60_000 }, () =>
    withNode({ name: 'signaling-lone', devices: ['udp'] }, async (node) => {
        assert.deepEqual(await node.terminate(node.dataplane), []);
        await node.until('health tells that the dataplane is gone', async () => {
            const response = await fetch(`${node.origin}/api/health/ready`);
            await response.arrayBuffer();
            return response.status === 503;
        });
    }),
);

function fingerprinted(role) {
    return { role, fingerprints: [{ algorithm: 'sha-256', value: FINGERPRINT }] };
}
