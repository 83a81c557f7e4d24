/* What an idle node takes, as it is installed: lanes that sleep (lanes.idle: adaptive), nobody
 * there. Beside it the floor: a program that is woken as often as all threads of the node
 * together, and does nothing (idle_sleeper.c).
 *
 * usage: tools/bench idle [OPTION…], see HELP */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { BUILD, withNode } from '../../tests/e2e/lib/node.mjs';
import { cores, lookAtBoth, sleeps } from './node_watch.mjs';
import { optionsOf } from './options.mjs';

const HELP = `usage: tools/bench idle [--seconds T] [--device D]… [--json]

  --seconds T  looks at it so long (10)
  --device D   of the dataplane, as in its configuration (auto as root, else udp)
  --json       one object

Exit status: 0 the node takes less than 2 % of a core, 1 it does not.
`;
const MOST = 0.02; /* of a core */
const SETTLE_MS = 3000;

const o = optionsOf('idle', HELP, {
    seconds: { type: 'string', default: '10' },
    device: { type: 'string', multiple: true, default: [process.getuid() === 0 ? 'auto' : 'udp'] },
    json: { type: 'boolean', default: false },
});

if (!(Number(o.seconds) >= 1)) {
    console.error(`idle: --seconds is a number from 1, not '${o.seconds}'; see tools/bench idle --help`);
    process.exit(2);
}

const f = { seconds: Number(o.seconds), devices: o.device };

await withNode({ name: 'bench-idle', devices: o.device, level: 'info' }, async (node) => {
    await sleep(SETTLE_MS);
    const before = { ...lookAtBoth(node), sleeps: sleeps(node) };

    await sleep(f.seconds * 1000);
    const after = { ...lookAtBoth(node), sleeps: sleeps(node) };

    f.control = cores('control', before, after);
    f.dataplane = cores('dataplane', before, after);
    f.wakes_per_s = ((after.sleeps - before.sleeps) * 1e6) / (after.at - before.at);
});
f.cores = f.control + f.dataplane;
f.floor = Number((await promisify(execFile)(join(BUILD, 'tools/benchmarks/bench-sleeper'),
    [`${Math.max(1, Math.round(f.wakes_per_s))}`, `${f.seconds}`])).stdout);
f.ok = f.cores < MOST;
if (o.json) {
    console.log(JSON.stringify(f));
} else {
    const percent = (share) => `${(100 * share).toFixed(3).padStart(8)} % of a core`;

    console.log(`idle, adaptive, devices ${f.devices}; ${f.seconds} s\n`);
    console.log(`node       ${percent(f.cores)}   (most: ${100 * MOST} %)`);
    console.log(`control    ${percent(f.control)}`);
    console.log(`dataplane  ${percent(f.dataplane)}`);
    console.log(`floor      ${percent(f.floor)}   woken ${f.wakes_per_s.toFixed(0)} times a second, as the node is`);
}
process.exitCode = f.ok ? 0 : 1;
