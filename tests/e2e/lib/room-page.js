/* Runs in a browser: a client in the node's own words (docs/api.md), whose transports a test
 * can get at. Microphone and camera are sent, everything of the others is received. */
import { Device } from 'mediasoup-client';
import { io } from 'socket.io-client';

const told = []; /* what the node said by itself */
const consumers = [];
const transports = {};
const dataProducers = {}; /* by label */
const dataConsumers = {};
let socket;
let device;
let relayPort = 0;
let resume;

async function ask(event, payload = {}) {
    const { ok, error, ...answer } = await socket.timeout(15_000).emitWithAck(event, payload);

    if (!ok) {
        throw new Error(`${event}: ${error.code}: ${error.message}`);
    }
    return answer;
}

/* The relay's port instead of the node's addresses. */
function candidates(list) {
    return relayPort === 0
        ? list
        : list
              .filter(({ address }) => !address.includes(':'))
              .slice(0, 1)
              .map((each) => ({ ...each, address: '127.0.0.1', ip: '127.0.0.1', port: relayPort }));
}

async function makeTransport(direction) {
    const made = await ask('transport:create', { direction });
    const params = {
        id: made.transport_id,
        iceParameters: made.ice_parameters,
        iceCandidates: candidates(made.ice_candidates),
        dtlsParameters: made.dtls_parameters,
        sctpParameters: made.sctp_parameters,
    };
    const transport =
        direction === 'send'
            ? device.createSendTransport(params)
            : device.createRecvTransport(params);

    transport.on('connect', ({ dtlsParameters }, done, failed) => {
        ask('transport:connect', {
            transport_id: params.id,
            dtls_parameters: dtlsParameters,
        }).then(done, failed);
    });
    transport.on('produce', ({ kind, rtpParameters }, done, failed) => {
        ask('produce', {
            ...{ transport_id: params.id, kind, rtp_parameters: rtpParameters },
            source: kind === 'audio' ? 'mic' : 'camera',
        }).then(({ producer_id }) => done({ id: producer_id }), failed);
    });
    transport.on('producedata', ({ sctpStreamParameters, label, protocol }, done, failed) => {
        ask('data:produce', {
            ...{ transport_id: params.id, label, protocol },
            sctp_stream_parameters: sctpStreamParameters,
        }).then(({ id }) => done({ id }), failed);
    });
    transports[direction] = transport;
    return transport;
}

/* A message is its number and bytes that follow from it; a string the same in letters. */
function bytesOf(number, length) {
    const bytes = new Uint8Array(length);

    for (let i = 0; i < length; i++) {
        bytes[i] = (number * 31 + i) & 255;
    }
    new DataView(bytes.buffer).setUint32(0, number);
    return bytes;
}

const textOf = (number, length) => `${number}:`.padEnd(length, 'ä½z');

/* What a message was: its number, -1 if it is empty, or NaN if it is not as it was sent. */
function numberOf(message) {
    if (typeof message === 'string') {
        const number = message === '' ? -1 : Number(message.split(':')[0]);
        return number === -1 || textOf(number, message.length) === message ? number : NaN;
    }
    if (message.byteLength === 0) {
        return -1;
    }
    const bytes = new Uint8Array(message);
    const number = new DataView(message).getUint32(0);
    const wanted = bytesOf(number, bytes.length);
    return bytes.every((byte, i) => byte === wanted[i]) ? number : NaN;
}

async function consume({ producer_id }) {
    const made = await ask('consume', {
        transport_id: transports.recv.id,
        producer_id,
        rtp_capabilities: device.rtpCapabilities,
    });
    const consumer = await transports.recv.consume({
        id: made.consumer_id,
        producerId: producer_id,
        kind: made.kind,
        rtpParameters: made.rtp_parameters,
    });
    const element = document.createElement(made.kind);

    /* what is not played is not decoded */
    element.srcObject = new MediaStream([consumer.track]);
    element.muted = true;
    void element.play().catch(() => undefined); /* done when something has come */
    consumers.push(consumer);
    await ask('consumer:resume', { consumer_id: made.consumer_id });
}

window.room = {
    told,
    ask,
    transports,

    async join({ origin, token, meeting, relay = 0 }) {
        relayPort = relay;
        socket = io(`${origin}/meeting`, { auth: { token }, transports: ['websocket'] });
        await new Promise((done, failed) => {
            socket.once('connect', done).once('connect_error', failed);
        });
        socket.onAny((event, data) => told.push({ event, data }));
        const room = await ask('room:join', { meeting_id: meeting, display_name: 'Somebody' });
        resume = { meeting_id: meeting, display_name: 'Somebody', resume_token: room.resume_token };
        device = await Device.factory();
        await device.load({ routerRtpCapabilities: room.rtp_capabilities });
        await makeTransport('send');
        await makeTransport('recv');
        return room;
    },

    /* Comes back after the connection was lost. */
    async rejoin() {
        for (let tries = 0; ; tries++) {
            try {
                return await ask('room:join', resume);
            } catch (error) {
                if (tries === 100) {
                    throw error;
                }
                await new Promise((done) => setTimeout(done, 100));
            }
        }
    },

    async produce() {
        const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });

        for (const track of stream.getTracks()) {
            await transports.send.produce({ track });
        }
    },

    /* Another transport instead of the one there is. */
    async renew(direction) {
        const old = transports[direction];

        old.close();
        await ask('transport:close', { transport_id: old.id });
        await makeTransport(direction);
    },

    async consumeAll(producers) {
        for (const producer of producers) {
            await consume(producer);
        }
    },

    /* A data channel to send on; options as mediasoup-client's produceData() has them. */
    async openData(label, options = {}) {
        const producer = await transports.send.produceData({ label, ...options });

        dataProducers[label] = producer;
        if (producer.readyState !== 'open') {
            await new Promise((done) => producer.once('open', done));
        }
        return producer.id;
    },

    /* Takes what comes on a channel of another. */
    async consumeData({ data_producer_id }) {
        const made = await ask('data:consume', {
            transport_id: transports.recv.id,
            data_producer_id,
        });
        const consumer = await transports.recv.consumeData({
            id: made.id,
            dataProducerId: data_producer_id,
            sctpStreamParameters: made.sctp_stream_parameters,
            label: made.label,
            protocol: made.protocol,
        });
        const got = { id: made.id, numbers: [], kinds: {}, closed: false };

        consumer.binaryType = 'arraybuffer';
        consumer.on('message', (message) => {
            const kind = typeof message === 'string' ? 'string' : 'binary';
            got.numbers.push(numberOf(message));
            got.kinds[kind] = (got.kinds[kind] ?? 0) + 1;
        });
        consumer.on('close', () => (got.closed = true)); /* by the far end */
        if (consumer.readyState !== 'open') {
            await new Promise((done) => consumer.once('open', done));
        }
        consumer.got = got;
        dataConsumers[made.label] = consumer;
        return made;
    },

    /* Sends the messages of these numbers. kind: 'binary', 'string', or both in turn. */
    sendData(label, from, to, length, kind = 'mixed') {
        for (let number = from; number < to; number++) {
            const text = kind === 'mixed' ? number % 2 === 0 : kind === 'string';
            dataProducers[label].send(text ? textOf(number, length) : bytesOf(number, length));
        }
    },

    sendEmpty(label) {
        dataProducers[label].send('');
        dataProducers[label].send(new Uint8Array(0));
    },

    closeData(label) {
        dataProducers[label].close();
    },

    dataGot: (label) => dataConsumers[label]?.got,

    async restartIce(direction) {
        const transport = transports[direction];
        const { ice_parameters: iceParameters } = await ask('transport:restart-ice', {
            transport_id: transport.id,
        });

        await transport.restartIce({ iceParameters });
        return iceParameters;
    },

    /* What arrives: pictures decoded, packets of sound; and the transport's own figures. */
    async received() {
        const found = { video: 0, audio: 0 };

        for (const stats of (await transports.recv.getStats()).values()) {
            if (stats.type === 'inbound-rtp') {
                found[stats.kind] +=
                    stats.kind === 'video' ? stats.framesDecoded : stats.packetsReceived;
            }
        }
        return found;
    },

    async localUfrag(direction) {
        for (const stats of (await transports[direction].getStats()).values()) {
            if (stats.type === 'transport') {
                return stats.iceLocalUsernameFragment;
            }
        }
        return undefined;
    },
};
