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
const FROZEN_S = LONG ? 4 : 2; /* in all, of a run: key frames take their time here */
const MAX_PLIS = LONG ? 5 : 1; /* of what the machine, not the switch, may have spoilt */
/* Of the frames, by a machine that is busy; in a short run some are many. */
const MAX_DROPPED = LONG ? 0.03 : 0.2;
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

/* The picture's height and freezes at the receiver. */
function picture(person) {
    return person.page.evaluate(async () => {
        const { received } = await window.kcs.stats();
        return received.find((entry) => entry.kind === 'video');
    });
}

/* What Chromium's decoder says. */
async function inbound(person) {
    return (await person.page.evaluate(() => window.kcsTest.rtp('inbound-rtp'))).video;
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
    { width: 320, height: 480 },
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
                    const before = await picture(grace);
                    const heard = await inbound(grace);
                    for (let i = 0; i < SWITCHES; i++) {
                        const spatial = [0, 2, 1][i % 3];
                        await wish(grace, spatial);
                        await shows(grace, spatial, 180 * 2 ** spatial);
                    }
                    const after = await picture(grace);
                    const { pliCount, framesReceived } = await inbound(grace);
                    const lost = pliCount - heard.pliCount;
                    const dropped = after.framesDropped - before.framesDropped;
                    const came = framesReceived - heard.framesReceived;
                    const frozen =
                        after.totalFreezesDuration - before.totalFreezesDuration;

                    console.log(
                        `${codec}: ${SWITCHES} switches, ` +
                            `${after.framesDecoded - before.framesDecoded} frames decoded, ` +
                            `${came} received, ${dropped} dropped, ` +
                            `${lost} PLIs, ` +
                            `${after.freezeCount - before.freezeCount} freezes of ` +
                            `${frozen.toFixed(2)} s in all, ` +
                            `${after.keyFramesDecoded - before.keyFramesDecoded} key frames`,
                    );
                    assert.ok(
                        after.framesDecoded > before.framesDecoded + SWITCHES,
                        'it goes on',
                    );
                    /* a decoder that meets what it cannot decode asks for a key frame */
                    assert.ok(lost <= MAX_PLIS, `${lost} PLIs`);
                    assert.ok(dropped <= came * MAX_DROPPED, `${dropped} dropped`);
                    assert.ok(frozen < FROZEN_S, `frozen for ${frozen} s`);
                } catch (error) {
                    error.message += `\nlayer ${JSON.stringify(await layer(grace))} ${JSON.stringify(
                        await picture(grace),
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
