/* Joins a second: token, Socket.IO over WebSocket, ICE, full DTLS, beside the bare handshakes of
 * OpenSSL (joins_floor.c). The node has one CPU and the clients another, as the floor has one for
 * itself; capacity is told by the CPU that the node takes for a join, each time beside the floor
 * right before and after it (a machine is not always as fast), and how long joins take is measured
 * at 80 % of what node and clients together carry here.
 *
 * usage: tools/bench joins [OPTION…], see HELP */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { loadgen } from '../../tests/e2e/lib/loadgen.mjs';
import { BUILD, withNode } from '../../tests/e2e/lib/node.mjs';
import { watch } from './node_watch.mjs';
import { optionsOf } from './options.mjs';

const HELP = `usage: tools/bench joins [--clients N] [--room-size N] [--json]

  --clients N    that join, first as fast as they get in, then at 80 % of that (1000)
  --room-size N  so many of them in a meeting (20)
  --json         one object
`;
const FLOOD = 100_000; /* starts a second: all at once */
const SHARE = 0.8;
const FLOODS = 3; /* the one whose ratio is between the others' is told */
const FLOOR_S = 1;
const [NODE_CPU, CLIENT_CPU] = ['0', '1'];

const o = optionsOf('joins', HELP, {
    clients: { type: 'string', default: '1000' },
    'room-size': { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
});

const size = Number(o['room-size']);
const rooms = Math.floor(Number(o.clients) / size);

if (!(size >= 1 && rooms >= 1)) {
    console.error('joins: --clients and --room-size are numbers; see tools/bench joins --help');
    process.exit(2);
}

/* 'pid' with all its threads; what they start later is there, too. */
async function pin(pid, cpu) {
    await promisify(execFile)('taskset', ['-apc', cpu, `${pid}`]);
}

async function floor() {
    const { stdout } = await promisify(execFile)(
        join(BUILD, 'tools/benchmarks/bench-handshake'), [`${FLOOR_S}`]);
    const [server_us, client_us] = stdout.split(' ').map(Number);

    return { server_us, client_us };
}

/* Everybody joins a fresh node, 'rate' of them a second. */
async function measure(rate) {
    const n = rooms * size;
    let f;

    await withNode(
        {
            name: 'bench-joins',
            devices: ['udp:127.0.0.1'],
            level: 'warn',
            dataplane: `limits:\n  peers: ${Math.min(65536, 2 * n)}\n`,
        },
        async (node) => {
            const watched = watch(node);

            await pin(node.control.pid, NODE_CPU);
            await pin(node.dataplane.pid, NODE_CPU);
            const { status, result, err } = await loadgen(node, [
                ...['--publishers', '0', '--subscribers', `${size}`, '--rooms', `${rooms}`],
                ...['--join-rate', `${rate}`, '--join-timeout', '60', '--seconds', '1', '--quiet'],
            ], { patience: Math.ceil(n / rate) + 120 });

            watched.stop();
            if (status !== 0) {
                throw new Error(`kcs-loadgen ended with ${status}: ${err}`);
            }
            const [began, joined] = [watched.at(result.began_us), watched.at(result.joined_us)];
            const cpu = (name) => ((joined[name].cpu - began[name].cpu) * 1e6) / n;
            const threads = (name) => Object.fromEntries(Object.entries(joined[name].threads)
                .map(([thread, s]) => [thread, ((s - (began[name].threads[thread] ?? 0)) * 1e6) / n]));

            f = {
                rate,
                joined: result.joined,
                joins_per_s: (n * 1e6) / (result.joined_us - result.began_us),
                control_us: cpu('control'),
                dataplane_us: cpu('dataplane'),
                threads_us: { ...threads('control'), ...threads('dataplane') },
                join_us: result.join_us,
                admitted_us: result.admitted_us,
                put_off: result.put_off,
                join_steps_us: result.join_steps_us,
            };
        },
    );
    return f;
}

await pin(process.pid, CLIENT_CPU); /* and the clients, its children */
const of_node = ({ control_us, dataplane_us }) => control_us + dataplane_us;
const floods = [];

for (let before = await floor(); floods.length < FLOODS;) {
    const flood = await measure(FLOOD); /* at a pace both sleep and wake besides */
    const after = await floor();
    const floor_us = (before.server_us + after.server_us) / 2;

    floods.push({ flood, floor_us, node_us: of_node(flood), ratio: floor_us / of_node(flood) });
    before = after;
}
floods.sort((a, b) => a.ratio - b.ratio);
const { flood, floor_us, node_us, ratio } = floods[Math.floor(FLOODS / 2)];
const steady = await measure(Math.max(1, Math.floor(SHARE * flood.joins_per_s)));
const f = { clients: rooms * size, rooms, floor_us, node_us, ratio, ratios: floods.map((of) => of.ratio),
    wall_ratio: (flood.joins_per_s * floor_us) / 1e6, flood, steady };

if (o.json) {
    console.log(JSON.stringify(f));
} else {
    const ms = (us) => (us / 1000).toFixed(1);
    const line = (name, text) => console.log(`${name.padEnd(14)}${text}`);
    const quantiles = ({ p50, p95, p99, max }) =>
        `p50 ${ms(p50)} ms  p95 ${ms(p95)}  p99 ${ms(p99)}  max ${ms(max)}`;

    console.log(`${f.clients} clients join ${f.rooms} meetings, full DTLS\n`);
    const cpu = (of) => `${of_node(of).toFixed(0)} us of CPU (control ${of.control_us.toFixed(0)}, ` +
        `dataplane ${of.dataplane_us.toFixed(0)})`;

    line('a join', `${cpu(flood)}, all at once: ${(1e6 / node_us).toFixed(0)}/s of one core`);
    line('', `${cpu(steady)}, at ${100 * SHARE} %`);
    for (const [thread, us] of Object.entries(flood.threads_us).filter(([, took]) => took >= 1)) {
        line(`  ${thread}`, `${us.toFixed(0)} us, all at once`);
    }
    line('bare OpenSSL', `${floor_us.toFixed(0)} us, the server's side of a handshake: ` +
        `${(1e6 / floor_us).toFixed(0)}/s of one core`);
    line('ratio', `${f.ratio.toFixed(2)}   floor / ours, all at once ` +
        `(${f.ratios.map((of) => of.toFixed(2)).join(', ')})`);
    line('all at once', `${flood.joins_per_s.toFixed(0)}/s, clients on this machine too ` +
        `(${f.wall_ratio.toFixed(2)} of the bare handshakes of one core); ` +
        quantiles(flood.join_us));
    line('  let in', `${quantiles(flood.admitted_us)}; put off ${flood.put_off} times`);
    line(`${100 * SHARE} % of it`, `${steady.rate}/s; ${quantiles(steady.join_us)}`);
    line('  let in', `${quantiles(steady.admitted_us)}; put off ${steady.put_off} times`);
    for (const [step, h] of Object.entries(steady.join_steps_us)) {
        line(`  ${step}`, quantiles(h));
    }
}
