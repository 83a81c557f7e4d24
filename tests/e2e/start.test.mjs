/* What a program says and how it ends when it cannot start: one line that tells what is
 * missing and what mends it, exit status 1, or 4 for a configuration that is wrong. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
