/* Two people in two tabs see and hear each other through the real page and a real node. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Person, withBrowser } from './lib/browser.mjs';
import { assertBalanced, readCounters, settledCounters } from './lib/counters.mjs';
import { withNode } from './lib/node.mjs';

const CALL_MS = 10_000;
const COUNT_MS = 4_000;
const LEAST_FRAMES = 50; /* in CALL_MS; the fake camera makes 20 to 30 a second */
const LEAST_CONTRAST = 8; /* of 127: the camera's picture is two greens, about 60 apart */
const LEAST_PACKETS = 40; /* of each stream in COUNT_MS */
const TIMEOUT = { timeout: 120_000 };

/* The gate has each device, codec, IP version and backend, in pairs that differ in several at
 * once; the long form each codec on each device of a browser's host, and each IP version. */
const CODECS = ['vp8', 'vp9', 'h264', 'av1'];
const MATRIX = [
    { device: 'veth', codec: 'vp8', ip: 4 },
    { device: 'veth', codec: 'vp9', ip: 6 },
    { device: 'veth', codec: 'av1', ip: 4 },
    { device: 'udp', codec: 'h264', ip: 4, backend: 'libsrtp2' },
    { device: 'tap', codec: 'vp8', ip: 6 },
];
if (process.env.KCS_LONG) {
    for (const codec of CODECS) {
        MATRIX.push({ device: 'udp', codec, ip: 4 });
    }
    MATRIX.push({ device: 'veth', codec: 'h264', ip: 4 });
    MATRIX.push({ device: 'tap', codec: 'vp8', ip: 4 });
}

/* The devices veth and tap make an interface. */
function needsRoot(device) {
    return device !== 'udp' && process.getuid() !== 0
        ? `the device ${device} needs root`
        : false;
}

/* Opens two tabs in a meeting and waits until each has the other's first picture and
 * sound. */
async function twoPeople(browser, node, options) {
    const meeting = 'e2e-call';
    const people = [];

    for (const name of ['Ada Lovelace', 'Grace Hopper']) {
        const token = await node.token({ meeting, name });
        const person = await Person.open(browser, node, {
            ...options,
            name,
            meeting,
            token,
        });
        people.push(person);
        await person.joined();
    }
    const [ada, grace] = people;
    await Promise.all([ada.receives(grace.name), grace.receives(ada.name)]);
    return people;
}

async function snapshot(who, from) {
    const [video, audio] = await Promise.all([
        who.received(from.name, 'video'),
        who.received(from.name, 'audio'),
    ]);
    return { video, audio };
}

function assertProtected(who, stats, { ip, device }, node) {
    for (const direction of ['send', 'recv']) {
        const transport = stats.transports[direction];
        const where = `${who.name}, ${direction} transport`;

        assert.equal(transport.dtlsState, 'connected', where);
        /* Chromium says it with or without the prefix SRTP_ */
        assert.match(transport.srtpCipher, /^(SRTP_)?AEAD_AES_128_GCM$/, where);
        assert.notEqual(transport.dtlsCipher, '', where);
        assert.equal(
            transport.remoteAddress.includes(':') ? 6 : 4,
            ip,
            `${where}: IP version`,
        );
        if (device !== 'udp') {
            const wanted = node[device][`ipv${ip}`];
            assert.equal(
                transport.remoteAddress,
                wanted,
                `${where}: the dataplane's address`,
            );
        }
    }
}

/* Watches one direction for CALL_MS. */
async function assertMediaFlows(who, from, before, codec) {
    const after = await snapshot(who, from);
    const frames = after.video.framesDecoded - before.video.framesDecoded;
    const energy = after.audio.totalAudioEnergy - before.audio.totalAudioEnergy;
    const where = `${who.name} receives ${from.name}`;

    assert.ok(
        frames >= LEAST_FRAMES,
        `${where}: ${frames} frames decoded in ${CALL_MS} ms`,
    );
    assert.ok(energy > 0, `${where}: audio energy grew by ${energy}`);
    assert.equal(after.video.codec.toLowerCase(), codec, `${where}: video codec`);
    assert.equal(after.audio.codec.toLowerCase(), 'opus', `${where}: audio codec`);
    assert.ok(after.video.width > 0 && after.video.height > 0, `${where}: picture size`);
    const contrast = await who.contrast(from.name);
    assert.ok(contrast >= LEAST_CONTRAST, `${where}: picture of one colour (${contrast})`);
}

/* Lets media flow between two silences and compares the dataplane's counts of both. */
async function assertCountsBalance(node, people) {
    const all = (verb) => Promise.all(people.map((person) => person[verb]()));

    await all('hold');
    const before = await settledCounters(node);
    await all('release');
    await sleep(COUNT_MS);
    await all('hold');
    const after = await settledCounters(node);
    assertBalanced(before, after, { streams: 2 * people.length, least: LEAST_PACKETS });
}

for (const { device, codec, ip, backend = 'ipsec_mb' } of MATRIX) {
    const title = `two people see and hear each other: ${device}, ${codec}, IPv${ip}, ${backend}`;
    const name = `call-${device}-${codec}-ip${ip}-${backend}`;

    test(title, { ...TIMEOUT, skip: needsRoot(device) }, () =>
        withNode({ name, devices: [device], backend }, (node) =>
            withBrowser(async (browser) => {
                const response = await fetch(`${node.origin}/api/health/webrtc`);
                const { srtp_backend: used } = (await response.json()).data;
                assert.equal(used, backend, 'the SRTP backend is the configured one');
                const people = await twoPeople(browser, node, { codec, ip });
                const [ada, grace] = people;
                const before = [await snapshot(ada, grace), await snapshot(grace, ada)];

                await sleep(CALL_MS);
                try {
                    await assertMediaFlows(ada, grace, before[0], codec);
                    await assertMediaFlows(grace, ada, before[1], codec);
                    for (const person of people) {
                        assertProtected(person, await person.stats(), { ip, device }, node);
                    }
                    await ada.press('Statistics');
                    await sleep(2_200); /* two refreshes: the second one knows bit rates */
                    await ada.screenshot(`${name}.png`);
                    await assertCountsBalance(node, people);
                } catch (error) {
                    error.message += `\n${await ada.describe()}\n${await grace.describe()}`;
                    throw error;
                }
            }),
        ),
    );
}

test('mute, camera and leaving are seen by the other', TIMEOUT, () =>
    withNode({ name: 'call-controls', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const [ada, grace] = await twoPeople(browser, node, { form: true });
            const paused = ([name, kind, wanted]) => {
                const person = window.kcs.people.find((found) => found.name === name);
                return (
                    person?.media.find((media) => media.kind === kind)?.paused === wanted
                );
            };

            await ada.press('Turn the microphone off');
            await grace.until('Ada is muted', paused, [ada.name, 'audio', true]);
            await ada.press('Turn the microphone on');
            await grace.until('Ada is heard again', paused, [ada.name, 'audio', false]);

            await ada.press('Turn the camera off');
            await grace.until("Ada's camera is off", paused, [ada.name, 'video', true]);
            const { framesDecoded } = await grace.received(ada.name, 'video');
            await ada.press('Turn the camera on');
            await grace.until("Ada's camera is on", paused, [ada.name, 'video', false]);
            await grace.until(
                "Ada's picture moves again",
                async ([name, since]) => {
                    const { received } = await window.kcs.stats();
                    const video = received.find(
                        (entry) => entry.name === name && entry.kind === 'video',
                    );
                    return video?.framesDecoded > since + 20;
                },
                [ada.name, framesDecoded],
            );

            await ada.press('Leave the call');
            await ada.until('Ada has left', () => window.kcs.state === 'left');
            await grace.until('Grace is alone', () => window.kcs.people.length === 0);
            await grace.until('her page says so', () =>
                document.querySelector('.stage').classList.contains('is-alone'),
            );
            const counters = await readCounters(node);
            assert.equal(
                counters.size,
                2,
                "only Grace's streams are left in the dataplane",
            );
            await grace.screenshot('call-alone.png');
        }),
    ),
);

test('a person without a camera joins with sound and is told why', TIMEOUT, () =>
    withNode({ name: 'call-no-camera', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const meeting = 'e2e-no-camera';
            const open = async (name, camera) => {
                const token = await node.token({ meeting, name });
                const person = await Person.open(browser, node, {
                    ...{ name, meeting, token, camera },
                });
                await person.joined();
                return person;
            };
            const ada = await open('Ada Lovelace', false);
            const grace = await open('Grace Hopper', true);

            await ada.receives(grace.name);
            await grace.until(
                "Ada's sound arrives",
                async (name) => {
                    const { received } = await window.kcs.stats();
                    const audio = received.find((entry) => entry.name === name);
                    return audio?.kind === 'audio' && audio.totalAudioEnergy > 0;
                },
                ada.name,
            );
            const problems = await ada.page.evaluate(() => window.kcs.problems);
            assert.equal(problems.length, 1);
            assert.match(problems[0], /no camera was found/i);
            await grace.screenshot('call-no-camera.png');
        }),
    ),
);

test('a bad invitation is refused in words', TIMEOUT, () =>
    withNode({ name: 'call-bad-token', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const ada = await Person.open(browser, node, {
                ...{ name: 'Ada Lovelace', meeting: 'e2e-refused', token: 'not.a.token' },
            });

            await ada.until('the call has failed', () => window.kcs.state === 'failed');
            const said = await ada.page.$eval('.card', (card) => card.textContent);
            assert.match(said, /invitation/i);
            assert.match(said, /could not join/i); /* and not that a call ended */
            await ada.screenshot('call-bad-token.png');
        }),
    ),
);
