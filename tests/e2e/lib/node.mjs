/* One KCS node, both processes of it, for a test: configured in a directory of its own,
 * started, asked over its doors, stopped, and held to account for how it ended.
 *
 * KCS_BUILD is the build directory with kcs-dataplane, kcs-control, kcsctl and web/;
 * logs and screenshots are kept in its e2e/. KCS_E2E_LANES is lanes.count, 1 by default. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import {
    copyFileSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    openSync,
    closeSync,
} from 'node:fs';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { assertEvents } from './events.mjs';

const START_MS = 20_000;
const STOP_MS = 10_000;
const LANES = Number(process.env.KCS_E2E_LANES ?? 1); /* lanes.count of every node */
const LOG_LINES = 60; /* of each process, shown when a test fails */

const here = dirname(fileURLToPath(import.meta.url));
export const BUILD = resolve(process.env.KCS_BUILD ?? join(here, '../../../build'));
export const KEPT = join(BUILD, 'e2e');
export const CONFINED = join(here, '../../units/confined.py');
const SUPERVISOR = join(here, '../../units/supervisor.py');

const running = new Set(); /* processes of ours that must not outlive us */
process.on('exit', () => {
    for (const child of running) {
        child.kill('SIGKILL');
    }
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => process.exit(1));
}

/* Runs `body` with a fresh node; whatever happens, the node is stopped, and both
 * processes must have ended with status 0. When anything fails, the ends of both logs
 * are shown.
 *
 * options: name (of the logs that are kept), devices, backend and repair (of
 * dataplane.yaml; the device 'tap' is net_tap with an interface of this node's own), lanes
 * (of KCS_E2E_LANES if not said), control and dataplane (more of their configurations), level
 * (of control's log), store (the path of its file, or a URL), confined (as the units
 * of conf/systemd say), supervised (by tests/units/supervisor.py, which holds the port of http) */
export async function withNode(options, body) {
    const node = new Node(options);
    let failure;

    try {
        await node.start();
        await body(node);
    } catch (error) {
        failure = error;
    }
    const endings = await node.stop();
    if (failure !== undefined || endings.length > 0) {
        node.showLogs();
    }
    node.keepLogs();
    if (failure === undefined) {
        try {
            node.checkEvents();
        } catch (error) {
            failure = error;
        }
    }
    rmSync(node.dir, { recursive: true, force: true });
    if (failure !== undefined) {
        throw failure;
    }
    assert.deepEqual(endings, [], 'both processes stop cleanly when asked to');
}

export class Node {
    constructor({
        name,
        devices,
        backend = 'ipsec_mb',
        repair = true,
        control = '',
        dataplane = '',
        level = 'debug',
        lanes = LANES,
        tls = false,
        store = undefined,
        confined = false,
        supervised = false,
    }) {
        const net = freeNet(); /* of the veth pair: several nodes may run at once */

        this.name = name;
        this.backend = backend;
        this.controlMore = control;
        this.dataplaneMore = dataplane;
        this.level = level;
        this.repair = repair;
        this.lanes = lanes;
        this.tls = tls;
        this.confined = confined;
        this.supervised = supervised;
        this.dir = mkdtempSync(join(tmpdir(), 'kcs-e2e-'));
        this.storePath = store ?? join(this.dir, 'kcs.db');
        this.secret = randomBytes(32).toString('hex');
        this.secretFile = join(this.dir, 'secret');
        this.adminSocket = join(this.dir, 'admin.sock');
        this.dataplaneSocket = join(this.dir, 'dataplane.sock');
        this.veth = {
            name: `kcse${net}`,
            networks: [`10.77.${net}.0/30`, `fd77:6b63:73${net.toString(16)}::/64`],
            ipv4: `10.77.${net}.2` /* the dataplane has the second address of each */,
            ipv6: `fd77:6b63:73${net.toString(16)}::2`,
        };
        this.tap = {
            name: `kcst${net}`,
            device: `vdev:net_tap0,iface=kcst${net}`,
            host: [`10.78.${net}.1/24`, `fd78:6b63:73${net.toString(16)}::1/64`],
            ipv4: `10.78.${net}.2`,
            ipv6: `fd78:6b63:73${net.toString(16)}::2`,
        };
        this.devices = devices.map((device) => (device === 'tap' ? this.tap.device : device));
        this.processes = [];
        this.witnesses = []; /* other programs that look on: they end with the node */
    }

    get origin() {
        return `http://127.0.0.1:${this.httpPort}`;
    }

    async start() {
        for (const program of [
            'kcs-dataplane',
            'kcs-control',
            'kcsctl',
            'web/index.html',
        ]) {
            assert.ok(
                existsSync(join(BUILD, program)),
                `${join(BUILD, program)} is missing: build it, or say where with KCS_BUILD`,
            );
        }
        [this.httpPort, this.metricsPort] = await Promise.all([freeTcp(), freeTcp()]);
        this.httpsPort = this.tls ? await freeTcp() : 0;
        this.mediaPort = await freeUdp();
        this.writeConfiguration();
        this.dataplane = this.spawn('kcs-dataplane', 'dataplane.yaml');
        await this.until('the dataplane listens for control', () =>
            existsSync(this.dataplaneSocket),
        );
        this.configureTap();
        this.control = this.spawn('kcs-control', 'control.yaml');
        await this.until('GET /api/health/ready answers 200', async () => {
            const response = await fetch(`${this.origin}/api/health/ready`);
            await response.arrayBuffer();
            return response.status === 200;
        });
    }

    /* The host's end of the tap, which is there while the dataplane runs. */
    configureTap() {
        if (this.devices.includes(this.tap.device)) {
            const [ipv4, ipv6] = this.tap.host;

            execFileSync('ip', ['address', 'add', ipv4, 'dev', this.tap.name]);
            execFileSync('ip', ['address', 'add', ipv6, 'dev', this.tap.name, 'nodad']);
        }
    }

    optionsOfDevices() {
        return this.devices.includes(this.tap.device)
            ? `  options:
    - device: '${this.tap.device}'
      ipv4: ${this.tap.ipv4}/24
      ipv6: ${this.tap.ipv6}/64
`
            : '';
    }

    /* Returns the paths of its key and itself, the same each time. */
    makeCertificate() {
        const [key, cert] = [join(this.dir, 'key.pem'), join(this.dir, 'cert.pem')];

        execFileSync('openssl', [
            ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
            ...['-nodes', '-days', '1', '-subj', '/CN=localhost', '-keyout', key, '-out', cert],
            ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
        ], { stdio: 'ignore' });
        return { key, cert };
    }

    /* Beside the plain one, with a certificate made for it. */
    secureListener() {
        const { key, cert } = this.makeCertificate();

        return `  - address: 127.0.0.1
    port: ${this.httpsPort}
    tls:
      cert: ${cert}
      key: ${key}
`;
    }

    /* All that a test node's configuration says; the rest is the defaults of conf/. */
    writeConfiguration() {
        writeFileSync(this.secretFile, `${this.secret}\n`, { mode: 0o600 });
        writeFileSync(
            join(this.dir, 'dataplane.yaml'),
            `socket: ${this.dataplaneSocket}
media:
  devices: [${this.devices.map((device) => JSON.stringify(device)).join(', ')}]
  port: ${this.mediaPort}
  repair: ${this.repair}
${this.optionsOfDevices()}veth:
  name: ${this.veth.name}
  ipv4: ${this.veth.networks[0]}
  ipv6: ${this.veth.networks[1]}
crypto:
  backend: ${this.backend}
lanes:
  count: ${this.lanes}
${this.dataplaneMore}`,
        );
        writeFileSync(
            join(this.dir, 'control.yaml'),
            `dataplane:
  socket: ${this.dataplaneSocket}
http:
  - address: 127.0.0.1
    port: ${this.httpPort}
${this.tls ? this.secureListener() : ''}admin:
  socket: ${this.adminSocket}
  metrics_port: ${this.metricsPort}
web:
  root: ${join(BUILD, 'web')}
auth:
  hs256_secret_file: ${this.secretFile}
store:
  ${this.storePath.includes('://') ? 'url' : 'path'}: ${this.storePath}
log:
  level: ${this.level}
${this.controlMore}`,
        );
    }

    /* kcsctl; what asks the node is given its admin socket. Resolves with standard output. */
    async kcsctl(command, ...rest) {
        const offline = command === 'token' || command === 'restore';
        const args = offline
            ? [command, ...rest]
            : ['--socket', this.adminSocket, command, ...rest];
        const { stdout } = await promisify(execFile)(
            join(BUILD, 'kcsctl'),
            args,
            { timeout: 15_000, env: { ...process.env, KCS_HS256_SECRET: undefined } },
        ).catch((error) => {
            throw new Error(`kcsctl ${args.join(' ')}: ${error.stderr || error.message}`);
        });
        return stdout;
    }

    /* A token as an operator mints it. */
    async token({ meeting, name = 'Somebody', role = 'presenter' }) {
        const token = await this.kcsctl(
            ...['token', '--meeting', meeting, '--name', name, '--role', role],
            ...['--secret-file', this.secretFile],
        );
        return token.trim();
    }

    /* Stops control, then the dataplane. Resolves with what was not right. */
    async stop() {
        const wrong = [];

        for (const witness of this.witnesses) {
            witness.kill('SIGKILL');
        }

        for (const child of [...this.processes].reverse()) {
            if (child.ended !== undefined && !child.asked) {
                wrong.push(`${child.program} ended before it was asked to`);
            }
            wrong.push(...(await this.terminate(child)));
        }
        /* without the device the name may have become another node's */
        const made = this.devices.some((device) => ['veth', 'auto'].includes(device));
        if (made && existsSync(`/sys/class/net/${this.veth.name}`)) {
            wrong.push(`the interface ${this.veth.name} was left behind`);
            execFileSync('ip', ['link', 'del', this.veth.name]);
        }
        return wrong;
    }

    /* Stops control as its supervisor would (SIGTERM) and starts it again, as for an update. */
    async restartControl() {
        const wrong = await this.terminate(this.control);

        assert.deepEqual(wrong, [], 'control stops cleanly');
        this.processes.splice(this.processes.indexOf(this.control), 1);
        this.control = this.spawn('kcs-control', 'control.yaml');
    }

    /* The same with the dataplane. */
    async restartDataplane() {
        const wrong = await this.terminate(this.dataplane);

        assert.deepEqual(wrong, [], 'the dataplane stops cleanly');
        this.processes.splice(this.processes.indexOf(this.dataplane), 1);
        this.dataplane = this.spawn('kcs-dataplane', 'dataplane.yaml');
        this.processes.unshift(this.processes.pop()); /* it is stopped last */
    }

    /* Kills a process in the midst of whatever it does (SIGKILL) and, as a supervisor would,
     * starts it again at once; with 'both', both. Resolves when the killed are dead. */
    async crash(...programs) {
        const victims = this.processes.filter(
            (child) => programs.includes(child.program) && !child.asked,
        );

        assert.equal(victims.length, programs.length, `${programs} run`);
        for (const child of victims) {
            child.asked = true;
            child.kill('SIGKILL');
        }
        for (const child of victims) {
            assert.ok(await endsWithin(child, STOP_MS), `${child.program} was killed`);
            this.processes.splice(this.processes.indexOf(child), 1);
        }
        /* in the order in which they are stopped, reversed */
        const control = this.processes.filter((child) => child.program === 'kcs-control');
        this.processes = this.processes.filter((child) => !control.includes(child));
        if (programs.includes('kcs-dataplane')) {
            this.dataplane = this.spawn('kcs-dataplane', 'dataplane.yaml');
        }
        this.processes.push(...control);
        if (programs.includes('kcs-control')) {
            this.control = this.spawn('kcs-control', 'control.yaml');
        }
    }

    /* A counter of control's /metrics, summed over the labels that contain 'label'. */
    async metric(name, label = '') {
        const response = await fetch(`http://127.0.0.1:${this.metricsPort}/metrics`);
        let sum;

        for (const line of (await response.text()).split('\n')) {
            if (line.startsWith(name) && line.includes(label)) {
                sum = (sum ?? 0) + Number(line.split(' ').at(-1));
            }
        }
        assert.notEqual(sum, undefined, `/metrics has ${name} ${label}`);
        return sum;
    }

    /* Asks one process to stop (SIGTERM), insists when it does not. Resolves with what
     * was not right about its end; nothing for one that was asked before. */
    async terminate(child) {
        if (child.asked) {
            return [];
        }
        child.asked = true;
        if (child.ended === undefined) {
            child.kill('SIGTERM');
            if (!(await endsWithin(child, STOP_MS))) {
                child.kill('SIGKILL');
                await endsWithin(child, STOP_MS);
                return [`${child.program} did not stop within ${STOP_MS} ms`];
            }
        }
        return child.ended.code === 0
            ? []
            : [`${child.program} ended with ${describe(child.ended)}`];
    }

    /* What has left the node is as its schemas say. A killed control may have left half a line. */
    checkEvents() {
        const path = join(dirname(this.storePath), 'events.jsonl');

        if (existsSync(path)) {
            assertEvents(BUILD, readFileSync(path, 'utf8'));
        }
    }

    showLogs() {
        for (const { program, log } of this.processes) {
            const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
            console.error(`---- end of the log of ${program} (${this.name}) ----`);
            console.error(lines.slice(-LOG_LINES).join('\n'));
        }
    }

    keepLogs() {
        mkdirSync(KEPT, { recursive: true });
        for (const { program, log } of this.processes) {
            copyFileSync(log, join(KEPT, `${this.name}.${program}.log`));
        }
    }

    spawn(program, configuration) {
        const log = join(this.dir, `${program}.log`);
        const out = openSync(log, 'a');
        const unit = join(here, '../../../conf/systemd', `${program}.service`);
        const port = `${program === 'kcs-control' ? this.httpPort : 0}`;
        const [first, ...rest] = [
            ...(this.supervised ? ['/usr/bin/python3', SUPERVISOR, port] : []),
            ...(this.confined ? ['/usr/bin/python3', CONFINED, unit] : []),
            ...[join(BUILD, program), '--config', join(this.dir, configuration)],
        ];
        const child = spawn(first, rest, { cwd: this.dir, stdio: ['ignore', out, out] });

        closeSync(out);
        child.program = program;
        child.log = log;
        child.on('error', (error) => (child.ended = { code: null, signal: null, error }));
        child.on('exit', (code, signal) => {
            child.ended = { code, signal };
            running.delete(child);
        });
        running.add(child);
        this.processes.push(child);
        return child;
    }

    /* Polls until `check` is true; fails when a process of ours has died or time is up. */
    async until(what, check, patience = START_MS) {
        const deadline = Date.now() + patience;
        let last = '';

        while (Date.now() < deadline) {
            for (const child of this.processes) {
                if (child.ended !== undefined && !child.asked) {
                    throw new Error(
                        `${child.program} ended (${describe(child.ended)}) before ${what}`,
                    );
                }
            }
            try {
                if (await check()) {
                    return;
                }
            } catch (error) {
                last = ` (${error.cause?.message ?? error.message})`;
            }
            await sleep(50);
        }
        throw new Error(`waited ${patience} ms in vain: ${what}${last}`);
    }
}

/* A number whose interfaces are not there, and that no node of this process had before. */
const taken = new Set();
function freeNet() {
    const free = (net) =>
        !taken.has(net) &&
        !existsSync(`/sys/class/net/kcse${net}`) &&
        !existsSync(`/sys/class/net/kcst${net}`);
    let net = randomInt(100, 250);

    for (let i = 0; i < 150 && !free(net); i++) {
        net = net === 249 ? 100 : net + 1;
    }
    taken.add(net);
    return net;
}

function describe({ code, signal, error }) {
    return error?.message ?? (signal === null ? `status ${code}` : `signal ${signal}`);
}

async function endsWithin(child, ms) {
    const deadline = Date.now() + ms;

    while (child.ended === undefined && Date.now() < deadline) {
        await sleep(20);
    }
    return child.ended !== undefined;
}

export async function freeTcp() {
    const server = createServer();

    await new Promise((done, failed) => {
        server.once('error', failed).listen(0, '127.0.0.1', done);
    });
    const { port } = server.address();
    await new Promise((done) => server.close(done));
    return port;
}

async function freeUdp() {
    const socket = createSocket({ type: 'udp6', ipv6Only: false });

    await new Promise((done, failed) => {
        socket.once('error', failed).bind(0, '::', done);
    });
    const { port } = socket.address();
    await new Promise((done) => socket.close(done));
    return port;
}
