/* ICE checks as a test wants them: right, or wrong in one way (RFC 8489, RFC 8445). */
import { createHmac, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';

const COOKIE = 0x2112a442;
const CRC = Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) {
        n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
    }
    return n >>> 0;
});

function crc32(bytes) {
    let crc = 0xffffffff;

    for (const byte of bytes) {
        crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
    }
    return (crc ^ 0xffffffff) >>> 0;
}

function attribute(type, value) {
    const padded = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);

    padded.writeUInt16BE(type, 0);
    padded.writeUInt16BE(value.length, 2);
    value.copy(padded, 4);
    return padded;
}

function withLength(message, more) {
    message.writeUInt16BE(message.length - 20 + more, 2);
    return message;
}

function word(value) {
    const bytes = Buffer.alloc(4);

    bytes.writeUInt32BE(value);
    return bytes;
}

/* A nominating check of the peer `username`. password undefined: it is not signed.
 * nomination: its number, as libwebrtc renominates. */
export function check({
    username,
    password,
    fingerprint = true,
    priority = 1853824767,
    nomination,
}) {
    const head = Buffer.alloc(20);

    head.writeUInt16BE(1, 0);
    head.writeUInt32BE(COOKIE, 4);
    randomBytes(12).copy(head, 8);
    let message = Buffer.concat([
        head,
        attribute(0x06, Buffer.from(username)),
        attribute(0x24, word(priority)),
        attribute(0x802a, randomBytes(8)),
        attribute(0x25, Buffer.alloc(0)),
        ...(nomination === undefined ? [] : [attribute(0xc001, word(nomination))]),
    ]);
    withLength(message, 0);
    if (password !== undefined) {
        const hmac = createHmac('sha1', password).update(withLength(message, 24));
        message = Buffer.concat([message, attribute(0x08, hmac.digest())]);
    }
    if (fingerprint) {
        const value = Buffer.alloc(4);
        value.writeUInt32BE((crc32(withLength(message, 8)) ^ 0x5354554e) >>> 0);
        message = Buffer.concat([message, attribute(0x8028, value)]);
    }
    return message;
}

/* A socket that checks and says what comes back. */
export class Checker {
    /* from: the address of ours that it sends by */
    static async open(host, port, from) {
        const checker = new Checker();

        checker.socket = createSocket('udp4');
        checker.answers = [];
        checker.socket.on('message', (data) => checker.answers.push(data));
        if (from !== undefined) {
            await new Promise((done) => checker.socket.bind(0, from, done));
        }
        await new Promise((done) => checker.socket.connect(port, host, done));
        return checker;
    }

    send(data) {
        return new Promise((done) => this.socket.send(data, done));
    }

    /* Resolves with true if a check is answered with success; tries for a while, as the path
     * may lose. */
    async succeeds(credentials) {
        for (let i = 0; i < 20; i++) {
            const message = check(credentials);
            await this.send(message);
            for (let j = 0; j < 10; j++) {
                await new Promise((done) => setTimeout(done, 25));
                if (
                    this.answers.some(
                        (data) =>
                            data.length >= 20 &&
                            data.readUInt16BE(0) === 0x0101 &&
                            data.subarray(8, 20).equals(message.subarray(8, 20)),
                    )
                ) {
                    return true;
                }
            }
        }
        return false;
    }

    /* As the node lists it. */
    get name() {
        const { address, port } = this.socket.address();
        return `${address}:${port}`;
    }

    close() {
        this.socket.close();
    }
}
