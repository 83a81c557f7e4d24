/* Chat, reactions, hands, polls, the whiteboard, captions and breakout rooms: what the node
 * tells of them goes into Room, and the verbs that a page has for them.  The verbs reject
 * with SignalError where the node refuses. */
import type { Context } from './context';
import type { BreakoutRoom, ChatMessage, WhiteboardOp } from '../api.gen';
import type { Layout } from './protocol';
import { nameOf, userOf } from './room';

const REPEATED = /^chat:/; /* all else is in the answer to a join */
const CAPTIONS = 3; /* shown at once */
const MAX_CHAT = 2_000; /* kept here; older ones can be asked for again */
const MAX_OPS = 20_000;

export class Talk {
    constructor(private readonly ctx: Context) {
        this.listenChat();
        this.listenHands();
        this.listenRest();
    }

    /* After a join: what was said before, or while one was away. */
    catchUp(resumed: boolean): void {
        const { room, signaling } = this.ctx;
        const since = signaling.seen;

        if (resumed && since !== undefined) {
            this.sync(since).catch(() => undefined);
        } else if (room.settings !== undefined) {
            this.newest().catch(() => this.ctx.changed());
        }
        if (room.board.version > 0) {
            this.loadBoard().catch(() => undefined); /* its operations are no facts */
        }
    }

    private async sync(since: { epoch?: number; seq: number }): Promise<void> {
        const { signaling } = this.ctx;
        let from = since;
        let complete = true;

        for (let more = true; more; ) {
            const page = await signaling.request('room:sync', {
                since_seq: from.seq,
                ...(from.epoch === undefined ? {} : { epoch: from.epoch }),
            });
            for (const { event, payload } of page.facts) {
                if (REPEATED.test(event)) {
                    signaling.dispatch(event, payload);
                }
            }
            complete = complete && page.complete;
            more = page.more;
            from = page;
        }
        if (!complete) {
            await this.newest();
        }
    }

    /* ---- chat ---- */

    /* Sends to all, or to one user.  A retry with the same id does not double it. */
    async send(
        message: string,
        more: { to?: string; replyTo?: string; id?: string } = {},
    ): Promise<void> {
        const entry = await this.ctx.signaling.request('chat:send', {
            message,
            client_message_id: more.id ?? newId(),
            ...(more.to === undefined ? {} : { to: more.to }),
            ...(more.replyTo === undefined ? {} : { reply_to: more.replyTo }),
        });
        this.put(entry);
    }

    async edit(id: string, message: string): Promise<void> {
        await this.ctx.signaling.request('chat:edit', { message_id: id, message });
        this.change(id, { message, edited_at: new Date().toISOString() });
    }

    async remove(id: string): Promise<void> {
        await this.ctx.signaling.request('chat:delete', { message_id: id });
        this.change(id, { message: '', deleted: true });
    }

    async react(id: string, emoji: string, on = true): Promise<void> {
        await this.ctx.signaling.request('chat:react', { message_id: id, emoji, on });
    }

    private async newest(): Promise<void> {
        this.ctx.room.chatMore = null;
        await this.history();
    }

    /* Brings messages older than those that are known. */
    async history(): Promise<void> {
        const { room, signaling } = this.ctx;
        const page = await signaling.request('chat:history', {
            ...(room.chatMore === null ? {} : { cursor: room.chatMore }),
        });

        room.chatMore = page.next_cursor;
        for (const entry of page.messages) {
            this.put(entry);
        }
    }

    typing(on: boolean): void {
        this.ctx.signaling
            .request('chat:typing', { is_typing: on })
            .catch(() => undefined); /* of no weight */
    }

    read(): void {
        const { room, signaling } = this.ctx;
        const last = room.chat.at(-1);

        if (room.unread > 0 && last !== undefined) {
            room.unread = 0;
            this.ctx.changed();
            signaling
                .request('chat:read', { message_id: last.message_id })
                .catch(() => undefined);
        }
    }

    /* ---- the rest ---- */

    async reaction(emoji: string): Promise<void> {
        await this.ctx.signaling.request('reaction:send', { emoji });
        this.ctx.tell('reaction', { emoji, count: 1, name: this.ctx.room.self.name });
    }

    get handUp(): boolean {
        return this.ctx.room.hands.includes(this.ctx.room.self.id);
    }

    async raiseHand(up: boolean): Promise<void> {
        const { room, signaling } = this.ctx;

        await signaling.request(up ? 'hand:raise' : 'hand:lower', {});
        this.hand(room.self.id, up);
    }

    async poll(question: string, options: string[], multiple = false): Promise<void> {
        await this.ctx.signaling.request('poll:create', { question, options, multiple });
    }

    async vote(pollId: string, choice: number[]): Promise<void> {
        await this.ctx.signaling.request('poll:vote', { poll_id: pollId, choice });
    }

    async closePoll(pollId: string): Promise<void> {
        await this.ctx.signaling.request('poll:close', { poll_id: pollId });
    }

    async draw(ops: WhiteboardOp[]): Promise<void> {
        const named = ops.map((op) => ({ id: newId(), ...op }));

        this.ctx.room.board.ops.push(...named);
        this.ctx.changed();
        await this.ctx.signaling.request('whiteboard:update', { ops: named });
    }

    /* Brings all that is on the board, however it came to be there. */
    async loadBoard(): Promise<void> {
        const ops: WhiteboardOp[] = [];
        let page;

        do {
            page = await this.ctx.signaling.request('whiteboard:get', {
                ...(page === undefined ? {} : { after_version: page.version }),
            });
            ops.push(...page.ops);
        } while (page.more && ops.length < MAX_OPS);
        this.ctx.room.board = { version: page.version, ops };
        this.ctx.changed();
    }

    async clearBoard(): Promise<void> {
        await this.ctx.signaling.request('whiteboard:clear', {});
        this.ctx.room.board = { version: 0, ops: [] };
        this.ctx.changed();
    }

    async changeLayout(layout: Layout): Promise<void> {
        await this.ctx.signaling.request('layout:change', { layout });
    }

    async createBreakouts(rooms: BreakoutRoom[]): Promise<void> {
        this.ctx.room.breakouts = await this.ctx.signaling.request('breakout:create', {
            rooms,
        });
        this.ctx.changed();
    }

    /* Sends people into them, for so long or until they are closed. */
    async openBreakouts(durationS?: number): Promise<void> {
        await this.ctx.signaling.request(
            'breakout:open',
            durationS === undefined ? {} : { duration_s: durationS },
        );
    }

    /* Goes into one; null is back to the meeting. */
    async joinBreakout(id: string | null): Promise<void> {
        await this.ctx.signaling.request('breakout:join', { breakout_id: id });
    }

    async closeBreakouts(): Promise<void> {
        await this.ctx.signaling.request('breakout:close', {});
    }

    async broadcast(message: string): Promise<void> {
        await this.ctx.signaling.request('breakout:broadcast', { message });
    }

    /* ---- what the node tells ---- */

    private listenChat(): void {
        const { room, signaling } = this.ctx;

        signaling.on('chat:message', (entry) => {
            const own = entry.user_id === room.self.userId;
            if (this.put(entry) && !own) {
                room.unread++;
                room.typing.delete(entry.user_id);
                this.ctx.tell('message', {
                    name: entry.display_name,
                    text: entry.message,
                    own,
                    toMe: entry.to != null,
                });
            }
        });
        signaling.on('chat:edited', ({ message_id, message, edited_at }) =>
            this.change(message_id, { message, edited_at }),
        );
        signaling.on('chat:deleted', ({ message_id }) =>
            this.change(message_id, { message: '', deleted: true }),
        );
        signaling.on('chat:reaction', ({ message_id, emoji, on }) => {
            const entry = room.chat.find((each) => each.message_id === message_id);
            if (entry !== undefined) {
                this.change(message_id, { reactions: counted(entry, emoji, on) });
            }
        });
        signaling.on('chat:typing', ({ user_id, is_typing }) => {
            room.typing[is_typing ? 'add' : 'delete'](user_id);
            this.ctx.changed();
        });
    }

    /* Adds a message or brings it up to date; in the order of their times. */
    private put(entry: ChatMessage): boolean {
        const { room } = this.ctx;
        const at = room.chat.findIndex((each) => each.message_id === entry.message_id);

        if (at >= 0) {
            room.chat[at] = entry;
        } else {
            const after = room.chat.findIndex((each) => each.timestamp > entry.timestamp);
            room.chat.splice(after < 0 ? room.chat.length : after, 0, entry);
            room.chat.splice(0, Math.max(0, room.chat.length - MAX_CHAT));
        }
        this.ctx.changed();
        return at < 0;
    }

    private change(id: string, to: Partial<ChatMessage>): void {
        const entry = this.ctx.room.chat.find((each) => each.message_id === id);

        if (entry !== undefined) {
            Object.assign(entry, to);
            this.ctx.changed();
        }
    }

    private hand(id: string, up: boolean): void {
        const { room } = this.ctx;
        const others = room.hands.filter((each) => each !== id);

        room.hands = up ? (room.hands.includes(id) ? room.hands : [...others, id]) : others;
        this.ctx.changed();
    }

    private listenHands(): void {
        const { room, signaling } = this.ctx;

        signaling.on('hand:raised', (who) => {
            const id = who.participant_id;
            if (!room.hands.includes(id) && id !== room.self.id) {
                this.ctx.tell('hand', { name: nameOf(room, id) ?? '' });
            }
            this.hand(id, true);
        });
        signaling.on('hand:lowered', (who) => {
            /* null: all; an answer names the user alone */
            const whose = 'participant_id' in who ? who.participant_id : who.user_id;
            room.hands = room.hands.filter(
                (id) => whose !== null && whose !== id && whose !== userOf(room, id),
            );
            this.ctx.changed();
        });
    }

    private listenRest(): void {
        const { room, signaling } = this.ctx;

        signaling.on('reaction:received', ({ emoji, counts, user_id }) => {
            const all = counts ?? (emoji == null ? [] : [{ emoji, count: 1 }]);
            const name = user_id == null ? undefined : nameOf(room, user_id);
            for (const each of user_id === room.self.userId ? [] : all) {
                this.ctx.tell('reaction', { ...each, name });
            }
        });
        signaling.on('layout:changed', ({ layout }) => {
            room.layout = layout;
            this.ctx.changed();
        });
        signaling.on('poll:updated', (poll) => {
            if (!room.polls.has(poll.poll_id)) {
                this.ctx.tell('poll', { question: poll.question });
            }
            room.polls.set(poll.poll_id, poll);
            this.ctx.changed();
        });
        signaling.on('whiteboard:updated', ({ ops, version }) => {
            room.board.ops = withOps(room.board.ops, ops);
            room.board.ops.splice(0, Math.max(0, room.board.ops.length - MAX_OPS));
            room.board.version = version;
            this.ctx.changed();
        });
        signaling.on('whiteboard:cleared', ({ version }) => {
            room.board = { version, ops: [] };
            this.ctx.changed();
        });
        signaling.on('caption:segment', (caption) => {
            const last = room.captions.at(-1);
            const same =
                last?.final === false && last.speaker_user_id === caption.speaker_user_id;
            room.captions = [...(same ? room.captions.slice(0, -1) : room.captions), caption];
            room.captions = room.captions.slice(-CAPTIONS);
            this.ctx.changed();
        });
        signaling.on('breakout:updated', (state) => {
            room.breakouts = state;
            this.ctx.changed();
        });
        signaling.on('breakout:message', ({ user_id, message }) =>
            this.ctx.tell('breakoutMessage', { name: nameOf(room, user_id), text: message }),
        );
    }
}

/* A secure page is not needed for it, as it is for crypto.randomUUID(). */
export function newId(): string {
    return [...crypto.getRandomValues(new Uint8Array(12))]
        .map((byte) => byte.toString(16).padStart(2, '0'))
        .join('');
}

/* The last operation about an element counts; `remove` takes it away. */
function withOps(before: WhiteboardOp[], more: WhiteboardOp[]): WhiteboardOp[] {
    const ids = new Set(more.map(({ id }) => id).filter((id) => id !== undefined));
    const kept = before.filter(({ id }) => id === undefined || !ids.has(id));

    return [...kept, ...more.filter(({ op }) => op !== 'remove')];
}

function counted(
    entry: ChatMessage,
    emoji: string,
    on: boolean,
): { emoji: string; count: number }[] {
    const all = (entry.reactions ?? []).map((each) =>
        each.emoji === emoji ? { emoji, count: each.count + (on ? 1 : -1) } : each,
    );

    if (on && !all.some((each) => each.emoji === emoji)) {
        all.push({ emoji, count: 1 });
    }
    return all.filter(({ count }) => count > 0);
}
