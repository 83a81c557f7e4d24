/* Engine.IO 4 and Socket.IO 5 as their protocol documents have them, one by one, against
 * the product's listener and protocols (tests/echo), by clients made of bytes. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { OP, RawWs, startEcho } from './lib/echo.mjs';

const INTERVAL = 300;
const TIMEOUT = 200;
const MAX_PAYLOAD = 1_000_000;
const SEPARATOR = '\x1e';

let echo;
const open = [];

before(async () => {
    echo = await startEcho({
        pingInterval: INTERVAL,
        pingTimeout: TIMEOUT,
        maxPayload: MAX_PAYLOAD,
    });
});
after(async () => {
    open.forEach((ws) => ws.destroy());
    await echo.stop();
});

const url = (path, query) => `http://127.0.0.1:${echo.port}${path}?${query}`;

/* A request; resolves with its status, text and headers. */
async function ask(path, query, { method = 'GET', body } = {}) {
    const response = await fetch(url(path, query), { method, body });
    return {
        status: response.status,
        text: await response.text(),
        headers: response.headers,
    };
}

async function websocket(path, query, options) {
    const ws = await RawWs.open(echo.port, `${path}?${query}`, options);
    open.push(ws);
    return ws;
}

function handshakeOf(packet) {
    assert.equal(packet[0], '0');
    const open = JSON.parse(packet.slice(1));
    assert.deepEqual(Object.keys(open).sort(), [
        'maxPayload',
        'pingInterval',
        'pingTimeout',
        'sid',
        'upgrades',
    ]);
    assert.equal(open.pingInterval, INTERVAL);
    assert.equal(open.pingTimeout, TIMEOUT);
    assert.equal(open.maxPayload, MAX_PAYLOAD);
    return open;
}

/* The next message that is no ping; pings are answered. */
async function message(ws) {
    for (;;) {
        const got = await ws.message();
        if (got !== '2') {
            return got;
        }
        ws.text('3');
    }
}

test('what there is not is told to pages of any origin', async () => {
    const { status, headers } = await ask('/none', '');
    assert.equal(status, 404);
    assert.equal(headers.get('access-control-allow-origin'), '*');
});

for (const path of ['/engine.io/', '/socket.io/']) {
    const poll = 'EIO=4&transport=polling';
    const stream = 'EIO=4&transport=websocket';
    const polling = async () => handshakeOf((await ask(path, poll)).text).sid;

    describe(`Engine.IO at ${path}`, { timeout: 60_000 }, () => {
        test('a handshake over polling', async () => {
            const { status, text, headers } = await ask(path, poll);
            assert.equal(status, 200);
            assert.deepEqual(handshakeOf(text).upgrades, ['websocket']);
            assert.equal(headers.get('access-control-allow-origin'), '*');
        });

        test('a handshake over WebSocket', async () => {
            const ws = await websocket(path, stream);
            assert.deepEqual(handshakeOf(await ws.message()).upgrades, []);
        });

        for (const [what, query, code, options] of [
            ['no version', 'transport=polling', 5],
            ['a version that is none', 'EIO=abc&transport=polling', 5],
            ['version 3', 'EIO=3&transport=polling', 5],
            ['no transport', 'EIO=4', 0],
            ['a transport that is none', 'EIO=4&transport=abc', 0],
            ['a handshake by POST', poll, 2, { method: 'POST' }],
            ['a handshake by PUT', poll, 2, { method: 'PUT' }],
            ['a session that is none', `${poll}&sid=none`, 1],
            ['a POST to a session that is none', `${poll}&sid=none`, 1, { method: 'POST' }],
            ['polling as WebSocket without upgrade', stream, 3],
        ]) {
            test(`${what} is refused: 400, code ${code}`, async () => {
                const { status, text } = await ask(path, query, options);
                assert.equal(status, 400);
                assert.equal(JSON.parse(text).code, code);
                assert.equal(typeof JSON.parse(text).message, 'string');
            });
        }

        for (const [what, query] of [
            ['no version', 'transport=websocket'],
            ['a version that is none', 'EIO=abc&transport=websocket'],
            ['no transport', 'EIO=4'],
            ['a session that is none', `${stream}&sid=none`],
            ['polling', poll],
        ]) {
            test(`a WebSocket with ${what} is refused: 400`, async () => {
                const ws = await websocket(path, query, { answer: 400 });
                ws.destroy();
            });
        }

        test('pings over polling, as long as they are answered', async () => {
            const sid = await polling();
            for (let i = 0; i < 3; i++) {
                assert.equal((await ask(path, `${poll}&sid=${sid}`)).text, '2');
                const pong = await ask(path, `${poll}&sid=${sid}`, {
                    method: 'POST',
                    body: '3',
                });
                assert.deepEqual([pong.status, pong.text], [200, 'ok']);
            }
        });

        test('pings over WebSocket, as long as they are answered', async () => {
            const ws = await websocket(path, stream);
            handshakeOf(await ws.message());
            for (let i = 0; i < 3; i++) {
                assert.equal(await ws.message(), '2');
                ws.text('3');
            }
        });

        test('without a pong polling ends', async () => {
            const sid = await polling();
            await sleep(INTERVAL + TIMEOUT + 20);
            const { status, text } = await ask(path, `${poll}&sid=${sid}`);
            assert.deepEqual([status, JSON.parse(text).code], [400, 1]);
        });

        test('without a pong a WebSocket is closed', async () => {
            const ws = await websocket(path, stream);
            const begun = Date.now();
            await ws.closed();
            assert.ok(Date.now() - begun >= INTERVAL + TIMEOUT - 50);
        });

        test('close over polling ends the waiting GET with noop', async () => {
            const sid = await polling();
            const get = ask(path, `${poll}&sid=${sid}`);
            const post = ask(path, `${poll}&sid=${sid}`, { method: 'POST', body: '1' });
            assert.equal((await post).text, 'ok');
            assert.deepEqual([(await get).status, (await get).text], [200, '6']);
            assert.equal((await ask(path, `${poll}&sid=${sid}`)).status, 400);
        });

        test('close over WebSocket closes it', async () => {
            const ws = await websocket(path, stream);
            handshakeOf(await ws.message());
            ws.text('1');
            assert.equal(await ws.closed(), 1000);
        });

        test('two polls at once end the session', async () => {
            const sid = await polling();
            const first = ask(path, `${poll}&sid=${sid}`);
            await sleep(50);
            const second = await ask(path, `${poll}&sid=${sid}`);
            assert.equal(second.status, 400);
            assert.deepEqual([(await first).status, (await first).text], [200, '1']);
            assert.equal((await ask(path, `${poll}&sid=${sid}`)).status, 400);
        });

        test('a packet that is none ends polling: 400', async () => {
            const sid = await polling();
            const post = await ask(path, `${poll}&sid=${sid}`, { method: 'POST', body: 'abc' });
            assert.equal(post.status, 400);
            assert.equal((await ask(path, `${poll}&sid=${sid}`)).status, 400);
        });

        test('a packet that is none closes a WebSocket', async () => {
            const ws = await websocket(path, stream);
            handshakeOf(await ws.message());
            ws.text('abc');
            await ws.closed();
        });

        test('the upgrade: probe, noop, then the WebSocket alone', async () => {
            const sid = await polling();
            const ws = await websocket(path, `${stream}&sid=${sid}`);
            ws.text('2probe');
            assert.equal(await ws.message(), '3probe');
            const { status, text } = await ask(path, `${poll}&sid=${sid}`);
            assert.deepEqual([status, text], [200, '6']);
            ws.text('5');
            assert.equal(await ws.message(), '2', 'pings come on it now');
            ws.text('3');
            for (const method of ['GET', 'POST']) {
                const late = await ask(path, `${poll}&sid=${sid}`, { method });
                assert.equal(late.status, 400);
            }
            const second = await websocket(path, `${stream}&sid=${sid}`);
            assert.equal(await second.closed(), 1000);
            assert.equal(await ws.message(), '2', 'the first lives');
        });
    });
}

describe('Engine.IO messages', { timeout: 60_000 }, () => {
    const poll = 'EIO=4&transport=polling';

    for (const [what, payload] of [
        ['one text packet', '4hello €'],
        ['three text packets', ['4a', '4b', '4'].join(SEPARATOR)],
        ['text and binary', ['4a', 'bAQIDBA==', '4c'].join(SEPARATOR)],
    ]) {
        test(`${what} over polling`, async () => {
            const sid = handshakeOf((await ask('/engine.io/', poll)).text).sid;
            const query = `${poll}&sid=${sid}`;
            const post = await ask('/engine.io/', query, { method: 'POST', body: payload });
            assert.deepEqual([post.status, post.text], [200, 'ok']);
            assert.equal((await ask('/engine.io/', query)).text, payload);
        });
    }

    test('a payload of maxPayload is taken, one byte more is 413', async () => {
        const sid = handshakeOf((await ask('/engine.io/', poll)).text).sid;
        const query = `${poll}&sid=${sid}`;
        const body = '4' + 'x'.repeat(MAX_PAYLOAD - 1);
        const post = await ask('/engine.io/', query, { method: 'POST', body });
        assert.equal(post.status, 200);
        assert.equal((await ask('/engine.io/', query)).text, body);
        const more = await ask('/engine.io/', query, { method: 'POST', body: body + 'x' });
        assert.equal(more.status, 413);
    });

    test('text and binary over WebSocket', async () => {
        const ws = await websocket('/engine.io/', 'EIO=4&transport=websocket');
        handshakeOf(await ws.message());
        ws.text('4hello');
        assert.equal(await message(ws), '4hello');
        ws.send(OP.BINARY, Buffer.from([1, 2, 3, 4]));
        assert.deepEqual(await message(ws), Buffer.from([1, 2, 3, 4]));
    });

    test('a WebSocket message above maxPayload is closed with 1009', async () => {
        const ws = await websocket('/engine.io/', 'EIO=4&transport=websocket');
        handshakeOf(await ws.message());
        ws.send(OP.TEXT, '4' + 'x'.repeat(MAX_PAYLOAD));
        assert.equal(await ws.closed(), 1009);
    });

    test('nothing is lost or turned round by the upgrade', async () => {
        const sid = handshakeOf((await ask('/engine.io/', poll)).text).sid;
        const query = `${poll}&sid=${sid}`;
        await ask('/engine.io/', query, { method: 'POST', body: '4one' });
        const ws = await websocket('/engine.io/', `EIO=4&transport=websocket&sid=${sid}`);
        ws.text('2probe');
        assert.equal(await ws.message(), '3probe');
        await ask('/engine.io/', query, { method: 'POST', body: '4two' });
        ws.text('5');
        ws.text('4three');
        for (const text of ['4one', '4two', '4three']) {
            assert.equal(await message(ws), text);
        }
    });
});

describe('Socket.IO', { timeout: 60_000 }, () => {
    const session = async () => {
        const ws = await websocket('/socket.io/', 'EIO=4&transport=websocket');
        handshakeOf(await ws.message());
        return ws;
    };
    const connected = async () => {
        const ws = await session();
        ws.text('40');
        assert.match(await message(ws), /^40\{"sid":"[\w-]+"\}$/);
        assert.equal(await message(ws), '42["auth",{}]');
        return ws;
    };

    for (const [what, packet, reply, auth] of [
        ['the main namespace', '40', /^40\{"sid":"[\w-]+"\}$/, '42["auth",{}]'],
        [
            'the main namespace with auth',
            '40{"token":"123"}',
            /^40\{"sid":"[\w-]+"\}$/,
            '42["auth",{"token":"123"}]',
        ],
        ['another', '40/custom,', /^40\/custom,\{"sid":"[\w-]+"\}$/, '42/custom,["auth",{}]'],
        [
            'another with auth',
            '40/custom,{"token":"abc"}',
            /^40\/custom,\{"sid":"[\w-]+"\}$/,
            '42/custom,["auth",{"token":"abc"}]',
        ],
    ]) {
        test(`CONNECT to ${what}`, async () => {
            const ws = await session();
            ws.text(packet);
            assert.match(await message(ws), reply);
            assert.equal(await message(ws), auth);
        });
    }

    test('CONNECT to a namespace that is none', async () => {
        const ws = await session();
        ws.text('40/random');
        assert.equal(await message(ws), '44/random,{"message":"Invalid namespace"}');
        ws.text('40');
        assert.match(await message(ws), /^40\{/);
    });

    test('namespaces beside each other, each with an id of its own', async () => {
        const ws = await connected();
        ws.text('40/custom,');
        assert.match(await message(ws), /^40\/custom,\{"sid"/);
        assert.equal(await message(ws), '42/custom,["auth",{}]');
        ws.text('42/custom,["message",1]');
        assert.equal(await message(ws), '42/custom,["message-back",1]');
        ws.text('41/custom,');
        ws.text('42["message","main"]');
        assert.equal(await message(ws), '42["message-back","main"]');
    });

    test('after DISCONNECT the session goes on', async () => {
        const ws = await connected();
        ws.text('41');
        assert.equal(await ws.message(), '2');
        ws.text('3');
        ws.text('40');
        assert.match(await message(ws), /^40\{"sid"/);
    });

    test('an event, its arguments back', async () => {
        const ws = await connected();
        ws.text('42["message",1,"2",{"3":[true]}]');
        assert.equal(await message(ws), '42["message-back",1,"2",{"3":[true]}]');
    });

    test('an event with an ack', async () => {
        const ws = await connected();
        ws.text('42456["message-with-ack",1,"2",{"3":[false]}]');
        assert.equal(await message(ws), '43456[1,"2",{"3":[false]}]');
    });

    const two = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';
    for (const [what, packet, reply] of [
        ['an event', `452-["message",${two}]`, `452-["message-back",${two}]`],
        ['an ack', `452-789["message-with-ack",${two}]`, `462-789[${two}]`],
    ]) {
        test(`${what} with binary attachments`, async () => {
            const ws = await connected();
            ws.text(packet);
            ws.send(OP.BINARY, Buffer.from([1, 2, 3]));
            ws.send(OP.BINARY, Buffer.from([4, 5]));
            assert.equal(await message(ws), reply);
            assert.deepEqual(await message(ws), Buffer.from([1, 2, 3]));
            assert.deepEqual(await message(ws), Buffer.from([4, 5]));
        });
    }

    for (const [what, packet] of [
        ['an unknown type', '4abc'],
        ['no packet', '4'],
        ['a payload that is no array', '42{}'],
        ['an event without a name', '42[]'],
        ['JSON that is none', '42["message"'],
        ['an ack id that is none', '42abc["message-with-ack",1]'],
        ['a reserved name', '42["disconnecting"]'],
        ['more attachments than any', '4517-["message",{"_placeholder":true,"num":0}]'],
        ['a placeholder for no attachment', '451-["message",{"_placeholder":true,"num":1}]'],
        ['JSON too deep', `42["message",${'['.repeat(200)}${']'.repeat(200)}]`],
        ['a second CONNECT', '40'],
        ['an event of a namespace not open', '42/custom,["message"]'],
    ]) {
        test(`${what} closes the connection`, async () => {
            const ws = await connected();
            ws.text(packet);
            await ws.closed();
        });
    }

    test('text between attachments, and binary without an event, close', async () => {
        const between = await connected();
        between.text('451-["message",{"_placeholder":true,"num":0}]');
        between.text('42["message"]');
        await between.closed();
        const without = await connected();
        without.send(OP.BINARY, Buffer.from([1]));
        await without.closed();
    });
});
