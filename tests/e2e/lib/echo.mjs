/* The echo server (tests/echo): the product's listener and protocols without the product,
 * and a WebSocket client that can also do what no good client does. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { join } from 'node:path';
import { BUILD, freeTcp } from './node.mjs';

const WAIT_MS = 8_000;
const KEY_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; /* RFC 6455, section 1.3 */

export const OP = { MORE: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 };

/* Starts one; resolves with { port, stop }. 'stop' rejects if it did not end well. */
export async function startEcho({ pingInterval = 25_000, pingTimeout = 20_000, maxPayload }) {
    const port = await freeTcp();
    const child = spawn(
        join(process.env.KCS_BUILD_ASAN ?? BUILD, 'tests/echo-server'),
        [
            ...['--port', port, '--ping-interval-ms', pingInterval],
            ...['--ping-timeout-ms', pingTimeout, '--max-payload', maxPayload],
        ].map(String),
        { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const ended = new Promise((done) => {
        child.once('error', (error) => done(error.message));
        child.once('exit', (code, signal) => done(signal ?? code));
    });

    await new Promise((ready, failed) => {
        child.stdout.once('data', ready);
        ended.then((how) => failed(new Error(`echo-server ended at once: ${how}`)));
    });
    process.on('exit', () => child.kill('SIGKILL'));
    return {
        port,
        async stop() {
            child.kill('SIGTERM');
            assert.equal(await ended, 0, 'the echo server ended well');
        },
    };
}

/* One WebSocket, frame by frame. */
export class RawWs {
    /* Resolves after the handshake, or rejects with the answer's head. */
    static async open(port, path, { answer = 101, extensions } = {}) {
        const ws = new RawWs();
        const key = randomBytes(16).toString('base64');

        ws.bytes = Buffer.alloc(0);
        ws.parts = []; /* come since, not yet added to the bytes */
        ws.come = 0;
        ws.need = 0; /* a parser will not look before there are that many */
        ws.ended = false;
        ws.socket = connect({ port, host: '127.0.0.1', noDelay: true });
        ws.socket.on('data', (data) => {
            ws.parts.push(data);
            ws.come += data.length;
            if (ws.bytes.length + ws.come >= ws.need) {
                ws.wake?.();
            }
        });
        for (const event of ['end', 'close', 'error']) {
            ws.socket.on(event, () => ((ws.ended = true), ws.wake?.()));
        }
        ws.socket.write(
            `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\n` +
                `Connection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\n` +
                `Sec-WebSocket-Version: 13\r\n${
                    extensions === undefined ? '' : `Sec-WebSocket-Extensions: ${extensions}\r\n`
                }\r\n`,
        );
        const head = await ws.take('the handshake', (bytes) => {
            const end = bytes.indexOf('\r\n\r\n');
            return end < 0 ? undefined : [end + 4, bytes.subarray(0, end).toString()];
        });
        assert.match(head ?? '', new RegExp(`^HTTP/1.1 ${answer} `));
        if (answer === 101) {
            const accept = createHash('sha1').update(key + KEY_SUFFIX).digest('base64');
            assert.ok(head.toLowerCase().includes(accept.toLowerCase()), head);
            ws.extensions = /^sec-websocket-extensions: (.*)$/im.exec(head)?.[1].trim();
        }
        return ws;
    }

    /* What 'parse' makes of the bytes, [how many it took, result], undefined while it needs
     * more. Resolves with null when the connection has ended before. */
    async take(what, parse, wait = WAIT_MS) {
        const deadline = Date.now() + wait;

        for (;;) {
            this.bytes = Buffer.concat([this.bytes, ...this.parts]);
            this.parts = [];
            this.come = this.need = 0;
            const found = parse(this.bytes);

            if (found !== undefined) {
                this.bytes = this.bytes.subarray(found[0]);
                return found[1];
            }
            if (this.ended) {
                return null;
            }
            assert.ok(Date.now() < deadline, `${what} did not come within ${wait} ms`);
            await new Promise((done) => {
                const timer = setTimeout(done, deadline - Date.now());
                this.wake = () => (clearTimeout(timer), done());
            });
        }
    }

    /* A frame as bytes; 'lie' is the length that its head tells. */
    static frame(op, payload = '', { fin = true, rsv = 0, lie, mask = true } = {}) {
        const body = Buffer.from(payload);
        const len = lie ?? body.length;
        const head = [(fin ? 128 : 0) | (rsv << 4) | op];
        const long = Buffer.alloc(8);
        const key = mask ? randomBytes(4) : Buffer.alloc(0);

        if (len < 126) {
            head.push((mask ? 128 : 0) | len);
        } else if (len < 65536) {
            head.push((mask ? 128 : 0) | 126, len >> 8, len & 255);
        } else {
            long.writeBigUInt64BE(BigInt(len));
            head.push((mask ? 128 : 0) | 127, ...long);
        }
        for (let i = 0; mask && i < body.length; i++) {
            body[i] ^= key[i & 3];
        }
        return Buffer.concat([Buffer.from(head), key, body]);
    }

    send(op, payload, options) {
        this.socket.write(RawWs.frame(op, payload, options));
    }

    /* The next frame {op, fin, payload}, or null when the connection has ended. */
    async next(wait) {
        return this.take(
            'a frame',
            (bytes) => {
                let at = 2;
                let len = bytes[1];

                if (bytes.length < 2) {
                    return undefined;
                }
                assert.equal(len & 128, 0, 'a server does not mask');
                assert.equal(bytes[0] & 0x30, 0, 'no reserved bit is set');
                const packed = (bytes[0] & 0x40) !== 0;
                assert.ok(!packed || this.extensions !== undefined, 'nothing is compressed');
                if (len >= 126) {
                    const size = len === 126 ? 2 : 8;
                    if (bytes.length < 2 + size) {
                        return undefined;
                    }
                    at += size;
                    len =
                        size === 2
                            ? bytes.readUInt16BE(2)
                            : Number(bytes.readBigUInt64BE(2));
                }
                if (bytes.length < at + len) {
                    this.need = at + len;
                    return undefined;
                }
                return [
                    at + len,
                    {
                        op: bytes[0] & 15,
                        fin: bytes[0] >= 128,
                        packed,
                        payload: Buffer.from(bytes.subarray(at, at + len)),
                    },
                ];
            },
            wait,
        );
    }

    /* The next message as text or bytes, put together; null when the connection ended or a
     * close frame came. */
    async message() {
        const parts = [];
        let op;

        for (;;) {
            const frame = await this.next();

            if (frame === null || frame.op === OP.CLOSE) {
                return null;
            }
            if (frame.op <= OP.BINARY) {
                op ??= frame.op;
                parts.push(frame.payload);
                if (frame.fin) {
                    const all = Buffer.concat(parts);
                    return op === OP.TEXT ? all.toString() : all;
                }
            }
        }
    }

    text(text) {
        this.send(OP.TEXT, text);
    }

    /* Resolves with the code of the close frame that comes (1005: without one), null if the
     * connection ends without; whatever comes before is passed over, or refused. */
    async closed({ data = true } = {}) {
        for (;;) {
            const frame = await this.next();

            if (frame === null) {
                return null;
            }
            if (frame.op === OP.CLOSE) {
                return frame.payload.length < 2 ? 1005 : frame.payload.readUInt16BE(0);
            }
            assert.ok(data || frame.op >= OP.CLOSE, 'no data before the close');
        }
    }

    destroy() {
        this.socket.destroy();
    }
}
