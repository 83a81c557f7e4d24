/* The short form of tools/bench soak: under a steady load people come, go, are muted, wish for
 * other layers and vanish, and afterwards the node holds what it held before. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SOAK_NODE, judge, soak } from '../../tools/benchmarks/soak.mjs';
import { withNode } from './lib/node.mjs';

const SEED = Number(process.env.KCS_SOAK_SEED ?? randomInt(2 ** 31));

test('coming and going leaves nothing behind', { timeout: 240_000 }, async (t) => {
    t.diagnostic(`KCS_SOAK_SEED=${SEED}`);
    await withNode({ ...SOAK_NODE, name: 'soak' }, async (node) => {
        const f = await soak(node, { seconds: 20, warmUp: 12, seed: SEED, sampleMs: 2000 });

        t.diagnostic(`${f.joins} joins, ${f.killed} groups killed, ${JSON.stringify(f.visitors)}`);
        t.diagnostic(`${JSON.stringify(f.start.memory)} then ${JSON.stringify(f.end.memory)}`);
        assert.deepEqual(judge(f), []);
        assert.ok(f.killed >= 1 && f.visitors.vanished >= 1, 'some go without a word');
        assert.ok(f.joins > 25 && f.visitors.visits > 10, `${f.joins} joins`);
        assert.ok(f.restless.changes > 50, 'layers and mutes were asked for');
        assert.ok(f.samples.some(({ subscriptions, buffers }) => subscriptions > 40 && buffers > 0),
            'media flowed while it was looked at');
    });
});

test('a benchmark says what it does not know, and that is no goal that is missed', () => {
    for (const [name, file = `bench_${name}`] of [['idle'], ['soak'], ['egress'], ['joins'],
        ['wire', 'wire_peer']]) {
        const program = fileURLToPath(
            new URL(`../../tools/benchmarks/${file}.mjs`, import.meta.url));
        const { status, stderr } = spawnSync(process.execPath, [program, '--bogus'], { encoding: 'utf8' });

        assert.deepEqual([status, stderr],
            [2, `${name}: Unknown option '--bogus'; see tools/bench ${name} --help\n`]);
    }
});
