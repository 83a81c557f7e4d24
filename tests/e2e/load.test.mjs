/* One publisher and fifty subscribers of kcs-loadgen: every numbered payload arrives at
 * everybody, once and in order, and the node counted the same packets. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCounters, settledCounters } from './lib/counters.mjs';
import { loadgen } from './lib/loadgen.mjs';
import { withNode } from './lib/node.mjs';

const SUBSCRIBERS = 50;
const SECONDS = 4;
const HOLD_SECONDS = 5; /* silent, while the node is asked for its counters */
const AUDIO_PPS = 50;
const VIDEO_PPS = 120;
const TIMEOUT = { timeout: 60_000 };

/* Waits until the node has counted `least` packets of each of `streams` streams. */
async function untilSent(node, streams, least) {
    await node.until(`${streams} streams have ${least} packets`, async () => {
        const counters = [...(await readCounters(node)).values()];
        return (
            counters.length === streams &&
            counters.every(({ packets }) => packets >= least)
        );
    });
}

/* The node's counters against the clients' own: packets of each producer and consumer. Those
 * that overtook the last flight of their client's handshake are counted by the client, too,
 * but it could not read them yet. */
function assertSameCounts(counters, { producers, consumers, early }) {
    let unread = 0;

    for (const { producer_id, packets } of producers) {
        assert.equal(
            counters.get(producer_id)?.packets,
            packets,
            `producer ${producer_id}: the node received what was sent`,
        );
    }
    for (const { producer_id, consumer_id, packets } of consumers) {
        const sent = counters.get(producer_id)?.subscribers.get(consumer_id);

        assert.ok(sent >= packets, `consumer ${consumer_id}: ${packets} of ${sent} packets`);
        unread += sent - packets;
    }
    assert.equal(unread, early, 'what the node sent was received');
}

/* What the node has told of how its streams do: each participant within ten seconds. */
function assertQualityTold(node) {
    const told = readFileSync(join(node.dir, 'events.jsonl'), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line))
        .filter(({ type }) => type === 'kcs.quality.participant')
        .map(({ data }) => data);
    const all = told.flatMap((data) => data.received);
    const received = all.filter(({ packets }) => packets > 0); /* not those before the media */

    assert.ok(received.length >= SUBSCRIBERS / 2, `${received.length} streams were told of`);
    for (const stream of received) {
        assert.ok(['audio', 'video'].includes(stream.kind));
        assert.equal(stream.lost, 0, JSON.stringify(stream));
        assert.ok(stream.score >= 0 && stream.score <= 10);
        assert.equal(typeof stream.rtt_ms, 'number');
    }
}

for (const device of ['udp', 'veth']) {
    const skip =
        device === 'veth' && process.getuid() !== 0 ? 'the device veth needs root' : false;

    const title = `1 publisher, ${SUBSCRIBERS} subscribers, nothing lost: ${device}`;

    test(title, { ...TIMEOUT, skip }, () =>
        withNode({ name: `load-${device}`, devices: [device], tls: true }, async (node) => {
            const running = loadgen(node, [
                ...['--publishers', '1', '--subscribers', `${SUBSCRIBERS}`],
                ...['--media', 'both', '--seconds', `${SECONDS}`],
                ...['--hold', `${HOLD_SECONDS}`],
            ]);
            await untilSent(node, 2, SECONDS * AUDIO_PPS * 0.9);
            const counters = await settledCounters(node);
            const { status, result, err } = await running;

            const drops = await node.kcsctl('drops');
            assert.equal(status, 0, `kcs-loadgen: ${err}\nthe node's drops:\n${drops}`);
            assert.equal(result.ok, true);
            assert.equal(result.joined, 1 + SUBSCRIBERS);
            assert.equal(result.streams_verified, 2 * SUBSCRIBERS);
            for (const fault of ['lost', 'duplicates', 'misordered', 'corrupt', 'replayed']) {
                assert.equal(result[fault], 0, fault);
            }
            const least = SECONDS * (AUDIO_PPS + VIDEO_PPS) * SUBSCRIBERS * 0.9;
            assert.ok(result.verified >= least, `${result.verified} packets verified`);
            assert.ok(result.sender_reports_received >= 2 * SUBSCRIBERS, 'sender reports');
            assert.ok(result.report_blocks_received >= SECONDS, 'receiver reports');
            assert.ok(result.transport_cc_received >= SECONDS, 'transport-cc');
            assert.ok(result.key_requests >= 1, 'the publisher was asked for a key frame');
            assertQualityTold(node);
            assertSameCounts(counters, result);
        }),
    );
}

test('what cannot be done is told by words and exit status', TIMEOUT, () =>
    withNode({ name: 'load-refused', devices: ['udp'] }, async (node) => {
        const few = ['--publishers', '1', '--subscribers', '1', '--seconds', '1'];
        const another = { ...node, secretFile: join(node.dir, 'dataplane.yaml') };
        const nobody = { ...node, origin: 'http://127.0.0.1:1' };
        const far = { ...node, origin: 'http://192.0.2.1' };

        const refused = await loadgen({ ...another, origin: node.origin }, few);
        assert.equal(refused.status, 1);
        assert.match(refused.err, /publisher-0: refused: .*jwt_bad_signature/);
        const away = await loadgen(nobody, few);
        assert.equal(away.status, 3);
        assert.match(away.err, /cannot connect/);
        const remote = await loadgen(far, few);
        assert.equal(remote.status, 2);
        assert.match(remote.err, /--allow-remote/);
        const usage = await loadgen(node, ['--publishers', 'many']);
        assert.equal(usage.status, 2);
        assert.match(usage.err, /--publishers is a number/);
        const vp8 = ['--media', 'both', '--video-pattern', 'vp8'];
        const both = await loadgen(node, [...few, ...vp8, '--rate', '30']);
        assert.equal(both.status, 2);
        assert.match(both.err, /--rate, --size and --layers are of what is fixed/);
        const opus = ['--media', 'both', '--audio-pattern', 'opus'];
        const rate = await loadgen(node, [...few, ...opus, '--audio-rate', '25']);
        assert.equal(rate.status, 2);
        assert.match(rate.err, /--audio-rate is of audio that is fixed/);
        const pace = await loadgen(node, [...few, '--pace', '5']);
        assert.equal(pace.status, 2);
        assert.match(pace.err, /--pace is of a pattern of video/);
        const absent = await loadgen(node, [...few, '--audio-pattern', 'vp8']);
        assert.equal(absent.status, 2);
        assert.match(absent.err, /--audio-pattern is fixed, opus or opus-dtx, not vp8/);
    }),
);

test('by https: whom to believe is given, or anybody is', TIMEOUT, () =>
    withNode({ name: 'load-tls', devices: ['udp'], tls: true }, async (node) => {
        const safe = { ...node, origin: `https://127.0.0.1:${node.httpsPort}` };
        const few = ['--publishers', '1', '--subscribers', '5', '--seconds', '1'];

        for (const trust of [['--ca-file', join(node.dir, 'cert.pem')], ['--insecure']]) {
            const { status, result, err } = await loadgen(safe, [...few, ...trust]);

            assert.equal(status, 0, `${trust[0]}: ${err}`);
            assert.equal(result.joined, 6);
            assert.ok(result.verified > 0);
        }
        const unknown = await loadgen(safe, few);
        assert.equal(unknown.status, 1);
        assert.match(unknown.err, /publisher-0: no TLS: self-signed certificate/);
        const other = { ...safe, origin: `https://[::ffff:127.0.0.1]:${node.httpsPort}` };
        const wrong = await loadgen(other, [...few, '--ca-file', join(node.dir, 'cert.pem')]);
        assert.equal(wrong.status, 1);
        assert.match(wrong.err, /no TLS: IP address mismatch/);
        const none = await loadgen(safe, [...few, '--ca-file', node.secretFile]);
        assert.equal(none.status, 2);
        assert.match(none.err, /no certificates to believe/);
    }),
);

test('with --send when-all nobody sends before the last of all rooms has joined', TIMEOUT, () =>
    withNode({ name: 'load-when-all', devices: ['udp'] }, async (node) => {
        const { status, result, err } = await loadgen(node, [
            ...['--publishers', '1', '--subscribers', '3', '--rooms', '3', '--processes', '2'],
            ...['--join-rate', '4', '--seconds', '2', '--send', 'when-all'],
        ]);

        assert.equal(status, 0, err);
        assert.equal(result.joined, 12);
        assert.ok(result.verified >= 3 * 3 * 2 * AUDIO_PPS * 0.9, `${result.verified}`);
        /* three seconds of joining, and they would have sent in them, too */
        assert.ok(result.sent <= 3 * (2 + 0.5) * AUDIO_PPS, `${result.sent} packets were sent`);
        assert.equal(await node.metric('kcs_participants'), 0, 'all have left when it ends');
    }),
);

const PATTERNS = [
    /* layers are changed all the time: each change is a key frame of another encoding */
    { video: 'vp8-simulcast', audio: 'opus-dtx', more: ['--restless', '0.5', '--pace', '5'], kbps: 2700 },
    { video: 'vp8', audio: 'fixed', more: [], kbps: 2000 },
    { video: 'h264', audio: 'opus', more: [], kbps: 2300 },
];

for (const { video, audio, more, kbps } of PATTERNS) {
    test(`as a browser sends: ${video}, ${audio}`, TIMEOUT, () =>
        withNode({ name: `load-${video}`, devices: ['udp'] }, async (node) => {
            const subscribers = 6;
            const { status, result, err } = await loadgen(node, [
                ...['--publishers', '1', '--subscribers', `${subscribers}`, '--media', 'both'],
                ...['--video-pattern', video, '--audio-pattern', audio, '--seconds', '6', ...more],
            ]);

            assert.equal(status, 0, err);
            assert.equal(result.streams_verified, 2 * subscribers);
            for (const fault of ['lost', 'corrupt', 'misrouted', 'unkeyed', 'misnumbered', 'never_made']) {
                assert.equal(result[fault], 0, fault);
            }
            const streams = result.producers.filter(({ kind }) => kind === 'video');
            assert.equal(streams.length, video === 'vp8-simulcast' ? 3 : 1);
            /* the first may have come before its client could read it */
            assert.ok(result.key_frames_received + result.early >= subscribers,
                `${result.key_frames_received} key frames came, ${result.early} packets too early`);
            if (more.length === 0) {
                const least = (result.seconds * kbps * 1000) / 8;

                assert.ok(result.sent_bytes > least, `${result.sent_bytes} bytes were sent`);
            } else {
                assert.ok(result.key_requests >= streams.length, 'they were asked for');
                assert.ok(result.switches >= subscribers, `${result.switches} changes of layer`);
            }
        }),
    );
}
