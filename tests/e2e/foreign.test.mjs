/* Clients that share no code with this project publish known payloads and watch them: every
 * one must arrive once, bit for bit and in order. KCS_LONG sends ten times as many.
 *
 * The clients are tests/e2e/pion (Pion, Go) and tests/e2e/aiortc (Python); tools/test builds
 * them, as build/kcs-pion and the virtual environment build/foreign. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { BUILD, withNode } from './lib/node.mjs';
import { Pion } from './lib/pion.mjs';

const PION = join(BUILD, 'kcs-pion');
const PYTHON = join(BUILD, 'foreign/bin/python');
const AIORTC = new URL('aiortc/publish.py', import.meta.url).pathname;
const LONG = (process.env.KCS_LONG ?? '') !== '';
const N = LONG ? 20_000 : 2_000;
const RUN_MS = 240_000;

/* Runs a client and resolves with the JSON of its last line. on: called with each output. */
function run(program, args, on = () => {}) {
    return new Promise((done, failed) => {
        const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
        const timer = setTimeout(() => child.kill('SIGKILL'), RUN_MS);
        let out = '';
        let err = '';

        child.stdout.on('data', (text) => {
            out += text;
            on(out);
        });
        child.stderr.on('data', (text) => (err += text));
        child.once('error', failed);
        child.once('close', (code) => {
            clearTimeout(timer);
            try {
                done(JSON.parse(out.trim().split('\n').at(-1)));
            } catch {
                failed(new Error(`${program} ended with ${code}: ${err}${out}`));
            }
        });
    });
}

async function pion(node, meeting, ...args) {
    return run(PION, await argsFor(node, meeting, args));
}

async function argsFor(node, meeting, args) {
    const token = await node.token({ meeting });
    return ['--origin', node.origin, '--meeting', meeting, '--token', token, ...args];
}

/* Starts aiortc's publisher; resolves when it is connected. */
async function aiortc(node, meeting, ...args) {
    const child = spawn(PYTHON, [AIORTC, ...(await argsFor(node, meeting, args))], {
        stdio: ['pipe', 'pipe', 'inherit'],
    });

    await new Promise((done, failed) => {
        child.stdout.on('data', (text) => `${text}`.includes('connected') && done());
        child.once('error', failed);
        child.once('close', (code) => failed(new Error(`aiortc ended with ${code}`)));
    });
    return child;
}

function whole(result, n, tallies) {
    assert.equal(result.sinks.length, tallies, JSON.stringify(result));
    for (const sink of result.sinks) {
        const { received, duplicates, disorder, damaged } = sink;
        assert.deepEqual(
            { received, duplicates, disorder, damaged },
            { received: n, duplicates: 0, disorder: 0, damaged: 0 },
            JSON.stringify(sink),
        );
    }
}

describe('foreign clients', { timeout: 900_000 }, () => {
    const skip = existsSync(PION) ? false : `${PION} was not built (tools/test says why)`;

    const skipPython =
        skip || (existsSync(PYTHON) ? false : `${PYTHON} is missing (tools/test makes it)`);

    test('Pion publishes by WHIP and Socket.IO, watches by WHEP and Socket.IO', { skip }, async () => {
        await withNode({ name: 'foreign-pion', devices: ['udp'] }, async (node) => {
            for (const publish of ['whip', 'socket']) {
                for (const srtp of ['gcm', 'cm80']) {
                    const result = await pion(
                        ...[node, `pion-${publish}-${srtp}`],
                        ...['--publish', publish, '--srtp', srtp, '--n', `${N}`],
                    );
                    whole(result, N, 12);
                }
            }
        });
    });

    test('either role of DTLS, either IP version, no candidates told, an ICE restart in the midst', { skip }, async () => {
        await withNode({ name: 'foreign-ways', devices: ['udp'] }, async (node) => {
            for (const [n, args, setup] of [
                [300, ['--setup', 'passive'], 'active'],
                [300, ['--setup', 'active'], 'passive'],
                [300, ['--ip', '4'], 'passive'],
                [300, ['--ip', '6'], 'passive'],
                [300, ['--bare'], 'passive'],
                [1000, ['--restart'], 'passive'],
            ]) {
                const meeting = `pion${args.join('')}`;
                const few = ['--n', `${n}`, '--whep', '1', '--socket', '1'];
                const result = await pion(node, meeting, ...few, ...args);

                whole(result, n, 4);
                assert.equal(result.setup, setup, 'the role that the node took');
            }
        });
    });

    test('TLS for signaling; a node that has IPv6 alone', { skip }, async () => {
        for (const [name, options, args] of [
            ['tls', { tls: true }, []],
            ['ipv6', { devices: ['udp:::1'] }, ['--ip', '6']],
        ]) {
            await withNode({ name: `foreign-${name}`, devices: ['udp'], ...options }, async (node) => {
                const where = options.tls ? ['--origin', `https://127.0.0.1:${node.httpsPort}`] : [];
                for (const publish of options.tls ? ['whip'] : ['whip', 'socket']) {
                    const few = ['--n', '300', '--whep', '1', '--socket', options.tls ? '0' : '1', ...where];
                    const result = await pion(node, `pion-${name}-${publish}`, '--publish', publish, ...few, ...args);

                    whole(result, 300, options.tls ? 2 : 4);
                }
            });
        }
    });

    test('the offer of the node (406) is answered, and media comes', { skip }, async () => {
        await withNode({ name: 'foreign-counter', devices: ['udp'] }, async (node) => {
            const meeting = 'pion-counter';
            const publisher = await Pion.start(node, 'publish', await node.token({ meeting }), meeting);
            const token = await node.token({ meeting, role: 'guest', name: 'Viewer' });
            const viewer = await Pion.start(node, 'watch', token, meeting, '--counter');

            await viewer.sees('video', 'A');
            await viewer.sees('audio', 'A');
            await new Promise((done) => setTimeout(done, 1_000));
            const result = await viewer.end();
            for (const kind of ['audio', 'video']) {
                const { Packets, Gaps, Back, Bad } = result[kind];
                assert.ok(Packets > 20, JSON.stringify(result));
                assert.deepEqual({ Gaps, Back, Bad }, { Gaps: 0, Back: 0, Bad: 0 });
            }
            await publisher.end();
        });
    });

    test('who is sent away is told by DTLS, at once', { skip }, async () => {
        await withNode({ name: 'foreign-parting', devices: ['udp'] }, async (node) => {
            const meeting = 'pion-parting';
            const token = await node.token({ meeting });
            const publisher = await Pion.start(node, 'publish', token, meeting);
            const guest = await node.token({ meeting, role: 'guest', name: 'Viewer' });
            const viewer = await Pion.start(node, 'watch', guest, meeting);
            const parted = ({ lines }) => lines.find((line) => line.connection !== undefined);
            const end = async (pion, during) => {
                const began = Date.now();
                await during();
                await pion.until('its connection ends', () => parted(pion));
                const took = Date.now() - began;
                assert.equal(parted(pion).connection, 'closed', 'not merely lost');
                assert.ok(took < 3_000, `${took} ms`);
            };

            await viewer.sees('video', 'A');
            /* DTLS of these is forgotten 8 s after its handshake, but for this */
            await new Promise((done) => setTimeout(done, 9_000));
            for (const [pion, own] of [[publisher, token], [viewer, guest]]) {
                await end(pion, async () => {
                    const response = await fetch(pion.session, {
                        method: 'DELETE',
                        headers: { authorization: `Bearer ${own}` },
                    });
                    assert.equal(response.status, 200);
                });
            }
        });
    });

    test('who closes its connection without a word to HTTP is gone at once', { skip }, async () => {
        await withNode({ name: 'foreign-closing', devices: ['udp'] }, async (node) => {
            const meeting = 'pion-closing';
            const token = await node.token({ meeting });
            const publisher = await Pion.start(node, 'publish', token, meeting);
            const guest = await node.token({ meeting, role: 'guest', name: 'Viewer' });
            const viewer = await Pion.start(node, 'watch', guest, meeting, '--keep');
            const peers = async () => JSON.parse(await node.kcsctl('peers', '--json')).length;

            await viewer.sees('video', 'A');
            assert.equal(await peers(), 2);
            /* all that is kept of its DTLS by then is what tells that it ends */
            await new Promise((done) => setTimeout(done, 9_000));
            await viewer.end();
            const ended = Date.now();
            await node.until('the viewer has left', async () => (await peers()) === 1);
            const took = Date.now() - ended;
            assert.ok(took < 5_000, `${took} ms`);
            await publisher.end();
        });
    });

    test('aiortc publishes by WHIP, Pion watches by WHEP and Socket.IO', { skip: skipPython }, async () => {
        await withNode({ name: 'foreign-aiortc', devices: ['udp'] }, async (node) => {
            for (const srtp of ['gcm', 'cm80']) {
                const meeting = `aiortc-${srtp}`;
                const child = await aiortc(node, meeting, '--n', `${N}`, '--srtp', srtp);
                const ended = new Promise((done) => child.once('close', done));
                let begun = false;
                const args = ['--publish', 'none', '--audio', '--n', `${N}`, '--srtp', srtp];

                try {
                    const result = await run(
                        PION,
                        await argsFor(node, meeting, args),
                        (out) => {
                            if (!begun && out.includes('ready')) {
                                begun = true;
                                child.stdin.write('go\n');
                            }
                        },
                    );
                    whole(result, N, 6);
                } finally {
                    child.stdin.end('end\n');
                    await ended;
                }
            }
        });
    });
});
