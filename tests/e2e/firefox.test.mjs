/* Firefox and Chromium call each other through the real page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Person, withBrowser, withFirefox } from './lib/browser.mjs';
import { withNode } from './lib/node.mjs';

const CALL_MS = 4_000;
const LEAST_FRAMES = 10; /* in CALL_MS, two browsers and a node on two cores */
const LEAST_PACKETS = 50;

const root = process.getuid() === 0 ? false : 'the device veth needs root';

test('Firefox and Chromium, VP8 and Opus both ways', { timeout: 120_000, skip: root }, () =>
    withNode({ name: 'firefox', devices: ['veth'] }, (node) =>
        withFirefox((firefox) =>
            withBrowser(async (chromium) => {
                const meeting = 'e2e-firefox';
                const open = async (browser, name) => {
                    const token = await node.token({ meeting, name });
                    const person = await Person.open(browser, node, {
                        ...{ name, meeting, token, codec: 'vp8' },
                    });
                    await person.joined();
                    return person;
                };
                const fox = await open(firefox, 'Fox');
                const chrome = await open(chromium, 'Chrome');
                const pairs = [
                    [fox, chrome],
                    [chrome, fox],
                ];

                await Promise.all(pairs.map(([who, from]) => who.receives(from.name)));
                const both = async () => {
                    const found = [];
                    for (const [who, from] of pairs) {
                        found.push({
                            video: await who.received(from.name, 'video'),
                            audio: await who.received(from.name, 'audio'),
                        });
                    }
                    return found;
                };
                const before = await both();
                await sleep(CALL_MS);
                const after = await both();
                for (const [i, [who, from]] of pairs.entries()) {
                    const where = `${who.name} receives ${from.name}`;
                    const frames =
                        after[i].video.framesDecoded - before[i].video.framesDecoded;
                    const packets =
                        after[i].audio.packetsReceived - before[i].audio.packetsReceived;
                    assert.ok(frames >= LEAST_FRAMES, `${where}: ${frames} frames`);
                    assert.ok(packets >= LEAST_PACKETS, `${where}: ${packets} packets`);
                    assert.ok(after[i].video.width > 0, `${where}: picture size`);
                }
            }),
        ),
    ),
);
