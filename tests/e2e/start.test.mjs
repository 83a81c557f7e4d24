/* What a program says and how it ends when it cannot start: one line that tells what is
 * missing and what mends it, exit status 1, or 4 for a configuration that is wrong. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BUILD, freeTcp, withNode } from './lib/node.mjs';

const END_MS = 15_000;

/* Runs a program with this configuration until it ends by itself. */
async function ending(program, yaml, args = []) {
    const dir = mkdtempSync(join(tmpdir(), 'kcs-start-'));
    const file = join(dir, 'conf.yaml');

    writeFileSync(file, yaml.replaceAll('DIR', dir));
    try {
        const child = spawn(join(BUILD, program), ['--config', file, ...args]);
        let words = '';
        child.stdout.on('data', (data) => (words += data));
        child.stderr.on('data', (data) => (words += data));
        const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
        const status = await new Promise((done) => child.once('close', done));
        clearTimeout(timer);
        assert.notEqual(status, null, `${program} did not end by itself: ${words}`);
        return { status, words: words.trim() };
    } finally {
        rmSync(dir, { recursive: true, force: true });
    }
}

/* Runs `body` with the process id of a dataplane with this configuration, once it is ready. */
async function withDataplane(yaml, body) {
    const dir = mkdtempSync(join(tmpdir(), 'kcs-start-'));
    const file = join(dir, 'conf.yaml');
    let words = '';

    writeFileSync(
        file,
        `socket: ${dir}/d\nmedia:\n  port: ${await freeTcp()}\n` +
            `  devices: ["udp:127.0.0.1"]\n${yaml}`,
    );
    const child = spawn(join(BUILD, 'kcs-dataplane'), ['--config', file]);
    child.stderr.on('data', (data) => (words += data));
    const end = new Promise((done) => child.once('close', done));
    try {
        const deadline = Date.now() + END_MS;
        while (!/ready/.test(words)) {
            assert.ok(child.exitCode === null && Date.now() < deadline, words);
            await sleep(50);
        }
        await body(child.pid);
    } finally {
        child.kill('SIGTERM');
        assert.equal(await end, 0, words);
        rmSync(dir, { recursive: true, force: true });
    }
}

/* The last words are one line that matches each pattern. */
function assertSays({ words }, ...patterns) {
    const last = words.split('\n').at(-1);

    for (const pattern of patterns) {
        assert.match(last, pattern);
    }
}

test('an unknown key is named with its line and the nearest name', async () => {
    for (const [program, text, line, known] of [
        ['kcs-dataplane', 'media:\n  prot: 5\n', 2, 'port'],
        ['kcs-control', 'dataplane:\n  sockets: /tmp/x\n', 2, 'socket'],
    ]) {
        const end = await ending(program, text);

        assert.equal(end.status, 4, end.words);
        assertSays(end, new RegExp(`conf\\.yaml:${line}: `), new RegExp(`'${known}'`));
        const checked = await ending(program, text, ['--check-config']);
        assert.equal(checked.status, 4, checked.words);
    }
});

test('what is no option or no device is refused', async () => {
    assert.equal((await ending('kcs-dataplane', '', ['--nonsense'])).status, 2);
    assert.equal((await ending('kcs-control', '', ['--nonsense'])).status, 2);

    const end = await ending('kcs-dataplane', 'socket: DIR/d\nmedia:\n  devices: [carrier]\n');
    assert.equal(end.status, 4, end.words);
    assertSays(end, /conf\.yaml:3: /, /media\.devices/, /af_xdp/);
});

test('an interface that is not there is named', async () => {
    const end = await ending(
        'kcs-dataplane',
        'socket: DIR/d\nmedia:\n  devices: ["af_xdp:nosuch0"]\n',
    );

    assert.ok([1, 4].includes(end.status), end.words);
    assertSays(end, /nosuch0/);
});

test('a media port in use is named', async () => {
    const socket = createSocket('udp4');

    await new Promise((done) => socket.bind(0, '127.0.0.1', done));
    try {
        const { port } = socket.address();
        const end = await ending(
            'kcs-dataplane',
            `socket: DIR/d\nmedia:\n  port: ${port}\n  devices: ["udp:127.0.0.1"]\n`,
        );
        assert.equal(end.status, 1, end.words);
        assertSays(end, new RegExp(`${port}`), /use/);
    } finally {
        socket.close();
    }
});

test('an HTTP port in use and a certificate that is not there are named', async () => {
    const server = createServer();

    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address();
    const rest =
        'dataplane:\n  socket: DIR/d\n' +
        `admin:\n  socket: DIR/a\n  metrics_port: ${await freeTcp()}\n` +
        `auth:\n  hs256_secret: ${'s'.repeat(40)}\n`;
    const http = `http:\n  - address: 127.0.0.1\n    port: ${port}\n`;
    try {
        const busy = await ending('kcs-control', http + rest);

        assert.equal(busy.status, 1, busy.words);
        assertSays(busy, new RegExp(`${port}`), /use/);
    } finally {
        server.close();
    }
    const tls = '    tls:\n      cert: DIR/no.pem\n      key: DIR/no.key\n';
    const bare = await ending('kcs-control', http + tls + rest);

    assert.ok([1, 4].includes(bare.status), bare.words);
    assertSays(bare, /no\.pem/);
});

test('without a secret control says how to make one', async () => {
    const end = await ending('kcs-control', 'dataplane:\n  socket: DIR/d\n');

    assert.equal(end.status, 4, end.words);
    assertSays(end, /openssl rand/);
});

test('a NUMA node that is not there is named', async () => {
    const yaml = (node) => `socket: DIR/d\nmemory:\n  numa: ${node}\n`;
    const wrong = await ending('kcs-dataplane', yaml('near'));
    const absent = await ending('kcs-dataplane', yaml('63'));

    assert.equal(wrong.status, 4, wrong.words);
    assertSays(wrong, /conf\.yaml:3: /, /memory\.numa/);
    assert.equal(absent.status, 4, absent.words);
    assertSays(absent, /memory\.numa/, /node 63/);
});

test('a CPU that is not there is named', async () => {
    const lanes = (cpu) => `socket: DIR/d\nlanes: {cpus: [${cpu}]}\n`;
    const end = await ending('kcs-dataplane', lanes(1023));

    assert.equal(end.status, 4, end.words);
    assertSays(end, /lanes\.cpus: CPU 1023/, /may run on \d/);
});

test('lanes run on the CPUs that they are given', async (t) => {
    const list = /^Cpus_allowed_list:\s*(.*)$/m;
    const [ours] = readFileSync('/proc/self/status', 'utf8').match(list).slice(1);
    const cpus = ours.match(/\d+/g);
    const [first, last] = [cpus[0], cpus.at(-1)];

    if (first === last) {
        t.skip('there is one CPU only');
        return;
    }
    await withDataplane(
        `memory: {packets: 4096}\nlanes: {count: 2, cpus: [${last}, ${first}]}\n`,
        async (pid) => {
            const allowed = readdirSync(`/proc/${pid}/task`).map(
                (id) => readFileSync(`/proc/${pid}/task/${id}/status`, 'utf8').match(list)[1],
            );

            for (const cpu of [first, last]) {
                assert.equal(allowed.filter((one) => one === cpu).length, 1, `${allowed}`);
            }
            assert.ok(allowed.includes(ours), `what is no lane is free: ${allowed}`);
        },
    );
    await withDataplane(`memory: {packets: 4096}\nlanes: {cpus: [${last}]}\n`, async (pid) => {
        const on = readdirSync(`/proc/${pid}/task`).map((id) => {
            const status = readFileSync(`/proc/${pid}/task/${id}/status`, 'utf8');
            return [/^Name:\s*(.*)$/m.exec(status)[1], status.match(list)[1]];
        });

        for (const [name, where] of on) {
            assert.equal(where === last, name.startsWith('kcs-lane'), `${name}: ${where}`);
        }
    });
});

test('hugepages are used where there are some, from the node that is asked for', async (t) => {
    const file = '/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages';
    const free = file.replace('nr_', 'free_');
    const count = (name) => Number(readFileSync(name, 'utf8'));
    let before;

    try {
        before = count(file);
        writeFileSync(file, `${before + 256}`);
    } catch (error) {
        t.skip(`hugepages cannot be had: ${error.message}`);
        return;
    }
    try {
        if (count(file) < before + 256) {
            t.skip('the memory is in too small pieces for hugepages');
            return;
        }
        const spare = count(free);
        await withDataplane(
            "memory: {hugepages: 'on', numa: '0', packets: 4096}\n",
            async (pid) => {
                assert.ok(count(free) < spare - 8, `${count(free)} of ${spare} are free`);
                const maps = readFileSync(`/proc/${pid}/numa_maps`, 'utf8');
                assert.match(maps, /huge.* N0=\d+/);
                assert.match(maps, /prefer(=|:)0/);
            },
        );
    } finally {
        writeFileSync(file, `${before}`);
    }
    assert.equal(count(file), before, 'all were given back');
});

/* With doors of its own it starts, waits for its turn and says who is in its way. */
async function secondControl(node) {
    const [http, metrics] = [await freeTcp(), await freeTcp()];
    const dir = mkdtempSync(join(tmpdir(), 'kcs-start-'));
    const file = join(dir, 'conf.yaml');
    let words = '';

    writeFileSync(
        file,
        `dataplane:\n  socket: ${node.dataplaneSocket}\nhttp:\n  - address: 127.0.0.1\n` +
            `    port: ${http}\nadmin:\n  socket: ${dir}/admin\n` +
            `  metrics_port: ${metrics}\nauth:\n  hs256_secret: ${'s'.repeat(40)}\n`,
    );
    const child = spawn(join(BUILD, 'kcs-control'), ['--config', file]);
    child.stderr.on('data', (data) => (words += data));
    const end = new Promise((done) => child.once('close', done));
    try {
        await node.until('the second control says that it is refused', () =>
            words.includes('another kcs-control is attached'),
        );
        await sleep(2_000); /* it asks several times a second */
        const ready = await fetch(`http://127.0.0.1:${http}/api/health/ready`);
        assert.equal(ready.status, 503);
        assert.match((await ready.json()).message, /another kcs-control is attached/);
    } finally {
        child.kill('SIGTERM');
        assert.equal(await end, 0, words);
        rmSync(dir, { recursive: true, force: true });
    }
    assert.equal(words.match(/another kcs-control/g).length, 1, `said once: ${words}`);
    const refusals = readFileSync(node.dataplane.log, 'utf8').match(/refused a control/g);
    assert.equal(refusals.length, 1, 'the dataplane says it once');
}

test('a second dataplane and a second control are refused, the first go on', () =>
    withNode({ name: 'second', devices: ['udp:127.0.0.1'] }, async (node) => {
        const second = await ending(
            'kcs-dataplane',
            `socket: ${node.dataplaneSocket}\nmedia:\n  devices: ["udp:127.0.0.1"]\n` +
                `  port: ${node.mediaPort + 1}\n`,
        );
        assert.equal(second.status, 1, second.words);
        assertSays(second, /another kcs-dataplane/);

        await secondControl(node);
        const ready = await fetch(`${node.origin}/api/health/ready`);
        assert.equal(ready.status, 200, await ready.text());
    }));
