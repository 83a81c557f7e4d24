/* Either process is killed while fifty subscribers of kcs-loadgen check every number that one
 * publisher sends. Control's death costs no packet of media, the dataplane's only those of
 * the moment; everybody resumes, no client shakes hands again, and no index of a key stands
 * over two packets. KCS_LONG=1 kills more often. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertIndexesUnique, capture, noCapture } from './lib/capture.mjs';
import { loadgen } from './lib/loadgen.mjs';
import { withNode } from './lib/node.mjs';

const LONG = Boolean(process.env.KCS_LONG);
const KILLS = LONG ? 20 : 2;
const SUBSCRIBERS = 50;
const PASSING = 6; /* clients that join while control is killed, and shake hands */
const RESUME_US = 5_000_000;
const MEDIA_US = 3_000_000;
const MOST_GAP = 64; /* indexes that were stored, but the kill came before their packets */
const HANDSHAKES = 'kcs_dtls_handshakes_total';
const TIMEOUT = { timeout: LONG ? 300_000 : 90_000 };
const DEVICE = process.env.KCS_TEST_DEVICE ?? (process.getuid() === 0 ? 'veth' : 'udp');

function allConnected(node) {
    return node.until(`${SUBSCRIBERS + 1} clients are connected`, async () => {
        const peers = JSON.parse(await node.kcsctl('peers', '--json'));
        return (
            peers.filter(
                ({ meeting_id, state }) => meeting_id === 'load' && state === 'connected',
            ).length ===
            SUBSCRIBERS + 1
        );
    });
}

/* All have a Socket.IO connection to the control that runs now. */
function allReturned(node) {
    return node.until(
        `${SUBSCRIBERS + 1} clients have returned`,
        async () => (await node.metric('kcs_websocket_open')) >= SUBSCRIBERS + 1,
    );
}

/* A subscriber that comes now sees media of the publisher, whoever has died. */
async function assertNewcomersAreServed(node) {
    const { status, result, err } = await loadgen(
        node,
        ['--publishers', '1', '--subscribers', '2', '--seconds', '1'],
        { meeting: 'newcomers' },
    );

    assert.equal(status, 0, err);
    assert.equal(result.streams_verified, 2);
}

function start(node, seconds) {
    return loadgen(
        node,
        [
            ...['--publishers', '1', '--subscribers', `${SUBSCRIBERS}`, '--resume'],
            ...['--media', 'both', '--rate', '60', '--seconds', `${seconds}`],
            ...['--hold', '1'],
        ],
        { patience: seconds + 60 },
    );
}

test('control is killed: not one packet is missing', TIMEOUT, () =>
    withNode({ name: 'crash-load-control', devices: [DEVICE] }, async (node) => {
        const running = start(node, KILLS * 3.5 + 4);

        await allConnected(node);
        for (let i = 0; i < KILLS; i++) {
            await sleep(500 + Math.random() * 1_500);
            /* in the middle of commands: somebody is joining just now */
            const joining = loadgen(
                node,
                ['--publishers', '1', '--subscribers', `${PASSING - 1}`, '--seconds', '0.2'],
                { meeting: 'passing', patience: 20 },
            );
            await sleep(Math.random() * 300);
            await node.crash('kcs-control');
            await allReturned(node);
            await allConnected(node);
            const shaken = await node.metric(HANDSHAKES);
            assert.ok(shaken <= PASSING, `${shaken} DTLS handshakes`);
            await joining; /* may well have failed */
        }
        const { status, result, err } = await running;
        const drops = await node.kcsctl('drops');
        assert.equal(status, 0, `${err}\nthe node's drops:\n${drops}`);
        assert.equal(result.lost + result.duplicates + result.misordered, 0);
        assert.equal(result.resumed, KILLS * (SUBSCRIBERS + 1), err);
        assert.equal(result.rejoined, 0);
        assert.ok(result.return_us.max < RESUME_US, `${result.return_us.max} µs to resume`);
        await assertNewcomersAreServed(node);
    }),
);

test('the dataplane is killed: media is back in seconds, no index twice', TIMEOUT, (t) =>
    withNode({ name: 'crash-load-dataplane', devices: [DEVICE] }, async (node) => {
        const running = start(node, KILLS * 4.5 + 4);
        const missing = noCapture();

        await allConnected(node);
        const stop = missing === false ? await capture(node) : undefined;
        const shaken = await node.metric(HANDSHAKES);
        for (let i = 0; i < KILLS; i++) {
            await sleep(500 + Math.random() * 1_500);
            await node.crash('kcs-dataplane');
            await sleep(2_000);
        }
        assert.equal(await node.metric(HANDSHAKES), shaken, 'no DTLS handshake');
        const { result, err } = await running;
        assert.equal(result.joined, SUBSCRIBERS + 1);
        assert.equal(result.rejoined, 0, err);
        for (const fault of ['duplicates', 'replayed', 'misordered', 'corrupt', 'forged']) {
            assert.equal(result[fault], 0, `${fault}: ${err}`);
        }
        assert.equal(result.streams_silent, 0);
        t.diagnostic(`no media for ${result.max_silence_us} µs at most`);
        assert.ok(result.max_silence_us < MEDIA_US, `silence of ${result.max_silence_us} µs`);
        for (const { consumer_id, missing: n, packets } of result.consumers) {
            assert.ok(packets > n, `consumer ${consumer_id}: ${packets} came, ${n} did not`);
        }
        if (stop !== undefined) {
            const n = assertIndexesUnique(await stop(), MOST_GAP);
            t.diagnostic(`${n} packets of media, no index twice`);
            assert.ok(n > 1000, `${n} packets of media were captured`);
        } else {
            t.diagnostic(`indexes not looked at: ${missing}`);
        }
        await assertNewcomersAreServed(node);
    }),
);

test('both are killed: the clients are told, and rejoin', TIMEOUT, () =>
    withNode({ name: 'crash-load-both', devices: [DEVICE] }, async (node) => {
        const running = start(node, 12);

        await allConnected(node);
        await sleep(500);
        await node.crash('kcs-dataplane', 'kcs-control');
        await allConnected(node);
        const { result, err } = await running;
        assert.equal(result.resumed, 0, err);
        assert.equal(result.rejoined, SUBSCRIBERS + 1, err);
        for (const fault of ['duplicates', 'replayed', 'corrupt', 'forged']) {
            assert.equal(result[fault], 0, `${fault}: ${err}`);
        }
    }),
);
