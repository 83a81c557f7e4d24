/* Ten minutes of people who come, go, mute, wish for other layers and vanish, under a steady load of
 * media (soak.mjs): whether memory, descriptors, packet buffers and objects are then what they were.
 * Its load is light, so that figures of others on the same machine are not spoilt by it.
 *
 * usage: tools/bench soak [OPTION…], see HELP */
import { randomInt } from 'node:crypto';
import { cpus } from 'node:os';

import { withNode } from '../../tests/e2e/lib/node.mjs';
import { optionsOf } from './options.mjs';
import { SOAK_NODE, judge, soak } from './soak.mjs';

const HELP = `usage: tools/bench soak [--seconds T] [--warm-up T] [--seed N] [--json]

  --seconds T  of churn, after a round to warm up (600)
  --warm-up T  of the same before, so that what is made once is there (60)
  --seed N     of what visitors ask for at random
  --json       one object, with a sample each five seconds

Exit status: 0 all has returned and nothing was lost, 1 it has not.
`;

const o = optionsOf('soak', HELP, {
    seconds: { type: 'string', default: '600' },
    'warm-up': { type: 'string', default: '60' },
    seed: { type: 'string', default: `${randomInt(2 ** 31)}` },
    json: { type: 'boolean', default: false },
});

const numbers = [o.seconds, o['warm-up'], o.seed].map(Number);
if (!(numbers[0] >= 5 && numbers[1] >= 5 && numbers[2] >= 0)) {
    console.error('soak: --seconds and --warm-up are numbers from 5; see tools/bench soak --help');
    process.exit(2);
}
const [seconds, warmUp, seed] = numbers;
let f;

await withNode({ ...SOAK_NODE, name: 'bench-soak' }, async (node) => {
    f = await soak(node, { seconds, warmUp, seed });
});
f = { ...f, seed, warm_up_seconds: warmUp, wrong: judge(f),
    machine: { cpu: cpus()[0].model, cpus: cpus().length } };

if (o.json) {
    console.log(JSON.stringify(f));
} else {
    const line = (name, ...columns) =>
        console.log(name.padEnd(22) + columns.map((text) => `${text}`.padStart(12)).join(''));
    const mib = (bytes) => (bytes / (1024 * 1024)).toFixed(2);
    const fds = ({ holdings }) => [holdings.control, holdings.dataplane]
        .flatMap((counts) => Object.values(counts)).reduce((sum, n) => sum + n, 0);
    const row = (name, of, format = (x) => x) =>
        line(name, ...[f.start, f.end].map((at) => format(of(at))));
    const among = (name, key, format = (x) => x) => {
        const all = f.samples.map((s) => s[key]);
        line(name, format(Math.min(...all)), format(Math.max(...all)), format(all.at(-1)));
    };

    console.log(`${f.seconds.toFixed(0)} s: ${f.joins} joins with DTLS, ${f.killed} groups of them ` +
        `killed; ${f.visitors.visits} visitors without media, ${f.visitors.vanished} vanished; ` +
        `${f.restless.changes} mutes, pauses and wishes, ${f.restless.switches} changes of ` +
        `encoding seen; ${f.packets} packets, ${f.lost} lost; cores: control ` +
        `${f.cores.control.toFixed(3)}, dataplane ${f.cores.dataplane.toFixed(3)}; seed ${seed}\n`);
    line('nobody there', 'before', 'after');
    row('control, MiB', (at) => at.memory.control, mib);
    row('dataplane, MiB', (at) => at.memory.dataplane, mib);
    row('descriptors', fds);
    row('packet buffers', (at) => at.buffers);
    row('words of the vault', (at) => at.vault_words);
    console.log();
    line('meanwhile', 'least', 'most', 'last');
    among('control, MiB', 'control_bytes', mib);
    among('dataplane, MiB', 'dataplane_bytes', mib);
    for (const key of ['fds', 'buffers', 'participants', 'peers', 'streams', 'subscriptions']) {
        among(key, key);
    }
    for (const what of f.wrong) {
        line('FAILED', what);
    }
}
process.exitCode = f.wrong.length === 0 ? 0 : 1;
