/* Data channels through the node: mediasoup-client's produceData() and consumeData() in
 * Chromium, one who reads too slowly, and what is left when control was restarted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withBrowser } from './lib/browser.mjs';
import { withNode } from './lib/node.mjs';
import { Relay } from './lib/relay.mjs';
import { openRoom, toldOf } from './lib/room.mjs';

const TIMEOUT = { timeout: 150_000 };
const ARRIVE_MS = 30_000;
const KIB64 = 65_536;

const LOSSY = 2_000; /* of 4,000 bytes: twice what is kept for one reader */
const LEAST = 100; /* of what is sent once only: a burst may be too much for some buffer */

/* Some of the messages of a channel that repeats nothing: in order, none twice, each whole. */
function assertSome(numbers, end) {
    assert.ok(numbers.length >= LEAST, `${numbers.length} messages`);
    for (const [i, number] of numbers.entries()) {
        assert.ok(number < end && (i === 0 || number > numbers[i - 1]), `${number}`);
    }
}

const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

/* Waits until so many messages have come, and says what they were. */
async function got({ page }, label, count) {
    await page
        .waitForFunction(
            (name, n) => window.room.dataGot(name).numbers.length >= n,
            { timeout: ARRIVE_MS, polling: 20 },
            label,
            count,
        )
        .catch(() => undefined); /* the caller compares what has come */
    return page.evaluate((name) => window.room.dataGot(name), label);
}

async function told(who, event, count) {
    await who.page.waitForFunction(
        (wanted, n) => window.room.told.filter((e) => e.event === wanted).length >= n,
        { timeout: ARRIVE_MS, polling: 20 },
        event,
        count,
    );
    return toldOf(who.page, event);
}

/* A channel from one to others. Resolves with its id. */
async function channel(from, to, label, options) {
    const id = await from.page.evaluate(
        (...args) => window.room.openData(...args), label, options);

    for (const who of to) {
        const made = await who.page.evaluate(
            (data_producer_id) => window.room.consumeData({ data_producer_id }), id);
        assert.equal(made.label, label);
    }
    return id;
}

const send = ({ page }, ...args) =>
    page.evaluate((...given) => window.room.sendData(...given), ...args);

test('data channels: complete, in order or not, whole; a slow reader is let go', TIMEOUT, () =>
    withNode({ name: 'data', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const meeting = 'e2e-data';
            const relay = await Relay.start(node);
            const ada = await openRoom(browser, node, { meeting, name: 'Ada' });
            const bob = await openRoom(browser, node, { meeting, name: 'Bob' });

            await channel(ada, [bob], 'ordered', {});
            const [offer] = await told(bob, 'data:new', 1);
            assert.equal(offer.label, 'ordered');
            assert.equal(offer.display_name, 'Somebody');

            const begun = Date.now();
            await send(ada, 'ordered', 0, 1000, 1000);
            let all = await got(bob, 'ordered', 1000);
            console.log(`1,000 messages of 1,000 bytes in ${Date.now() - begun} ms`);
            assert.deepEqual(all.numbers, range(0, 1000));
            assert.deepEqual(all.kinds, { string: 500, binary: 500 });

            await ada.page.evaluate(() => window.room.sendEmpty('ordered'));
            all = await got(bob, 'ordered', 1002);
            assert.deepEqual(all.numbers.slice(1000), [-1, -1]);
            assert.deepEqual(all.kinds, { string: 501, binary: 501 });

            await send(ada, 'ordered', 2000, 2016, KIB64, 'binary');
            all = await got(bob, 'ordered', 1018);
            assert.deepEqual(all.numbers.slice(1002), range(2000, 2016));

            await channel(ada, [bob], 'unordered', { ordered: false });
            await channel(ada, [bob], 'once', { ordered: false, maxRetransmits: 0 });
            await channel(ada, [bob], 'brief', { maxPacketLifeTime: 10_000 });
            for (const label of ['unordered', 'brief', 'once']) {
                await send(ada, label, 0, 200, 500);
                const { numbers } = await got(bob, label, label === 'once' ? LEAST : 200);
                numbers.sort((a, b) => a - b);
                if (label === 'once') {
                    assertSome(numbers, 200);
                } else {
                    assert.deepEqual(numbers, range(0, 200), label);
                }
            }

            /* and the other way: each has a transport to send on */
            await channel(bob, [ada], 'back', {});
            await send(bob, 'back', 0, 10, 10);
            assert.deepEqual((await got(ada, 'back', 10)).numbers, range(0, 10));

            /* its sender closes it: at the far end it closes, too */
            await ada.page.evaluate(() => window.room.closeData('unordered'));
            const [gone] = await told(bob, 'data:consumer-closed', 1);
            assert.equal(gone.reason, 'producer_closed');
            assert.equal((await told(bob, 'data:closed', 1))[0].reason, 'channel_closed');
            await bob.page.waitForFunction(() => window.room.dataGot('unordered').closed);

            /* one behind a link that carries nothing: the others do not notice */
            const eve = await openRoom(browser, node,
                { meeting, name: 'Eve', relay: relay.port });
            const late = eve.room.data_producers.map(({ label }) => label).sort();
            assert.deepEqual(late, ['back', 'brief', 'once', 'ordered']);
            await channel(ada, [bob, eve], 'much', {});
            await channel(ada, [bob, eve], 'lossy', { maxRetransmits: 0 });
            await send(ada, 'much', 0, 1, 100);
            await got(eve, 'much', 1);
            relay.set('both loss=1');
            const dropped = await node.metric('kcs_data_messages_total', 'dropped');
            for (let n = 1; n < 81; n += 10) { /* as fast as Bob reads: 5 MiB */
                await send(ada, 'much', n, n + 10, KIB64, 'binary');
                assert.deepEqual((await got(bob, 'much', n + 10)).numbers, range(0, n + 10));
            }
            const [slow] = await told(eve, 'data:consumer-closed', 1);
            assert.equal(slow.reason, 'slow_reader');
            assert.equal(slow.data_consumer_id, (await got(eve, 'much', 0)).id);
            /* more than may wait for her, whatever waits already */
            await send(ada, 'lossy', 0, LOSSY, 4000);
            assertSome((await got(bob, 'lossy', LEAST)).numbers, LOSSY);
            await node.until('what Eve cannot take is dropped', async () =>
                (await node.metric('kcs_data_messages_total', 'dropped')) > dropped + 300);

            /* control's end of DTLS dies with it: clients are told, and make a transport anew */
            relay.set('both clear');
            await node.restartControl();
            const back = await ada.page.evaluate(() => window.room.rejoin());
            assert.equal(back.resumed, true);
            assert.deepEqual(back.own_transports.map(({ data }) => data), [false, false]);
            assert.deepEqual(back.own_data_producers, []);
            await assert.rejects(
                ada.page.evaluate(() =>
                    window.room.ask('data:produce', {
                        transport_id: window.room.transports.send.id,
                        sctp_stream_parameters: { streamId: 50 },
                    }),
                ),
                /gone/,
            );
            await bob.page.evaluate(() => window.room.rejoin());
            await ada.page.evaluate(() => window.room.renew('send'));
            await bob.page.evaluate(() => window.room.renew('recv'));
            await channel(ada, [bob], 'anew', {});
            await send(ada, 'anew', 0, 10, 100);
            assert.deepEqual((await got(bob, 'anew', 10)).numbers, range(0, 10));
            await relay.stop();
        }),
    ),
);
