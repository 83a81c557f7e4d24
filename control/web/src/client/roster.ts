/* The others: who is here, what they send, and which of it is received.  Turns the node's
 * events into Room.people, and consumes what is offered. */
import { codeOf, type Context } from './context';
import type {
    NewProducer,
    Participant,
    Person as Whom,
    Producer,
    RoomJoined,
    View,
} from '../api.gen';
import { findMedia, type Person } from './room';

export type Shown = View;

export class Roster {
    private readonly offers = new Map<string, Producer>(); /* not consumed yet */
    private view = ''; /* as the node was told */
    private stay = 0; /* answers to what was asked before the last take() are stale */

    constructor(private readonly ctx: Context) {
        this.listen();
        this.listenMedia();
    }

    /* Begins anew with what a join has answered. */
    take(joined: RoomJoined): void {
        const { room } = this.ctx;

        this.stay++;
        this.view = '';
        room.people.clear();
        this.offers.clear();
        for (const participant of joined.participants) {
            this.person(participant);
        }
        for (const info of joined.producers) {
            this.offered(info);
        }
        room.count = Math.max(joined.participant_count, room.people.size + 1);
    }

    /* Joins what is still received after a resumed stay to who it is of. */
    rejoin(): void {
        const { media, room } = this.ctx;

        for (const { producerId, consumer } of media?.receiving() ?? []) {
            const found = findMedia(room, producerId);
            if (found === undefined) {
                media?.dropConsumer(producerId); /* it ended while we were away */
            } else {
                found.media.track = consumer.track;
                this.offers.delete(producerId);
            }
        }
    }

    /* Asks for all that is offered. */
    consumeAll(): void {
        for (const info of [...this.offers.values()]) {
            void this.consume(info);
        }
    }

    /* All media is gone with its transports. */
    dropMedia(): void {
        this.stay++;
        this.offers.clear();
        for (const person of this.ctx.room.people.values()) {
            for (const media of person.media.values()) {
                media.track = undefined;
            }
        }
    }

    /* Tells the node how large pictures are shown; those that are not shown at all are not
     * received. */
    setView(visible: Shown[]): void {
        const { media, room, signaling } = this.ctx;
        const view = JSON.stringify(visible);

        if (room.status !== 'joined' || view === this.view) {
            return;
        }
        this.view = view;
        const forget = (): void => {
            this.view = ''; /* offline: told again by the next redraw */
        };
        signaling.request('view:set', { visible: visible.slice(0, 256) }).catch(forget);
        for (const person of room.people.values()) {
            for (const { kind, producerId } of person.media.values()) {
                if (kind === 'video') {
                    const held = !visible.some((each) => each.producer_id === producerId);
                    media?.setHeld(producerId, held).catch(forget);
                }
            }
        }
    }

    private listen(): void {
        const { room, signaling } = this.ctx;

        signaling.on('participant:joined', (info) => this.onJoined(info));
        signaling.on('participant:updated', (info) => {
            if (info.participant_id === room.self.id) {
                room.self.name = info.display_name;
            }
            this.person(info);
            this.ctx.changed();
        });
        signaling.on('participant:left', (who) => this.onLeft(who));
        signaling.on('participant:count', ({ count }) => {
            room.count = count;
            this.ctx.changed();
        });
        signaling.on('roster:delta', ({ joined, left, updated }) => {
            joined.forEach((info) => this.onJoined(info));
            left.forEach((who) => this.onLeft(who));
            updated.forEach((info) => this.person(info));
            this.ctx.changed();
        });
        signaling.on('participant:role:changed', (who) => {
            const id = who.participant_id;
            if (id === room.self.id || who.user_id === room.self.userId) {
                room.role = who.new_role;
                room.permissions = new Set(who.permissions);
                this.ctx.notice({ code: 'your_role', detail: who.new_role });
            }
            for (const person of room.people.values()) {
                if (person.id === id || person.userId === who.user_id) {
                    person.role = who.new_role;
                }
            }
            this.ctx.changed();
        });
        signaling.on('participant:spotlighted', (who) => {
            room.spotlight = who.on ? (who.participant_id ?? undefined) : undefined;
            this.ctx.changed();
        });
        signaling.on('speaker:active', (who) => {
            room.speaker = who.participant_id ?? undefined;
            this.ctx.changed();
        });
    }

    private listenMedia(): void {
        const { room, signaling } = this.ctx;
        const change = (id: string, to: { paused: boolean }): void => {
            const found = findMedia(room, id);
            if (found !== undefined) {
                Object.assign(found.media, to);
                this.ctx.changed();
            }
        };

        signaling.on('new-producer', (info) => {
            this.offered(info);
            if (info.source === 'screen') {
                this.ctx.tell('screen', { name: info.display_name ?? '' });
            }
            this.ctx.changed();
            void this.consume(info);
        });
        signaling.on('breakout:moved', ({ breakout_id, producers }) => {
            const there = new Set(producers.map(({ producer_id }) => producer_id));
            room.breakoutId = breakout_id;
            for (const person of room.people.values()) {
                for (const id of person.media.keys()) {
                    if (!there.has(id)) {
                        this.onGone(id);
                    }
                }
            }
            for (const info of producers) {
                this.offered(info);
                void this.consume(info);
            }
            this.ctx.tell('moved', { breakoutId: breakout_id });
            this.ctx.changed();
        });
        signaling.on('producer:closed', ({ producer_id }) => this.onGone(producer_id));
        signaling.on('producer:paused', ({ producer_id }) =>
            change(producer_id, { paused: true }),
        );
        signaling.on('producer:resumed', ({ producer_id }) =>
            change(producer_id, { paused: false }),
        );
        signaling.on('consumer:closed', ({ consumer_id }) => {
            const producerId = this.ctx.media?.producerOfConsumer(consumer_id);
            if (producerId !== undefined) {
                this.onGone(producerId);
            }
        });
        signaling.on('consumer:layers-changed', ({ producer_id, current }) => {
            const found = findMedia(room, producer_id);
            if (found !== undefined) {
                found.media.layer = current ?? undefined;
                this.ctx.changed();
            }
        });
        signaling.on('consumer:score', (told) => {
            const found = findMedia(room, told.producer_id);
            if (found !== undefined) {
                found.media.quality = {
                    score: told.score,
                    loss: told.loss,
                    bitrateBps: told.bitrate_bps,
                    jitterMs: told.jitter_ms,
                    rttMs: told.rtt_ms,
                };
                this.ctx.changed();
            }
        });
        signaling.on('producer:layers', ({ producer_id, layers }) => {
            void this.ctx.media?.setLayers(producer_id, layers);
        });
    }

    /* Somebody else, as far as is told of them. */
    private person(who: Whom & Partial<Participant>): Person | undefined {
        const { people, self } = this.ctx.room;
        const { participant_id: id } = who;

        if (id === self.id) {
            return undefined;
        }
        const person = people.get(id) ?? {
            id,
            userId: who.user_id,
            name: '',
            role: '',
            media: new Map(),
        };
        person.name = who.display_name ?? person.name;
        person.role = who.role ?? person.role;
        people.set(id, person);
        return person;
    }

    private offered(info: Producer | NewProducer): void {
        const person = this.person(info);

        if (person !== undefined && !person.media.has(info.producer_id)) {
            person.media.set(info.producer_id, {
                producerId: info.producer_id,
                kind: info.kind,
                source: info.source,
                paused: info.paused === true,
                track: undefined,
                layer: undefined,
                quality: undefined,
            });
            this.offers.set(info.producer_id, info);
        }
    }

    private async consume(info: Producer): Promise<void> {
        const { stay } = this;
        const { media, room } = this.ctx;

        if (media === undefined || room.status !== 'joined') {
            return; /* the join comes back to it */
        }
        if (!this.offers.delete(info.producer_id)) {
            return; /* our own, or in hand already */
        }
        try {
            const remote = await media.consume(info);
            const found = findMedia(room, info.producer_id);
            if (remote === null || stay !== this.stay) {
                return;
            }
            if (found === undefined) {
                media.dropConsumer(info.producer_id); /* closed while we asked */
                return;
            }
            found.media.track = remote.track;
            this.view = ''; /* whether it is shown is told once more */
            this.ctx.changed();
        } catch (error) {
            const found = findMedia(room, info.producer_id);
            if (stay === this.stay && found !== undefined && codeOf(error) !== 'offline') {
                this.ctx.notice({
                    code: 'not_received',
                    detail: (error as Error).message,
                    kind: info.kind,
                    name: found.person.name,
                });
            }
        }
    }

    private onJoined(info: Participant): void {
        const { room } = this.ctx;
        const known = room.people.has(info.participant_id);
        const person = this.person(info);

        if (person !== undefined && !known) {
            room.count = Math.max(room.count + 1, room.people.size + 1);
            this.ctx.tell('joined', { id: person.id, name: person.name });
        }
        this.ctx.changed();
    }

    private onLeft(who: Whom): void {
        const { media, room } = this.ctx;
        const person = room.people.get(who.participant_id);

        if (person === undefined) {
            return;
        }
        for (const producerId of person.media.keys()) {
            this.offers.delete(producerId);
            media?.dropConsumer(producerId);
        }
        room.people.delete(person.id);
        room.hands = room.hands.filter((id) => id !== person.id);
        room.typing.delete(person.userId);
        room.count = Math.max(room.count - 1, room.people.size + 1);
        room.speaker = room.speaker === person.id ? undefined : room.speaker;
        room.spotlight = room.spotlight === person.id ? undefined : room.spotlight;
        this.ctx.tell('left', { id: person.id, name: person.name });
        this.ctx.changed();
    }

    private onGone(producerId: string): void {
        this.offers.delete(producerId);
        this.ctx.media?.dropConsumer(producerId);
        findMedia(this.ctx.room, producerId)?.person.media.delete(producerId);
        this.ctx.changed();
    }
}
