/* HTTP/2 over TLS: with curl, Node and browsers, whose WebSockets stay on HTTP/1.1; and what
 * is sent to keep a server of it busy. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as h2connect, constants } from 'node:http2';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import { promisify } from 'node:util';
import { Person, withBrowser, withFirefox } from './lib/browser.mjs';
import { withNode } from './lib/node.mjs';
import { user } from './lib/rest.mjs';

const open = { limits: 'limits: {requests_per_user: 0, requests_per_address: 0}\n' };

/* A client of its own connection. */
async function client(node, options = {}) {
    const session = h2connect(`https://127.0.0.1:${node.httpsPort}`,
        { rejectUnauthorized: false, ...options });

    session.on('error', () => {});
    await once(session, 'remoteSettings');
    return session;
}

/* One request: {status, headers, text}. */
async function ask(session, headers, body) {
    const stream = session.request(headers, { endStream: body === undefined });
    let text = '';

    if (body !== undefined) {
        stream.end(body);
    }
    stream.setEncoding('utf8');
    stream.on('data', (data) => (text += data));
    const [answer] = await once(stream, 'response');
    if (!stream.closed) {
        await once(stream, 'close');
    }
    return { status: answer[':status'], headers: answer, text,
        json: () => JSON.parse(text) };
}

const get = (session, path, headers = {}) => ask(session, { ':path': path, ...headers });
const curl = async (node, path, ...options) => (await promisify(execFile)('curl',
    ['-sk', '--max-time', '20', ...options, `https://127.0.0.1:${node.httpsPort}${path}`])).stdout;

test('REST is the same in both versions', { timeout: 60_000 }, () =>
    withNode({ name: 'http2', devices: ['udp:127.0.0.1'], tls: true, control: open.limits }, async (node) => {
        const version = (...options) => curl(node, '/api/health/live', ...options, '-o', '/dev/null',
            '-w', '%{http_version} %{http_code}');
        assert.equal(await version('--http2'), '2 200');
        assert.equal(await version(), '2 200', 'as curl offers it');
        assert.equal(await version('--http1.1'), '1.1 200');
        assert.equal(await version('--http2', '--tls-max', '1.2'), '2 200');

        const session = await client(node);
        assert.equal(session.remoteSettings.enableConnectProtocol, false, 'no WebSockets in it');
        assert.equal(session.remoteSettings.maxConcurrentStreams, 100);
        const authorization = `Bearer ${user(node, 'ada')}`;
        const send = (method, path, body, more = {}) => ask(session, { ':method': method, ':path': path,
            authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...more }, body === undefined ? undefined : JSON.stringify(body));
        const made = await send('POST', '/api/meeting', { meeting_name: 'Über h2' });
        assert.equal(made.status, 201);
        assert.equal(made.headers.etag, '"1"');
        const at = `/api/meeting/${made.json().data.id}`;
        assert.equal((await send('GET', at)).json().data.meeting_name, 'Über h2');
        assert.equal((await send('GET', at, undefined, { 'if-none-match': '"1"' })).status, 304);
        assert.equal((await send('PATCH', at, { locked: true }, { 'if-match': '"7"' })).status, 412);
        assert.equal((await send('PATCH', at, { locked: true }, { 'if-match': '"1"' })).status, 200);
        assert.equal((await send('POST', `${at}/join`)).json().data.socketio_url, `https://127.0.0.1:${node.httpsPort}`);
        const head = await send('HEAD', at);
        assert.equal(head.text, '');
        assert.ok(Number(head.headers['content-length']) > 100);

        /* the path and the query mean what they mean over HTTP/1.1 */
        for (const path of ['/api/meeting?limit=1', '/api/meeting?limit=%31&status=scheduled',
            '/api/meeting?limit=x', '/api/meeting?limit=1+0', '/api//meeting', '/api/./meeting',
            '/api/x/../meeting', '/api/%6deeting', '/api/meeting/..', '/api/%2e%2e/api/meeting', '/api/nothing',
            '/', '/index.html', '/docs', '/?a=1&b', '/a%20b']) {
            const two = await get(session, path, { authorization });
            const [text, status, type] = (await curl(node, path, '--http1.1', '--path-as-is', '-H',
                `authorization: ${authorization}`, '-w', '\n%{http_code}\n%{content_type}'))
                .match(/^([^]*)\n([^\n]*)\n([^\n]*)$/).slice(1);
            const bare = (body) => body.replace(/"request_id":"[^"]*"/, '');

            assert.equal(String(two.status), status, path);
            if (two.status < 300) {
                assert.equal(two.headers['content-type'], type, path);
                assert.equal(bare(two.text), bare(text), path);
            }
        }

        /* what is refused; the connection goes on */
        for (const path of ['/api/meeting?cursor=%zz', '/api/%00', '/api/%4', `/api/meeting?${'&'.repeat(64)}`,
            `/api/meeting?${'&'.repeat(7000)}`]) {
            assert.equal((await get(session, path, { authorization })).status, 400, path);
        }
        assert.equal((await send('POST', '/api/meeting', { meeting_name: '' })).json().errors[0].path, '/meeting_name');
        for (const headers of [{}, { 'content-length': 3_000_000 }]) {
            const large = await ask(session, { ':method': 'POST', ':path': '/api/meeting', authorization, ...headers },
                Buffer.alloc(3_000_000, 'x')).catch((error) => assert.fail(error));
            assert.equal(large.status, 413);
            assert.equal(large.json().code, 'body_too_large');
        }
        const long = await get(session, '/api/meeting', { 'x-long': 'x'.repeat(9000) });
        assert.equal(long.status, 431);
        assert.equal((await ask(session, { ':method': 'BREW', ':path': '/' })).status, 501);
        assert.equal((await ask(session, { ':method': 'QUERY', ':path': '/' })).status, 405);
        assert.equal((await get(session, at)).status, 401);
        assert.equal(session.destroyed, false);
        session.close();
    }));

test('limits are told with the same headers', { timeout: 60_000 }, () =>
    withNode({ name: 'http2-limits', devices: ['udp:127.0.0.1'], tls: true,
        control: 'limits: {requests_per_user: 5, requests_per_address: 50}\n' }, async (node) => {
        const session = await client(node);
        const authorization = `Bearer ${user(node, 'ada')}`;
        const answers = await Promise.all(Array.from({ length: 40 },
            () => get(session, '/api/meeting', { authorization })));
        const refused = answers.filter(({ status }) => status === 429);

        assert.ok(refused.length >= 10 && refused.length < 40, `${refused.length}`);
        assert.ok(Number(refused[0].headers['retry-after']) >= 1);
        assert.equal(refused[0].headers['ratelimit-limit'], '20');
        session.close();
    }));

test('many at once, readers that stop, and streams that are given up', { timeout: 90_000 }, () =>
    withNode({ name: 'http2-many', devices: ['udp:127.0.0.1'], tls: true, control: open.limits }, async (node) => {
        const session = await client(node);
        const page = (await get(session, '/')).text;
        const names = [...page.matchAll(/(?:src|href)="(\/?[^":]+\.(?:js|css))"/g)].map(([, name]) => `/${name.replace(/^\.?\//, '')}`);
        assert.ok(names.length > 0, page);
        const once1 = (await get(session, names[0])).text;
        assert.ok(once1.length > 1000);
        const all = await Promise.all(Array.from({ length: 400 }, (_, i) => get(session, names[0], { 'x-request-id': `r${i}` })));
        assert.ok(all.every(({ status, text }) => status === 200 && text === once1));

        /* bodies of many at once, in small pieces */
        const authorization = `Bearer ${user(node, 'ada')}`;
        const bodies = Array.from({ length: 90 }, (_, i) => JSON.stringify({ meeting_name: `m${i}`, meeting_description: 'd'.repeat(4000) }));
        const made = await Promise.all(bodies.map(async (body) => {
            const stream = session.request({ ':method': 'POST', ':path': '/api/meeting', authorization,
                'content-type': 'application/json' });
            stream.setEncoding('utf8');
            let text = '';
            stream.on('data', (data) => (text += data));
            for (let at = 0; at < body.length; at += 1000) {
                stream.write(body.slice(at, at + 1000));
                await sleep(1);
            }
            stream.end();
            await once(stream, 'close');
            return JSON.parse(text).data.meeting_name;
        }));
        assert.deepEqual(made, bodies.map((body) => JSON.parse(body).meeting_name));

        /* one that reads nothing of a large answer does not stop the others */
        const slow = session.request({ ':path': names[0] });
        slow.pause();
        assert.equal((await get(session, names[0])).text, once1);
        /* given up before and after the answer began */
        for (let i = 0; i < 200; i++) {
            const stream = session.request({ ':path': i % 2 === 0 ? names[0] : '/api/health/live' });
            stream.on('error', () => {});
            if (i % 3 === 0) {
                await once(stream, 'response');
            }
            stream.close(constants.NGHTTP2_CANCEL);
        }
        slow.close(constants.NGHTTP2_CANCEL);
        assert.equal((await get(session, '/api/health/live')).status, 200);
        session.close();
    }));

test('resets, CONTINUATION and silence without end are bounded', { timeout: 120_000 }, () =>
    withNode({ name: 'http2-flood', devices: ['udp:127.0.0.1'], tls: true, control: open.limits }, async (node) => {
        const rss = () => Number(readFileSync(`/proc/${node.control.pid}/statm`, 'utf8').split(' ')[1]) * 4096;
        const other = await client(node);
        const alive = async (what) => {
            const began = performance.now();
            assert.equal((await get(other, '/api/health/live')).status, 200, what);
            return performance.now() - began;
        };
        await alive('at first');

        /* frames by hand */
        const frame = (type, flags, id, payload) => {
            const head = Buffer.alloc(9);

            head.writeUIntBE(payload.length, 0, 3);
            head[3] = type;
            head[4] = flags;
            head.writeUInt32BE(id, 5);
            return Buffer.concat([head, payload]);
        };
        const raw = async () => {
            const socket = tlsConnect({ port: node.httpsPort, host: '127.0.0.1',
                rejectUnauthorized: false, ALPNProtocols: ['h2'] });

            socket.on('error', () => {});
            await once(socket, 'secureConnect');
            assert.equal(socket.alpnProtocol, 'h2');
            socket.resume();
            socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
            socket.write(frame(4, 0, 0, Buffer.alloc(0)));
            return socket;
        };
        /* sends `each` until the other side has had enough; how many went */
        const flood = async (first, each, most) => {
            const socket = await raw();
            let n = 0;

            socket.write(first);
            while (!socket.destroyed && !socket.readableEnded && n < most) {
                if (!socket.write(each)) {
                    await Promise.race(['drain', 'close'].map((event) => once(socket, event)))
                        .catch(() => {});
                }
                n++;
                if (n % 100 === 0) {
                    await sleep(1);
                }
            }
            const ended = socket.destroyed || socket.readableEnded;
            socket.destroy();
            assert.ok(ended, `${n} were taken`);
            return n;
        };
        const before = rss();
        const none = Buffer.alloc(0);
        /* :method GET, :scheme https, :path /, and then literals for ever */
        const literal = Buffer.concat([Buffer.from([0, 1, 0x78, 0x7f, 0x80, 0x07]), Buffer.alloc(1023, 0x61)]);
        const many = Buffer.concat(Array.from({ length: 15 }, () => literal));
        await flood(frame(1, 0, 1, Buffer.from([0x82, 0x87, 0x84])), frame(9, 0, 1, many), 20_000);
        await alive('after CONTINUATION');
        await flood(frame(1, 0, 1, Buffer.from([0x82, 0x87, 0x84])), frame(9, 0, 1, none), 100_000);
        await alive('after empty CONTINUATION');
        /* requests that are reset, CVE-2023-44487; and that it is made to reset itself, by a
         * window that overflows, CVE-2025-8671: some hundreds, then it has enough */
        for (const [what, type, payload] of [['reset', 3, Buffer.from([0, 0, 0, 8])],
            ['made to reset', 8, Buffer.from('7fffffff', 'hex')]]) {
            const socket = await raw();
            const answered = await node.metric('kcs_http_requests_total');
            let id = -1;

            while (!socket.destroyed && !socket.readableEnded && id < 60_000) {
                id += 2;
                socket.write(Buffer.concat([frame(1, 5, id, Buffer.from([0x82, 0x87, 0x84])),
                    frame(type, 0, id, payload)]));
                if (id % 99 === 0) {
                    await sleep(1);
                }
            }
            assert.ok(id > 200 && id < 60_000, `${what}: ${id}`);
            socket.destroy();
            await alive(`after it was ${what}`);
            const took = await node.metric('kcs_http_requests_total') - answered;
            assert.ok(took < 3000, `${what}: ${took} requests were done`);
        }

        /* a client that sends no preface, or half a header block */
        const silent = tlsConnect({ port: node.httpsPort, host: '127.0.0.1',
            rejectUnauthorized: false, ALPNProtocols: ['h2'] });
        const half = await raw();
        half.write(frame(1, 0, 1, Buffer.from([0x82])));
        silent.on('error', () => {}).resume();
        const began = performance.now();
        await Promise.all([once(silent, 'close'), once(half, 'close')]);
        const took = performance.now() - began;
        assert.ok(took > 5000 && took < 20_000, `${Math.round(took)} ms`);
        assert.ok(rss() < before + 100_000_000, `${before} to ${rss()}`);
        assert.ok(await alive('at last') < 5000);
        other.close();
    }));

/* A page that came over HTTP/2, and its WebSocket, which cannot. */
async function calls(browser, node) {
    const secure = Object.create(node, { origin: { value: `https://127.0.0.1:${node.httpsPort}` } });
    const meeting = 'e2e-http2';
    const people = [];

    for (const name of ['Ann', 'Ben']) {
        const token = await node.token({ meeting, name });
        const person = await Person.open(browser, secure, { name, meeting, token, codec: 'vp8' });
        await person.joined();
        people.push(person);
    }
    for (const { page } of people) {
        const seen = await page.evaluate(() => performance.getEntries()
            .filter((each) => each.nextHopProtocol !== undefined && each.nextHopProtocol !== '')
            .map((each) => [new URL(each.name).pathname, each.nextHopProtocol]));
        assert.ok(seen.length >= 2, JSON.stringify(seen));
        assert.deepEqual(seen.filter(([, protocol]) => protocol !== 'h2'), [], 'all of it');
    }
    await node.until('both have WebSockets', async () => await node.metric('kcs_websocket_open') >= 2);
    const [ann, ben] = people;
    await ann.receives('Ben');
    await ben.receives('Ann');
}

test('Chromium: the page over HTTP/2, Socket.IO over a WebSocket beside it', { timeout: 120_000 }, () =>
    withNode({ name: 'http2-chromium', devices: ['udp:127.0.0.1'], tls: true }, (node) =>
        withBrowser((browser) => calls(browser, node))));

test('Firefox: the same', { timeout: 120_000,
    skip: process.getuid() === 0 ? false : 'the device veth needs root' }, () =>
    withNode({ name: 'http2-firefox', devices: ['veth'], tls: true }, (node) =>
        withFirefox((browser) => calls(browser, node))));
