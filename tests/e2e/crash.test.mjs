/* Either process is killed while two people talk: the media of those who are in the call
 * does not notice control's death, survives the dataplane's within seconds, and nobody makes
 * a new handshake. KCS_LONG=1 kills more often. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Person, withBrowser } from './lib/browser.mjs';
import { assertIndexesUnique, capture, noCapture } from './lib/capture.mjs';
import { assertBalanced, settledCounters } from './lib/counters.mjs';
import { withNode } from './lib/node.mjs';

const LONG = Boolean(process.env.KCS_LONG); /* the gate sets it to nothing */
const CONTROL_KILLS = LONG ? 20 : 2;
const DATAPLANE_KILLS = LONG ? 20 : 2;
const RESUME_MS = 5_000;
const MEDIA_MS = 3_000;
const STALL_MS = 2_000; /* what the counters say is exact; this is only seen by people */
const MOST_GAP = 64; /* indexes that were stored, but the kill came before their packets */
const HANDSHAKES = 'kcs_dtls_handshakes_total';
const TIMEOUT = { timeout: LONG ? 600_000 : 150_000 };
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

test('control is killed, or updated: media goes on, people resume, nobody shakes hands again', TIMEOUT, () =>
    withNode({ name: 'crash-control', devices: [DEVICE] }, (node) =>
        withBrowser(async (browser) => {
            const people = await twoPeople(browser, node);

            await explain(people, async () => {
                const before = await Promise.all(people.map(fingerprint));
                for (const who of people) {
                    await who.hold();
                }
                const counted = await settledCounters(node);
                for (const who of people) {
                    await who.release();
                }
                await sleep(1_000);
                await Promise.all(people.map(watch));
                /* and after all that an update: control ends as it is asked to */
                for (let i = 0; i <= CONTROL_KILLS; i++) {
                    await sleep(500 + Math.random() * 1_500);
                    await Promise.all(
                        people.map((who) =>
                            who.page.evaluate(() => window.kcsTest.expectReconnect()),
                        ),
                    );
                    const killed = Date.now();
                    await (i < CONTROL_KILLS ? node.crash('kcs-control') : node.restartControl());
                    for (const who of people) {
                        await resumes(who, RESUME_MS - (Date.now() - killed));
                    }
                    assert.equal(
                        await node.metric(HANDSHAKES),
                        0,
                        'the new control has made no DTLS handshake',
                    );
                    for (const who of people) {
                        const longest = await stall(who);
                        assert.ok(
                            longest < STALL_MS,
                            `${who.name}: the picture stood still for ${longest} ms`,
                        );
                    }
                }
                for (const who of people) {
                    await who.hold();
                }
                const after = await settledCounters(node);
                assertBalanced(counted, after, { streams: 4, least: 40 });
                for (const who of people) {
                    await who.release();
                }
                assert.deepEqual(
                    await Promise.all(people.map(fingerprint)),
                    before,
                    'the transports are the same',
                );
                for (const who of people) {
                    const problems = await who.page.evaluate(() => window.kcs.problems);
                    assert.deepEqual(problems, [], `${who.name} was told of no problem`);
                }

                const third = await person(browser, node, 'e2e-crash', 'Mary Shelley');
                await third.receives('Ada Lovelace');
                await third.receives('Grace Hopper');
                for (const who of people) {
                    await who.receives('Mary Shelley');
                }
                await third.page.close();
                for (const who of people) {
                    await who.until('Mary is gone', () => window.kcs.people.length === 1);
                }
            });
        }),
    ),
);

test('the dataplane is killed: media is back, without a handshake or a reload', TIMEOUT, (t) =>
    withNode({ name: 'crash-dataplane', devices: [DEVICE] }, (node) =>
        withBrowser(async (browser) => {
            const people = await twoPeople(browser, node);

            await explain(people, async () => {
                const before = await Promise.all(people.map(fingerprint));
                const shaken = await node.metric(HANDSHAKES);
                const missing = noCapture();
                const stop = missing === false ? await capture(node) : undefined;

                await Promise.all(people.map(watch));
                for (let i = 0; i < DATAPLANE_KILLS; i++) {
                    await sleep(1_000 + Math.random() * 1_500);
                    await Promise.all(people.map(stall));
                    await node.crash('kcs-dataplane');
                    await sleep(MEDIA_MS);
                    for (const who of people) {
                        const still = await who.page.evaluate(
                            () => performance.now() - window.kcsWatched.since,
                        );
                        const longest = await stall(who);

                        assert.ok(
                            longest < MEDIA_MS && still < STALL_MS,
                            `${who.name}: no picture for ${longest} ms, ${still} till now`,
                        );
                        t.diagnostic(`${who.name}: no picture for ${Math.round(longest)} ms`);
                        assert.equal(
                            await who.page.evaluate(() => window.kcs.state),
                            'joined',
                        );
                    }
                }
                assert.equal(await node.metric(HANDSHAKES), shaken, 'no DTLS handshake');
                assert.deepEqual(
                    await Promise.all(people.map(fingerprint)),
                    before,
                    'the transports are the same',
                );
                if (stop !== undefined) {
                    const n = assertIndexesUnique(await stop(), MOST_GAP);
                    assert.ok(n > 500, `${n} packets of media were captured`);
                    t.diagnostic(`${n} packets of media, no index twice`);
                } else {
                    t.diagnostic(`indexes not looked at: ${missing}`);
                }
                const [ada] = people;
                const third = await person(browser, node, 'e2e-crash', 'Mary Shelley');
                await third.receives('Ada Lovelace');
                await ada.receives('Mary Shelley');
            });
        }),
    ),
);

test('both are killed: the pages are told, and rejoin', TIMEOUT, () =>
    withNode({ name: 'crash-both', devices: [DEVICE] }, (node) =>
        withBrowser(async (browser) => {
            const people = await twoPeople(browser, node);

            await explain(people, async () => {
                for (const who of people) {
                    await who.page.evaluate(() => window.kcsTest.expectReconnect());
                }
                await node.crash('kcs-dataplane', 'kcs-control');
                for (const who of people) {
                    await resumes(who, 20_000);
                }
                const [one, two] = people;
                await Promise.all([one.receives(two.name), two.receives(one.name)]);
                assert.equal(
                    await node.metric(HANDSHAKES),
                    4,
                    'two people, two transports each',
                );
            });
        }),
    ),
);
