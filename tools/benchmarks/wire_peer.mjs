/* What a forward costs the node beside another media server: the same publisher and the same
 * receivers (peers/, Go) over the same kind of link, each server pinned to one CPU and the
 * clients to another, by turns. `tools/bench wire --peer` runs it in a network namespace of its
 * own; receivers are in another, behind a veth whose kernel part runs on the sender's CPU.
 *
 * Servers: kcs by kernel sockets ("udp"), kcs by AF_XDP on a veth ("veth"), and the peer, which
 * has kernel sockets only. Control's CPU time counts as the node's.
 *
 * Between their turns a bare loop (wire_floor.c) sends to as many sockets over the same link, as
 * fast as it can: more than it does no server can send there, so a goal above it says nothing of
 * the server. With --receivers xdp or ingress the far end drops what the receivers' sockets
 * would have dropped, and counts it (wire_sample.c): no receivers' IP stack runs on the
 * sender's CPU, as with a network card none does. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { BUILD, withNode } from '../../tests/e2e/lib/node.mjs';
import { optionsOf } from './options.mjs';

const HELP = `usage: tools/bench wire --peer janus|livekit [--peer-program PATH] [--subscribers N] [--size B]
                        [--seconds T] [--receivers kernel|xdp|ingress] [--json]

  --peer P           the server beside ours
  --peer-program P   janus: /usr/bin/janus, of the package janus (apt-get install janus);
                     livekit: a livekit-server that is installed
  --subscribers N    receivers (50)
  --size B           bytes of the RTP packet before the tag (1200)
  --seconds T        of each step (3)
  --receivers R      where the far end drops all of media but a sample. kernel: in the filters
                     of the receivers' sockets, behind their IP stack (the default); xdp: in
                     native XDP, packet by packet; ingress: in tc's ingress hook, where what one
                     call sent to one address is still one
  --json             one object

Goals, as multiples of the peer's most and of its cost: over veth 8 of Janus and 4 of LiveKit, over
udp 6 and 3. Beside each stands whether the bare loop of the same run can send as much. Needs root and two CPUs.
`;
const GOALS = { janus: { veth: 8, udp: 6 }, livekit: { veth: 4, udp: 3 } };
const DELIVERED = 0.985;
const FIRST = 16500; /* forwards a second: where the cost of small batches shows */
const STEP = 1.5;
const FINER = 1.15;
const CLIMBS = 3; /* the machine has faster and slower minutes: what is told is the middle one */
const AGAIN_FROM = 1.5; /* below the most of the climb before */
const CLIENTS_KEEP_UP = 0.9;
const FLOOR_SECONDS = 1; /* of each turn */
const START_MS = 20_000;
const [SERVER_CPU, CLIENT_CPU] = ['0', '1'];
const [HERE, THERE] = ['10.99.0.1', '10.99.0.2'];

const o = optionsOf('wire', HELP, {
    peer: { type: 'string' },
    'peer-program': { type: 'string' },
    subscribers: { type: 'string', default: '50' },
    size: { type: 'string', default: '1200' },
    seconds: { type: 'string', default: '3' },
    receivers: { type: 'string', default: 'kernel' },
    json: { type: 'boolean', default: false },
});

if (GOALS[o.peer] === undefined || !['kernel', 'xdp', 'ingress'].includes(o.receivers) || !(o.subscribers >= 1 && o.size >= 100 && o.size <= 1400 && o.seconds >= 1)) {
    process.stderr.write(HELP);
    process.exit(2);
}

const n = Number(o.subscribers);
const BENCHMARKS = join(BUILD, 'tools/benchmarks');
const children = new Set();
const samples = []; /* of each link, how much media has arrived */
const dir = mkdtempSync(join(tmpdir(), 'kcs-peer-'));

process.on('exit', () => {
    children.forEach((child) => child.kill('SIGKILL'));
    rmSync(dir, { recursive: true, force: true });
});

function run(program, args, options = {}) {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options });

    children.add(child);
    child.once('exit', () => children.delete(child));
    return child;
}

/* The receivers' namespace, at the other end of a veth. Returns its file. */
async function link() {
    const holder = run('unshare', ['-n', 'sleep', 'infinity']);
    const there = ['-t', `${holder.pid}`, '-n', 'ip'];
    const mine = readlinkSync('/proc/self/ns/net');

    for (let i = 0; i < 100; i++) {
        if (readlinkSync(`/proc/${holder.pid}/ns/net`) !== mine) {
            break;
        }
        await sleep(20);
    }
    execFileSync('ip', ['link', 'set', 'lo', 'up']);
    execFileSync('ip', ['link', 'add', 'peers', 'type', 'veth', 'peer', 'name', 'peers', 'netns', `${holder.pid}`]);
    execFileSync('ip', ['address', 'add', `${HERE}/24`, 'dev', 'peers']);
    execFileSync('ip', ['link', 'set', 'peers', 'up']);
    execFileSync('nsenter', [...there, 'address', 'add', `${THERE}/24`, 'dev', 'peers']);
    execFileSync('nsenter', [...there, 'link', 'set', 'peers', 'up']);
    execFileSync('nsenter', [...there, 'link', 'set', 'lo', 'up']);
    const netns = `/proc/${holder.pid}/ns/net`;

    await sample('peers', ['nsenter', `--net=${netns}`]);
    return netns;
}

/* Lines of JSON that a child is asked for. */
function talk(child, name) {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

    return async (line) => {
        if (line !== undefined) {
            child.stdin.write(`${line}\n`);
        }
        const { value, done } = await lines.next();

        if (done) {
            throw new Error(`${name} ended`);
        }
        return JSON.parse(value);
    };
}

/* Drops and counts at the receivers' end of a link, if that is asked for. */
async function sample(ifname, within) {
    if (o.receivers === 'kernel') {
        return;
    }
    const [program, ...args] = [...within, join(BENCHMARKS, 'bench-sample'), o.receivers, ifname,
        join(BENCHMARKS, 'wire-sample.o'), o.size];
    const ask = talk(run(program, args), `what samples on ${ifname}`);

    await ask();
    samples.push(ask);
}

async function arrived() {
    let sum = 0;

    for (const ask of samples) {
        sum += (await ask('')).arrived;
    }
    return sum;
}

/* What part of 'sent' packets was delivered: of those that the receivers' end counted, if it
 * does, and of those that the receivers read. */
function deliveredOf(r, before, after, sent) {
    const read = r.got / r.expected;

    return o.receivers === 'kernel' ? read : Math.min(read, (after - before) / sent);
}

/* Seconds of CPU, user and system, of all threads of processes. */
function cpuOf(pids) {
    let ns = 0;

    for (const pid of pids) {
        for (const thread of readdirSync(`/proc/${pid}/task`)) {
            ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
        }
    }
    return ns / 1e9;
}

function pin(pid) {
    execFileSync('taskset', ['-a', '-c', '-p', SERVER_CPU, `${pid}`]);
}

/* ---- servers ---- */

async function answers(url, child) {
    for (const until = Date.now() + START_MS; Date.now() < until; await sleep(100)) {
        if (child.exitCode !== null) {
            throw new Error(`${o.peer} ended with status ${child.exitCode}; see ${join(BUILD, 'bench-peer.log')}`);
        }
        const ok = await fetch(url).then((response) => response.ok, () => false);
        if (ok) {
            return;
        }
    }
    throw new Error(`${o.peer} does not answer at ${url}`);
}

function startPeer(program, args) {
    const log = join(BUILD, 'bench-peer.log');

    writeFileSync(log, '');
    return run('sh', ['-c', `exec taskset -c ${SERVER_CPU} "$@" >>"${log}" 2>&1`, 'sh', program, ...args]);
}

const peers = {
    async janus() {
        const program = o['peer-program'] ?? '/usr/bin/janus';

        need(program, 'apt-get install janus (Debian), or say where it is with --peer-program');
        writeFileSync(join(dir, 'janus.jcfg'), `general: { session_timeout = 0; reclaim_session_timeout = 0
    debug_level = 2; event_loops = 1; log_to_stdout = true }
nat: { ice_enforce_list = "${HERE}"; full_trickle = false }
plugins: { disable = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_voicemail.so" }
transports: { disable = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so,libjanus_websockets.so" }
loggers: { disable = "libjanus_jsonlog.so" }
`);
        writeFileSync(join(dir, 'janus.transport.http.jcfg'),
            'general: { json = "compact"; base_path = "/janus"; http = true; port = 8088; ip = "127.0.0.1" }\nadmin: { admin_http = false }\n');
        writeFileSync(join(dir, 'janus.plugin.videoroom.jcfg'), 'general: { }\n');
        const child = startPeer(program, ['-F', dir]);

        await answers('http://127.0.0.1:8088/janus/info', child);
        return { name: 'janus', pids: [child.pid], client: ['--url', 'http://127.0.0.1:8088'] };
    },
    async livekit() {
        const program = o['peer-program'] ?? 'livekit-server';
        const [key, secret] = ['bench', randomBytes(24).toString('hex')];

        need(program, 'install livekit-server, and say where it is with --peer-program');
        writeFileSync(join(dir, 'livekit.yaml'), `port: 7880
bind_addresses: [127.0.0.1]
rtc:
  udp_port: 7882
  tcp_port: 0
  use_external_ip: false
  node_ip: ${HERE}
  congestion_control: { enabled: false }
  interfaces: { includes: [peers] }
keys: { ${key}: ${secret} }
logging: { level: error }
room: { auto_create: true }
`);
        const child = startPeer(program, ['--config', join(dir, 'livekit.yaml')]);

        await answers('http://127.0.0.1:7880/', child);
        return { name: 'livekit', pids: [child.pid], client: ['--url', 'http://127.0.0.1:7880', '--key', key, '--secret', secret] };
    },
};

function need(program, cure) {
    const found = program.includes('/') ? existsSync(program)
        : process.env.PATH.split(':').some((path) => existsSync(join(path, program)));

    if (!found) {
        console.error(`wire: ${program} is not installed: ${cure}`);
        process.exit(1);
    }
}

/* ---- clients ---- */

async function connect(server, netns) {
    const child = run('taskset', ['-c', CLIENT_CPU, join(BUILD, 'kcs-bench-peers'), ...server.client,
        '--server', server.name.split(' ')[0], '--subscribers', `${n}`, '--size', o.size,
        ...(server.local ? ['--local', server.local] : ['--local', THERE, '--netns', netns])]);
    const ask = talk(child, `the clients of ${server.name}`);
    const { seen } = await ask();

    if (seen !== n) {
        throw new Error(`${seen} of ${n} receivers of ${server.name} got something`);
    }
    server.measure = async (rate) => {
        const counted = await arrived();
        const before = cpuOf(server.pids);
        const r = await ask(`${rate / n} ${o.seconds}`);
        const cpu = cpuOf(server.pids) - before;
        const delivered = deliveredOf(r, counted, await arrived(), r.sent * n);

        if (r.wrong > 0) {
            throw new Error(`${server.name}: ${r.wrong} packets were not what was sent`);
        }
        return { rate: (r.sent * n) / r.seconds, delivered, us: (cpu * 1e6) / (r.sent * n * delivered), core: cpu / r.seconds };
    };
}

/* ---- the floor ---- */

function macOf(program, args) {
    return JSON.parse(execFileSync(program, [...args, '-j', 'link', 'show', 'peers'], { encoding: 'utf8' }))[0].address;
}

/* A bare loop, 'how' it sends, and receivers of its own. */
async function floorBy(how, netns) {
    const name = `bare ${how}`;
    const clients = talk(run('taskset', ['-c', CLIENT_CPU, join(BUILD, 'kcs-bench-peers'), '--server', 'floor',
        '--subscribers', `${n}`, '--size', o.size, '--local', THERE, '--netns', netns]), `the receivers of ${name}`);
    const { addresses } = await clients();
    const loop = run('taskset', ['-c', SERVER_CPU, join(BENCHMARKS, 'bench-floor'), how, 'peers', HERE,
        macOf('ip', []), macOf('nsenter', [`--net=${netns}`, 'ip']), o.size, ...addresses]);
    const ask = talk(loop, name);
    const turns = [];

    return {
        name, turns,
        async measure() {
            const counted = await arrived();
            const before = cpuOf([loop.pid]);
            const { from, to, seconds } = await ask(`${FLOOR_SECONDS}`);
            const cpu = cpuOf([loop.pid]) - before;
            const r = await clients(`${from} ${to}`);
            const sent = (to - from) * n;
            const delivered = deliveredOf(r, counted, await arrived(), sent);

            turns.push({ rate: (sent * delivered) / seconds, us: (cpu * 1e6) / (sent * delivered), delivered });
            progress(`${name}: ${Math.round(sent / seconds)}/s, ${(100 * delivered).toFixed(2)} %`);
        },
        /* the middle of its turns, by rate */
        middle: () => [...turns].sort((a, b) => a.rate - b.rate)[turns.length >> 1],
    };
}

/* ---- steps, by turns ---- */

const good = (step) => step.delivered >= DELIVERED;
const middle = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/* All servers at once more, each in steps from its 'rate' on: fills 'most' of each. */
async function climb(servers, floors) {
    for (const s of servers) {
        s.most = undefined;
        s.done = false;
    }
    for (let going = [...servers]; going.length > 0; going = going.filter((s) => !s.done)) {
        for (const floor of floors) {
            await floor.measure();
        }
        for (const s of going) {
            let step = await s.measure(s.rate);

            /* one bad moment of the machine is not the server's limit, nor the clients' */
            step = good(step) && step.rate >= CLIENTS_KEEP_UP * s.rate ? step : await s.measure(s.rate);
            s.first ??= step;
            progress(`${s.name}: ${Math.round(step.rate)}/s, ${(100 * step.delivered).toFixed(2)} %, ${step.us.toFixed(2)} us`);
            if (good(step)) {
                s.most = step;
                s.done = step.rate < CLIENTS_KEEP_UP * s.rate; /* the clients send no faster */
                s.bound = s.done ? 'clients' : 'server';
                s.rate *= s.factor;
            } else if (s.most === undefined && s.rate > FIRST) {
                s.rate /= STEP; /* a slower minute than the last climb's */
            } else if (s.factor === STEP && s.most !== undefined) {
                s.factor = FINER;
                s.rate = s.most.rate * FINER;
            } else {
                s.done = true;
            }
        }
    }
}

async function climbs(servers, floors) {
    for (const s of servers) {
        s.factor = STEP;
        s.rate = FIRST;
        s.mosts = [];
    }
    for (let i = 0; i < CLIMBS; i++) {
        await climb(servers, floors);
        for (const s of servers.filter(({ most }) => most !== undefined)) {
            s.mosts.push(s.most);
            s.factor = FINER;
            s.rate = Math.max(FIRST, s.most.rate / AGAIN_FROM);
        }
    }
}

function progress(text) {
    if (!o.json) {
        console.error(text);
    }
}

/* Which bare loop sends as a server does. */
const FLOOR_OF = { veth: 'bare af_xdp', udp: 'bare sendmmsg' };

function print(servers, floors) {
    const peer = servers.find((s) => s.name === o.peer);
    const out = { peer: o.peer, subscribers: n, size: Number(o.size), seconds: Number(o.seconds), receivers: o.receivers, servers: [], floors: [] };

    for (const floor of floors) {
        const { rate, us, delivered } = floor.middle();

        out.floors.push({ name: floor.name, per_s: rate, us, delivered, turns: floor.turns.length,
            least_per_s: Math.min(...floor.turns.map((t) => t.rate)), most_per_s: Math.max(...floor.turns.map((t) => t.rate)) });
    }

    for (const s of servers) {
        const [rates, costs] = [s.mosts.map((m) => m.rate), s.mosts.map((m) => m.us)];
        const row = { name: s.name, us_at_first: s.first.us, first_per_s: s.first.rate, most_per_s: middle(rates) ?? 0,
            us_at_most: middle(costs), mosts_per_s: rates, us_at_mosts: costs, bound: s.bound ?? 'server' };

        if (s !== peer && s.mosts.length === CLIMBS && peer.mosts.length === CLIMBS) {
            /* of the same climb, that is of the same minute */
            row.times_most = middle(s.mosts.map((m, i) => m.rate / peer.mosts[i].rate));
            row.times_cheaper = middle(s.mosts.map((m, i) => peer.mosts[i].us / m.us));
            row.goal = GOALS[o.peer][s.name.split(' ')[1]];
            const floor = out.floors.find(({ name }) => name === FLOOR_OF[s.name.split(' ')[1]]);
            row.floor = floor.name;
            row.of_floor = row.most_per_s / floor.per_s;
            row.goal_per_s = row.goal * middle(peer.mosts.map((m) => m.rate));
            row.goal_above_floor = row.goal_per_s > floor.per_s;
        }
        out.servers.push(row);
    }
    if (o.json) {
        console.log(JSON.stringify(out));
        return;
    }
    console.log(`${n} receivers, ${o.size} bytes, AEAD-AES-128-GCM; each server on one CPU; ` +
        `dropped at the receivers' end: ${{ kernel: 'by their sockets', xdp: 'by XDP', ingress: "in tc's ingress hook" }[o.receivers]}\n`);
    console.log('server          at 16,500/s     most at 98.5 %   CPU each   times the peer\'s most   cheaper   goal');
    for (const r of out.servers) {
        console.log(`${r.name.padEnd(12)} ${r.us_at_first.toFixed(2).padStart(9)} us  ${r.most_per_s.toFixed(0).padStart(12)}/s  ` +
            `${(r.us_at_most ?? NaN).toFixed(2).padStart(9)} us` + (r.goal ? `   ${r.times_most.toFixed(2).padStart(18)}   ${r.times_cheaper.toFixed(2).padStart(8)}   ${r.goal}` : '') +
            (r.bound === 'clients' ? '   (the clients send no more)' : ''));
    }
    for (const f of out.floors) {
        console.log(`${f.name.padEnd(13)} ${''.padStart(11)}  ${f.per_s.toFixed(0).padStart(12)}/s  ${f.us.toFixed(2).padStart(9)} us`);
    }
    console.log();
    for (const r of out.servers.filter(({ floor }) => floor)) {
        console.log(`${r.name}: ${r.of_floor.toFixed(2)} of ${r.floor}; ${r.goal} times ${o.peer} would be ${r.goal_per_s.toFixed(0)}/s, ` +
            (r.goal_above_floor ? 'more than that loop sends' : 'which that loop sends'));
    }
    console.log(`The middle of ${CLIMBS} climbs by turns; times: of the same climb.`);
    console.log('bare: no encryption, headers written, as fast as it goes; the middle of its turns.');
    console.log('\nCPU: user and system time of the server\'s processes for a packet that was delivered.');
}

async function withOurs(device, body) {
    await withNode({
        name: `bench-peer-${device}`, devices: [device === 'udp' ? `udp:${HERE}` : 'veth'], level: 'info', lanes: 1,
        control: 'limits:\n  requests_per_address: 0\n  requests_per_user: 0\n  handshakes_per_address: 0\n',
    }, async (node) => {
        const pids = [node.control.pid, node.dataplane.pid];

        pids.forEach(pin);
        if (device === 'veth') {
            await sample(node.veth.name, []);
        }
        await body({
            name: `kcs ${device}`, pids, local: device === 'veth' ? node.veth.ipv4.replace(/2$/, '1') : undefined,
            client: ['--url', node.origin, '--room', 'bench', '--token', await node.token({ meeting: 'bench' })],
        });
    });
}

mkdirSync(BUILD, { recursive: true });
const netns = await link();

await withOurs('udp', async (udp) => {
    await withOurs('veth', async (veth) => {
        const servers = [udp, veth, await peers[o.peer]()];

        for (const server of servers) {
            await connect(server, netns);
        }
        const floors = [await floorBy('af_xdp', netns), await floorBy('sendmmsg', netns)];

        await climbs(servers, floors);
        print(servers, floors);
    });
});
process.exit(0);
