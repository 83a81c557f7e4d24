/* Runs in a browser: a client in the node's own words (docs/api.md), whose transports a test
 * can get at. Microphone and camera are sent, everything of the others is received. */
import { Device } from 'mediasoup-client';
import { io } from 'socket.io-client';

const told = []; /* what the node said by itself */
const consumers = [];
const transports = {};
let socket;
let device;
let relayPort = 0;

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
    transports[direction] = transport;
    return transport;
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
        device = await Device.factory();
        await device.load({ routerRtpCapabilities: room.rtp_capabilities });
        await makeTransport('send');
        await makeTransport('recv');
        return room;
    },

    async produce() {
        const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });

        for (const track of stream.getTracks()) {
            await transports.send.produce({ track });
        }
    },

    async consumeAll(producers) {
        for (const producer of producers) {
            await consume(producer);
        }
    },

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
