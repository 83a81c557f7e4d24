/* A room with very many in it, or many rooms: how fast they get in, whether all get all that
 * is sent, how soon they have what somebody writes, and what it takes of both processes. The
 * node and its clients (kcs-loadgen) share this machine, so that its figures bound from below
 * what the node can do.
 *
 * usage: tools/bench room [OPTION…], see HELP */
import { execFile } from 'node:child_process';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';

import { loadgen } from '../../tests/e2e/lib/loadgen.mjs';
import { BUILD, withNode } from '../../tests/e2e/lib/node.mjs';
import { cores, watch } from './node_watch.mjs';

const HELP = `usage: tools/bench room [--participants N] [--rooms R] [--publishers P] [--seconds T]
                        [--join-rate N] [--audio-rate N] [--video-rate N] [--device D] [--json]

  --participants N  of each room, publishers among them (10000)
  --rooms R         so many of them (1)
  --publishers P    of each room: each sends audio and video (3)
  --seconds T       sending, after all have joined (60)
  --join-rate N     clients that begin to join a second (100)
  --audio-rate N    packets a second of 160 bytes (2)
  --video-rate N    packets a second of 1,100 bytes (1)
  --verify-every K  each K-th subscriber decrypts and compares, the others count (100)
  --device D        of the dataplane, as in its configuration (udp:127.0.0.1)
  --json            one object

What the device's port carries is measured before (tools/bench wire, as root): below that
rate nothing may be lost. Exit status: 0 all joined, had all that was sent and written, and
nothing of it was wrong; 1 not so.
`;
const CHATS = 10;
const VIDEO_SIZE = 1100; /* of kcs-loadgen, if it is not told */
const WIRE_MAX = 4000; /* subscribers of bench-wire */
const RING_MIB = 1.2; /* of the rings of a publisher: the default is for some 480 of them */

function options() {
    const number = (value, name) => {
        if (!/^[1-9]\d*$/.test(value)) {
            throw new Error(`--${name} is a number from 1, not '${value}'`);
        }
        return Number(value);
    };
    const { values } = parseArgs({
        options: {
            participants: { type: 'string', default: '10000' },
            rooms: { type: 'string', default: '1' },
            publishers: { type: 'string', default: '3' },
            seconds: { type: 'string', default: '60' },
            'join-rate': { type: 'string', default: '100' },
            'audio-rate': { type: 'string', default: '2' },
            'video-rate': { type: 'string', default: '1' },
            'verify-every': { type: 'string', default: '100' },
            device: { type: 'string', default: 'udp:127.0.0.1' },
            json: { type: 'boolean', default: false },
            help: { type: 'boolean', short: 'h', default: false },
        },
    });
    for (const name of Object.keys(values)) {
        if (typeof values[name] === 'string' && name !== 'device') {
            values[name] = number(values[name], name);
        }
    }
    return values;
}

/* Packets a second that one lane sends through a port of that kind when nobody reads; undefined
 * if that cannot be measured here. */
async function portLimit(o, subscribers) {
    const device = o.device.split(':')[0];
    const args = ['--device', device, '--subscribers', `${Math.min(WIRE_MAX, subscribers)}`,
        '--size', `${VIDEO_SIZE}`, '--json'];

    try {
        const { stdout } = await promisify(execFile)(
            join(BUILD, 'tools/benchmarks/bench-wire'), args);
        return JSON.parse(stdout).devices[0].forwards_per_s;
    } catch (error) {
        console.error(`room: what ${device} carries is not measured: ${error.message.trim()}`);
        return undefined;
    }
}

/* Of one process: cores in use while they join and while media flows, and bytes that each
 * participant has cost. */
function cost(name, watched, result, n) {
    const [began, joined, ended] = ['began_us', 'joined_us', 'ended_us'].map((when) =>
        watched.at(result[when]));

    return {
        cores_joining: cores(name, began, joined),
        cores_sending: cores(name, joined, ended),
        cpu_ms_a_join: ((joined[name].cpu - began[name].cpu) * 1000) / n,
        bytes_a_participant: (ended[name].memory - watched.first[name].memory) / n,
    };
}

async function measure(o) {
    const n = o.participants * o.rooms;
    const subscribers = o.participants - o.publishers;
    const streams = 2 * o.publishers;
    const port = await portLimit(o, subscribers);
    let measured;

    await withNode(
        {
            name: 'bench-room',
            devices: [o.device],
            level: 'warn',
            dataplane: `memory:
  streams_mib: ${Math.max(512, Math.ceil(RING_MIB * o.publishers * o.rooms))}
limits:
  peers: ${Math.min(65536, n + 512)}
  streams: ${Math.max(64, streams * o.rooms + 64)}
  subscriptions: ${Math.max(64, streams * subscribers * o.rooms + 64)}
`,
        },
        async (node) => {
            const watched = watch(node);
            const { status, result, err } = await loadgen(
                node,
                [
                    ...['--publishers', o.publishers, '--subscribers', subscribers],
                    ...['--rooms', o.rooms, '--media', 'both', '--rate', o['video-rate']],
                    ...['--audio-rate', o['audio-rate'], '--seconds', o.seconds],
                    ...['--chat', Math.min(CHATS, o.seconds), '--join-rate', o['join-rate']],
                    ...['--join-timeout', 60, '--verify-every', o['verify-every']],
                    /* on so few CPUs what is sent would be in the way of those who still join */
                    ...['--send', 'when-all', '--no-feedback', '--quiet'],
                ].map(String),
                { patience: Math.ceil(o.seconds + n / o['join-rate'] + 180) },
            );

            watched.stop();
            if (result === undefined) {
                throw new Error(`kcs-loadgen ended with ${status}: ${err}`);
            }
            measured = { status, result, control: cost('control', watched, result, n),
                dataplane: cost('dataplane', watched, result, n) };
        },
    ).catch((error) => {
        if (measured === undefined) {
            throw error;
        }
        measured.status = 1; /* figures are told of a node, too, that does not end well */
        measured.result.failures.push(error.message.split('\n')[0], ...(error.actual ?? []));
    });
    return { ...measured, n, streams, subscribers, port };
}

const WRONG = ['corrupt', 'misrouted', 'forged', 'malformed']; /* what sampled payloads may be */
const FAULTS = ['lost', 'duplicates', 'misordered', ...WRONG];

function figures(o, { status, result, control, dataplane, n, streams, subscribers, port }) {
    const delays = ({ count, p50, p95, p99, max }) => ({ count, p50, p95, p99, max });
    const chat = { sent: result.chats_sent, expected: result.chats_sent * o.participants,
        us: delays(result.chat_us) };

    return {
        participants: o.participants,
        rooms: o.rooms,
        publishers: o.publishers,
        seconds: result.seconds,
        ok: status === 0 && chat.us.count === chat.expected,
        failures: result.failures,
        joined: result.joined,
        join_seconds: (result.joined_us - result.began_us) / 1e6,
        joins_per_s: (result.joined / (result.joined_us - result.began_us)) * 1e6,
        join_us: delays(result.join_us),
        join_steps_us: Object.fromEntries(
            Object.entries(result.join_steps_us).map(([step, h]) => [step, delays(h)])),
        offered_per_s: o.publishers * (o['audio-rate'] + o['video-rate']) * subscribers * o.rooms,
        port_limit_per_s: port,
        received: result.received,
        verified: result.verified,
        wrong: WRONG.reduce((sum, fault) => sum + result[fault], 0),
        faults: Object.fromEntries(FAULTS.map((fault) => [fault, result[fault]])),
        streams_silent: result.streams_silent,
        delay_us: delays(result.delay_us),
        chat,
        control,
        dataplane,
        clients: { cpu_seconds: result.cpu_seconds, processes: result.processes,
            bytes_a_participant: (result.memory_kb * 1024) / n },
        streams: streams * subscribers * o.rooms,
        machine: { cpu: cpus()[0].model, cpus: cpus().length },
    };
}

const ms = (us) => (us / 1000).toFixed(us < 10_000 ? 1 : 0);
const quantiles = ({ p50, p95, p99, max }) =>
    `p50 ${ms(p50)} ms  p95 ${ms(p95)}  p99 ${ms(p99)}  max ${ms(max)}`;
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;

function table(f) {
    const line = (name, text) => console.log(`${name.padEnd(14)}${text}`);
    const process = (name, c) =>
        line(name, `${c.cores_joining.toFixed(2)} cores joining (${c.cpu_ms_a_join.toFixed(2)} ms a ` +
            `join), ${c.cores_sending.toFixed(2)} sending, ${kib(c.bytes_a_participant)} a participant`);

    console.log(`${f.rooms} room(s) of ${f.participants}, ${f.publishers} publishers of audio and ` +
        `video each; ${f.machine.cpus} CPUs, ${f.machine.cpu}\n`);
    line('joined', `${f.joined} in ${f.join_seconds.toFixed(1)} s: ${f.joins_per_s.toFixed(0)}/s`);
    line('join', quantiles(f.join_us));
    for (const [step, h] of Object.entries(f.join_steps_us)) {
        line(`  ${step}`, quantiles(h));
    }
    line('media', `${f.offered_per_s} packets/s offered to ${f.streams} subscriptions for ` +
        `${f.seconds.toFixed(0)} s; ${f.received} received, ${f.verified} compared, ` +
        `${f.wrong} of them wrong`);
    if (f.port_limit_per_s !== undefined) {
        const share = (100 * f.offered_per_s) / f.port_limit_per_s;

        line('port', `one lane sends ${f.port_limit_per_s.toFixed(0)}/s by it; offered are ` +
            `${share.toFixed(0)} % of that`);
    }
    line('faults', Object.entries(f.faults).map(([name, count]) => `${name} ${count}`).join(', '));
    line('delay', quantiles(f.delay_us));
    line('chat', `${f.chat.us.count} of ${f.chat.expected} arrived: ${quantiles(f.chat.us)}`);
    process('control', f.control);
    process('dataplane', f.dataplane);
    line('clients', `${f.clients.cpu_seconds.toFixed(0)} s of CPU in ${f.clients.processes} ` +
        `processes, ${kib(f.clients.bytes_a_participant)} a participant`);
    for (const failure of f.failures) {
        line('FAILED', failure);
    }
}

let o;
try {
    o = options();
} catch (error) {
    console.error(`room: ${error.message}; see tools/bench room --help`);
    process.exit(2);
}
if (o.help) {
    process.stdout.write(HELP);
} else {
    const f = figures(o, await measure(o));

    if (o.json) {
        console.log(JSON.stringify(f));
    } else {
        table(f);
    }
    process.exitCode = f.ok ? 0 : 1;
}
