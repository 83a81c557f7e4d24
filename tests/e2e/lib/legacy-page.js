/* Runs in a browser: a client of the legacy dialect, written from its description alone.
 * It speaks on the default namespace, gives no acks, and waits for the paired answers. */
import { Device } from 'mediasoup-client';
import { io } from 'socket.io-client';

const WAIT_MS = 15_000;

const own = { told: [], errors: [], consumers: [], producers: [], upgraded: false };
let socket;
let recv;
let device;

/* Sends, and resolves with the next such answer that 'match' says is ours. */
function ask(event, payload, answer, match = () => true) {
    return new Promise((done, failed) => {
        const timer = setTimeout(
            () => failed(new Error(`${event}: no ${answer}; ${JSON.stringify(own.errors)}`)),
            WAIT_MS,
        );
        const listen = (data) => {
            if (match(data)) {
                clearTimeout(timer);
                socket.off(answer, listen);
                done(data);
            }
        };
        socket.on(answer, listen);
        socket.emit(event, payload);
    });
}

async function makeTransport(meetingId, direction) {
    const { params } = await ask(
        'create-transport',
        { meetingId, direction },
        'transport-created',
        (data) => data.direction === direction,
    );
    const transport =
        direction === 'send'
            ? device.createSendTransport(params)
            : device.createRecvTransport(params);

    transport.on('connect', ({ dtlsParameters }, done, failed) => {
        ask(
            'connect-transport',
            { meetingId, transportId: params.id, dtlsParameters },
            'transport-connected',
            (data) => data.transportId === params.id,
        ).then(done, failed);
    });
    return transport;
}

async function consume({ participantId, producerId, kind }) {
    const { id, rtpParameters } = await ask(
        'consume',
        {
            producerParticipantId: participantId,
            producerId,
            kind,
            rtpCapabilities: device.rtpCapabilities,
        },
        'consumed',
        (data) => data.producerId === producerId,
    );
    const consumer = await recv.consume({ id, producerId, kind, rtpParameters });
    const element = document.createElement(kind);

    element.srcObject = new MediaStream([consumer.track]);
    element.autoplay = true;
    document.body.append(element);
    own.consumers.push(consumer);
    await ask(
        'resume-consumer',
        { consumerId: id },
        'consumer-resumed',
        (data) => data.consumerId === id,
    );
}

window.legacy = {
    own,

    async join({ origin, token, meetingId }) {
        const made = [];

        socket = io(origin, { auth: { token }, reconnection: false });
        /* at once: it may upgrade before the namespace is open */
        own.first = socket.io.engine.transport.name;
        socket.io.engine.once('upgrade', () => (own.upgraded = true));
        socket.onAny((event, data) => own.told.push({ event, data }));
        socket.on('error', (data) => own.errors.push(data));
        await new Promise((done, failed) => {
            socket.once('connect', done);
            socket.once('connect_error', failed);
        });
        let ready = (producer) => made.push(producer);
        socket.on('new-producer', (producer) => ready(producer));
        own.joined = await ask('join-meeting', { meetingId }, 'meeting-joined');
        device = new Device();
        await device.load({ routerRtpCapabilities: own.joined.rtpCapabilities });
        recv = await makeTransport(meetingId, 'recv');
        const send = await makeTransport(meetingId, 'send');
        send.on('produce', ({ kind, rtpParameters, appData }, done, failed) => {
            const requestId = `${kind}-${Math.random()}`;
            ask(
                'produce',
                { meetingId, kind, rtpParameters, requestId, appData },
                'produced',
                (data) => data.requestId === requestId,
            ).then(({ producerId }) => done({ id: producerId }), failed);
        });
        const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
        for (const track of media.getTracks()) {
            const appData = { label: `my ${track.kind}`, keep_this: { as_it: 'is' } };
            own.producers.push(await send.produce({ track, appData }));
        }
        ready = (producer) => consume(producer).catch((e) => own.errors.push(e.message));
        for (const producer of [...own.joined.existingProducers, ...made]) {
            await consume(producer);
        }
    },

    ask,

    emit: (event, payload) => socket.emit(event, payload),

    async stats() {
        const found = {};

        for (const consumer of own.consumers) {
            for (const entry of (await consumer.getStats()).values()) {
                if (entry.type === 'inbound-rtp') {
                    found[consumer.kind] =
                        consumer.kind === 'video' ? entry.framesDecoded : entry.packetsReceived;
                }
            }
        }
        return found;
    },
};
