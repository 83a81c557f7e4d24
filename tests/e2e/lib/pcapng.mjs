/* Reads the pcapng of kcsctl capture: [{from, to, udp}], IPv4 only. */
import { readFileSync } from 'node:fs';

const address = (ip, at) => [...ip.subarray(at, at + 4)].join('.');

export function readPcapng(file) {
    const bytes = readFileSync(file);
    const packets = [];

    for (let at = 0; at < bytes.length; at += bytes.readUInt32BE(at + 4)) {
        if (bytes.readUInt32BE(at) !== 6) { // an enhanced packet block
            continue;
        }
        const captured = bytes.readUInt32BE(at + 20);
        const ip = bytes.subarray(at + 28, at + 28 + captured);
        packets.push({ udp: ip.subarray(28),
            from: `${address(ip, 12)}:${ip.readUInt16BE(20)}`,
            to: `${address(ip, 16)}:${ip.readUInt16BE(22)}` });
    }
    return packets;
}

/* The payload of RTP; undefined if it is something else. */
export function rtpPayload(udp) {
    const type = udp[1] & 0x7f;

    if (udp[0] >> 6 !== 2 || (type >= 64 && type < 96)) {
        return undefined;
    }
    let at = 12 + 4 * (udp[0] & 15);
    if ((udp[0] & 0x10) !== 0) {
        at += 4 + 4 * udp.readUInt16BE(at + 2);
    }
    return udp.subarray(at);
}
