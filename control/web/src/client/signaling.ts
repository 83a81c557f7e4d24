/* The Socket.IO connection to the node: one request is one ack, failures become
 * SignalError. Used by client.ts, which decides; this file only carries. */
import { io, type Socket } from 'socket.io-client';
import type { Events, Requests } from '../api.gen';

const ACK_TIMEOUT_MS = 10_000;

/* The node said no, or said nothing; `code` is the server's, or 'timeout' or 'offline'. */
export class SignalError extends Error {
    constructor(
        readonly code: string,
        message: string,
        readonly event: string,
        readonly retryAfterMs?: number, /* when to ask again */
    ) {
        super(message);
        this.name = 'SignalError';
    }
}

export interface SignalingHandlers {
    /* Connected, for the first time or again: join (again). */
    onConnect(): void;
    /* The connection broke; `willRetry` tells whether it comes back by itself. */
    onDisconnect(reason: string, willRetry: boolean): void;
    /* An attempt failed. With `refused` the server answered no, and retrying is useless. */
    onConnectError(code: string, message: string, refused: boolean): void;
}

interface Ack {
    ok?: unknown;
    error?: { code?: unknown; message?: unknown; retry_after_ms?: unknown };
}

export class Signaling {
    private readonly socket: Socket;
    private live = true; /* false after close(): late news is not passed on */
    private restarting = false;
    private readonly handlers = new Map<string, ((payload: never) => void)[]>();
    private readonly missing = new Set<string>();
    private last: { epoch?: number; seq: number } | undefined; /* fact that was seen */

    constructor(url: string, token: string, handlers: SignalingHandlers) {
        this.socket = io(`${url}/meeting`, {
            auth: { token },
            forceNew: true,
            autoConnect: false,
            reconnectionDelay: 500,
            reconnectionDelayMax: 5_000,
        });
        this.socket.on('connect', () => {
            if (this.live) {
                handlers.onConnect();
            }
        });
        this.socket.on('disconnect', (reason) => {
            if (this.live) {
                handlers.onDisconnect(reason, this.restarting || this.socket.active);
            }
        });
        this.socket.on('connect_error', (error: Error & { data?: { code?: unknown } }) => {
            if (!this.live) {
                return;
            }
            /* socket.active is false when the server refused the namespace: that is an
             * answer about this token, whereas an unreachable server may come back */
            const code = error.data?.code;
            handlers.onConnectError(
                typeof code === 'string' ? code : error.message,
                error.message,
                !this.socket.active,
            );
        });
    }

    on<E extends keyof Events>(event: E, handler: (payload: Events[E]) => void): void {
        const name = event as string;
        const all = this.handlers.get(name) ?? [];

        all.push(handler);
        this.handlers.set(name, all);
        if (all.length === 1) {
            this.socket.on(name, (payload: unknown) => {
                if (this.live) {
                    this.dispatch(name, payload);
                }
            });
        }
    }

    /* Hands on an event as if it came just now: one that was missed. */
    dispatch(name: string, payload: unknown): void {
        const { epoch, seq } = (payload ?? {}) as { epoch?: number; seq?: number };

        if (typeof seq === 'number') {
            this.last = { epoch, seq };
        }
        for (const handler of this.handlers.get(name) ?? []) {
            handler(payload as never);
        }
    }

    /* The last fact of the room that was told. */
    get seen(): { epoch?: number; seq: number } | undefined {
        return this.last;
    }

    /* Whether the node has said that it does not know such events ('chat', 'poll' …). */
    lacks(family: string): boolean {
        return this.missing.has(family);
    }

    /* Sends a request and waits for its ack.  Rejects with SignalError. */
    async request<E extends keyof Requests>(
        event: E,
        payload: Requests[E]['payload'],
    ): Promise<Requests[E]['reply']> {
        if (!this.socket.connected) {
            /* else Socket.IO would keep it and send it after the next connect, when it
             * is stale */
            throw new SignalError('offline', 'not connected to the server', event);
        }
        let ack: Ack;
        try {
            ack = (await this.socket
                .timeout(ACK_TIMEOUT_MS)
                .emitWithAck(event, payload)) as Ack;
        } catch {
            throw new SignalError('timeout', 'the server did not answer in time', event);
        }
        if (ack?.ok !== true) {
            if (['not_implemented', 'unknown_event'].includes(String(ack?.error?.code))) {
                this.missing.add(event.split(':')[0] ?? event);
            }
            throw new SignalError(
                String(ack?.error?.code ?? 'unknown'),
                String(ack?.error?.message ?? 'the server refused the request'),
                event,
                typeof ack?.error?.retry_after_ms === 'number'
                    ? ack.error.retry_after_ms
                    : undefined,
            );
        }
        return ack as Requests[E]['reply'];
    }

    /* For the next time that it connects. */
    setToken(token: string): void {
        this.socket.auth = { token };
    }

    open(): void {
        this.socket.connect();
    }

    /* Drops the connection and makes a new one: the one way to start over with
     * everything. */
    restart(): void {
        this.restarting = true;
        this.socket.disconnect();
        this.restarting = false;
        this.socket.connect();
    }

    close(): void {
        this.live = false;
        this.socket.disconnect();
    }
}
