/* A subscriber behind a link whose capacity changes, and one on a clean link, watch the same
 * three layers: the first follows its link, the second keeps the top. */
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
const CODECS = ['vp8', 'h264', 'vp9', 'av1']; /* three sizes, or three layers of one stream */

function heights(person) {
    return person.page.evaluate(async () => {
        const { received } = await window.kcs.stats();
        return received.find((entry) => entry.kind === 'video')?.height ?? 0;
    });
}

/* How long until the picture's height is as asked; fails after 'limit'. */
async function until(person, what, good, limit) {
    const since = Date.now();

    for (;;) {
        const height = await heights(person);

        if (good(height)) {
            return Date.now() - since;
        }
        assert.ok(Date.now() - since < limit, `${what}; it is ${height} lines`);
        await sleep(100);
    }
}

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

                    await until(clean, 'the top layer', (h) => h === 720, SETTLE_MS);
                    await until(slow, 'the top layer', (h) => h === 720, SETTLE_MS);
                    relay.set('down rate=500000 queue=60000');
                    const down = await until(
                        slow,
                        'a lower layer',
                        (h) => h > 0 && h < 720,
                        DOWN_MS + 2_000,
                    );
                    const seen = [];
                    for (let i = 0; i < 10; i++) {
                        await sleep(1_000);
                        seen.push(await heights(slow));
                    }
                    const low = await heights(slow);
                    const { down: through } = await relay.stats();
                    t.diagnostic(
                        `each second at 500 kb/s: ${seen.join(' ')} lines; ` +
                            `${through.delay_max_ms} ms in the link at most`,
                    );
                    assert.equal(await heights(clean), 720, 'the clean link keeps the top');
                    relay.set('down rate=2000000 queue=60000');
                    const up = await until(
                        slow,
                        'a higher layer',
                        (h) => h >= 360,
                        UP_MS + 2_000,
                    );
                    assert.equal(await heights(clean), 720, 'the clean link keeps the top');
                    t.diagnostic(`down to ${low} lines after ${down} ms, up after ${up} ms`);
                    await sleep(10_000);
                    t.diagnostic(`in the end ${await heights(slow)} lines`);
                    await relay.stop();
                });
            });
        },
    );
}
