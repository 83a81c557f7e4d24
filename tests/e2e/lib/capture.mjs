/* What a node has put on the wire, as a witness that is not the node: tcpdump writes down
 * every datagram that leaves its media port, this file looks for indexes of a key that were
 * used twice (RFC 3711, 9.1: with AES-GCM that would give the key away). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const TCPDUMP = '/usr/bin/tcpdump';
const MAGIC = 0xa1b2c3d4;
const LINK_SLL2 = 276;
const SLL2_LEN = 20;
const UDP_LEN = 8;

/* Why no capture can be made here, or false. */
export function noCapture() {
    if (process.getuid() !== 0) {
        return 'a capture needs root';
    }
    return existsSync(TCPDUMP) ? false : 'tcpdump is not installed';
}

/* Starts to capture on all interfaces, those that come later too: what leaves the node, or
 * what the filter of tcpdump says. Resolves with a function that stops and resolves with the
 * datagrams: [{from, to, data}]. */
export async function capture(node, filter = `src port ${node.mediaPort}`) {
    const file = join(node.dir, 'capture.pcap');
    const child = spawn(
        TCPDUMP,
        [
            ...['-i', 'any', '-y', 'LINUX_SLL2', '-U', '-n', '-s', '0', '-B', '65536'],
            ...['-Z', 'root', '-w', file, `udp and (${filter})`],
        ],
        { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';

    node.witnesses.push(child); /* a test that fails does not come to stop it */
    child.stderr.on('data', (text) => (said += text));
    for (let i = 0; i < 100 && !said.includes('listening on'); i++) {
        assert.equal(child.exitCode, null, `tcpdump: ${said}`);
        await sleep(50);
    }
    return async () => {
        await sleep(500);
        const ended = new Promise((done) => child.once('close', done));
        child.kill('SIGINT');
        await ended;
        /* a witness that looked away is none */
        assert.match(said, /^0 packets dropped by kernel$/m, `tcpdump: ${said}`);
        return datagrams(readFileSync(file));
    };
}

function datagrams(pcap) {
    const found = [];

    assert.equal(pcap.readUInt32LE(0), MAGIC, 'a pcap file of this machine');
    assert.equal(pcap.readUInt32LE(20), LINK_SLL2, 'link type SLL2');
    for (let at = 24; at + 16 <= pcap.length; ) {
        const len = pcap.readUInt32LE(at + 8);
        const ip = at + 16 + SLL2_LEN;

        if (at + 16 + len > pcap.length) {
            break; /* cut off by the end of the capture */
        }
        const six = pcap[ip] >> 4 === 6;
        const udp = six ? ip + 40 : ip + 4 * (pcap[ip] & 15);
        const from = six ? '' : pcap.subarray(ip + 12, ip + 16).join('.');
        const to = six
            ? pcap.subarray(ip + 24, ip + 40).toString('hex')
            : pcap.subarray(ip + 16, ip + 20).join('.');
        const data = pcap.subarray(udp + UDP_LEN, udp + pcap.readUInt16BE(udp + 4));

        found.push({
            from: `${from}:${pcap.readUInt16BE(udp)}`,
            to: `${to}:${pcap.readUInt16BE(udp + 2)}`,
            data,
        });
        at += 16 + len;
    }
    return found;
}

function isRtcp(data) {
    return data[1] >= 192 && data[1] <= 223;
}

/* How long the tag behind SRTCP's index is: none under AES-GCM, where the index is the last
 * word (RFC 7714, 17); of HMAC-SHA1, whichever the tag of SRTP is, 80 bits (RFC 5764, 4.1.2). */
export const GCM = 0;
export const HMAC_SHA1 = 10;

function assertNoJumps(numbers, most) {
    for (const [stream, set] of numbers) {
        const sorted = [...set].sort((a, b) => a - b);
        for (let i = 1; i < sorted.length; i++) {
            const gap = sorted[i] - sorted[i - 1] - 1;
            assert.ok(gap <= most, `${stream} jumps by ${gap} behind ${sorted[i - 1]}`);
        }
    }
}

/* Asserts that no index of a stream stands over two different packets, and that numbers go on
 * without a jump of more than `most`: so those that are read are really the indexes. `tag` is
 * that of the profile, of all peers. The captures are short: no number wraps. Returns how many
 * packets of media and of SRTCP were looked at. */
export function assertIndexesUnique(packets, most, tag = GCM) {
    const seen = new Map();
    const numbers = new Map();
    const looked = { media: 0, rtcp: 0 };

    for (const { to, data } of packets) {
        if (data.length < 12 || data[0] >> 6 !== 2) {
            continue; /* STUN, DTLS */
        }
        const rtcp = isRtcp(data);
        const word = rtcp ? data.readUInt32BE(data.length - 4 - tag) : 0;
        const number = rtcp ? word & 0x7fffffff : data.readUInt16BE(2);
        /* all SSRCs of a peer share one SRTCP index */
        const stream = `${to} ${rtcp ? 'rtcp' : data.readUInt32BE(8)}`;
        const key = `${stream} ${number}`;
        const hash = createHash('sha256').update(data).digest('base64');

        assert.ok(!rtcp || word >>> 31 === 1, `SRTCP to ${to} is not encrypted`);
        assert.equal(seen.get(key) ?? hash, hash, `two packets of one index: ${key}`);
        seen.set(key, hash);
        numbers.set(stream, (numbers.get(stream) ?? new Set()).add(number));
        looked[rtcp ? 'rtcp' : 'media']++;
    }
    assertNoJumps(numbers, most);
    return looked;
}
