/* A Socket.IO client without a browser: the unmodified socket.io-client in Node. */
import { io } from 'socket.io-client';

const WAIT_MS = 8_000;

/* Connects to /meeting. Resolves with the socket, or rejects with the connect_error, whose
 * `data.code` is the node's. */
export async function connect(node, token, options = {}) {
    const socket = io(`${node.origin}/meeting`, {
        auth: token === undefined ? {} : { token },
        forceNew: true,
        reconnection: false,
        timeout: WAIT_MS,
        ...options,
    });

    try {
        await new Promise((done, failed) => {
            const timer = setTimeout(
                () => failed(new Error(`no connection within ${WAIT_MS} ms`)),
                WAIT_MS,
            );
            socket.once('connect', () => (clearTimeout(timer), done()));
            socket.once('connect_error', (error) => (clearTimeout(timer), failed(error)));
        });
    } catch (error) {
        socket.close();
        throw error;
    }
    return socket;
}

/* Emits and resolves with the ack, whatever it says. */
export async function ask(socket, event, ...payload) {
    try {
        return await socket.timeout(WAIT_MS).emitWithAck(event, ...payload);
    } catch {
        throw new Error(`${event} ${JSON.stringify(payload)?.slice(0, 200)}: no ack came`);
    }
}

/* Resolves with the payload of the next such event. Call it before what brings it about. */
export function next(socket, event, wait = WAIT_MS) {
    return new Promise((done, failed) => {
        const timer = setTimeout(
            () => failed(new Error(`no '${event}' came within ${wait} ms`)),
            wait,
        );
        socket.once(event, (payload) => (clearTimeout(timer), done(payload)));
    });
}
