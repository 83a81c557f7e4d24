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

                    await join(browser, node, 'Ada', meeting, codec, {});
                    const clean = await join(browser, node, 'Grace', meeting, codec, {
                        video: false,
                    });
                    const slow = await join(browser, node, 'Kurt', meeting, codec, {
                        video: false,
                        relay: relay.port,
                    });

                    await until(clean, 'the top layer', isTop, SETTLE_MS);
                    await until(slow, 'the top layer', isTop, SETTLE_MS);
                    /* what an encoder makes of a test picture may be little */
                    const { bps } = await through(relay, 5);
                    const low = Math.round(Math.min(LOW_BPS, 0.75 * bps));
                    relay.set(`down rate=${low} queue=${Math.round((low * QUEUE_MS) / 8_000)}`);
                    const told = await until(
                        slow,
                        'a lower layer',
                        ({ spatial }) => spatial < 2,
                        DOWN_MS,
                    ).catch(async (error) => {
                        const link = await through(relay, 2);
                        if (link.delay_p95_ms < MAX_QUEUE_P95_MS) {
                            return 'never'; /* it carries what the encoder makes now */
                        }
                        throw error;
                    });
                    const shown =
                        told === 'never'
                            ? told
                            : await until(
                                  slow,
                                  'a smaller picture',
                                  ({ height }) => height > 0 && height < 720,
                                  SHOWN_MS,
                              );
                    await sleep(2_000);
                    const seen = [];
                    const queues = [];
                    let frames = (await look(slow)).decoded;
                    let still = 0; /* times that nothing new was shown for 2 s */
                    for (let i = 0; i < 5; i++) {
                        const link = await through(relay, 2);
                        const { height, decoded } = await look(slow);
                        seen.push(`${height} lines (${decoded - frames} frames)`);
                        queues.push(link.delay_p95_ms);
                        still += decoded === frames;
                        frames = decoded;
                    }
                    t.diagnostic(
                        `${Math.round(bps / 1000)} kb/s through 3 Mb/s; at ` +
                            `${low / 1000} kb/s told after ${told} ms, shown ${shown} ms ` +
                            `later, then each 2 s ${seen.join(' ')}, ` +
                            `p95 of the link's queue ${queues.join(' ')} ms`,
                    );
                    /* in one of them a layer may have been tried that is too large */
                    queues.sort((a, b) => a - b);
                    assert.ok(still < 2, 'the picture moves');
                    assert.ok(queues.at(-2) < MAX_QUEUE_P95_MS, `queues of ${queues} ms`);
                    assert.ok(isTop(await look(clean)), 'the clean link keeps the top');
                    const was = Math.min((await look(slow)).height, 360);
                    relay.set('down rate=2000000 queue=60000');
                    const up = await until(
                        slow,
                        'a higher layer',
                        ({ height }) => height > was,
                        UP_MS,
                    );
                    assert.ok(isTop(await look(clean)), 'the clean link keeps the top');
                    await sleep(10_000);
                    t.diagnostic(
                        `up after ${up} ms, in the end ${(await look(slow)).height} lines`,
                    );
                    await relay.stop();
                });
            });
        },
    );
}
