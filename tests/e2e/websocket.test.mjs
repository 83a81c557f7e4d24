/* WebSockets as RFC 6455 has them, case by case, against the product's listener (tests/echo):
 * framing, control frames, reserved bits, fragments, UTF-8, close codes, limits. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { OP, RawWs, startEcho } from './lib/echo.mjs';

const MAX_PAYLOAD = 16 << 20;

let echo;
let ws;

before(async () => {
    echo = await startEcho({ maxPayload: MAX_PAYLOAD });
});
after(() => echo.stop());

/* A test with a connection of its own. */
function check(title, body) {
    test(title, async () => {
        ws = await RawWs.open(echo.port, '/echo');
        try {
            await body();
        } finally {
            ws.destroy();
        }
    });
}

/* Bytes by hand, each in a write of its own if 'apart'. */
async function write(bytes, apart = false) {
    for (const part of apart ? bytes : [bytes]) {
        ws.socket.write(apart ? Buffer.from([part]) : part);
        if (apart) {
            await new Promise(setImmediate);
        }
    }
}

/* It still answers, and in order: nothing of what came before is left. */
async function stillEchoes() {
    ws.text('still here');
    assert.equal(await ws.message(), 'still here');
}

/* It is the server that ends the connection, and it waits for nothing from us. */
async function ends() {
    assert.equal(await ws.next(), null, 'the server ends the connection');
}

async function closesWith(code, options = { data: false }) {
    assert.equal(await ws.closed(options), code);
    await ends();
}

describe('WebSocket messages', { timeout: 120_000 }, () => {
    for (const len of [0, 1, 125, 126, 127, 128, 65535, 65536, 1 << 20, MAX_PAYLOAD]) {
        check(`text and binary of ${len} bytes come back`, async () => {
            const text = '*'.repeat(len);
            const bytes = Buffer.alloc(len, 0xfe);
            ws.text(text);
            assert.equal((await ws.message()) === text, true);
            ws.send(OP.BINARY, bytes);
            assert.equal((await ws.message()).equals(bytes), true);
        });
    }

    check('octet by octet', async () => {
        await write(RawWs.frame(OP.TEXT, 'x'.repeat(200)), true);
        assert.equal(await ws.message(), 'x'.repeat(200));
    });

    check('many in one write, in order', async () => {
        const all = Array.from({ length: 500 }, (_, i) => RawWs.frame(OP.TEXT, `m${i}`));
        await write(Buffer.concat(all));
        for (let i = 0; i < all.length; i++) {
            assert.equal(await ws.message(), `m${i}`);
        }
    });

    for (const [what, len] of [
        ['a message above the limit', MAX_PAYLOAD + 1],
        ['a frame whose head tells a length above the limit', 1 << 30],
    ]) {
        check(`${what} closes with 1009`, async () => {
            ws.send(OP.BINARY, Buffer.alloc(4), { lie: len });
            await closesWith(1009);
        });
    }

    for (const size of [64, 4096, 1 << 18]) {
        check(`4 MiB in fragments of ${size} come back`, async () => {
            const bytes = Buffer.alloc(4 << 20, '*');
            for (let at = 0; at < bytes.length; at += size) {
                ws.send(at === 0 ? OP.TEXT : OP.MORE, bytes.subarray(at, at + size), {
                    fin: at + size >= bytes.length,
                });
            }
            assert.equal((await ws.message()) === bytes.toString(), true);
        });
    }

    check('1 MiB, 64 bytes a write', async () => {
        const bytes = Buffer.alloc(1 << 20, '*');
        const sent = RawWs.frame(OP.TEXT, bytes);
        for (let at = 0; at < sent.length; at += 64) {
            ws.socket.write(sent.subarray(at, at + 64));
        }
        assert.equal((await ws.message()) === bytes.toString(), true);
    });

    check('fragments above the limit together close with 1009', async () => {
        const half = Buffer.alloc(MAX_PAYLOAD / 2 + 1);
        ws.send(OP.BINARY, half, { fin: false });
        ws.send(OP.MORE, half);
        await closesWith(1009);
    });
});

describe('WebSocket control frames', { timeout: 120_000 }, () => {
    for (const [what, payload] of [
        ['without payload', ''],
        ['with text', 'Hello'],
        ['with bytes', Buffer.from([0, 255, 254, 253])],
        ['with 125 bytes', Buffer.alloc(125, 0xfe)],
    ]) {
        check(`a ping ${what} is answered with the same`, async () => {
            ws.send(OP.PING, payload);
            const { op, payload: back } = await ws.next();
            assert.deepEqual([op, back], [OP.PONG, Buffer.from(payload)]);
        });
    }

    check('a ping octet by octet', async () => {
        await write(RawWs.frame(OP.PING, 'slowly'), true);
        assert.equal((await ws.next()).payload.toString(), 'slowly');
    });

    check('ten pings, one after the other', async () => {
        for (let i = 0; i < 10; i++) {
            ws.send(OP.PING, `ping ${i}`);
            assert.equal((await ws.next()).payload.toString(), `ping ${i}`);
        }
    });

    for (const apart of [false, true]) {
        check(`ten pings at once${apart ? ', octet by octet' : ''}`, async () => {
            const all = Array.from({ length: 10 }, (_, i) => RawWs.frame(OP.PING, `${i}`));
            await write(Buffer.concat(all), apart);
            for (let i = 0; i < 10; i++) {
                const { op, payload } = await ws.next();
                assert.deepEqual([op, payload.toString()], [OP.PONG, `${i}`]);
            }
        });
    }

    check('five thousand pings, read after all are sent', async () => {
        ws.socket.pause();
        for (let i = 0; i < 5000; i++) {
            ws.send(OP.PING, `${i}`);
        }
        await sleep(200);
        ws.socket.resume();
        for (let i = 0; i < 5000; i++) {
            assert.equal((await ws.next()).payload.toString(), `${i}`);
        }
        await stillEchoes();
    });

    check('a pong that nobody asked for is passed over', async () => {
        ws.send(OP.PONG, 'unasked');
        await stillEchoes();
    });

    for (const [what, op, payload, options] of [
        ['a ping of 126 bytes', OP.PING, Buffer.alloc(126)],
        ['a close of 126 bytes', OP.CLOSE, Buffer.alloc(126)],
        ['a ping in fragments', OP.PING, 'a', { fin: false }],
        ['a pong in fragments', OP.PONG, 'a', { fin: false }],
        ...[1, 2, 3, 4, 5, 6, 7].map((rsv) => [
            `text with the reserved bits ${rsv}`,
            OP.TEXT,
            'a',
            { rsv },
        ]),
        ['a ping with reserved bits', OP.PING, 'a', { rsv: 7 }],
        ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((op) => [`the opcode ${op}`, op, 'a']),
        ['a continuation of nothing', OP.MORE, 'a'],
        ['a last continuation of nothing', OP.MORE, 'a', { fin: false }],
    ]) {
        check(`${what} fails the connection`, async () => {
            ws.send(op, payload, options);
            /* As the very first it may be taken for a broken request. */
            assert.ok([1002, null].includes(await ws.closed({ data: false })));
            await ends();
        });
        check(`${what}, after a message, fails the connection`, async () => {
            await write(
                Buffer.concat([
                    RawWs.frame(OP.TEXT, 'before'),
                    RawWs.frame(op, payload, options),
                    RawWs.frame(OP.TEXT, 'after'),
                ]),
            );
            assert.equal(await ws.message(), 'before');
            await closesWith(1002);
        });
    }

    for (const [what, head] of [
        ['16 bits of length for what fits 7', [0x82, 0xfe, 0, 125]],
        ['64 bits of length for what fits 16', [0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]],
        ['64 bits of length with the first set', [0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]],
    ]) {
        check(`${what} fail the connection`, async () => {
            await write(Buffer.from([...head, 0, 0, 0, 0]));
            await closesWith(1002);
        });
    }

    for (const [what, op] of [
        ['text', OP.TEXT],
        ['a ping', OP.PING],
        ['a close', OP.CLOSE],
    ]) {
        check(`${what} that is not masked fails the connection`, async () => {
            ws.send(op, '', { mask: false });
            await closesWith(1002);
        });
    }
});

describe('WebSocket fragments', { timeout: 120_000 }, () => {
    check('two, and an empty one', async () => {
        ws.send(OP.TEXT, 'one ', { fin: false });
        ws.send(OP.MORE, '', { fin: false });
        ws.send(OP.MORE, 'two');
        assert.equal(await ws.message(), 'one two');
    });

    check('a ping between is answered at once, and in its turn', async () => {
        ws.send(OP.TEXT, 'a', { fin: false });
        ws.send(OP.PING, 'between');
        assert.equal((await ws.next()).payload.toString(), 'between');
        ws.send(OP.MORE, 'b');
        assert.equal(await ws.message(), 'ab');
        await write(
            Buffer.concat([
                RawWs.frame(OP.TEXT, 'c', { fin: false }),
                RawWs.frame(OP.PING, 'in one write'),
                RawWs.frame(OP.MORE, 'd'),
            ]),
        );
        assert.equal((await ws.next()).payload.toString(), 'in one write');
        assert.equal(await ws.message(), 'cd');
    });

    check('new text within a message fails the connection', async () => {
        ws.send(OP.TEXT, 'a', { fin: false });
        ws.send(OP.TEXT, 'b');
        await closesWith(1002);
    });
});

describe('WebSocket text is UTF-8', { timeout: 120_000 }, () => {
    const good = [
        'κόσμε',
        '\u0000\u007f\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}',
        '\ud7ff\ue000\ufffd\ufffe\uffff',
        '☕'.repeat(1000),
    ];
    const bad = {
        'a continuation alone': [0x80],
        'a lead alone': [0xc3],
        'a lead and no continuation': [0xc3, 0x28],
        'an overlong slash': [0xc0, 0xaf],
        'an overlong NUL': [0xe0, 0x80, 0x80],
        'overlong with four': [0xf0, 0x80, 0x80, 0x80],
        'a surrogate': [0xed, 0xa0, 0x80],
        'above U+10FFFF': [0xf4, 0x90, 0x80, 0x80],
        'five bytes': [0xf8, 0x88, 0x80, 0x80, 0x80],
        'FE': [0xfe],
        'FF': [0xff],
        'three of four': [0xf0, 0x9f, 0x92],
    };

    for (const text of good) {
        check(`${JSON.stringify(text.slice(0, 8))} comes back, cut anywhere`, async () => {
            const bytes = Buffer.from(text);
            const cuts = bytes.length > 100 ? [1, 2, 1500] : [...bytes.keys()];
            ws.text(text);
            assert.equal(await ws.message(), text);
            for (const cut of cuts) {
                ws.send(OP.TEXT, bytes.subarray(0, cut), { fin: false });
                ws.send(OP.MORE, bytes.subarray(cut));
                assert.equal(await ws.message(), text);
            }
        });
    }

    for (const [what, bytes] of Object.entries(bad)) {
        check(`${what} closes with 1007`, async () => {
            ws.send(OP.TEXT, Buffer.from([0x61, ...bytes]));
            await closesWith(1007);
        });
    }

    check('each byte that cannot become text ends it before the message does', async () => {
        for (const bytes of [[0xf4, 0x90], [0xed, 0xa0], [0xe0, 0x80], [0xff]]) {
            const one = await RawWs.open(echo.port, '/echo');
            one.send(OP.TEXT, 'κόσμε', { fin: false });
            one.send(OP.MORE, Buffer.from(bytes), { fin: false });
            assert.equal(await one.closed(), 1007, `in fragments: ${bytes}`);
            one.destroy();
            const two = await RawWs.open(echo.port, '/echo');
            two.send(OP.TEXT, Buffer.from(bytes), { lie: 1000 });
            assert.equal(await two.closed(), 1007, `within a frame: ${bytes}`);
            two.destroy();
        }
    });

    check('what may still become text is waited for', async () => {
        for (const bytes of [[0xf4], [0xf0, 0x90], [0xe2, 0x82], [0xed, 0x9f], [0xf4, 0x8f]]) {
            ws.send(OP.TEXT, Buffer.from(bytes), { fin: false });
            ws.send(OP.PING, '');
            assert.equal((await ws.next()).op, OP.PONG);
            const rest = { 0xf4: [0x80, 0x80], 0xf0: [0x80, 0x80], 0xe2: [], 0xed: [] };
            const more = bytes.length === 1 ? [0x80, 0x80, 0x80] : [...rest[bytes[0]]];
            const whole = [...bytes, ...more];
            while (whole.length < (bytes[0] >= 0xf0 ? 4 : 3)) {
                whole.push(0x80);
                more.push(0x80);
            }
            ws.send(OP.MORE, Buffer.from(more));
            assert.equal(await ws.message(), Buffer.from(whole).toString());
        }
    });

    check('binary may be anything', async () => {
        const bytes = Buffer.from(Object.values(bad).flat());
        ws.send(OP.BINARY, bytes);
        assert.deepEqual(await ws.message(), bytes);
    });
});

describe('WebSocket close', { timeout: 120_000 }, () => {
    const code = (n, reason = '') =>
        Buffer.concat([Buffer.from([n >> 8, n & 255]), Buffer.from(reason)]);

    check('without a code', async () => {
        ws.send(OP.CLOSE);
        assert.equal(await ws.closed(), 1005);
        await ends();
    });

    for (const n of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]) {
        check(`the code ${n} comes back`, async () => {
            ws.send(OP.CLOSE, code(n, 'for a reason €'));
            await closesWith(n);
        });
    }

    for (const n of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999]) {
        check(`the code ${n} is a protocol error`, async () => {
            ws.send(OP.CLOSE, code(n));
            await closesWith(1002);
        });
    }

    check('a reason of 123 bytes', async () => {
        ws.send(OP.CLOSE, code(1000, '*'.repeat(123)));
        assert.equal(await ws.closed(), 1000);
    });

    check('one byte of payload is a protocol error', async () => {
        ws.send(OP.CLOSE, 'a');
        await closesWith(1002);
    });

    check('a reason that is not UTF-8', async () => {
        ws.send(OP.CLOSE, code(1000, Buffer.from([0xce, 0xba, 0xff])));
        await closesWith(1007);
    });

    check('what comes after a close is not looked at', async () => {
        await write(
            Buffer.concat([
                RawWs.frame(OP.CLOSE, code(1000)),
                RawWs.frame(OP.TEXT, 'late'),
                RawWs.frame(OP.PING, 'late'),
            ]),
        );
        await closesWith(1000);
    });

    check('a message is answered before the close that follows it', async () => {
        await write(
            Buffer.concat([RawWs.frame(OP.TEXT, 'last'), RawWs.frame(OP.CLOSE, code(1000))]),
        );
        assert.equal(await ws.message(), 'last');
        await closesWith(1000);
    });

    check('who vanishes in the midst of a message hurts nobody', async () => {
        const gone = await RawWs.open(echo.port, '/echo');
        gone.send(OP.TEXT, 'abc', { lie: 100_000 });
        await sleep(50);
        gone.socket.resetAndDestroy();
        await stillEchoes();
    });
});

describe('WebSocket handshake', { timeout: 120_000 }, () => {
    const fields = {
        host: 'Host: 127.0.0.1',
        upgrade: 'Upgrade: websocket',
        connection: 'Connection: keep-alive, Upgrade',
        key: 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        version: 'Sec-WebSocket-Version: 13',
    };

    /* The head of the answer. */
    async function ask(change, line = 'GET /echo HTTP/1.1') {
        const head = Object.values({ ...fields, ...change }).filter((field) => field !== null);
        const socket = connect({ port: echo.port, host: '127.0.0.1' });
        let text = '';
        socket.write([line, ...head, '', ''].join('\r\n'));
        for await (const data of socket) {
            text += data;
            if (text.includes('\r\n\r\n')) {
                break; /* and it is destroyed */
            }
        }
        return text.slice(0, text.indexOf('\r\n\r\n') + 2);
    }

    test('names in any case, and other tokens beside ours', async () => {
        const head = await ask({
            upgrade: 'UPGRADE: WebSocket',
            connection: 'connection: foo, UPGRADE',
            protocol: 'Sec-WebSocket-Protocol: chat',
            extensions: 'Sec-WebSocket-Extensions: x-webkit-deflate-frame',
        });
        assert.match(head, /^HTTP\/1.1 101 /);
        assert.match(head, /\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
        assert.doesNotMatch(head, /Sec-WebSocket-(Protocol|Extensions)/i);
    });

    for (const [what, change, line] of [
        ['without Host', { host: null }],
        ['without a key', { key: null }],
        ['with a short key', { key: 'Sec-WebSocket-Key: c2hvcnQ=' }],
        ['with a key that is not base64', { key: 'Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==' }],
        ['without Connection: Upgrade', { connection: 'Connection: keep-alive' }],
        ['by POST', { length: 'Content-Length: 0' }, 'POST /echo HTTP/1.1'],
        ['by HTTP/1.0', {}, 'GET /echo HTTP/1.0'],
        ['with a body', { length: 'Content-Length: 3' }],
    ]) {
        test(`${what} it is refused with 400`, async () => {
            assert.match(await ask(change, line), /^HTTP\/1.1 400 /);
        });
    }

    for (const version of [null, 'Sec-WebSocket-Version: 8', 'Sec-WebSocket-Version: x']) {
        test(`${version ?? 'no version'} is refused with 426, and ours told`, async () => {
            const head = await ask({ version });
            assert.match(head, /^HTTP\/1.1 426 /);
            assert.match(head, /\r\nsec-websocket-version: 13\r\n/);
            assert.match(head, /\r\nupgrade: websocket\r\n/);
        });
    }
});

/* permessage-deflate (RFC 7692): what is offered, what is agreed on, what is sent. */
describe('compressed WebSocket messages', { timeout: 120_000 }, () => {
    const PACKED = 4; /* of the reserved bits */
    const AGREED =
        'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
    const END = Buffer.from([0, 0, 0xff, 0xff]);

    /* A message compressed by itself; 'how' as zlib has it. */
    function pack(data, how = {}) {
        const bytes = deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH, ...how });
        assert.ok(bytes.subarray(-4).equals(END));
        return bytes.subarray(0, -4);
    }
    const unpack = (bytes) =>
        inflateRawSync(Buffer.concat([bytes, END]), { finishFlush: constants.Z_SYNC_FLUSH });

    function packed(title, body, extensions = 'permessage-deflate; client_max_window_bits') {
        /* null: nothing is offered */
        test(title, async () => {
            ws = await RawWs.open(echo.port, '/echo', { extensions: extensions ?? undefined });
            try {
                await body();
            } finally {
                ws.destroy();
            }
        });
    }

    /* What comes back, as {packed, bytes}. */
    async function answer() {
        const frame = await ws.next();
        assert.ok(frame !== null && frame.op <= OP.BINARY && frame.fin, JSON.stringify(frame));
        return { packed: frame.packed, bytes: frame.packed ? unpack(frame.payload) : frame.payload };
    }

    for (const [extensions, agreed] of [
        [null, undefined],
        ['x-webkit-deflate-frame', undefined],
        ['permessage-deflate', AGREED],
        ['permessage-deflate; client_max_window_bits', AGREED],
        ['permessage-deflate; client_no_context_takeover; server_no_context_takeover', AGREED],
        ['permessage-deflate; server_max_window_bits=9', `${AGREED}; server_max_window_bits=9`],
        ['permessage-deflate; server_max_window_bits=7', undefined],
        ['permessage-deflate; what=ever, permessage-deflate', AGREED],
        ['permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10', AGREED],
    ]) {
        packed(
            `offered ${extensions}: agreed on ${agreed}`,
            async () => {
                assert.equal(ws.extensions, agreed);
                ws.text('x'.repeat(5_000));
                const { packed: small, bytes } = await answer();
                assert.equal(bytes.toString(), 'x'.repeat(5_000));
                assert.equal(small, agreed === AGREED, 'compressed if the window may be whole');
                if (agreed === undefined) {
                    ws.send(OP.TEXT, pack('hello'), { rsv: PACKED });
                    await closesWith(1002);
                } else {
                    ws.send(OP.TEXT, pack('hello'), { rsv: PACKED });
                    assert.equal((await answer()).bytes.toString(), 'hello');
                }
            },
            extensions,
        );
    }

    for (const len of [0, 1, 100, 1023, 1024, 5_000, 65_536, 1 << 20, MAX_PAYLOAD]) {
        packed(`${len} bytes, easy and hard to compress`, async () => {
            for (const data of [Buffer.alloc(len, 'abcdefghij'), randomBytes(len)]) {
                ws.send(OP.BINARY, pack(data), { rsv: PACKED });
                const back = await answer();
                assert.ok(back.bytes.equals(data));
                assert.equal(back.packed, len >= 1024 && data[0] === 97 && data[1] === 98);
            }
        });
    }

    packed('levels, windows and strategies of the client', async () => {
        const data = Buffer.from(Array.from({ length: 20_000 }, (_, i) => `${i % 977} `).join(''));
        for (const how of [
            { level: 0 }, { level: 1 }, { level: 9 }, { windowBits: 9 }, { windowBits: 15 },
            { strategy: constants.Z_FIXED }, { strategy: constants.Z_HUFFMAN_ONLY }, { memLevel: 1 },
        ]) {
            ws.send(OP.TEXT, pack(data, how), { rsv: PACKED });
            assert.ok((await answer()).bytes.equals(data), JSON.stringify(how));
        }
        /* one last block, and a byte of nothing behind it (section 7.2.3.4) */
        const last = Buffer.concat([deflateRawSync(data), Buffer.from([0])]);
        ws.send(OP.TEXT, last, { rsv: PACKED });
        assert.ok((await answer()).bytes.equals(data));
    });

    packed('fragments: the first has the bit; anywhere cut, with a ping between', async () => {
        const bytes = pack('one two three four '.repeat(500));
        for (const size of [1, 7, 60]) {
            for (let at = 0; at < bytes.length; at += size) {
                ws.send(at === 0 ? OP.TEXT : OP.MORE, bytes.subarray(at, at + size), {
                    rsv: at === 0 ? PACKED : 0,
                    fin: at + size >= bytes.length,
                });
            }
            ws.send(OP.PING, 'p');
            assert.equal((await answer()).bytes.toString(), 'one two three four '.repeat(500));
            assert.equal((await ws.next()).op, OP.PONG);
        }
    });

    /* its first byte could be that of a request ("A"): see docs/decisions/0013 */
    packed('the very first frame is a fragment; the next message comes octet by octet', async () => {
        const bytes = pack('first');
        const frames = () => [
            RawWs.frame(OP.TEXT, bytes.subarray(0, 3), { rsv: PACKED, fin: false }),
            RawWs.frame(OP.MORE, bytes.subarray(3)),
        ];
        for (const frame of frames()) {
            await write(frame);
        }
        assert.equal((await answer()).bytes.toString(), 'first');
        await write(Buffer.concat(frames()), true);
        assert.equal((await answer()).bytes.toString(), 'first');
    });

    packed('compressed or not is a choice of each message', async () => {
        for (let i = 0; i < 20; i++) {
            const text = `message ${i} `.repeat(i * 20);
            ws.send(OP.TEXT, i % 2 === 0 ? pack(text) : text, { rsv: i % 2 === 0 ? PACKED : 0 });
            assert.equal((await answer()).bytes.toString(), text);
        }
    });

    for (const [title, code, op, bytes, options] of [
        ['the bit on a ping', 1002, OP.PING, 'a', {}],
        ['the other reserved bits beside it', 1002, OP.TEXT, pack('a'), { rsv: 5 }],
        ['no deflate at all', 1007, OP.TEXT, Buffer.from([0xff, 0xff, 0xff]), {}],
        ['an empty payload', 1007, OP.TEXT, '', {}],
        ['half of a message', 1007, OP.BINARY, pack('abcdefghijklmnopqrstuvwxyz').subarray(0, 9), {}],
        ['the context of another message', 1007, OP.TEXT, Buffer.from([0xf2, 0, 0x11, 0, 0]), {}],
        ['text that is not UTF-8', 1007, OP.TEXT, pack(Buffer.from([0x61, 0xc3, 0x28])), {}],
        ['text that ends within a character', 1007, OP.TEXT, pack(Buffer.from([0x61, 0xc3])), {}],
        ['a bomb of 1 GiB', 1009, OP.BINARY, 'bomb', {}],
        ['one byte too much', 1009, OP.BINARY, 'over', {}],
    ]) {
        packed(`${title} closes with ${code}`, async () => {
            const payload =
                bytes === 'bomb' ? pack(Buffer.alloc(1 << 30), { level: 9 })
                : bytes === 'over' ? pack(Buffer.alloc(MAX_PAYLOAD + 1))
                : bytes;
            ws.send(op, payload, { rsv: PACKED, ...options });
            await closesWith(code);
        });
    }

    packed('the bit on a later fragment closes with 1002', async () => {
        const bytes = pack('hello hello hello');
        ws.send(OP.TEXT, bytes.subarray(0, 4), { rsv: PACKED, fin: false });
        ws.send(OP.MORE, bytes.subarray(4), { rsv: PACKED });
        await closesWith(1002);
    });
});
