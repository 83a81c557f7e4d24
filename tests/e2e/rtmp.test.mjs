/* Live streams sent by RTMP: a foreign server receives them, and again after it was away. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTls } from 'node:tls';
import { promisify } from 'node:util';
import { ask, next } from './lib/client.mjs';
import { freeTcp } from './lib/node.mjs';
import { egressOf, recordingNode } from './lib/recording.mjs';
import { rest } from './lib/rest.mjs';

const execFileLater = promisify(execFile);
const KEY = 'k-7f3a91c2d4';
const SECONDS = 1.5; /* that a viewer looks at it */

const listens = (port) => new Promise((done) => {
    const socket = createConnection(port, '127.0.0.1', () => (socket.destroy(), done(true)));

    socket.once('error', () => done(false));
});

/* node-media-server, in a process of its own with its files in 'directory'; what it gets by
 * RTMP viewers fetch there as FLV over HTTP. */
async function startServer(port, http, directory) {
    const conf = { bind: '127.0.0.1', rtmp: { port }, http: { port: http }, store: { path: directory },
        webadmin: { enable: false }, auth: { play: false, publish: false } };
    const program = createRequire(import.meta.url).resolve('node-media-server');
    const child = spawn(process.execPath,
        ['-e', `new (require(${JSON.stringify(program)}))(${JSON.stringify(conf)}).run();`],
        { cwd: directory, stdio: ['ignore', 'ignore', 'inherit'] });
    const exit = once(child, 'exit');

    process.once('exit', () => child.kill('SIGKILL'));
    while (!(await listens(http))) {
        await sleep(50);
    }
    return { stop: async () => { child.kill('SIGKILL'); await exit; } };
}

/* What a viewer of that server gets in some seconds: the times of the pictures in ms. Every
 * one can be decoded, and is. */
async function watched(http, directory, name) {
    const file = join(directory, name);
    const run = async (program, ...args) => /* what comes may have to pass through this process */
        (await execFileLater('timeout', ['15', program, '-v', 'error', ...args])).stdout;

    await run('ffmpeg', '-nostdin', '-analyzeduration', '100000', '-i', `http://127.0.0.1:${http}/live/${KEY}.flv`,
        '-t', `${SECONDS}`, '-c', 'copy', file);
    const decoded = spawnSync('timeout', ['15', 'ffmpeg', '-v', 'warning', '-xerror', '-nostdin', '-i', file, '-f', 'null', '-'],
        { encoding: 'utf8' });
    assert.deepEqual([decoded.status, decoded.stderr], [0, ''], name);

    const { streams } = JSON.parse(await run('ffprobe', '-count_frames', '-show_entries',
        'stream=codec_name,width,height,sample_rate,nb_read_frames', '-of', 'json', file));
    const [video, audio] = ['h264', 'aac'].map((codec) => streams.find((stream) => stream.codec_name === codec));
    assert.deepEqual([streams.length, video.width, video.height, audio.sample_rate], [2, 1280, 720, '48000']);
    assert.ok(audio.nb_read_frames >= SECONDS * 35, `${audio.nb_read_frames} frames of sound`);
    assert.ok(video.nb_read_frames >= SECONDS * 22, `${video.nb_read_frames} pictures`);
    const times = (await run('ffprobe', '-select_streams', 'v', '-show_entries', 'packet=pts', '-of', 'csv=p=0', file))
        .trim().split('\n').map(Number);
    assert.equal(times.length, Number(video.nb_read_frames), 'as many as were sent can be decoded');
    assert.ok(times.every((time, i) => i === 0 || time > times[i - 1]), times.join());
    return times;
}

/* Files in which the key stands: the node's logs, its store with facts and audit. */
const filesWithKey = (directory) => readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((file) => readFileSync(file).includes(KEY));

test('a server gets the stream, and again when it comes back', { timeout: 90_000 }, async () => {
    const [port, http] = [await freeTcp(), await freeTcp()];

    await recordingNode('rtmp', async ({ node, host, owner, id, directory }) => {
        const url = `rtmp://127.0.0.1:${port}/live/${KEY}`;
        const seen = [];
        host.onAny((...event) => seen.push(event));
        const until = (what, state) => node.until(what, () =>
            seen.findLast(([name]) => name === 'stream:status')?.[1].state === state);

        let server = await startServer(port, http, directory);
        for (const bad of ['', 'rtmp://127.0.0.1/live', 'rtmpt://a/live/key', 'https://a/live/key', `rtmp://a/live/${'x'.repeat(500)}`, undefined]) {
            assert.equal((await ask(host, 'stream:start', { kind: 'rtmp', url: bad })).error?.code, 'invalid', bad);
        }
        const told = next(host, 'stream:started');
        const started = await ask(host, 'stream:start', { kind: 'rtmp', url });
        assert.equal(started.ok, true, JSON.stringify(started));
        assert.deepEqual([started.kind, started.playback_url], ['rtmp', undefined]);
        assert.equal((await told).stream_id, started.stream_id);
        await until('it is sent', 'running');
        await watched(http, directory, 'one.flv');

        await server.stop();
        await until('it is tried again', 'starting');
        server = await startServer(port, http, directory);
        await until('it is sent again', 'running');
        await watched(http, directory, 'two.flv');

        /* the key is known to nobody but the two ends */
        const rows = await node.kcsctl('egress', '--json');
        assert.deepEqual(JSON.parse(rows).map(({ kind, mode, state }) => [kind, mode, state]), [['live', 'rtmp', 'running']]);
        const answers = [started, rows, seen, (await rest(node, 'GET', `/meeting/${id}`, { token: owner })).body];
        assert.ok(!JSON.stringify(answers).includes(KEY));
        assert.ok(!readFileSync(`/proc/${egressOf(node)}/cmdline`, 'utf8').includes(KEY));

        const over = next(host, 'stream:stopped');
        const before = Date.now();
        assert.equal((await ask(host, 'stream:stop', {})).ok, true);
        await over;
        await node.until('its process ends', async () => (await node.kcsctl('egress', '--json')).trim() === '[]');
        assert.ok(Date.now() - before < 5000);
        await server.stop();
        assert.deepEqual(filesWithKey(node.dir), []);
    }, { recording: '  push_private: true\n' });
});

test('by TLS it is sent to a server whose certificate is good, and to no other', { timeout: 90_000 }, async () => {
    const [port, http, good, wrong] = [await freeTcp(), await freeTcp(), await freeTcp(), await freeTcp()];
    const certs = mkdtempSync(join(tmpdir(), 'kcs-rtmps-'));
    const serve = (name, at) => {
        const [key, cert] = ['key', 'pem'].map((end) => join(certs, `${name}.${end}`));

        execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`,
            '-addext', `subjectAltName=DNS:${name}`, '-keyout', key, '-out', cert], { stdio: 'ignore' });
        return createTls({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) => {
            const to = createConnection(port, '127.0.0.1');

            for (const [a, b] of [[socket, to], [to, socket]]) {
                a.on('error', () => b.destroy()).on('close', () => b.destroy()).pipe(b);
            }
        }).on('tlsClientError', () => {}).listen(at, '127.0.0.1');
    };
    const servers = [serve('localhost', good), serve('other.example', wrong)];

    writeFileSync(join(certs, 'ca.pem'), ['localhost', 'other.example'].map((name) => readFileSync(join(certs, `${name}.pem`))).join(''));
    await recordingNode('rtmps', async ({ node, host, directory }) => {
        const server = await startServer(port, http, directory);
        const start = (at) => ask(host, 'stream:start', { kind: 'rtmp', url: `rtmps://localhost:${at}/live/${KEY}` });
        const away = next(host, 'stream:status', 20_000);

        assert.equal((await start(wrong)).ok, true);
        const { state, reason } = await away;
        assert.equal(state, 'starting');
        assert.match(reason, /certificate/);
        const over = next(host, 'stream:stopped');
        assert.equal((await ask(host, 'stream:stop', {})).ok, true);
        await over;
        await node.until('its process ends', async () => (await node.kcsctl('egress', '--json')).trim() === '[]');

        const running = next(host, 'stream:status', 20_000);
        assert.equal((await start(good)).ok, true);
        assert.equal((await running).state, 'running');
        await watched(http, directory, 'tls.flv');
        await server.stop();
    }, { recording: `  push_private: true\n  push_ca_file: ${certs}/ca.pem\n` }).finally(() => {
        servers.forEach((each) => each.close());
        rmSync(certs, { recursive: true });
    });
});

test('this machine and its networks are not connected to, unless that is allowed', { timeout: 60_000 }, () =>
    recordingNode('rtmp-private', async ({ node, host }) => {
        const came = [];
        const server = createServer((socket) => (came.push(socket.remoteAddress), socket.destroy())).listen(0);
        await once(server, 'listening');
        const { port } = server.address();
        const start = (address) => ask(host, 'stream:start', { kind: 'rtmp', url: `rtmp://${address}:${port}/live/${KEY}` });

        for (const address of ['127.0.0.1', '10.1.2.3', '169.254.169.254', '[::1]', '[::ffff:10.0.0.1]']) {
            assert.equal((await start(address)).error?.code, 'forbidden', address);
        }
        /* a name is looked at when it is resolved */
        const status = next(host, 'stream:status');
        const over = next(host, 'stream:stopped');
        assert.equal((await start('localhost')).ok, true);
        const { state, reason } = await status;
        assert.equal(state, 'failed');
        assert.match(reason, /public Internet/);
        await over;
        await sleep(200);
        assert.deepEqual(came, []);
        server.close();
        assert.deepEqual(filesWithKey(node.dir), []);
    }));
