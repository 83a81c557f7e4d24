/* What the parts of the client share: client.ts makes one and hands it to each. */
import type { CodecName } from './encodings';
import type { Media } from './media';
import type { Notice, Room } from './room';
import type { SignalError, Signaling } from './signaling';

export interface ClientOptions {
    url: string; /* of the node: https://host:port */
    token: string;
    meeting: string;
    name: string; /* that the others see */
    codec?: CodecName; /* to send video in; else the first the node offers */
    layers?: number; /* sizes to send the camera in, 1 to 3 (1) */
    /* Asked a minute before the token ends, for one that is good for longer. Without it, or if
     * it rejects, the call goes on, but does not come back if its connection breaks. */
    freshToken?: (token: string) => Promise<string>;
}

/* What passes and is not kept in Room. */
export interface ClientEvents {
    joined: { id: string; name: string };
    left: { id: string; name: string };
    message: { name: string; text: string; own: boolean; toMe: boolean };
    reaction: { emoji: string; count: number; name: string | undefined };
    hand: { name: string };
    unmuteRequested: { kind: string; name: string | undefined };
    muted: { kind: string; name: string | undefined };
    poll: { question: string }; /* a new one */
    screen: { name: string }; /* somebody begins to share it */
    breakoutMessage: { name: string | undefined; text: string };
    moved: { breakoutId: string | null };
    tapeFailed: { reason: string };
}

export interface Context {
    readonly options: ClientOptions;
    readonly room: Room;
    readonly signaling: Signaling;
    readonly media: Media | undefined;
    readonly over: boolean; /* left or failed */
    changed(): void;
    notice(notice: Notice): void;
    tell<E extends keyof ClientEvents>(event: E, payload: ClientEvents[E]): void;
}

export function codeOf(error: unknown): string {
    const code = (error as Partial<SignalError> | undefined)?.code;
    return typeof code === 'string' ? code : '';
}

export function isOffline(error: unknown): boolean {
    return codeOf(error) === 'offline';
}
