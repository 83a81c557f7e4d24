/* Two people behind bad links: each one's media goes through a relay that loses, delays and
 * reorders (tests/support/relay.c), both ways. Each link has half of what the name of the
 * case says, so that the way from one to the other has all of it. The same run with the node's repair off shows
 * what it is worth. KCS_LONG: a minute for each link, and all of them; else some seconds of
 * the worst. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Person, withBrowser } from './lib/browser.mjs';
import { withNode } from './lib/node.mjs';
import { Relay } from './lib/relay.mjs';

const LONG = (process.env.KCS_LONG ?? '') !== '';
const RUN_MS = LONG ? 60_000 : 6_000;
const TIMEOUT = { timeout: LONG ? 400_000 : 90_000 };
const SETTLE_MS = 2_000; /* the link gets bad; jitter buffers learn */

/* 'most' bounds what the repaired run may show: 'freezes' and 'plis' in a minute, 'gap' in
 * ms. 'least' is the rate of decoded frames. Where packets are lost, the run without repair
 * has to be beyond both 'concealed' and 'least': else they would tell nothing of it. Freezes
 * are judged by the minute only: in a few seconds their number is chance. */
const LINKS = [
    {
        name: '5 % loss',
        link: 'both loss=0.025 delay=10',
        most: { freezes: 2, concealed: 0.015, gap: 200, plis: 10 },
        least: 14,
    },
    {
        name: '10 % loss',
        link: 'both loss=0.05 delay=10',
        most: { freezes: 8, concealed: LONG ? 0.03 : 0.04, gap: 200, plis: 10 },
        least: 14,
    },
    {
        name: '50 ms +- 30 ms, 5 % reordered',
        link: 'both delay=10 wander=30 reorder=0.025,20',
        most: { freezes: 4, concealed: 0.02, gap: 200, plis: 10 },
        least: 14,
    },
].filter(({ name }) => LONG || name === '10 % loss');

async function join(browser, node, relays) {
    const meeting = 'e2e-loss';
    const people = [];

    for (const [i, name] of ['Ada Lovelace', 'Grace Hopper'].entries()) {
        const token = await node.token({ meeting, name });
        const person = await Person.open(browser, node, {
            ...{ name, meeting, token, codec: 'vp8', ip: 4, relay: relays[i].port, tone: true },
        });
        await person.joined();
        people.push(person);
    }
    const [ada, grace] = people;
    await Promise.all([ada.receives(grace.name), grace.receives(ada.name)]);
    return people;
}

async function figures(person) {
    const [inbound, outbound] = await Promise.all(
        ['inbound-rtp', 'outbound-rtp'].map((type) =>
            person.page.evaluate((wanted) => window.kcsTest.rtp(wanted), type),
        ),
    );
    return {
        frames: inbound.video.framesDecoded,
        freezes: inbound.video.freezeCount,
        frozen: inbound.video.totalFreezesDuration,
        nacks: inbound.video.nackCount,
        repaired: inbound.video.retransmittedPacketsReceived ?? 0,
        concealed: inbound.audio.concealedSamples,
        samples: inbound.audio.totalSamplesReceived,
        sound: inbound.audio.packetsReceived,
        plis: outbound.video.pliCount,
        soundResent: outbound.audio.retransmittedPacketsSent ?? 0,
    };
}

/* What changed in RUN_MS, as rates a minute where that is what is bounded. */
function change(before, after) {
    const minutes = RUN_MS / 60_000;

    return {
        fps: (after.frames - before.frames) / (RUN_MS / 1000),
        framesDecoded: after.frames - before.frames,
        freezes: (after.freezes - before.freezes) / minutes,
        freezeCount: after.freezes - before.freezes,
        totalFreezesDuration: Number((after.frozen - before.frozen).toFixed(3)),
        concealed: (after.concealed - before.concealed) / (after.samples - before.samples),
        samplesMs: (after.samples - before.samples) / 48,
        sound: after.sound - before.sound,
        nacks: after.nacks - before.nacks,
        repaired: after.repaired - before.repaired,
        soundResent: after.soundResent - before.soundResent,
        plis: (after.plis - before.plis) / minutes,
    };
}

/* What a link that is cut for so long looks like: a gap that could not be seen would never be
 * too long. */
const CUT_MS = 500;
async function cut(people, relays, link) {
    for (const person of people) {
        await person.page.evaluate(() => window.kcsTest.forgetGap());
    }
    relays.forEach((relay) => relay.set('both loss=1'));
    await sleep(CUT_MS);
    relays.forEach((relay) => relay.set(link));
    await sleep(CUT_MS);
    return await Promise.all(
        people.map((person) => person.page.evaluate(() => window.kcsTest.longestGapMs())),
    );
}

async function run(node, link) {
    return await withBrowser(async (browser) => {
        const relays = [
            await Relay.start(node, { seed: 11 }),
            await Relay.start(node, { seed: 22 }),
        ];
        const people = await join(browser, node, relays);

        for (const person of people) {
            await person.page.evaluate(() => window.kcsTest.watchSound());
        }
        for (const relay of relays) {
            relay.set(link);
        }
        await sleep(SETTLE_MS);
        const before = await Promise.all(people.map(figures));
        for (const person of people) {
            await person.page.evaluate(() => window.kcsTest.forgetGap());
        }
        await sleep(RUN_MS);
        const after = await Promise.all(people.map(figures));
        const results = [];
        for (const [i, person] of people.entries()) {
            const gap = await person.page.evaluate(() => window.kcsTest.longestGapMs());
            results.push({ ...change(before[i], after[i]), gap });
        }
        for (const [i, gap] of (await cut(people, relays, link)).entries()) {
            results[i].cut = gap;
        }
        for (const relay of relays) {
            const stats = await relay.stats();
            assert.ok(stats.down.out > 100, 'the media went through the relay');
            await relay.stop();
        }
        return results;
    });
}

function print(name, repair, results) {
    for (const r of results) {
        console.log(
            `${name}, repair ${repair ? 'on ' : 'off'}: ${r.framesDecoded} frames ` +
                `(${r.fps.toFixed(1)}/s), ${r.freezeCount} freezes, ` +
                `${r.totalFreezesDuration} s frozen, ` +
                `${(100 * r.concealed).toFixed(1)} % of sound concealed, ` +
                `longest gap ${r.gap} ms (${r.cut} of ${CUT_MS} ms without a link), ${r.sound} packets of it in ${r.samplesMs.toFixed(0)} ms, ` +
                `${r.soundResent} sent again, ` +
                `${r.nacks} NACKs, ${r.repaired} repaired, ` +
                `${r.plis.toFixed(0)} PLIs a minute`,
        );
    }
}

for (const { name, link, most, least } of LINKS) {
    test(`a call over a bad link: ${name}`, TIMEOUT, async () => {
        const results = {};
        const resent = {};

        for (const repair of [false, true]) {
            await withNode(
                { name: `loss-${repair ? 'repair' : 'bare'}`, devices: ['udp'], repair },
                async (node) => {
                    results[repair] = await run(node, link);
                    print(name, repair, results[repair]);
                    resent[repair] = await node.metric('kcs_lane_resent_total');
                },
            );
        }
        for (const r of results[true]) {
            assert.ok(r.fps >= least, `${r.fps} frames a second`);
            if (LONG) {
                assert.ok(r.freezeCount < most.freezes, `${r.freezeCount} freezes`);
            }
            assert.ok(r.concealed <= most.concealed, `${r.concealed} of the sound`);
            assert.ok(r.gap <= most.gap, `a gap of ${r.gap} ms`);
            assert.ok(r.cut > most.gap, `${r.cut} ms of a cut of ${CUT_MS} ms are seen`);
            assert.ok(r.samplesMs > 0.9 * RUN_MS, `${r.samplesMs} ms of sound were played`);
            assert.ok(r.sound * 20 > 0.9 * RUN_MS, `${r.sound} packets of sound came`);
            assert.ok(r.plis <= most.plis * 1.1 + 60_000 / RUN_MS, `${r.plis} PLIs a minute`);
        }
        if (link.includes('loss')) {
            for (const r of results[false]) {
                assert.ok(r.concealed > most.concealed, `${r.concealed} without repair`);
                assert.ok(r.fps < least, `${r.fps} frames a second without repair`);
            }
            const sum = (all, key) => all.reduce((total, r) => total + r[key], 0);
            assert.ok(sum(results[true], 'repaired') > 0, 'packets are sent again');
            assert.equal(sum(results[false], 'repaired'), 0, 'the switch works');
            assert.ok(sum(results[true], 'soundResent') > 0, 'sound to the node, too');
            assert.equal(sum(results[false], 'soundResent'), 0);
            assert.ok(resent[true] >= sum(results[true], 'repaired'), 'and counted');
            assert.equal(resent[false], 0);
            assert.ok(
                sum(results[true], 'framesDecoded') > sum(results[false], 'framesDecoded'),
                'repair shows more of the picture',
            );
        }
    });
}
