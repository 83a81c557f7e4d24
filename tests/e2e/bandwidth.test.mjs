/* A subscriber behind a link whose capacity changes, and one on a clean link, watch the same
 * three layers: the first follows its link, the second keeps the top. In virtual time the
 * same is held to these bounds, too (tests/sim/test_bwe.c); here a machine that is busy, whose
 * receivers are late and whose encoders make less of the picture, may miss them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Person, withBrowser } from './lib/browser.mjs';
import { withNode } from './lib/node.mjs';
import { Relay } from './lib/relay.mjs';

const LONG = (process.env.KCS_LONG ?? '') !== '';
const SETTLE_MS = 60_000; /* until the sender's estimate lets all layers out */
const DOWN_MS = 3_000;
const UP_MS = 10_000;
const SHOWN_MS = 3_000; /* what was told, behind what the link's queue holds */
const QUEUE_MS = 1_000; /* what the link holds at its lowest rate; it is shown first */
const MAX_QUEUE_P95_MS = 200; /* after it has converged */
const STEADY_MS = 20_000; /* that it is looked at for */
const SOUND_BPS = 64_000; /* room for sound, not for the lowest layer */
const HELD_MS = 10_000;
const AGAIN_MS = 20_000; /* of what is held nothing tells how wide the link is: it is probed */
const SCORED_MS = 3_000; /* counters are told each 500 ms and looked at each second */
const LOW_BPS = 500_000;
const CODECS = ['vp8', 'h264', 'vp9', 'av1']; /* three sizes, or three layers of one stream */

/* The height of the picture, and the spatial layer that the node says it sends. */
function look(person) {
    return person.page.evaluate(async () => {
        const { received } = await window.kcs.stats();
        const media = window.kcs.people
            .flatMap((one) => one.media)
            .find((one) => one.kind === 'video');

        return {
            height: received.find((entry) => entry.kind === 'video')?.height ?? 0,
            spatial: media?.layer?.spatial ?? -1,
            score: window.kcsTest.score(media?.producerId),
            decoded: (await window.kcsTest.rtp('inbound-rtp')).video?.framesDecoded ?? 0,
        };
    });
}

/* How long until what is seen is as asked; fails after 'limit'. */
async function until(person, what, good, limit) {
    const since = Date.now();

    for (;;) {
        const seen = await look(person);

        if (good(seen)) {
            return Date.now() - since;
        }
        assert.ok(Date.now() - since < limit, `${what}; it is ${JSON.stringify(seen)}`);
        await sleep(100);
    }
}

/* What goes through the link in so many seconds. */
async function through(relay, seconds) {
    const before = (await relay.stats()).down;
    await sleep(seconds * 1_000);
    const after = (await relay.stats()).down;
    return { ...after, bps: ((after.bytes - before.bytes) * 8) / seconds };
}

/* From now on the page looks at what it gets itself, often. */
function watch(person) {
    return person.page.evaluate(() => {
        const seen = { looks: 0, below: [] };

        window.kcsSeen = seen;
        window.setInterval(async () => {
            const { received } = await window.kcs.stats();
            const height = received.find((entry) => entry.kind === 'video')?.height;
            const spatial = window.kcs.people
                .flatMap((one) => one.media)
                .find((one) => one.kind === 'video')?.layer?.spatial;

            seen.looks++;
            if (height !== 720 || spatial !== 2) {
                seen.below.push(`${height} lines, layer ${spatial}`);
            }
        }, 200);
    });
}

const watched = (person) => person.page.evaluate(() => window.kcsSeen);

/* Makes the link narrower than what goes through it, until a layer less is told of. What an
 * encoder makes of a test picture may be little, and less on a machine that is busy: if the
 * link has no queue, it carries what is made now, and is made narrower still. */
async function narrow(relay, person) {
    for (let tries = 1; ; tries++) {
        const { bps } = await through(relay, tries === 1 ? 5 : 1);
        const low = Math.round(Math.min(LOW_BPS, 0.6 * bps));

        relay.set(`down rate=${low} queue=${Math.round((low * QUEUE_MS) / 8_000)}`);
        try {
            const told = await until(
                person,
                'a lower layer',
                ({ spatial }) => spatial < 2,
                DOWN_MS,
            );
            return { low, bps, told };
        } catch (error) {
            const link = await through(relay, 1);
            if (tries === 3 || link.delay_p95_ms >= MAX_QUEUE_P95_MS) {
                throw error;
            }
        }
    }
}

const isTop = ({ height, spatial }) => height === 720 && spatial === 2;

async function join(browser, node, name, meeting, codec, more) {
    const token = await node.token({ meeting, name });
    const person = await Person.open(browser, node, {
        ...{ name, meeting, token, codec, height: 720, layers: 3, minKbps: 4_000, ip: 4 },
        ...more,
    });

    await person.joined();
    await person.page.setViewport({ width: 1920, height: 1080 });
    return person;
}

for (const codec of CODECS) {
    test(
        `bandwidth: the layer follows the link: ${codec}`,
        { timeout: 300_000, skip: LONG ? false : 'with KCS_LONG: it takes minutes' },
        async (t) => {
            await withNode({ devices: ['udp'] }, async (node) => {
                await withBrowser(async (browser) => {
                    const relay = await Relay.start(node, {
                        link: 'down rate=3000000 queue=60000',
                    });
                    const meeting = 'e2e-bandwidth';

                    const ada = await join(browser, node, 'Ada', meeting, codec, {});
                    const clean = await join(browser, node, 'Grace', meeting, codec, {
                        video: false,
                    });
                    const slow = await join(browser, node, 'Kurt', meeting, codec, {
                        video: false,
                        relay: relay.port,
                    });

                    await ada.page.evaluate(() => window.kcsTest.keepSize());
                    await until(clean, 'the top layer', isTop, SETTLE_MS);
                    await until(slow, 'the top layer', isTop, SETTLE_MS);
                    await watch(clean);
                    const { low, bps, told } = await narrow(relay, slow);
                    const shown = await until(
                        slow,
                        'a smaller picture',
                        ({ height }) => height > 0 && height < 720,
                        SHOWN_MS,
                    );
                    await sleep(2_000);
                    const seen = [];
                    let frames = (await look(slow)).decoded;
                    let still = 0; /* times that nothing new was shown for 2 s */
                    await relay.stats(); /* from here on every packet counts */
                    for (let i = 0; i < STEADY_MS / 2_000; i++) {
                        await sleep(2_000);
                        const { height, decoded } = await look(slow);
                        seen.push(`${height} lines (${decoded - frames} frames)`);
                        still += decoded === frames;
                        frames = decoded;
                    }
                    const link = (await relay.stats()).down;
                    t.diagnostic(
                        `${Math.round(bps / 1000)} kb/s through 3 Mb/s; at ` +
                            `${low / 1000} kb/s told after ${told} ms, shown ${shown} ms ` +
                            `later, then each 2 s ${seen.join(' ')}, ` +
                            `the link's queue ${link.delay_p95_ms} ms (p95), at most ` +
                            `${link.delay_max_ms} ms`,
                    );
                    assert.equal(still, 0, 'the picture moves');
                    assert.ok(
                        link.delay_p95_ms < MAX_QUEUE_P95_MS,
                        `a queue of ${link.delay_p95_ms} ms`,
                    );
                    const was = (await look(slow)).height;
                    assert.ok(was < 720, 'it stays below the top');
                    relay.set('down rate=2000000 queue=60000');
                    const up = await until(
                        slow,
                        'a higher layer',
                        ({ height }) => height > was,
                        UP_MS,
                    );
                    await sleep(10_000);
                    const { looks, below } = await watched(clean);
                    t.diagnostic(
                        `up after ${up} ms, in the end ${(await look(slow)).height} lines; ` +
                            `the clean link had less than the top at ${below.length} of ` +
                            `${looks} looks`,
                    );
                    assert.ok(looks > 100, `${looks} looks`);
                    assert.deepEqual(below, [], 'the clean link keeps the top throughout');

                    /* it carries sound alone: that is told, and that it is no good */
                    relay.set(`down rate=${SOUND_BPS} queue=${SOUND_BPS / 8}`);
                    const heldMs = await until(
                        slow,
                        'video is held back, and told to be',
                        ({ spatial }) => spatial === -1,
                        HELD_MS,
                    );
                    const scoredMs = await until(
                        slow,
                        'and is worth nothing',
                        ({ score }) => score === 0,
                        SCORED_MS,
                    );
                    relay.set('down rate=2000000 queue=60000');
                    const { decoded } = await look(slow);
                    const againMs = await until(
                        slow,
                        'video goes on',
                        (now) => now.spatial >= 0 && now.score > 0 && now.decoded > decoded,
                        AGAIN_MS,
                    );
                    t.diagnostic(
                        `held back and told ${heldMs} ms after ${SOUND_BPS / 1_000} kb/s, ` +
                            `scored ${scoredMs} ms later, on again ${againMs} ms after 2 Mb/s`,
                    );
                    await relay.stop();
                });
            });
        },
    );
}
