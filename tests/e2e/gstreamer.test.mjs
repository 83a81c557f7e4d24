/* GStreamer's webrtcbin: its test pictures, by WHIP, are decoded by Chromium and by another
 * webrtcbin that watches by WHEP. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Person, withBrowser } from './lib/browser.mjs';
import { withNode } from './lib/node.mjs';

const PYTHON = '/usr/bin/python3'; /* Debian's: the bindings are made for it */
const CLIENT = new URL('gstreamer/client.py', import.meta.url).pathname;
const CONNECT_MS = 40_000;
const LOOK_MS = 6_000;
const missing =
    spawnSync(PYTHON, ['-c', 'import gi; gi.require_version("GstWebRTC", "1.0")']).status !== 0;

class Client {
    static async start(node, meeting, name, ...args) {
        const client = new Client();
        const token = await node.token({ meeting, name });

        client.child = spawn(
            PYTHON,
            [CLIENT, '--origin', node.origin, '--meeting', meeting, '--token', token, ...args],
            { stdio: ['pipe', 'pipe', 'pipe'] },
        );
        node.witnesses.push(client.child);
        client.out = '';
        client.err = '';
        client.closed = new Promise((done) => client.child.once('close', done));
        client.child.stdout.on('data', (text) => (client.out += text));
        client.child.stderr.on('data', (text) => (client.err += text));
        client.child.stdin.on('error', () => {});
        for (let end = Date.now() + CONNECT_MS; !client.out.includes('session'); await sleep(50)) {
            assert.ok(
                client.child.exitCode === null && Date.now() < end,
                `it does not connect: ${client.err}`,
            );
        }
        return client;
    }

    async end() {
        this.child.stdin.end();
        await this.closed;
        return JSON.parse(this.out.trim().split('\n').at(-1));
    }
}

/* What Chromium decodes of a publisher while we look: pictures of the right size, in a steady
 * flow. */
async function watchIn(person, name) {
    const deadline = Date.now() + CONNECT_MS;
    let first = {};

    while (!(first.framesDecoded > 0)) {
        assert.ok(Date.now() < deadline, `${name} is not seen: ${JSON.stringify(first)}`);
        await sleep(100);
        first = await person.received(name, 'video').catch(() => ({}));
    }
    await sleep(1_000);
    first = await person.received(name, 'video');
    await sleep(LOOK_MS);
    const last = await person.received(name, 'video');
    const text = JSON.stringify({ first, last });
    const frames = last.framesDecoded - first.framesDecoded;

    assert.equal(last.width, 320, text);
    assert.equal(last.height, 240, text);
    assert.ok(frames > (15 * LOOK_MS) / 1000 / 2, `${frames} pictures: ${text}`);
    assert.equal(last.freezeCount, first.freezeCount, `no freeze: ${text}`);
}

describe('GStreamer', { timeout: 300_000, skip: missing && 'its Python bindings are missing' }, () => {
    for (const codec of ['h264', 'vp8']) {
        test(`webrtcbin publishes ${codec}; Chromium and webrtcbin decode it`, async () => {
            await withNode({ name: `gstreamer-${codec}`, devices: ['udp', 'veth'] }, async (node) => {
                const meeting = `gst-${codec}`;
                const publisher = await Client.start(node, meeting, 'Gst', '--publish', codec);

                await withBrowser(async (browser) => {
                    const token = await node.token({ meeting, name: 'Ada' });
                    const person = await Person.open(browser, node, {
                        ...{ name: 'Ada', meeting, token, camera: false },
                    });
                    await person.joined();
                    await watchIn(person, 'Gst');
                });
                const viewer = await Client.start(node, meeting, 'Viewer', '--watch', codec);
                await sleep(LOOK_MS);
                const seen = await viewer.end();
                assert.deepEqual(seen.size, [320, 240], JSON.stringify(seen) + viewer.err);
                assert.ok(seen.frames > 20, JSON.stringify(seen));
                await publisher.end();
            });
        });
    }
});
