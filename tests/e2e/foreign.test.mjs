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

const PION = join(BUILD, 'kcs-pion');
const LONG = (process.env.KCS_LONG ?? '') !== '';
const N = LONG ? 20_000 : 2_000;
const RUN_MS = 240_000;

/* Runs a client and resolves with the JSON of its last line. */
function run(program, args) {
    return new Promise((done, failed) => {
        const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
        const timer = setTimeout(() => child.kill('SIGKILL'), RUN_MS);
        let out = '';
        let err = '';

        child.stdout.on('data', (text) => (out += text));
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
    return run(PION, [
        ...['--origin', node.origin, '--meeting', meeting],
        ...['--token', await node.token({ meeting }), ...args],
    ]);
}

function whole(result, n, sinks) {
    assert.equal(result.sinks.length, 2 * sinks, JSON.stringify(result));
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

    test('Pion publishes by WHIP and Socket.IO, watches by WHEP and Socket.IO', { skip }, async () => {
        await withNode({ name: 'foreign-pion', devices: ['udp'] }, async (node) => {
            for (const publish of ['whip', 'socket']) {
                for (const srtp of ['gcm', 'cm80']) {
                    const result = await pion(
                        ...[node, `pion-${publish}-${srtp}`],
                        ...['--publish', publish, '--srtp', srtp, '--n', `${N}`],
                    );
                    whole(result, N, 6);
                }
            }
        });
    });

    test('either role of DTLS, either IP version, an ICE restart in the midst', { skip }, async () => {
        await withNode({ name: 'foreign-ways', devices: ['udp'] }, async (node) => {
            for (const [n, args, setup] of [
                [300, ['--setup', 'passive'], 'active'],
                [300, ['--setup', 'active'], 'passive'],
                [300, ['--ip', '4'], 'passive'],
                [300, ['--ip', '6'], 'passive'],
                [1000, ['--restart'], 'passive'],
            ]) {
                const meeting = `pion${args.join('')}`;
                const few = ['--n', `${n}`, '--whep', '1', '--socket', '1'];
                const result = await pion(node, meeting, ...few, ...args);

                whole(result, n, 2);
                assert.equal(result.setup, setup, 'the role that the node took');
            }
        });
    });
});
