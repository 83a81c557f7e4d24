/* Either process is killed (-9) while two people talk and fifty subscribers of kcs-loadgen
 * check every number that one publisher sends: the death of control costs no packet of media,
 * that of the dataplane only those of the moment; everybody resumes, nobody shakes hands
 * again, and no index of a key stands over two packets. KCS_LONG=1 kills more often. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Person, withBrowser } from './lib/browser.mjs';
import { assertIndexesUnique, capture, GCM, HMAC_SHA1, noCapture } from './lib/capture.mjs';
import { assertBalanced, settledCounters } from './lib/counters.mjs';
import { loadgen } from './lib/loadgen.mjs';
import { withNode } from './lib/node.mjs';

const LONG = Boolean(process.env.KCS_LONG); /* the gate sets it to nothing */
const KILLS = LONG ? 20 : 2;
const SUBSCRIBERS = 50;
const CLIENTS = SUBSCRIBERS + 1;
const PEOPLE = 2;
const PASSING = 6; /* clients that join while control is killed, and shake hands */
/* What is promised; the gate, which may share its CPUs, looks that it happens at all. */
const ROOM = LONG ? 1 : 4;
const RESUME_MS = 5_000 * ROOM;
const MEDIA_MS = 3_000 * ROOM;
const STALL_MS = 2_000 * ROOM; /* what the counters say is exact; this is seen by people */
const MOST_GAP = 64; /* indexes that were stored, but the kill came before their packets */
const HANDSHAKES = 'kcs_dtls_handshakes_total';
const TIMEOUT = { timeout: LONG ? 600_000 : 180_000 };
const DEVICE = process.env.KCS_TEST_DEVICE ?? (process.getuid() === 0 ? 'veth' : 'udp');

async function person(browser, node, meeting, name) {
    const token = await node.token({ meeting, name });
    const who = await Person.open(browser, node, { name, meeting, token, codec: 'vp8' });

    await who.joined();
    return who;
}

async function twoPeople(browser, node) {
    const ada = await person(browser, node, 'e2e-crash', 'Ada Lovelace');
    const grace = await person(browser, node, 'e2e-crash', 'Grace Hopper');

    await Promise.all([ada.receives(grace.name), grace.receives(ada.name)]);
    return [ada, grace];
}

/* From now on the page watches how long the picture stands still, and keeps its peer
 * connections in mind. */
function watch(who) {
    return who.page.evaluate(() => {
        const watched = { frames: 0, since: performance.now(), stall: 0 };

        window.kcsWatched = watched;
        window.setInterval(async () => {
            const { received } = await window.kcs.stats();
            const frames = received.find((entry) => entry.kind === 'video')?.framesDecoded;
            const now = performance.now();

            if (frames !== undefined && frames !== watched.frames) {
                watched.frames = frames;
                watched.since = now;
            }
            watched.stall = Math.max(watched.stall, now - watched.since);
        }, 50);
    });
}

/* The longest stall since it was asked last. */
function stall(who) {
    return who.page.evaluate(() => {
        const { stall: longest } = window.kcsWatched;

        window.kcsWatched.stall = 0;
        return longest;
    });
}

function decoded(who) {
    return who.page.evaluate(() => window.kcsWatched.frames);
}

/* Waits until more pictures have come than were on their way. */
function movesOn(who, frames, timeout) {
    return who.until(
        'the picture moves on',
        (before) => window.kcsWatched.frames > before + 10,
        frames,
        2 * timeout,
    );
}

/* What a new DTLS association or a new transport would change. */
function fingerprint(who) {
    return who.page.evaluate(async () => {
        const { transports } = await window.kcs.stats();
        const ids = await window.kcsTest.identities();

        return JSON.stringify([ids, Object.keys(transports).sort()]);
    });
}

async function resumes(who, left) {
    await who.until(
        'the page has resumed',
        () => window.kcs.state === 'joined' && window.kcsTest.reconnected(),
        undefined,
        left,
    );
}

async function explain(people, body) {
    try {
        await body();
    } catch (error) {
        for (const who of people) {
            error.message += `\n${await who.describe()}`;
        }
        throw error;
    }
}

/* ---- kcs-loadgen beside them ---- */

async function allConnected(node) {
    await node.until(`${CLIENTS} clients are connected`, async () => {
        const peers = JSON.parse(await node.kcsctl('peers', '--json'));
        return (
            peers.filter(
                ({ meeting_id, state }) => meeting_id === 'load' && state === 'connected',
            ).length === CLIENTS
        );
    });
}

/* All have a Socket.IO connection to the control that runs now. */
async function allReturned(node) {
    await node.until(
        `${CLIENTS} clients and ${PEOPLE} pages have returned`,
        async () => (await node.metric('kcs_websocket_open')) >= CLIENTS + PEOPLE,
    );
}

/* Sends until it is told to stop. Resolves with its account. */
function load(node, more = []) {
    const stop = new AbortController();
    const most = LONG ? 400 : 120;
    const done = loadgen(
        node,
        [
            ...['--publishers', '1', '--subscribers', `${SUBSCRIBERS}`, '--resume'],
            ...['--media', 'both', '--rate', '60', '--seconds', `${most}`, '--hold', '1'],
            '--no-feedback', /* else the node may hold video back for a link that is slow */
            ...more,
        ],
        { patience: most + 60, signal: stop.signal },
    );

    return () => {
        stop.abort();
        return done;
    };
}

/* Kills control while somebody is joining; if `unanswered`, with commands on their way that the
 * dataplane, which stands still for a moment, has not seen. Resolves with the time and with who was joining. */
async function killControl(node, unanswered) {
    /* who comes one by one is still coming when the first was seen, on a busy machine, too */
    const join = () =>
        loadgen(
            node,
            ['--publishers', '1', '--subscribers', `${PASSING - 1}`, '--seconds', '0.2',
                '--join-rate', unanswered ? '12' : '50'],
            { meeting: 'passing', patience: 20 },
        );

    if (!unanswered) {
        const joining = join();

        await sleep(Math.random() * 300);
        const killed = Date.now();
        await node.crash('kcs-control');
        return { killed, joining };
    }
    /* it stands still only until the next of them asks for a transport */
    const open = await node.metric('kcs_websocket_open');
    const joining = join();
    const shows = async (metric, least) => {
        for (let i = 0; i < 200 && (await node.metric(metric)) < least; i++) {
            await sleep(5);
        }
    };
    await shows('kcs_websocket_open', open + 1);
    node.dataplane.kill('SIGSTOP');
    await shows('kcs_media_commands_waiting', 1);
    const killed = Date.now();
    const dead = node.crash('kcs-control');
    node.dataplane.kill('SIGCONT');
    await dead;
    return { killed, joining };
}

/* Of each control that came, how many commands of the one before it had no answer: told by the
 * dataplane. */
function unanswered(node) {
    const log = readFileSync(node.dataplane.log, 'utf8');

    return [...log.matchAll(/control attached; (\d+) commands/g)].map((found) => Number(found[1]));
}

async function newClientsAreServed(node) {
    const { status, result, err } = await loadgen(
        node,
        ['--publishers', '1', '--subscribers', '2', '--seconds', '1'],
        { meeting: 'newcomers' },
    );
    assert.equal(status, 0, err);
    assert.equal(result.streams_verified, 2);
}

async function newcomersAreServed(browser, node, people) {
    await newClientsAreServed(node);
    const third = await person(browser, node, 'e2e-crash', 'Mary Shelley');
    for (const who of people) {
        await third.receives(who.name);
        await who.receives(third.name);
    }
    await third.page.close();
}

async function standsStill(who, most) {
    const longest = await stall(who);

    assert.ok(longest < most, `${who.name}: the picture stood still for ${longest} ms`);
    return longest;
}

test('control is killed: not one packet is missing, all resume, nobody shakes hands again', TIMEOUT, (t) =>
    withNode({ name: 'crash-control', devices: [DEVICE] }, (node) =>
        withBrowser(async (browser) => {
            const people = await twoPeople(browser, node);

            await explain(people, async () => {
                const before = await Promise.all(people.map(fingerprint));
                await Promise.all(people.map((who) => who.hold()));
                const counted = await settledCounters(node);
                await Promise.all(people.map((who) => who.release()));
                const ended = load(node);

                await allConnected(node);
                await Promise.all(people.map(watch));
                /* and after all that an update: control ends as it is asked to */
                for (let i = 0; i <= KILLS; i++) {
                    await sleep(500 + Math.random() * 1_500);
                    await Promise.all(
                        people.map((who) =>
                            who.page.evaluate(() => window.kcsTest.expectReconnect()),
                        ),
                    );
                    let [killed, joining] = [Date.now(), undefined];
                    if (i < KILLS) {
                        ({ killed, joining } = await killControl(node, i % 2 === 1));
                    } else {
                        await node.restartControl();
                    }
                    for (const who of people) {
                        await resumes(who, RESUME_MS - (Date.now() - killed));
                    }
                    await joining; /* may well have failed */
                    await allReturned(node);
                    await allConnected(node);
                    const shaken = await node.metric(HANDSHAKES);
                    assert.ok(shaken <= PASSING, `${shaken} DTLS handshakes`);
                    for (const who of people) {
                        await standsStill(who, STALL_MS);
                    }
                    await newClientsAreServed(node);
                }
                const midst = unanswered(node);
                t.diagnostic(`commands without an answer at each kill: ${midst.slice(1)}`);
                assert.equal(midst.length, KILLS + 2, 'each control was told of');
                assert.ok(
                    midst.filter((n) => n > 0).length >= Math.floor(KILLS / 2),
                    `killed in the midst of commands: ${midst}`,
                );
                const { status, result, err } = await ended();
                const drops = await node.kcsctl('drops');
                assert.equal(status, 0, `${err}\nthe node's drops:\n${drops}`);
                assert.equal(result.lost + result.duplicates + result.misordered, 0);
                assert.equal(result.resumed, (KILLS + 1) * CLIENTS, err);
                assert.equal(result.rejoined, 0);
                t.diagnostic(`resumed in ${result.return_us.max} µs at most`);
                assert.ok(result.return_us.max < RESUME_MS * 1_000);
                t.diagnostic(`${result.verified} packets verified, none missing`);

                await Promise.all(people.map((who) => who.hold()));
                const after = [...(await settledCounters(node))];
                assertBalanced(counted, new Map(after.filter(([id]) => counted.has(id))), {
                    streams: 2 * PEOPLE,
                    least: 40,
                });
                await Promise.all(people.map((who) => who.release()));
                assert.deepEqual(
                    await Promise.all(people.map(fingerprint)),
                    before,
                    'the transports are the same',
                );
                for (const who of people) {
                    const problems = await who.page.evaluate(() => window.kcs.problems);
                    assert.deepEqual(problems, [], `${who.name} was told of no problem`);
                }
                await newcomersAreServed(browser, node, people);
            });
        }),
    ),
);

/* What was captured of `clients` over all lives. */
function lookAtIndexes(t, packets, tag, clients) {
    const { media, rtcp } = assertIndexesUnique(packets, MOST_GAP, tag);

    assert.ok(media > 1000, `${media} packets of media were captured`);
    assert.ok(rtcp > 5 * clients, `${rtcp} packets of SRTCP were captured`);
    t.diagnostic(`${media} packets of media, ${rtcp} of SRTCP, no index twice`);
}

test('the dataplane is killed: media is back, without a handshake, a reload or an index twice', TIMEOUT, (t) =>
    withNode({ name: 'crash-dataplane', devices: [DEVICE] }, (node) =>
        withBrowser(async (browser) => {
            const people = await twoPeople(browser, node);

            await explain(people, async () => {
                const before = await Promise.all(people.map(fingerprint));
                const ended = load(node);
                const missing = noCapture();

                await allConnected(node);
                const shaken = await node.metric(HANDSHAKES);
                const stop = missing === false ? await capture(node) : undefined;

                await Promise.all(people.map(watch));
                for (let i = 0; i < KILLS; i++) {
                    await sleep(500 + Math.random() * 1_500);
                    await Promise.all(people.map(stall));
                    const frames = await Promise.all(people.map(decoded));
                    await node.crash('kcs-dataplane');
                    for (const [k, who] of people.entries()) {
                        await movesOn(who, frames[k], MEDIA_MS);
                        const longest = await standsStill(who, MEDIA_MS);

                        t.diagnostic(`${who.name}: no picture for ${Math.round(longest)} ms`);
                        assert.equal(
                            await who.page.evaluate(() => window.kcs.state),
                            'joined',
                        );
                    }
                }
                assert.equal(await node.metric(HANDSHAKES), shaken, 'no DTLS handshake');
                const { result, err } = await ended();
                assert.equal(result.joined, CLIENTS);
                assert.equal(result.rejoined, 0, err);
                for (const fault of ['duplicates', 'replayed', 'misordered', 'corrupt', 'forged']) {
                    assert.equal(result[fault], 0, `${fault}: ${err}`);
                }
                assert.equal(result.streams_silent, 0);
                t.diagnostic(`no media for ${result.max_silence_us} µs at most`);
                assert.ok(result.max_silence_us < MEDIA_MS * 1_000, err);
                for (const { consumer_id, missing: n, packets } of result.consumers) {
                    assert.ok(packets > n, `consumer ${consumer_id}: ${packets} came, ${n} did not`);
                }
                assert.deepEqual(
                    await Promise.all(people.map(fingerprint)),
                    before,
                    'the transports are the same',
                );
                if (stop !== undefined) {
                    lookAtIndexes(t, await stop(), GCM, CLIENTS);
                } else {
                    t.diagnostic(`indexes not looked at: ${missing}`);
                }
                await newcomersAreServed(browser, node, people);
            });
        }),
    ),
);

/* The other profiles, each offered alone. */
const OTHERS = [
    ['SRTP_AEAD_AES_256_GCM', GCM],
    ['SRTP_AES128_CM_SHA1_80', HMAC_SHA1],
    ...(LONG ? [['SRTP_AES128_CM_SHA1_32', HMAC_SHA1]] : []),
];
for (const [profile, tag] of OTHERS) {
    const title = `the dataplane is killed: no index of ${profile} is used twice`;

    test(title, { ...TIMEOUT, skip: noCapture() }, (t) =>
        withNode({ name: `crash-${profile}`, devices: [DEVICE] }, async (node) => {
            const ended = load(node, ['--srtp', profile]);

            await allConnected(node);
            const stop = await capture(node);
            for (let i = 0; i < KILLS; i++) {
                await sleep(1_500 + Math.random() * 1_500);
                await node.crash('kcs-dataplane');
            }
            await sleep(3_000);
            const { result, err } = await ended();
            assert.equal(result.rejoined, 0, err);
            for (const fault of ['duplicates', 'replayed', 'misordered', 'corrupt', 'forged']) {
                assert.equal(result[fault], 0, `${fault}: ${err}`);
            }
            lookAtIndexes(t, await stop(), tag, CLIENTS);
        }),
    );
}

test('both are killed: pages and clients are told, and rejoin', TIMEOUT, () =>
    withNode({ name: 'crash-both', devices: [DEVICE] }, (node) =>
        withBrowser(async (browser) => {
            const people = await twoPeople(browser, node);

            await explain(people, async () => {
                const ended = load(node);

                await allConnected(node);
                for (const who of people) {
                    await who.page.evaluate(() => window.kcsTest.expectReconnect());
                }
                await node.crash('kcs-dataplane', 'kcs-control');
                for (const who of people) {
                    await resumes(who, 20_000);
                }
                await allConnected(node);
                const [one, two] = people;
                await Promise.all([one.receives(two.name), two.receives(one.name)]);
                assert.equal(
                    await node.metric(HANDSHAKES),
                    2 * PEOPLE + CLIENTS,
                    'everybody, each transport once',
                );
                const { result, err } = await ended();
                assert.equal(result.resumed, 0, err);
                assert.equal(result.rejoined, CLIENTS, err);
                for (const fault of ['duplicates', 'replayed', 'corrupt', 'forged']) {
                    assert.equal(result[fault], 0, `${fault}: ${err}`);
                }
            });
        }),
    ),
);
