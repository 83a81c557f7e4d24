/* What is known of the room one is in.  The client changes it in place and tells after each
 * change (KcsClient.room); everybody else only reads. */
import type {
    BreakoutState,
    Caption,
    ChatMessage,
    Layer,
    LobbyEntry,
    MeetingSettings,
    Poll,
    WhiteboardOp,
} from '../api.gen';
import type { Kind, Layout, Source } from './protocol';

export type Status =
    | 'idle' /* join() was not called yet */
    | 'connecting' /* to the server, for the first time */
    | 'joining' /* connected; room and media are being set up */
    | 'waiting' /* in the lobby, until a host lets one in */
    | 'joined'
    | 'reconnecting' /* the server or the media path was lost, and is being sought */
    | 'left' /* by oneself */
    | 'failed'; /* for good; `reason` says why */

/* Something to be told, without words: pages have their own.  `detail` is the server's or the
 * browser's text. */
export interface Notice {
    code: string;
    detail?: string;
    kind?: Kind;
    source?: Source;
    name?: string; /* of the person it is about */
}

/* How well one stream arrives, as the node sees it. */
export interface Quality {
    score: number; /* 10 all of it, 0 nothing */
    loss: number; /* 0 to 1, before repair */
    bitrateBps: number;
    jitterMs: number;
    rttMs: number; /* 0: not known */
}

export interface RemoteMedia {
    producerId: string;
    kind: Kind;
    source: Source;
    paused: boolean;
    track: MediaStreamTrack | undefined; /* undefined until it is consumed */
    layer: Layer | undefined; /* what the node sends of it, if it has layers */
    quality: Quality | undefined;
}

export interface Person {
    id: string;
    userId: string;
    name: string;
    role: string;
    media: Map<string, RemoteMedia>; /* by producer id */
}

export interface Room {
    status: Status;
    reason: Notice | undefined; /* for reconnecting and failed */
    title: string;
    role: string; /* empty until one was in */
    permissions: Set<string>;
    self: { id: string; userId: string; name: string };
    settings: MeetingSettings | undefined; /* undefined where the node does not tell */
    people: Map<string, Person>; /* the others, by participant id */
    count: number; /* of all who are there; may be more than are known by name */
    notices: Notice[]; /* oldest first */
    speaker: string | undefined; /* participant id of who speaks, oneself too */
    spotlight: string | undefined; /* participant id, for all */
    layout: Layout | undefined; /* that a host wishes for */
    lobby: LobbyEntry[];
    hands: string[]; /* participant ids, in order */
    chat: ChatMessage[]; /* oldest first */
    chatMore: string | null; /* cursor of what is older */
    unread: number;
    typing: Set<string>; /* user ids */
    polls: Map<string, Poll>;
    captions: Caption[]; /* the last few */
    board: { version: number; ops: WhiteboardOp[] }; /* coordinates: 0 to 1 of it */
    breakouts: BreakoutState | undefined;
    breakoutId: string | null; /* the one that one is in; null: in none */
    recording: string | null; /* that runs; its id */
    live: string | null; /* the live stream that runs; its id */
}

export function emptyRoom(title: string, name: string): Room {
    return {
        status: 'idle',
        reason: undefined,
        title,
        role: '',
        permissions: new Set(),
        self: { id: '', userId: '', name },
        settings: undefined,
        people: new Map(),
        count: 0,
        notices: [],
        speaker: undefined,
        spotlight: undefined,
        layout: undefined,
        lobby: [],
        hands: [],
        chat: [],
        chatMore: null,
        unread: 0,
        typing: new Set(),
        polls: new Map(),
        captions: [],
        board: { version: 0, ops: [] },
        breakouts: undefined,
        breakoutId: null,
        recording: null,
        live: null,
    };
}

export function findMedia(
    room: Room,
    producerId: string,
): { person: Person; media: RemoteMedia } | undefined {
    for (const person of room.people.values()) {
        const media = person.media.get(producerId);
        if (media !== undefined) {
            return { person, media };
        }
    }
    return undefined;
}

/* Whether somebody is where one is oneself, as far as breakout rooms go. */
export function isHere(room: Room, person: Person): boolean {
    const { breakouts, breakoutId } = room;
    const at = breakouts?.rooms.find(({ user_ids }) => user_ids?.includes(person.userId));

    return breakouts?.open !== true || (at?.breakout_id ?? null) === breakoutId;
}

/* The user that a participant is. */
export function userOf(room: Room, id: string): string | undefined {
    return id === room.self.id ? room.self.userId : room.people.get(id)?.userId;
}

/* The name of a user or participant, as far as it is known. */
export function nameOf(room: Room, id: string): string | undefined {
    if (id === room.self.id || id === room.self.userId) {
        return room.self.name;
    }
    return (
        room.people.get(id)?.name ??
        [...room.people.values()].find((person) => person.userId === id)?.name
    );
}
