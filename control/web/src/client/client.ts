/* One stay in one meeting: connects, joins, and comes back by itself when the server or the
 * media path was lost.  Media goes on where the node says that the stay is resumed, and is
 * made anew where not; the room is asked for again either way.
 *
 * The parts: signaling.ts carries, media.ts has the transports, own.ts what one sends,
 * roster.ts the others, talk.ts, tape.ts and host.ts the rest. */
import {
    codeOf,
    isOffline,
    type ClientEvents,
    type ClientOptions,
    type Context,
} from './context';
import { Door } from './door';
import { Emitter, Observable } from './emitter';
import { Host } from './host';
import { Media } from './media';
import { OwnMedia, type OwnOptions, type OwnTracks } from './own';
import { PathKeeper } from './paths';
import type { RoomJoined } from '../api.gen';
import { emptyRoom, type Notice, type Room } from './room';
import { Roster, type Shown } from './roster';
import { Signaling } from './signaling';
import { Talk } from './talk';
import { Tape } from './tape';

const RETRY_MS = [500, 2_000, 5_000, 10_000];

export class KcsClient extends Emitter<ClientEvents> {
    readonly room: Observable<Room>;
    readonly own: OwnMedia;
    readonly talk: Talk;
    readonly tape: Tape;
    readonly host: Host;

    private readonly ctx: Context;
    private readonly signaling: Signaling;
    private readonly roster: Roster;
    private readonly paths: PathKeeper;
    private readonly door: Door;
    private current: Media | undefined;
    private ownToken: string;
    private stay = 0; /* counts (re)joins: answers to an earlier one are stale */
    private retries = 0;
    private retryTimer: ReturnType<typeof setTimeout> | undefined;

    /* tracks: what to send from the beginning, moved. Nothing happens before join(). */
    constructor(
        readonly options: ClientOptions,
        tracks: OwnTracks = {},
        ownOptions: OwnOptions = { height: 720 },
    ) {
        super();
        this.ownToken = options.token;
        this.room = new Observable(emptyRoom(options.meeting, options.name));
        this.signaling = new Signaling(options.url, options.token, {
            onConnect: () => void this.enter(),
            onDisconnect: (reason, willRetry) => this.onDisconnect(reason, willRetry),
            onConnectError: (code, message, refused) =>
                this.onConnectError(code, message, refused),
        });
        this.ctx = this.makeContext();
        this.own = new OwnMedia(this.ctx, tracks, ownOptions);
        this.roster = new Roster(this.ctx);
        this.talk = new Talk(this.ctx);
        this.tape = new Tape(this.ctx);
        this.host = new Host(this.ctx, this.own);
        this.door = new Door(this.ctx);
        this.paths = new PathKeeper(
            this.ctx,
            (code) => this.restartSoon({ code }),
            () => (this.retries = 0),
        );
        this.listen();
    }

    /* Connects and joins; `room` tells how it goes. */
    join(): void {
        if (this.state.status === 'idle') {
            this.state.status = 'connecting';
            this.room.changed();
            this.signaling.open();
        }
    }

    /* Leaves for good: tells the room, closes everything and frees the devices. */
    leave(): void {
        if (this.ctx.over) {
            return;
        }
        this.signaling
            .request('room:leave', { meeting_id: this.options.meeting })
            .catch(() => undefined) /* the connection closes next, which says the same */
            .finally(() => this.signaling.close());
        this.end('left', undefined);
    }

    /* The newest one. */
    get token(): string {
        return this.ownToken;
    }

    /* The transports of this stay and what is received on them; undefined without any. */
    get media(): Media | undefined {
        return this.current;
    }

    /* Whether the node has said that it does not have such events ('chat', 'poll' …). */
    lacks(family: string): boolean {
        return this.signaling.lacks(family);
    }

    /* Tells the node how large the others' pictures are shown; what is not shown is not
     * received. */
    setView(visible: Shown[]): void {
        this.roster.setView(visible);
    }

    /* The way to the network may have changed: asks for a new one at once. */
    networkChanged(): void {
        this.paths.mend();
    }

    dismissNotice(index: number): void {
        this.state.notices.splice(index, 1);
        this.room.changed();
    }

    private get state(): Room {
        return this.room.value;
    }

    private makeContext(): Context {
        const client = this;

        return {
            options: this.options,
            room: this.room.value,
            signaling: this.signaling,
            get media() {
                return client.current;
            },
            get over() {
                return ['left', 'failed'].includes(client.state.status);
            },
            changed: () => this.room.changed(),
            notice: (notice) => this.notice(notice),
            tell: (event, payload) => this.emit(event, payload),
        };
    }

    private notice(notice: Notice): void {
        const { notices } = this.state;
        const text = JSON.stringify(notice);

        if (!notices.some((each) => JSON.stringify(each) === text)) {
            notices.push(notice);
        }
        this.room.changed();
    }

    private end(status: 'left' | 'failed', reason: Notice | undefined): void {
        this.stay++;
        clearTimeout(this.retryTimer);
        this.paths.reset();
        this.state.status = status;
        this.state.reason = reason;
        this.current?.close();
        this.current = undefined;
        this.state.people.clear();
        this.own.stop();
        this.room.changed();
    }

    private fail(reason: Notice): void {
        if (!this.ctx.over) {
            this.signaling.close();
            this.end('failed', reason);
        }
    }

    /* ---- joining ---- */

    private async enter(): Promise<void> {
        const stay = ++this.stay;
        const { state } = this;

        state.status = state.status === 'connecting' ? 'joining' : state.status;
        this.room.changed();
        await this.attempt(stay, async () => {
            const joined = await this.door.enter(() => stay === this.stay);
            if (stay !== this.stay) {
                return;
            }
            if ('waiting' in joined) {
                state.status = 'waiting';
                state.reason = undefined;
                this.room.changed();
                return; /* lobby:admitted goes on */
            }
            await this.settle(joined, stay);
        });
    }

    /* Out of the lobby. */
    private async admitted(joined: RoomJoined): Promise<void> {
        const stay = ++this.stay;

        this.state.status = 'joining';
        this.room.changed();
        await this.attempt(stay, () => this.settle(joined, stay));
    }

    private async attempt(stay: number, body: () => Promise<void>): Promise<void> {
        try {
            await body();
        } catch (error) {
            if (stay === this.stay) {
                this.onJoinError(error);
            }
        }
    }

    /* Makes a stay of what room:join has answered. */
    private async settle(joined: RoomJoined, stay: number): Promise<void> {
        if (!joined.resumed || !(await this.resumeMedia(joined))) {
            if (stay !== this.stay) {
                return;
            }
            await this.openMedia(joined, stay);
        }
        if (stay !== this.stay) {
            return;
        }
        this.state.status = 'joined';
        this.state.reason = undefined;
        this.room.changed();
        this.roster.consumeAll();
        this.paths.mendIfBroken();
        this.talk.catchUp(joined.resumed);
    }

    /* Goes on with the media that there is. Resolves with false if it cannot. */
    private async resumeMedia(joined: RoomJoined): Promise<boolean> {
        if (this.current === undefined || !(await this.current.resume(joined))) {
            return false;
        }
        this.takeRoom(joined);
        this.roster.rejoin();
        return true;
    }

    /* Makes all media anew, and leaves nothing of before at the node. */
    private async openMedia(joined: RoomJoined, stay: number): Promise<void> {
        this.dropMedia();
        for (const { transport_id } of joined.own_transports ?? []) {
            await this.signaling
                .request('transport:close', { transport_id })
                .catch((error: unknown) => {
                    if (isOffline(error)) {
                        throw error;
                    } /* else it is closed already */
                });
        }
        if (stay !== this.stay) {
            return;
        }
        this.takeRoom(joined);
        this.room.changed();
        const media = await Media.open(this.signaling, joined, (direction, state) =>
            this.paths.onState(direction, state),
        );
        if (stay !== this.stay) {
            media.close();
            return;
        }
        this.current = media;
        await this.own.sendAll(media);
    }

    private takeRoom(joined: RoomJoined): void {
        const { state } = this;

        state.self.id = joined.participant_id;
        state.self.userId = joined.user_id;
        state.role = joined.your_role;
        state.permissions = new Set(joined.permissions);
        state.title = joined.meeting.meeting_name || this.options.meeting;
        state.settings = joined.settings;
        state.layout = joined.settings.layout;
        state.spotlight = joined.spotlight ?? undefined;
        state.polls = new Map(joined.polls.map((poll) => [poll.poll_id, poll]));
        state.breakouts = joined.breakouts ?? undefined;
        this.tape.settle(joined);
        state.breakoutId = joined.breakout_id ?? null;
        state.hands = joined.participants
            .filter(({ hand_order }) => hand_order != null)
            .sort((a, b) => (a.hand_order ?? 0) - (b.hand_order ?? 0))
            .map(({ participant_id }) => participant_id);
        this.door.resumeToken = joined.resume_token;
        this.roster.take(joined);
    }

    private onJoinError(error: unknown): void {
        const code = codeOf(error);

        if (code === 'offline') {
            return; /* the connection broke in the midst: the next connect joins again */
        }
        if (code === 'timeout') {
            this.restartSoon({ code: 'no_answer' });
            return;
        }
        this.fail({ code: `join:${code}`, detail: (error as Error).message });
    }

    /* ---- the connection ---- */

    private listen(): void {
        const { signaling } = this;

        signaling.on('lobby:admitted', (joined) => void this.admitted(joined));
        signaling.on('lobby:denied', () => this.fail({ code: 'lobby_denied' }));
        signaling.on('auth:expiring', ({ expires_at }) => void this.renewToken(expires_at));
        signaling.on('room:closed', () => this.fail({ code: 'room_closed' }));
        signaling.on('removed:from-meeting', ({ reason }) =>
            this.fail({ code: 'removed', detail: reason ?? undefined }),
        );
        signaling.on('room:error', ({ message }) =>
            this.notice({ code: 'not_kept', detail: message }),
        );
        signaling.on('error', ({ code, message, event }) =>
            this.notice({
                code: 'server_reports',
                detail: `${message ?? code ?? ''}${event === undefined ? '' : ` (${event})`}`,
            }),
        );
    }

    private async renewToken(end: string): Promise<void> {
        try {
            if (this.options.freshToken === undefined) {
                throw new Error('there is none');
            }
            const token = await this.options.freshToken(this.ownToken);
            await this.signaling.request('auth:refresh', { token });
            this.ownToken = token;
            this.signaling.setToken(token);
        } catch {
            if (!this.ctx.over) {
                this.notice({ code: 'token_ends', detail: end });
            }
        }
    }

    private dropMedia(): void {
        this.current?.close();
        this.current = undefined;
        this.paths.reset();
        this.roster.dropMedia();
    }

    private onDisconnect(reason: string, willRetry: boolean): void {
        if (this.ctx.over) {
            return;
        }
        this.stay++;
        if (!willRetry) {
            this.fail({
                code: reason === 'io server disconnect' ? 'server_closed' : 'closed',
                detail: reason,
            });
            return;
        }
        this.state.status = 'reconnecting';
        this.state.reason ??= { code: 'connection_lost' };
        this.room.changed();
    }

    private onConnectError(code: string, message: string, refused: boolean): void {
        if (this.ctx.over) {
            return;
        }
        if (refused) {
            this.fail({ code: `refused:${code}`, detail: message });
            return;
        }
        this.state.reason = { code: 'unreachable' };
        this.room.changed();
    }

    /* Starts over with everything after a pause that grows with each failure. */
    private restartSoon(reason: Notice): void {
        if (this.retryTimer !== undefined) {
            return; /* both directions failed: one restart mends both */
        }
        const wait = RETRY_MS[Math.min(this.retries, RETRY_MS.length - 1)];

        this.retries++;
        this.state.status = 'reconnecting';
        this.state.reason = reason;
        this.room.changed();
        this.retryTimer = setTimeout(() => {
            this.retryTimer = undefined;
            if (!this.ctx.over) {
                this.door.resumeToken = undefined; /* its media is what failed */
                this.dropMedia();
                this.signaling.restart();
            }
        }, wait);
    }
}
