/* Floods: hellos and checks from ten thousand addresses in each state of a session, and
 * garbage, replays and spoilt packets, from valid addresses too, beside a live stream. Nobody
 * is lost, nothing is amplified, all is counted. KCS_LONG=1 sends a million. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { X509Certificate, randomBytes, randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { capture, noCapture } from './lib/capture.mjs';
import { ask, connect } from './lib/client.mjs';
import { loadgen } from './lib/loadgen.mjs';
import { BUILD, withNode } from './lib/node.mjs';
import { Checker, check } from './lib/stun.mjs';

const LONG = Boolean(process.env.KCS_LONG);
const MALFORMED = LONG ? 1_000_000 : 100_000;
const ADDRESSES = 10_000;
const RATE = 20_000; /* a second: what a shared core can send, and the node read, beside media */
/* of the stream beside a flood; on a device of DPDK's nothing is expected */
const MOST_LOST = { veth: 0.001, udp: 0.001, tap: 0 };
const MOST_REPLY = 1.5; /* of the request, and of all requests of an address */
const REPEATS_MS = 8_000; /* flights of DTLS are repeated after 50, 100, … ms */
const TEMPLATES = 1_000;
const TIMEOUT = { timeout: LONG ? 300_000 : 120_000 };
const SKIP = process.getuid() === 0 ? noCapture() : 'raw sockets need root';
const SPOOFED = { veth: '198.18.0.0', udp: '127.64.0.0', tap: '198.18.0.0' };
const SPOOFED6 = 'fd99::';
const JOIN_US = 5_000_000; /* a join while checks and hellos come from everywhere */

function vector(name) {
    const file = new URL(`../vectors/dtls/${name}.hex`, import.meta.url);

    return Buffer.from(readFileSync(file, 'utf8').replace(/#.*|\s/g, ''), 'hex');
}

/* Chromium's ClientHello comes in two fragments. */
const FRAGMENTS = [1, 2].map((i) => vector(`chromium-hello-${i}`));
const HELLO = vector('openssl-hello'); /* in one, and shorter than its answer */

/* Sends `count` of `datagrams` ([{from, data}]) to the node. Resolves with how many went. */
async function flood(node, datagrams, count, { to = node.address, rate = RATE }, ...more) {
    const file = join(node.dir, 'flood.txt');
    const lines = datagrams.map(({ from, data }) => `${from} ${data.toString('hex')}\n`);

    writeFileSync(file, lines.join(''));
    const { stdout } = await promisify(execFile)(
        join(BUILD, 'tests/flood'),
        [
            ...[file, `${to}:${node.mediaPort}`],
            ...['--count', `${count}`, '--rate', `${rate}`, ...more],
        ],
        { timeout: 200_000 },
    );
    const { sent, refused } = JSON.parse(stdout);
    assert.equal(refused, 0, 'the kernel took every packet');
    return sent;
}

async function balance(node) {
    await sleep(800); /* the lanes tell their counters each 100 ms, sleeping or not */
    return JSON.parse(await node.kcsctl('drops', '--json')).balance;
}

function assertExact(lanes) {
    for (const lane of lanes) {
        assert.equal(
            lane.frames_in + lane.handed_in,
            lane.answered + lane.ignored + lane.handled + lane.dropped + lane.handed_out,
            JSON.stringify(lane),
        );
    }
}

function frames(lanes) {
    return lanes.reduce((sum, { frames_in }) => sum + frames_in, 0);
}

/* What comes to the node while clients join and send: real datagrams. */
async function realDatagrams(node) {
    const stop = await capture(node, `dst port ${node.mediaPort}`);
    const { status, err } = await loadgen(
        node,
        ['--publishers', '1', '--subscribers', '3', '--seconds', '1', '--media', 'both'],
        { meeting: 'model' },
    );

    assert.equal(status, 0, err);
    const found = (await stop()).filter(({ data }) => data.length <= 1450);
    assert.ok(found.length > 100, `${found.length} datagrams`);
    return found;
}

/* Hellos and checks, right in form, that must not get far. */
function strangers(username) {
    const nullCipher = Buffer.from(HELLO);
    const rest = HELLO.subarray(25 + 34); /* behind version and random */
    const ciphers = 25 + 34 + 1 + rest[0] + 1 + rest[1 + rest[0]];

    nullCipher.fill(0, ciphers + 2, ciphers + 4); /* TLS_NULL_WITH_NULL_NULL */
    return [
        HELLO,
        ...FRAGMENTS,
        nullCipher,
        HELLO.subarray(0, HELLO.length >> 1),
        Buffer.concat([Buffer.from([22, 254, 253]), randomBytes(60)]),
        Buffer.concat([Buffer.from([21, 254, 253]), Buffer.alloc(8), Buffer.from([0, 2, 2, 40])]),
        check({ username, password: 'not the password' }),
        check({ username }),
        check({ username: 'nobody:here', password: 'x' }),
        check({ username, password: 'not the password', fingerprint: false }),
        check({ username: ':', password: 'x' }),
    ].map((data) => ({ from: '0.0.0.0:0', data }));
}

/* Floods with strangers, over IPv6 if `six`, and looks at what comes back, and for how long. */
async function floodWithStrangers(
    node,
    datagrams,
    { six = false, count = ADDRESSES, rate, listen = 0 } = {},
) {
    const base = six ? SPOOFED6 : SPOOFED[node.kind];
    const net = six ? `${base}/64` : `${base}/16`;
    const stop = await capture(node, `src port ${node.mediaPort} and dst net ${net}`);

    await flood(
        ...[node, datagrams, count, { to: six ? `[${node.address6}]` : node.address, rate }],
        ...['--spoof', `${base}/${ADDRESSES}`],
    );
    await sleep(listen);
    const replies = await stop();
    const sums = new Map();
    for (const { to, data } of replies) {
        const [address, port] = to.split(':');
        const [, , high, low] = address.split('.').map(Number);
        const spoofed = six ? parseInt(address.slice(-4), 16) : high * 256 + low;
        const i = spoofed + (Number(port) - 1024) * ADDRESSES;
        const request = datagrams[i % datagrams.length].data;

        assert.ok(
            data.length <= MOST_REPLY * request.length,
            `${data.length} bytes in reply to ${request.length}: ${data.toString('hex')}`,
        );
        assert.ok(data[0] < 4, 'no stranger gets a DTLS flight');
        sums.set(spoofed, (sums.get(spoofed) ?? 0) + data.length);
    }
    for (const [spoofed, sum] of sums) {
        let asked = 0;
        for (let i = spoofed; i < count; i += ADDRESSES) {
            asked += datagrams[i % datagrams.length].data.length;
        }
        assert.ok(sum <= MOST_REPLY * asked, `${sum} bytes in reply to ${asked} in all`);
    }
    return replies.length;
}

/* Who has sessions makes checks and hellos in the names of others: ICE-lite cannot tell, and
 * answers, but with no more than 1.5 times as much to each of them, whatever they say, and
 * whichever end is to begin. */
async function inOthersNames(node, t) {
    const identity = node.makeCertificate();
    const value = new X509Certificate(readFileSync(identity.cert)).fingerprint256;
    const cases = [
        { role: 'client', checks: 1, hellos: [HELLO], answered: true },
        { role: 'client', checks: 1, hellos: [HELLO, HELLO, HELLO], answered: true },
        { role: 'client', checks: 1, hellos: FRAGMENTS, answered: true },
        { role: 'client', checks: 1, hellos: [HELLO.subarray(0, HELLO.length >> 1)] },
        { role: 'server', checks: 1, hellos: [] },
        { role: 'server', checks: 2, hellos: [], answered: true },
        { role: 'server', checks: 5, hellos: [], answered: true },
    ];
    const net = SPOOFED[node.kind].replace(/0$/, '');
    const stop = await capture(node, `src port ${node.mediaPort} and dst net ${net}0/24`);

    for (const [i, one] of cases.entries()) {
        const token = await node.token({ meeting: 'names', name: `nobody ${i}` });
        const socket = await connect(node, token, { transports: ['websocket'] });

        one.socket = socket;
        await ask(socket, 'room:join', { meeting_id: 'names', display_name: 'Nobody' });
        const made = await ask(socket, 'transport:create', { direction: 'recv' });
        const { usernameFragment, password } = made.ice_parameters;
        const connected = await ask(socket, 'transport:connect', {
            transport_id: made.transport_id,
            dtls_parameters: {
                role: one.role,
                fingerprints: [{ algorithm: 'sha-256', value }],
            },
        });
        assert.equal(connected.ok, true, JSON.stringify(connected));
        one.address = `${net}${77 + i}`;
        one.said = 0;
        const requests = Array.from({ length: one.checks }, () =>
            check({ username: `${usernameFragment}:xyz`, password }));
        for (const data of [...requests, ...one.hellos]) {
            await flood(node, [{ from: `${one.address}:6000`, data }], 1, {});
            one.said += data.length;
            await sleep(100);
        }
    }
    await sleep(REPEATS_MS);
    const all = await stop();
    for (const { socket, role, checks, hellos, answered, address, said } of cases) {
        socket.close();
        const got = all.filter(({ to }) => to.startsWith(`${address}:`)).map(({ data }) => data);
        const bytes = got.reduce((sum, { length }) => sum + length, 0);
        const what = `${checks} checks, ${hellos.length} hellos (${role}) in another's name: ` +
            `${said} bytes, ${bytes} in reply, ${got.length} datagrams`;

        t.diagnostic(what);
        assert.equal(got.filter((data) => data[0] < 4).length, checks, `${what}: STUN`);
        assert.equal(got.some((data) => data[0] === 22), Boolean(answered), `${what}: DTLS`);
        assert.ok(bytes <= MOST_REPLY * said, what);
    }
}

/* A handshake that ends well amidst strangers who name the session, and the session after
 * it. Resolves with its states. */
async function throughDtls(node, t, socket) {
    const made = await ask(socket, 'transport:create', { direction: 'recv' });
    const { usernameFragment, password } = made.ice_parameters;
    const username = `${usernameFragment}:xyz`;
    const checker = await Checker.open(node.address, node.mediaPort);
    const identity = node.makeCertificate();
    const value = new X509Certificate(readFileSync(identity.cert)).fingerprint256;
    const datagrams = strangers(username);
    const states = {};

    assert.equal(await checker.succeeds({ username, password }), true, 'ICE');
    const connected = await ask(socket, 'transport:connect', {
        transport_id: made.transport_id,
        dtls_parameters: { role: 'client', fingerprints: [{ algorithm: 'sha-256', value }] },
    });
    assert.equal(connected.ok, true, JSON.stringify(connected));
    const flooded = floodWithStrangers(node, datagrams);
    shakeHands(node, checker, identity);
    await flooded;
    await node.until('the handshake ends', async () =>
        (await stateOf(node, made.transport_id)) === 'connected');
    const replies = await floodWithStrangers(node, datagrams);
    states['connected, named by its ufrag'] = await stateOf(node, made.transport_id);
    t.diagnostic(`connected: ${replies} replies`);
    assert.equal(states['connected, named by its ufrag'], 'connected');
    return states;
}

/* Where the node is reached by the device. */
function findAddress(node, kind) {
    node.kind = kind;
    node.address = kind === 'udp' ? '127.0.0.1' : node[kind].ipv4;
    node.address6 = kind === 'udp' ? undefined : node[kind].ipv6;
}

async function stateOf(node, transportId) {
    const peers = JSON.parse(await node.kcsctl('peers', '--json'));

    return peers.find(({ transport_id }) => transport_id === transportId)?.state;
}

/* A client of OpenSSL that shakes hands from where `checker` has checked, and takes its
 * place. */
function shakeHands(node, checker, { key, cert }) {
    const { address, port } = checker.socket.address();

    checker.close();
    const child = spawn(
        'openssl',
        [
            ...['s_client', '-dtls1_2', '-connect', `${node.address}:${node.mediaPort}`],
            ...['-bind', `${address}:${port}`, '-cert', cert, '-key', key, '-quiet'],
            ...['-use_srtp', 'SRTP_AES128_CM_SHA1_80'],
        ],
        { stdio: ['pipe', 'ignore', 'ignore'] },
    );
    node.witnesses.push(child); /* it stays until the node ends */
}

for (const device of LONG ? ['veth', 'udp:127.0.0.1', 'tap'] : ['veth']) {
    const name = device.replace(/:.*/, '');
    const options = (what) => ({ name: `flood-${what}-${name}`, devices: [device] });

    test(`hellos and checks of strangers, in each state: ${name}`, { ...TIMEOUT, skip: SKIP }, (t) =>
        withNode(options('strangers'), async (node) => {
            findAddress(node, name);
            const running = loadgen(
                node,
                ['--publishers', '1', '--subscribers', '10', '--seconds', '35'],
                { patience: 110 },
            );
            const token = await node.token({ meeting: 'states' });
            const socket = await connect(node, token, { transports: ['websocket'] });
            const checker = await Checker.open(node.address, node.mediaPort);
            try {
                await ask(socket, 'room:join', {
                    meeting_id: 'states',
                    display_name: 'Ada',
                });
                const made = await ask(socket, 'transport:create', { direction: 'send' });
                assert.equal(made.ok, true, JSON.stringify(made));
                const { usernameFragment, password } = made.ice_parameters;
                const right = { username: `${usernameFragment}:xyz`, password };
                const datagrams = strangers(right.username);
                const states = {};
                const after = async (what, options) => {
                    const replies = await floodWithStrangers(node, datagrams, options);

                    states[what] = await stateOf(node, made.transport_id);
                    t.diagnostic(`${what}: ${replies} replies, ${states[what]}`);
                };

                await after('before ICE');
                assert.equal(await checker.succeeds(right), true, 'ICE works after the flood');
                await after('after ICE');
                if (node.address6 !== undefined) {
                    const before = frames(await balance(node));

                    await after('over IPv6', { six: true });
                    assert.ok(frames(await balance(node)) - before >= 0.99 * ADDRESSES);
                }
                const connected = await ask(socket, 'transport:connect', {
                    transport_id: made.transport_id,
                    dtls_parameters: {
                        role: 'client',
                        fingerprints: [
                            {
                                algorithm: 'sha-256',
                                value: randomBytes(32)
                                    .toString('hex')
                                    .toUpperCase()
                                    .match(/../g)
                                    .join(':'),
                            },
                        ],
                    },
                });
                assert.equal(connected.ok, true, JSON.stringify(connected));
                checker.answers.length = 0;
                await checker.send(FRAGMENTS[0]);
                await checker.send(FRAGMENTS[1]);
                for (let i = 0; i < 100 && checker.answers.length === 0; i++) {
                    await sleep(50);
                }
                assert.ok(
                    checker.answers.some((data) => data[0] === 22),
                    'the valid path gets the first flight of DTLS',
                );
                await after('during DTLS', { listen: REPEATS_MS });
                assert.equal(await checker.succeeds(right), true, 'ICE goes on');
                Object.assign(states, await throughDtls(node, t, socket));
                await inOthersNames(node, t);
                assert.ok(
                    Object.values(states).every((state) => state !== 'failed' && state),
                    JSON.stringify(states),
                );
                /* those who join meanwhile go through all states */
                const [joined] = await Promise.all([
                    loadgen(
                        node,
                        [
                            ...['--publishers', '1', '--subscribers', '20'],
                            ...['--seconds', '1', '--join-rate', '30'],
                        ],
                        { meeting: 'joiners' },
                    ),
                    floodWithStrangers(node, datagrams, {
                        count: 4 * ADDRESSES,
                        rate: 2 * RATE,
                    }),
                ]);
                assert.equal(joined.status, 0, joined.err);
                t.diagnostic(`joined meanwhile in ${joined.result.join_us.max} µs at most`);
                assert.ok(joined.result.join_us.max < JOIN_US, JSON.stringify(joined.result.join_us));
                assertExact(await balance(node));
                const { status, result, err } = await running;
                assert.equal(status, 0, `those who were connected: ${err}`);
                assert.equal(result.joined, 11);
            } finally {
                checker.close();
                socket.close();
            }
        }),
    );

    /* Who was on the way has seen checks, and media: sent again from his own address they get
     * him nothing and hurt nobody. */
    test(`what was captured, sent again from elsewhere: ${name}`, { ...TIMEOUT, skip: SKIP }, (t) =>
        withNode(options('replay'), async (node) => {
            findAddress(node, name);
            const running = loadgen(
                node,
                [
                    ...['--publishers', '1', '--subscribers', '3', '--media', 'both'],
                    ...['--seconds', '15', '--resume'],
                ],
                { patience: 90 },
            );
            await node.until('media flows', async () => {
                const streams = JSON.parse(await node.kcsctl('streams', '--json'));
                return streams.length === 2 && streams.every(({ packets }) => packets > 10);
            });
            const stopChecks = await capture(node, `dst port ${node.mediaPort}`);
            await sleep(7_000); /* each has sent a check, which the lane has answered */
            const seen = (await stopChecks()).filter(({ data }) => data.length <= 1450);
            const checks = seen.filter(({ data }) => data[0] === 0 && data[1] === 1);
            const clients = new Set(checks.map(({ from }) => from));
            assert.ok(clients.size >= 4, `checks of ${clients.size} transports`);
            const media = seen.filter(({ data }) => data[0] >= 128).slice(-200);
            const attacker = SPOOFED[name].replace(/0$/, '66');
            const again = [...checks, ...media, ...checks].map(({ data }, i) => ({
                from: `${attacker}:${6000 + (i % clients.size)}`,
                data,
            }));
            const attack = async (when) => {
                const stop = await capture(
                    node, `src port ${node.mediaPort} and dst host ${attacker}`);

                await flood(node, again, 750, { rate: 500 });
                await sleep(2_500); /* longer than a peer may be silent */
                const got = await stop();
                const bytes = got.reduce((sum, { data }) => sum + data.length, 0);
                t.diagnostic(`${when}: ${got.length} datagrams, ${bytes} bytes in reply`);
                assert.equal(got.length, 0, when);
            };

            await attack('at once');
            await node.crash('kcs-control');
            await attack('at a control that was not there');
            const { status, result, err } = await running;
            assert.equal(status, 0, err);
            assert.equal(result.joined, 4);
            assert.equal(result.lost, 0, err);
            assertExact(await balance(node));
        }),
    );

    test(`${MALFORMED} malformed packets beside a stream: ${name}`, { ...TIMEOUT, skip: SKIP }, (t) =>
        withNode(options('malformed'), async (node) => {
            findAddress(node, name);
            const models = await realDatagrams(node);
            const seconds = MALFORMED / RATE + 6;
            const running = loadgen(
                node,
                [
                    ...['--publishers', '1', '--subscribers', '10', '--media', 'both'],
                    ...['--seconds', `${seconds}`],
                ],
                { patience: 2 * seconds + 60 },
            );
            await node.until('media flows', async () => {
                const streams = JSON.parse(await node.kcsctl('streams', '--json'));
                return streams.length === 2 && streams.every(({ packets }) => packets > 10);
            });
            /* real ones of now: from addresses that are valid */
            const stop = await capture(node, `dst port ${node.mediaPort}`);
            await sleep(700);
            const live = (await stop()).filter(({ data }) => data.length <= 1450);
            assert.ok(live.length > 50, `${live.length} datagrams of the stream`);
            const datagrams = [...live, ...models].slice(0, TEMPLATES);
            const before = frames(await balance(node));
            const seed = randomInt(2 ** 31);
            t.diagnostic(`seed ${seed}`);
            const sent = await flood(
                ...[node, datagrams, MALFORMED, {}, '--mutate', `${seed}`],
                ...['--spoof', `${SPOOFED[name]}/${ADDRESSES}`],
            );
            const { result, err } = await running;
            const lanes = await balance(node);

            assertExact(lanes);
            assert.ok(
                frames(lanes) - before >= 0.99 * sent,
                `${frames(lanes) - before} frames came in, ${sent} were sent`,
            );
            assert.equal(result.joined, 11, err);
            t.diagnostic(`${result.lost} of ${result.verified} lost beside ${sent}`);
            assert.ok(result.lost <= MOST_LOST[name] * result.verified, err);
            for (const fault of ['duplicates', 'misordered', 'corrupt', 'forged', 'replayed']) {
                assert.equal(result[fault], 0, fault);
            }
        }),
    );
}
