/* A client of the node that knows what it may ask for and asks for it at random, with
 * made-up media parameters, and then goes in one of the many ways there are to go. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from './client.mjs';
import { claimsFor, signToken } from './jwt.mjs';

const MOST_STEPS = 40;
const ACK_MS = 10_000;
const DIRECTIONS = ['send', 'recv'];
const WAYS = [['websocket'], ['polling'], ['polling', 'websocket']];

/* The refusals that random requests earn; any other is a fault of the node. Overloaded:
 * all together publish more than the stream rings' budget holds. */
const EARNED = new Set([
    ...['not_found', 'not_joined', 'already_joined', 'already_connected', 'gone'],
    ...['too_many', 'wrong_direction', 'invalid', 'unsupported', 'overloaded'],
]);

/* ---- chance: mulberry32, so that a seed tells the whole of a visitor ---- */

export class Chance {
    constructor(seed) {
        this.state = seed >>> 0;
    }

    next() {
        let t = (this.state = (this.state + 0x6d2b79f5) >>> 0);

        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    }

    below(n) {
        return Math.floor(this.next() * n);
    }

    of(list) {
        return list[this.below(list.length)];
    }
}

/* ---- made-up parameters ---- */

function dtlsParameters(chance) {
    const hex = createHash('sha256').update(String(chance.next())).digest('hex');
    const value = hex.toUpperCase().match(/../g).join(':');

    return {
        role: chance.of(['auto', 'client', 'server']),
        fingerprints: [{ algorithm: 'sha-256', value }],
    };
}

const MID = { uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', id: 4 };
const RID = { uri: 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id', id: 10 };

function codec(mimeType, payloadType, clockRate, more = {}) {
    return { mimeType, payloadType, clockRate, parameters: {}, rtcpFeedback: [], ...more };
}

const SENDINGS = {
    opus: {
        kind: 'audio',
        source: 'mic',
        codecs: [codec('audio/opus', 111, 48000, { channels: 2 })],
    },
    vp8: { kind: 'video', source: 'camera', codecs: [codec('video/VP8', 96, 90000)] },
    vp8_rtx: {
        kind: 'video',
        source: 'screen',
        codecs: [
            codec('video/VP8', 96, 90000),
            codec('video/rtx', 97, 90000, { parameters: { apt: 96 } }),
        ],
    },
    h264: {
        kind: 'video',
        source: 'camera',
        codecs: [
            codec('video/H264', 102, 90000, {
                parameters: {
                    'packetization-mode': 1,
                    'profile-level-id': '42e01f',
                    'level-asymmetry-allowed': 1,
                },
            }),
        ],
    },
    simulcast: {
        kind: 'video',
        source: 'camera',
        codecs: [codec('video/VP8', 96, 90000)],
        rids: ['q', 'h', 'f'],
    },
    unknown: {
        kind: 'video',
        source: 'camera',
        codecs: [codec('video/theora', 96, 90000)],
    },
};

function sending(chance) {
    const { kind, source, codecs, rids } = SENDINGS[chance.of(Object.keys(SENDINGS))];
    const ssrc = 1 + chance.below(2 ** 31);
    const encoding = codecs.length > 1 ? { ssrc, rtx: { ssrc: ssrc + 1 } } : { ssrc };

    return {
        ...{ kind, source, paused: chance.below(4) === 0 },
        rtp_parameters: {
            mid: String(chance.below(100)),
            codecs,
            headerExtensions: rids === undefined ? [MID] : [MID, RID],
            encodings: rids === undefined ? [encoding] : rids.map((rid) => ({ rid })),
            rtcp: { cname: `c${ssrc}` },
        },
    };
}

/* ---- one visitor ---- */

export class Visitor {
    constructor(node, seed, meeting, tally, manners = {}) {
        this.node = node;
        this.manners = manners;
        this.chance = new Chance(seed);
        this.meeting = meeting;
        this.tally = tally;
        this.transports = { send: [], recv: [] };
        this.producers = [];
        this.consumers = [];
        this.offered = [];
    }

    /* Asks, and notes what the answer gives. An answer that does not come because of our
     * own going is none. */
    async ask(event, payload) {
        let reply;

        if (!this.socket.connected) {
            return undefined;
        }
        try {
            reply = await this.socket.timeout(ACK_MS).emitWithAck(event, payload);
        } catch {
            assert.ok(!this.socket.connected, `${event}: no ack within ${ACK_MS} ms`);
            return undefined;
        }
        this.tally.asked++;
        if (reply.ok !== true) {
            assert.ok(EARNED.has(reply.error?.code), `${event}: ${JSON.stringify(reply)}`);
            this.tally.refused++;
            return undefined;
        }
        return reply;
    }

    async make(direction) {
        const made = await this.ask('transport:create', { direction });

        if (made !== undefined) {
            this.transports[direction].push(made.transport_id);
        }
    }

    /* One thing at random, mostly with what there is, right or wrong. */
    async step() {
        const { chance } = this;
        const some = (list) => (list.length > 0 ? chance.of(list) : 'nothing');
        const transport = (likely) =>
            some(this.transports[chance.below(8) > 0 ? likely : chance.of(DIRECTIONS)]);

        switch (chance.below(13)) {
            case 0:
            case 1:
                await this.make(chance.of(DIRECTIONS));
                break;
            case 2:
                await this.ask('transport:connect', {
                    transport_id: transport(chance.of(DIRECTIONS)),
                    dtls_parameters: dtlsParameters(chance),
                });
                break;
            case 3:
            case 4:
            case 5: {
                const transport_id = transport('send');
                const made = await this.ask('produce', {
                    transport_id,
                    ...sending(chance),
                });
                if (made !== undefined) {
                    this.producers.push(made.producer_id);
                    this.tally.produced++;
                }
                break;
            }
            case 6:
            case 7:
            case 8: {
                const made = await this.ask('consume', {
                    transport_id: transport('recv'),
                    producer_id: some(this.offered),
                    rtp_capabilities: this.capabilities,
                });
                if (made !== undefined) {
                    this.consumers.push(made.consumer_id);
                    this.tally.consumed++;
                    await this.ask('consumer:resume', { consumer_id: made.consumer_id });
                }
                break;
            }
            case 9:
                await this.ask(
                    chance.of(['produce:pause', 'produce:resume', 'produce:close']),
                    {
                        producer_id: some(this.producers),
                    },
                );
                break;
            case 10:
                await this.ask(
                    chance.of(['consumer:pause', 'consumer:resume', 'consumer:close']),
                    {
                        consumer_id: some(this.consumers),
                    },
                );
                break;
            case 11: {
                const moved = await this.ask('consumer:layers', {
                    consumer_id: some(this.consumers),
                    spatial: chance.below(3),
                    temporal: chance.below(3),
                });
                this.tally.layers += moved !== undefined ? 1 : 0;
                break;
            }
            default:
                await this.ask('transport:close', {
                    transport_id: transport(chance.of(DIRECTIONS)),
                });
                break;
        }
    }

    async enter() {
        const claims = { ...claimsFor(this.meeting), sub: `u-${this.chance.below(50)}` };

        this.socket = await connect(this.node, signToken(claims, this.node.secret), {
            transports: this.chance.of(this.manners.ways ?? WAYS),
        });
        this.socket.on('new-producer', ({ producer_id }) => this.offered.push(producer_id));
        const room = await this.ask('room:join', {
            meeting_id: this.meeting,
            display_name: 'Visitor',
        });
        assert.ok(room !== undefined, 'the door is open');
        this.capabilities = room.rtp_capabilities;
        this.offered.push(...room.producers.map((producer) => producer.producer_id));
        for (const direction of DIRECTIONS.slice(this.chance.below(8) > 0 ? 0 : 1)) {
            await this.make(direction);
        }
    }

    /* Goes: politely, or at any point of something, or without a word. */
    async go() {
        const { socket, chance } = this;
        const engine = socket.io.engine;

        if (chance.below(2) === 0) {
            void this.step().catch((error) => (this.tally.failure ??= error));
        }
        switch (chance.below(4)) {
            case 0:
                await this.ask('room:leave', { meeting_id: this.meeting });
                socket.close();
                break;
            case 1:
                socket.close();
                break;
            case 2:
                engine.close();
                break;
            default:
                this.tally.vanished++;
                if (engine.transport.name === 'websocket') {
                    engine.transport.ws.terminate();
                } else {
                    engine.transport.doClose = () => {}; /* says nothing */
                    engine.close();
                }
                break;
        }
        socket.io.engine?.close();
    }

    /* From coming to going. Of several visitors' failures the tally keeps the first, and
     * the others then go early. */
    async visit() {
        try {
            await this.enter();
            for (let left = this.chance.below(MOST_STEPS); left > 0; left--) {
                if (this.tally.failure !== undefined) {
                    break;
                }
                /* several at once: their answers cross */
                const n = this.chance.below(3) === 0 ? 3 : 1;
                await Promise.all(Array.from({ length: n }, () => this.step()));
            }
            assert.ok(this.socket.connected, 'nobody was sent away');
            await this.go();
        } catch (error) {
            this.tally.failure ??= error;
            this.socket?.close();
        }
    }
}

/* Many of them, 'atOnce' at a time, in 'rooms' meetings, until 'visits' have been or 'until'
 * (of Date.now()) has come. manners: the 'ways' of Engine.IO that they come by (all), and 'restMs'
 * from one that has gone to the next (0). Resolves with what they did; rejects with the first
 * failure. */
export async function visitors(
    node,
    { seed, visits = Infinity, atOnce, rooms, until = Infinity, manners },
) {
    const tally = {
        ...{ visits: 0, asked: 0, refused: 0, vanished: 0 },
        ...{ produced: 0, consumed: 0, layers: 0 },
    };
    let next = 0;

    await Promise.all(
        Array.from({ length: atOnce }, async () => {
            while (next < visits && Date.now() < until && tally.failure === undefined) {
                const number = next++;
                await new Visitor(
                    node,
                    seed + number * 7919,
                    `churn-${number % rooms}`,
                    tally,
                    manners,
                ).visit();
                tally.visits++;
                await sleep(manners?.restMs ?? 0);
            }
        }),
    );
    if (tally.failure !== undefined) {
        throw tally.failure;
    }
    return tally;
}
