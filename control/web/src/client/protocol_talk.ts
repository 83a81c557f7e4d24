/* The rest of protocol.ts: hosts, lobby, hands, chat, polls, whiteboard, captions, breakout
 * rooms.  Types only. */
import type { ProducerInfo, WithPerson } from './protocol';

export type Media = 'audio' | 'video' | 'screen';
export type Layout = 'grid' | 'speaker' | 'presentation';

export interface LobbyEntry {
    user_id: string;
    display_name: string;
    waiting_since: string;
}

export interface ChatEntry {
    message_id: string;
    client_message_id?: string | null;
    user_id: string;
    display_name: string;
    message: string;
    reply_to?: string | null;
    to?: string | null; /* the one user who may read it */
    timestamp: string;
    edited_at?: string | null;
    deleted?: boolean;
    reactions?: { emoji: string; count: number }[];
}

export interface Poll {
    poll_id: string;
    question: string;
    options: string[];
    votes: number[];
    state: 'open' | 'closed';
    multiple: boolean;
    anonymous: boolean;
}

/* The page's own shapes on the whiteboard; coordinates are 0 to 1 of its width and height. */
export interface BoardOp {
    op: string;
    id?: string; /* of the element; the last operation about it counts */
    [field: string]: unknown;
}

export interface Board {
    version: number;
    ops: BoardOp[];
}

export interface Caption {
    lang: string;
    text: string;
    start_ms: number;
    end_ms: number;
    final: boolean;
    speaker_user_id?: string | null;
}

export interface BreakoutRoom {
    breakout_id?: string;
    name: string;
    user_ids?: string[];
}

export interface Breakouts {
    open: boolean;
    rooms: BreakoutRoom[];
    closes_at?: string | null;
}

export interface BreakoutMoved {
    breakout_id: string | null; /* null: back to the meeting */
    producers?: ProducerInfo[]; /* what the others send there */
}

export interface MissedFact {
    event: string;
    payload: unknown;
}

type Ask<P, R = object> = { payload: P; reply: R };
type Target = { target_user_id: string };
type ChatRef = { message_id: string };

export interface TalkRequests {
    'room:sync': Ask<
        { since_seq: number; epoch?: number },
        { complete: boolean; more: boolean; epoch: number; seq: number; facts: MissedFact[] }
    >;
    'room:lock': Ask<object>;
    'room:unlock': Ask<object>;
    'room:close': Ask<object>;
    'room:update': Ask<{ settings: Record<string, unknown> }>;
    'lobby:admit': Ask<{ user_ids: string[] }>;
    'lobby:deny': Ask<{ user_ids: string[] }>;
    'lobby:admit-all': Ask<object>;
    'layout:change': Ask<{ layout: Layout }>;
    'participant:mute': Ask<Target & { kind: Media; reason?: string }>;
    'participant:mute-all': Ask<{ kind: Media; reason?: string }>;
    'participant:unmute-request': Ask<Target & { kind: Media }>;
    'participant:remove': Ask<Target & { reason?: string; ban?: boolean }>;
    'participant:role:update': Ask<Target & { new_role: string }>;
    'participant:rename': Ask<{ target_user_id?: string; display_name: string }>;
    'participant:spotlight': Ask<Target & { on: boolean }>;
    'hand:raise': Ask<object>;
    'hand:lower': Ask<{ target_user_id?: string }>;
    'hand:lower-all': Ask<object>;
    'chat:send': Ask<
        { message: string; reply_to?: string; to?: string; client_message_id: string },
        ChatEntry
    >;
    'chat:edit': Ask<ChatRef & { message: string }>;
    'chat:delete': Ask<ChatRef>;
    'chat:react': Ask<ChatRef & { emoji: string; on: boolean }>;
    'chat:history': Ask<
        { cursor?: string; limit?: number },
        { messages: ChatEntry[]; next_cursor: string | null }
    >;
    'chat:read': Ask<ChatRef>;
    'chat:typing': Ask<{ is_typing: boolean }>;
    'reaction:send': Ask<{ emoji: string }>;
    'poll:create': Ask<{ question: string; options: string[]; multiple?: boolean }>;
    'poll:vote': Ask<{ poll_id: string; choice: number[] }>;
    'poll:close': Ask<{ poll_id: string }>;
    'whiteboard:update': Ask<{ ops: BoardOp[] }>;
    'whiteboard:get': Ask<
        { after_version?: number },
        { ops: BoardOp[]; version: number; more: boolean }
    >;
    'whiteboard:clear': Ask<object>;
    'breakout:create': Ask<{ rooms: BreakoutRoom[] }, Breakouts>;
    'breakout:assign': Ask<{ assignments: { breakout_id: string; user_ids: string[] }[] }>;
    'breakout:open': Ask<{ duration_s?: number }>;
    'breakout:join': Ask<{ breakout_id: string | null }, BreakoutMoved>;
    'breakout:broadcast': Ask<{ message: string }>;
    'breakout:close': Ask<object>;
}

export interface TalkEvents {
    'lobby:updated': { waiting: LobbyEntry[] };
    'muted:by-host': { kind: Media; by_user_id?: string; reason?: string };
    'unmute:requested': Partial<WithPerson> & { kind: Media; by_user_id?: string };
    'hand:raised': WithPerson & { position?: number };
    'hand:lowered': Partial<WithPerson>;
    'layout:changed': { layout: Layout };
    'chat:message': ChatEntry;
    'chat:edited': ChatRef & { message: string; edited_at: string };
    'chat:deleted': ChatRef;
    'chat:reaction': ChatRef & { user_id: string; emoji: string; on: boolean };
    'chat:typing': { user_id: string; is_typing: boolean };
    'reaction:received': {
        user_id?: string | null;
        emoji?: string | null;
        counts?: { emoji: string; count: number }[];
    };
    'poll:updated': Poll;
    'whiteboard:updated': { ops: BoardOp[]; version: number };
    'whiteboard:cleared': { version: number };
    'caption:segment': Caption;
    'breakout:updated': Breakouts;
    'breakout:moved': BreakoutMoved;
    'breakout:message': { user_id: string; message: string };
}
