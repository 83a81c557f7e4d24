/* A client's way to the node changes in the midst of a call: it restarts ICE, its address
 * becomes another one, or nothing comes from it any more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withBrowser } from './lib/browser.mjs';
import { ask, connect } from './lib/client.mjs';
import { withNode } from './lib/node.mjs';
import { Relay } from './lib/relay.mjs';
import { openRoom, toldOf } from './lib/room.mjs';
import { Checker, check } from './lib/stun.mjs';

const TIMEOUT = { timeout: 150_000 };
const MEDIA_MS = 30_000;
const RACE_MS = 8_000; /* a client checks each 2.5 s at most */
const CONSENT_MS = 30_000; /* RFC 7675 */
const TWO_MS = 12_000;
const FOLLOWED_MS = 7_000; /* by a node that has CPUs to share */
const HANDSHAKES = 'kcs_dtls_handshakes_total';

const received = ({ page }) => page.evaluate(() => window.room.received());

/* Pictures and sound go on: so many more from now on. */
async function goesOn(who, timeout = MEDIA_MS) {
    const before = await received(who);
    const since = Date.now();

    await who.page.waitForFunction(
        async ({ video, audio }) => {
            const now = await window.room.received();
            return now.video >= video + 15 && now.audio >= audio + 30;
        },
        { timeout, polling: 50 },
        before,
    );
    return Date.now() - since;
}

const peers = async (node) => JSON.parse(await node.kcsctl('peers', '--json'));

const remoteOf = async (node, id) =>
    (await peers(node)).find((row) => row.transport_id === id)?.remote;

/* One sends, another receives, each through a relay of its own. */
async function call(browser, node) {
    const meeting = 'e2e-ice';
    const relays = [await Relay.start(node), await Relay.start(node)];
    const [ada, bob] = await Promise.all(
        relays.map(({ port }, i) =>
            openRoom(browser, node, { meeting, name: ['Ada', 'Bob'][i], relay: port }),
        ),
    );

    await ada.page.evaluate(() => window.room.produce());
    await bob.page.waitForFunction(
        () => window.room.told.filter(({ event }) => event === 'new-producer').length === 2,
    );
    await bob.page.evaluate(() =>
        window.room.consumeAll(
            window.room.told
                .filter(({ event }) => event === 'new-producer')
                .map(({ data }) => data),
        ),
    );
    await goesOn(bob);
    return { ada, bob, relays };
}

/* A client with two interfaces, by hand, as no browser can be told to do it: both nominate all
 * the time, and the better one is kept; then they number their nominations, and the larger
 * number is followed at once, an older one never. */
async function twoInterfaces(node) {
    const meeting = 'e2e-ice-two';
    const socket = await connect(node, await node.token({ meeting, name: 'Eve' }));
    const open = async () => {
        const made = await ask(socket, 'transport:create', { direction: 'recv' });
        const { usernameFragment, password } = made.ice_parameters;
        const [host] = made.ice_candidates.filter(({ ip }) => ip.includes('.'));

        return {
            id: made.transport_id,
            username: `${usernameFragment}:eve`,
            password,
            both: await Promise.all(
                ['127.0.0.1', '127.0.0.2'].map((from) =>
                    Checker.open(host.ip, host.port, from),
                ),
            ),
        };
    };
    const selects = (t, checker, what) =>
        node.until(what, async () => (await remoteOf(node, t.id)) === checker.name);

    await ask(socket, 'room:join', { meeting_id: meeting, display_name: 'Eve' });
    const t = await open();
    const [wifi, mobile] = t.both;
    const seen = [];

    for (let i = 0; i < TWO_MS / 250; i++) {
        for (const [checker, priority] of [[mobile, 100], [wifi, 200]]) {
            await checker.send(check({ ...t, priority }));
            await sleep(125);
            const now = await remoteOf(node, t.id);
            if (now !== seen.at(-1)) {
                seen.push(now);
            }
        }
    }
    console.log(`two interfaces that nominate each 250 ms for ${TWO_MS} ms: ${seen.join(' > ')}`);
    assert.ok(seen.length <= 3, `it flaps: ${seen.join(' > ')}`);
    assert.equal(seen.at(-1), wifi.name, 'the better one');

    const numbered = await open();
    const [a, b] = numbered.both;
    const nominate = (checker, nomination) => checker.succeeds({ ...numbered, nomination });
    assert.ok(await nominate(a, 1));
    await selects(numbered, a, 'the first nomination is followed');
    for (const [nomination, checker] of [
        [2, b],
        [5, a],
        [6, b],
    ]) {
        assert.ok(await nominate(checker, nomination));
        await selects(numbered, checker, `nomination ${nomination} is followed`);
    }
    assert.ok(await nominate(a, 4), 'it is answered');
    await sleep(500);
    assert.equal(await remoteOf(node, numbered.id), b.name, 'an older one is not followed');
    socket.close();
    for (const checker of [...t.both, ...numbered.both]) {
        checker.close();
    }
}

test('ICE restarts, addresses change, consent ends', TIMEOUT, () =>
    withNode({ name: 'ice', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const { ada, bob, relays } = await call(browser, node);
            const shaken = await node.metric(HANDSHAKES, 'done');

            for (const [who, direction] of [
                [ada, 'send'],
                [bob, 'recv'],
            ]) {
                const before = await who.page.evaluate(
                    (d) => window.room.localUfrag(d), direction);
                await who.page.evaluate((d) => window.room.restartIce(d), direction);
                const ms = await goesOn(bob);
                console.log(`${direction}: ICE restarted, media on in ${ms} ms`);
                await who.page.waitForFunction(
                    async (d, old) => (await window.room.localUfrag(d)) !== old,
                    { timeout: MEDIA_MS, polling: 50 },
                    direction,
                    before,
                );
            }

            /* a NAT gives them other ports: the media follows the next check */
            for (const [i, who, direction] of [
                [0, ada, 'send'],
                [1, bob, 'recv'],
            ]) {
                const id = await who.page.evaluate(
                    (d) => window.room.transports[d].id, direction);
                const before = await remoteOf(node, id);
                assert.notEqual(before, undefined, 'the transport is listed');
                const moved = Date.now();
                relays[i].set('move');
                await node.until('the address has changed', async () => {
                    const now = await remoteOf(node, id);
                    return now !== undefined && now !== before;
                });
                const followed = Date.now() - moved; /* its check comes each 2.5 s at most */
                const ms = await goesOn(bob);
                console.log(
                    `${direction}: followed ${followed} ms after the move, media on in ${ms} ms`);
                assert.ok(followed < FOLLOWED_MS, `after ${followed} ms`);
            }
            assert.equal(await node.metric(HANDSHAKES, 'done'), shaken, 'no new handshake');
            for (const { page } of [ada, bob]) {
                const closed = await page.evaluate(() =>
                    window.room.told.filter(({ event }) => event === 'transport:closed'),
                );
                assert.deepEqual(closed, []);
            }

            /* nothing comes any more */
            const silent = Date.now();
            relays[0].set('both loss=1');
            const [[closed]] = await Promise.all([
                toldOf(ada.page, 'transport:closed', CONSENT_MS + 10_000),
                twoInterfaces(node), /* in the same time */
            ]);
            const after = Date.now() - silent;
            assert.equal(closed.reason, 'consent_lost');
            assert.ok(after > CONSENT_MS - 6_000, `after ${after} ms`);
            console.log(`consent lost after ${after} ms of silence`);
            const gone = await toldOf(bob.page, 'producer:closed');
            assert.equal(gone.length, 2);
            await sleep(100);
            for (const relay of relays) {
                await relay.stop();
            }
        }),
    ),
);

/* docs/decisions/0017. Whoever is on the way sends a copy of each check from an address of his
 * own, and it comes first. He is answered as the client would be; of the call he gets nothing, and
 * the call does not notice. */
test('who outruns each check on its way gets nothing of a call', TIMEOUT, (t) =>
    withNode({ name: 'ice-race', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const { ada, bob, relays } = await call(browser, node);
            const shaken = await node.metric(HANDSHAKES, 'done');
            const before = new Map((await peers(node)).map((p) => [p.transport_id, p.remote]));
            const first = await received(bob);

            for (const relay of relays) {
                relay.set('up delay=40');
                relay.set('race');
            }
            await sleep(RACE_MS);
            for (const [i, who] of [ada, bob].entries()) {
                const { racer } = await relays[i].stats();
                const told = await who.page.evaluate(() =>
                    window.room.told.filter(({ event }) => event === 'transport:closed'),
                );

                t.diagnostic(`${['Ada', 'Bob'][i]}: ${JSON.stringify(racer)}`);
                assert.ok(racer.sent >= 2, 'he has raced');
                assert.ok(racer.stun >= 1, 'and was heard');
                assert.equal(racer.others, 0, 'neither media nor RTCP nor DTLS came to him');
                assert.ok(racer.bytes <= 1.5 * racer.sent_bytes);
                assert.deepEqual(told, []);
            }
            const now = new Map((await peers(node)).map((p) => [p.transport_id, p.remote]));
            assert.deepEqual(now, before, 'nobody has moved');
            const last = await received(bob);
            t.diagnostic(`${last.video - first.video} pictures, ${last.audio - first.audio} packets of sound`);
            assert.ok(last.audio - first.audio >= (RACE_MS / 20) * 0.8, 'the sound went on');
            await goesOn(bob);
            assert.equal(await node.metric(HANDSHAKES, 'done'), shaken);
            for (const relay of relays) {
                await relay.stop();
            }
        }),
    ),
);
