/* What Pion and aiortc, as they are, make of a bad link, and what the node makes of theirs: packets
 * sent again, sizes that follow the link, estimates. docs/architecture.md has the table of
 * who has what. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BUILD, withNode } from './lib/node.mjs';
import { noPion, Pion } from './lib/pion.mjs';
import { Relay } from './lib/relay.mjs';

const PYTHON = join(BUILD, 'foreign/bin/python');
const AIORTC = new URL('aiortc/video.py', import.meta.url).pathname;
const noAiortc = existsSync(PYTHON) ? false : `${PYTHON} is missing (tools/test makes it)`;
const LONG = (process.env.KCS_LONG ?? '') !== '';
const RUN_MS = LONG ? 60_000 : 8_000;
const CONNECT_MS = 40_000;
const TIMEOUT = { timeout: 240_000 };
const BAD = 'both loss=0.05 delay=10';

/* The client of aiortc, until it is told to end; resolves when it is connected. */
async function aiortc(node, meeting, token, as, relay) {
    const child = spawn(
        PYTHON,
        [AIORTC, '--as', as, '--origin', node.origin, '--meeting', meeting, '--token', token].concat(
            ['--relay', `${relay.port}`],
        ),
        { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    let [out, err] = ['', ''];
    const closed = new Promise((done) => child.once('close', done));

    node.witnesses.push(child);
    child.stdout.on('data', (text) => (out += text));
    child.stderr.on('data', (text) => (err += text));
    child.stdin.on('error', () => {});
    for (const end = Date.now() + CONNECT_MS; !out.includes('connected'); await sleep(50)) {
        assert.ok(child.exitCode === null && Date.now() < end, `aiortc does not connect: ${err}`);
    }
    return {
        end: async () => {
            child.stdin.end();
            await closed;
            assert.equal(child.exitCode, 0, err);
            return JSON.parse(out.trim().split('\n').at(-1));
        },
    };
}

/* Whole pictures that follow each other, each size from a key frame on, whatever was lost. */
function seamless(seen) {
    const text = JSON.stringify(seen);
    const { broken, leans, jumps, damaged } = { ...seen.video, ...seen.audio };

    assert.deepEqual(
        { broken, leans, jumps, damaged },
        { broken: 0, leans: 0, jumps: 0, damaged: 0 },
        text,
    );
    assert.ok(seen.video.frames > RUN_MS / 80 && seen.audio.packets > RUN_MS / 40, text);
}

const tokens = async (node, meeting) => [
    await node.token({ meeting, name: 'Studio' }),
    await node.token({ meeting, name: 'Viewer', role: 'guest' }),
];

for (const rids of ['', 'l,m,h']) {
    const what = rids === '' ? 'one size' : 'three sizes';

    test(`Pion, ${what}: what a bad link takes is sent again, either way`, { ...TIMEOUT, skip: noPion }, async (t) => {
        await withNode({ name: 'foreign-loss', devices: ['udp'] }, async (node) => {
            const meeting = 'pion-loss';
            const [own, guest] = await tokens(node, meeting);
            const relays = [await Relay.start(node, { seed: 1 }), await Relay.start(node, { seed: 2 })];
            const port = (i) => ['--relay', `${relays[i].port}`];
            const sender = await Pion.start(node, 'send', own, meeting, '--rids', rids, ...port(0));
            const viewer = await Pion.start(node, 'see', guest, meeting, ...port(1));

            await viewer.until('a picture comes', () => viewer.from('video') !== undefined);
            relays.forEach((relay) => relay.set(BAD));
            await sleep(RUN_MS);
            const lost = (await Promise.all(relays.map((relay) => relay.stats()))).map(
                ({ up, down }) => ({ up: up.lost, down: down.lost }),
            );
            const seen = await viewer.end();
            const sent = await sender.end();
            t.diagnostic(JSON.stringify({ lost, sent, seen }));

            seamless(seen);
            for (const { packets, missing, repaired } of [seen.video, seen.audio]) {
                assert.equal(missing, 0, `of ${packets} packets`);
                assert.ok(repaired > 0 || packets === seen.audio.packets, 'by RTX');
            }
            assert.deepEqual(Object.keys(sent.repair).sort(), rids.split(',').sort());
            for (const [rid, repairs] of Object.entries(sent.repair)) {
                assert.ok(repairs > 0, `of '${rid}' nothing was sent again by RTX`);
            }
            assert.ok(sent.twcc > RUN_MS / 500, 'what it sends is reported');
            const taken = 1 - sent.arrived / sent.told;
            assert.ok(taken > 0.005 && taken < 0.15, `${taken} of it was lost`);
            for (const relay of relays) {
                await relay.stop();
            }
        });
    });
}

test('Pion on a fast link and on a slow one see one sender, in different sizes', { ...TIMEOUT, skip: noPion }, async (t) => {
    await withNode({ name: 'foreign-sizes', devices: ['udp'] }, async (node) => {
        const meeting = 'pion-sizes';
        const [own, guest] = await tokens(node, meeting);
        const relay = await Relay.start(node, { link: 'down rate=600000 queue=60000' });
        const sender = await Pion.start(node, 'send', own, meeting, '--rids', 'l,m,h', '--estimate');
        const fast = await Pion.start(node, 'see', guest, meeting);
        const slow = await Pion.start(node, 'see', guest, meeting, '--relay', `${relay.port}`);

        await fast.sees('video', 'h');
        await slow.sees('video', 'm');
        await sleep(RUN_MS);
        assert.notEqual(slow.from('video'), 'h', 'its link does not carry that');
        relay.set('down clear');
        await slow.sees('video', 'h');
        const all = [await fast.end(), await slow.end()];
        const sent = await sender.end();

        t.diagnostic(JSON.stringify({ all, sent }));
        seamless(all[0]);
        assert.equal(all[0].video.missing, 0);
        assert.equal(all[1].video.broken + all[1].audio.damaged, 0);
        assert.ok(all[1].video.leans <= all[1].video.missing, 'only on what its queue dropped');
        assert.ok(all[0].twcc > 10 && all[1].twcc > 10, 'both report what they get');
        assert.ok(sent.target > 1_000_000, `its own estimate, of 300,000 at first: ${sent.target}`);
        await relay.stop();
    });
});

test('aiortc sends and shows pictures over a bad link', { ...TIMEOUT, skip: noAiortc }, async (t) => {
    await withNode({ name: 'foreign-video', devices: ['udp'] }, async (node) => {
        const meeting = 'aiortc-video';
        const [own, guest] = await tokens(node, meeting);
        const relays = [await Relay.start(node, { seed: 3 }), await Relay.start(node, { seed: 4 })];
        const publisher = await aiortc(node, meeting, own, 'publisher', relays[0]);
        const viewer = await aiortc(node, meeting, guest, 'viewer', relays[1]);

        relays.forEach((relay) => relay.set(BAD));
        await sleep(RUN_MS);
        const seen = await viewer.end();
        const sent = await publisher.end();
        const frames = seen.seen;
        delete seen.seen;
        delete sent.seen;
        t.diagnostic(JSON.stringify({ sent, seen, frames: frames.length }));

        assert.ok(frames.length > (RUN_MS / 1000) * 15 * 0.7, `${frames.length} pictures`);
        assert.ok(frames.every((n, i) => i === 0 || n > frames[i - 1]), `in order: ${frames}`);
        assert.ok(sent.repairs_sent > 0, 'it sends again by RTX');
        assert.ok(seen.repairs_got > 0, 'it is sent again by RTX');
        assert.ok(sent.rembs_got > 0 && sent.remb > 100_000, 'it is told what arrives');
        assert.ok(seen.rembs_sent > 0, 'it tells what arrives');
        for (const relay of relays) {
            await relay.stop();
        }
    });
});
