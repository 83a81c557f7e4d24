/* A camera sent in several sizes or layers: what a subscriber wishes for it gets, without a
 * frozen or broken picture, however often it changes its mind; what nobody needs is not
 * sent. One tab sends, the other receives. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Person, withBrowser } from './lib/browser.mjs';
import { withNode } from './lib/node.mjs';

const LONG = (process.env.KCS_LONG ?? '') !== '';
const SWITCHES = LONG ? 100 : 10;
const SWITCH_MS = 15_000; /* for one change of picture, on a machine that is busy */
const START_MS = 60_000; /* until the sender's estimate lets all layers out */
/* A decoder that meets what it cannot decode asks for a key frame; in some minutes the machine,
 * not a switch, may have spoilt one. */
const MAX_PLIS = LONG ? 1 : 0;
/* Frames are dropped and shown late by a machine that is busy, switches or not: so much more
 * of them, and so many seconds more for each minute, than without. Were one spoilt at each
 * switch, that would be three times as many. */
const REST_MS = LONG ? 30_000 : 5_000;
const MAX_DROPPED = 0.015;
const FROZEN_S = LONG ? 2 : 4;
/* Of a picture that was under way when the next layer's key frame came the rest is left
 * out; more than that is not. */
const LOST_A_SWITCH = 0.5;
const HELD_UP = 8; /* frames from one page's answer to the other's, or in the decoder */
const SIMULCAST = ['vp8', 'h264'];
const SVC = LONG ? ['vp9', 'av1'] : ['vp9'];
const FEWER = LONG ? 5 : 1; /* times */
/* What the lowest layer may cost, and the two lowest: a half more than encodings.ts gives them,
 * for key frames. */
const FEWER_BPS = [270_000, 900_000];
const CODECS = LONG ? ['vp8', 'h264', 'vp9', 'av1'] : ['vp8', 'vp9'];
const TIMEOUT = { timeout: LONG ? 900_000 : 240_000 };

async function pair(browser, node, codec) {
    const meeting = 'e2e-layers';
    const people = [];

    for (const [name, video] of [
        ['Ada', true],
        ['Grace', false],
    ]) {
        const token = await node.token({ meeting, name });
        const person = await Person.open(browser, node, {
            name,
            meeting,
            token,
            codec,
            height: 720,
            layers: 3,
            video,
            minKbps: 4_000 /* layers, not estimates, are what is looked at */,
        });
        people.push(person);
        await person.joined();
    }
    await people[1].receives('Ada');
    await people[0].page.evaluate(() => window.kcsTest.keepSize());
    await wish(people[1], 2);
    return people;
}

/* What Chromium's decoder says. */
async function inbound(person) {
    return (await person.page.evaluate(() => window.kcsTest.rtp('inbound-rtp'))).video;
}

/* How many pictures the camera's encoder was given and has made. */
async function encoded(person) {
    return (await person.page.evaluate(() => window.kcsTest.rtp('outbound-rtp'))).video
        .framesEncoded;
}

/* What happens to the picture while 'body' runs. */
async function watch(sender, receiver, body) {
    const since = Date.now();
    const [sent, before] = [await encoded(sender), await inbound(receiver)];
    let last = { sent, received: before.framesReceived };
    let heldUp = 0;
    const ask = async () => {
        const now = {
            sent: await encoded(sender),
            received: (await inbound(receiver)).framesReceived,
        };

        heldUp = Math.max(heldUp, now.sent - last.sent - (now.received - last.received));
        last = now;
    };
    await body(ask);
    await ask();
    const after = await inbound(receiver);
    const more = (key) => after[key] - before[key];
    return {
        sent: (await encoded(sender)) - sent,
        received: more('framesReceived'),
        decoded: more('framesDecoded'),
        dropped: more('framesDropped') / Math.max(1, more('framesReceived')),
        undecoded: more('framesReceived') - more('framesDecoded') - more('framesDropped'),
        plis: more('pliCount'),
        freezes: more('freezeCount'),
        frozen: more('totalFreezesDuration'),
        keys: more('keyFramesDecoded'),
        minutes: (Date.now() - since) / 60_000,
        heldUp,
    };
}

function layer(person) {
    return person.page.evaluate(
        () =>
            window.kcs.people
                .flatMap((one) => one.media)
                .find((media) => media.kind === 'video')?.layer ?? null,
    );
}

/* Makes the window so large that the tile is worth this layer: the page tells the node
 * (view:set). */
const WINDOWS = [
    { width: 320, height: 400 }, /* the room for tiles is not upright */
    { width: 640, height: 700 },
    { width: 1920, height: 1080 },
];

async function wish(person, spatial) {
    await person.page.setViewport(WINDOWS[spatial]);
}

async function shows(person, spatial, height, timeout = SWITCH_MS) {
    await person.until(
        `layer ${spatial} of ${height} lines is shown`,
        async ([wantedSpatial, wantedHeight]) => {
            const { received } = await window.kcs.stats();
            const video = received.find((entry) => entry.kind === 'video');
            const media = window.kcs.people
                .flatMap((one) => one.media)
                .find((one) => one.kind === 'video');
            return (
                video?.height === wantedHeight && media?.layer?.spatial === wantedSpatial
            );
        },
        [spatial, height],
        timeout,
    );
}

for (const codec of CODECS) {
    test(`wishes change what is received: ${codec}`, TIMEOUT, () =>
        withNode({ name: `layers-${codec}`, devices: ['udp'] }, (node) =>
            withBrowser(async (browser) => {
                const [ada, grace] = await pair(browser, node, codec);

                try {
                    /* all layers come once the sender has found out what its link takes */
                    await shows(grace, 2, 720, START_MS);
                    const rest = await watch(ada, grace, () => sleep(REST_MS));
                    const run = await watch(ada, grace, async (ask) => {
                        for (let i = 0; i < SWITCHES; i++) {
                            const spatial = [0, 2, 1][i % 3];
                            await wish(grace, spatial);
                            await shows(grace, spatial, 180 * 2 ** spatial);
                            await ask();
                        }
                    });

                    for (const [what, r] of [
                        ['at rest', rest],
                        [`${SWITCHES} switches`, run],
                    ]) {
                        console.log(
                            `${codec}, ${what}: ${r.sent} frames sent, ${r.received} received, ` +
                                `${r.decoded} decoded, ${(100 * r.dropped).toFixed(1)} % dropped, ` +
                                `${r.undecoded} neither, ` +
                                `${r.plis} PLIs, ${r.freezes} freezes of ` +
                                `${r.frozen.toFixed(2)} s in ${(60 * r.minutes).toFixed(0)} s, ` +
                                `${r.keys} key frames, ${r.heldUp} frames held up by one`,
                        );
                    }
                    assert.ok(run.decoded > SWITCHES, 'it goes on');
                    assert.ok(run.plis <= MAX_PLIS, `${run.plis} PLIs`);
                    assert.ok(run.undecoded <= HELD_UP, `${run.undecoded} not decoded`);
                    if (SIMULCAST.includes(codec)) { /* of SVC frames are counted by layer */
                        assert.ok(
                            run.received >= run.sent - SWITCHES * LOST_A_SWITCH - HELD_UP,
                            `${run.received} of ${run.sent} frames`,
                        );
                        assert.ok(
                            run.heldUp <= LOST_A_SWITCH + HELD_UP,
                            `${run.heldUp} frames held up`,
                        );
                    }
                    assert.ok(
                        run.dropped <= rest.dropped + MAX_DROPPED,
                        `${run.dropped} dropped, ${rest.dropped} at rest`,
                    );
                    assert.ok(
                        run.frozen / run.minutes <= (2 * rest.frozen) / rest.minutes + FROZEN_S,
                        `frozen for ${run.frozen} s`,
                    );
                } catch (error) {
                    error.message += `\nlayer ${JSON.stringify(await layer(grace))} ${JSON.stringify(
                        await inbound(grace),
                    )}\n${await ada.describe()}\n${await grace.describe()}`;
                    throw error;
                }
            }),
        ),
    );
}

test('what nobody needs is not sent, and comes again when it is', TIMEOUT, () =>
    withNode({ name: 'layers-dynacast', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const [ada, grace] = await pair(browser, node, 'vp8');
            const active = () =>
                ada.page.evaluate(() => window.kcsTest.encodings());

            await shows(grace, 2, 720, START_MS);
            assert.deepEqual(await active(), [true, true, true]);
            await wish(grace, 0);
            await ada.until(
                'the sender stops what nobody needs',
                () => window.kcsTest.encodings().join() === 'true,false,false',
                undefined,
                START_MS,
            );
            await sleep(1_000);
            await wish(grace, 2);
            await shows(grace, 2, 720, START_MS);
            assert.deepEqual(await active(), [true, true, true]);
        }),
    ),
);

/* Two lanes; each transport goes to the other one. */
async function move(node) {
    for (const { transport_id, lane } of JSON.parse(await node.kcsctl('peers', '--json'))) {
        await node.kcsctl('lanes', 'move', transport_id, `${1 - lane}`);
    }
}

for (const codec of ['vp8', 'vp9']) {
    test(`layers outlive a move to another lane and the dataplane's death: ${codec}`, TIMEOUT, () =>
        withNode({ name: `layers-outlive-${codec}`, devices: ['udp'], lanes: 2 }, (node) =>
            withBrowser(async (browser) => {
                const [ada, grace] = await pair(browser, node, codec);
                /* pictures of this layer come that were not sent when `what` was over */
                const goesOn = async (spatial, what) => {
                    const since = (await inbound(grace)).framesDecoded;

                    await grace.until(
                        `layer ${spatial} goes on after ${what}`,
                        async ([height, before]) => {
                            const { video } = await window.kcsTest.rtp('inbound-rtp');

                            return (
                                video.frameHeight === height && video.framesDecoded > before + 10
                            );
                        },
                        [180 * 2 ** spatial, since],
                        SWITCH_MS,
                    );
                    assert.equal((await layer(grace)).spatial, spatial, what);
                };

                try {
                    await shows(grace, 2, 720, START_MS);
                    await wish(grace, 1);
                    await shows(grace, 1, 360);
                    await move(node);
                    await goesOn(1, 'a move');
                    await wish(grace, 0);
                    await shows(grace, 0, 180);
                    await node.crash('kcs-dataplane');
                    await goesOn(0, 'a crash');
                    await wish(grace, 2);
                    await shows(grace, 2, 720, START_MS);
                    await move(node);
                    await goesOn(2, 'a crash and a move');
                } catch (error) {
                    error.message += `\nlayer ${JSON.stringify(await layer(grace))} ${JSON.stringify(
                        await inbound(grace),
                    )}\n${await ada.describe()}\n${await grace.describe()}`;
                    throw error;
                }
            }),
        ),
    );
}

/* What the sender puts on its link in so many seconds, and how many lines its picture has. */
async function made(person, seconds) {
    const look = async () =>
        (await person.page.evaluate(() => window.kcsTest.rtp('outbound-rtp'))).video;
    const before = await look();
    await sleep(seconds * 1_000);
    const after = await look();
    return {
        lines: after.frameHeight,
        bps: Math.round(
            ((after.bytesSent - before.bytesSent) * 8_000) / (after.timestamp - before.timestamp),
        ),
    };
}

/* Of one stream with layers the sender is told to make fewer: those that are left stay as
 * they were, in size and in what they cost. */
for (const codec of SVC) {
    test(`layers that nobody needs are not made: ${codec}`, TIMEOUT, () =>
        withNode({ name: `layers-fewer-${codec}`, devices: ['udp'] }, (node) =>
            withBrowser(async (browser) => {
                const [ada, grace] = await pair(browser, node, codec);
                const mode = () => ada.page.evaluate(() => window.kcsTest.mode());
                const turns = async (name) =>
                    ada.until(
                        `the sender makes ${name}`,
                        (wanted) => window.kcsTest.mode() === wanted,
                        name,
                        START_MS,
                    );

                try {
                    await shows(grace, 2, 720, START_MS);
                    await turns('L3T3_KEY');
                    const all = await made(ada, 3);
                    console.log(`${codec}, L3T3_KEY: ${JSON.stringify(all)}`);
                    for (let i = 0; i < 2 * FEWER; i++) {
                        const spatial = i % 2;

                        await wish(grace, spatial);
                        await turns(['L1T3', 'L2T3_KEY'][spatial]);
                        await shows(grace, spatial, 180 * 2 ** spatial);
                        const before = await inbound(grace);
                        const fewer = await made(ada, 3);
                        const after = await inbound(grace);
                        console.log(`${codec}, ${await mode()}: ${JSON.stringify(fewer)}`);
                        assert.ok(
                            after.framesDecoded - before.framesDecoded > 10,
                            'the picture goes on',
                        );
                        assert.equal(fewer.lines, 180 * 2 ** spatial);
                        assert.ok(fewer.bps < FEWER_BPS[spatial], `${fewer.bps} b/s`);
                        assert.ok(fewer.bps < all.bps, `${fewer.bps} of ${all.bps} b/s`);
                        await wish(grace, 2);
                        await turns('L3T3_KEY');
                        await shows(grace, 2, 720, START_MS);
                    }
                } catch (error) {
                    error.message += `\nlayer ${JSON.stringify(await layer(grace))} ${JSON.stringify(
                        await inbound(grace),
                    )}\n${await ada.describe()}\n${await grace.describe()}`;
                    throw error;
                }
            }),
        ),
    );
}
