/* One call as the page knows it: who is here, what they send, what we send, and how well
 * the connection is.  Drives signaling.ts and media.ts; the ui only reads it and calls
 * its verbs.
 *
 * Every change of anything readable here is told by `onChange`.  After a lost connection
 * all of the room is asked for again; media goes on where the node says that it is resumed,
 * and is made anew where not. */
import type { Options } from '../options';
import { openDevice, type Devices } from './devices';
import { Media } from './media';
import type {
    Direction,
    Kind,
    ParticipantInfo,
    Layer,
    ProducerInfo,
    RoomJoined,
    Source,
    WithPerson,
} from './protocol';
import { personOf } from './protocol';
import { SignalError, Signaling } from './signaling';
import { joinErrorInWords, refusalInWords } from './words';

export type CallState =
    | 'connecting' /* to the server, for the first time */
    | 'joining' /* connected; room and media are being set up */
    | 'joined'
    | 'reconnecting' /* the server or the media path was lost, and is being sought */
    | 'left' /* by the person */
    | 'failed'; /* for good; `reason` says why */

const RESUME_WAIT_MS = 250; /* a node that restarts does not know yet who was here */
const RESUME_TRIES = 40;
const MEDIA_RETRY_MS = [500, 2_000, 5_000, 10_000];

export interface RemoteMedia {
    producerId: string;
    kind: Kind;
    source: Source | undefined;
    paused: boolean;
    track: MediaStreamTrack | undefined; /* undefined until it is consumed */
    layer: Layer | undefined; /* what the node sends of it, if it has layers */
}

export interface Person {
    id: string;
    name: string;
    media: Map<string, RemoteMedia>; /* by producer id */
}

export class Call {
    state: CallState = 'connecting';
    reason = ''; /* in words, for reconnecting and failed */
    role = '';
    title: string;
    readonly people = new Map<string, Person>();
    readonly muted: Record<Kind, boolean>;
    readonly problems: string[] = []; /* notices for the person, oldest first */
    media: Media | undefined;

    private readonly signaling: Signaling;
    private readonly tracks: Partial<Record<Kind, MediaStreamTrack>>;
    private readonly offers = new Map<string, ProducerInfo>(); /* not consumed yet */
    private self = ''; /* own participant id, if the server says it */
    private resumeToken: string | undefined;
    private screen: MediaStreamTrack | undefined;
    private startsSharing = false;
    private view = ''; /* as the node was told */
    private stay = 0; /* counts (re)joins: answers to an earlier one are stale */
    private retries = 0;
    private retryTimer: number | undefined;
    private readonly switching: Record<Kind, boolean> = { audio: false, video: false };
    private readonly interrupted = new Set<Direction>(); /* media paths that stutter */

    constructor(
        readonly options: Options,
        devices: Devices,
        private readonly onChange: () => void,
    ) {
        this.title = options.meeting;
        this.tracks = { audio: devices.audio, video: devices.video };
        this.muted = {
            audio: devices.audio === undefined,
            video: devices.video === undefined,
        };
        this.problems.push(...devices.problems);
        for (const kind of ['audio', 'video'] as const) {
            this.watchTrack(kind);
        }
        this.signaling = new Signaling(options.token, {
            onConnect: () => void this.join(),
            onDisconnect: (reason, willRetry) => this.onDisconnect(reason, willRetry),
            onConnectError: (code, message, refused) =>
                this.onConnectError(code, message, refused),
        });
        this.listen();
        /* else the others would see us for as long as the node waits for our return */
        window.addEventListener('pagehide', () => this.leave());
    }

    /* Whether the room has ever let us in. */
    get wasIn(): boolean {
        return this.role !== '';
    }

    /* Own camera, or undefined while it is off. */
    get preview(): MediaStreamTrack | undefined {
        return this.muted.video ? undefined : this.tracks.video;
    }

    /* Whether setMuted() can do anything now: off is possible always, on while in the
     * call. */
    canSwitch(kind: Kind): boolean {
        return (
            !this.switching[kind] &&
            !this.over() &&
            (!this.muted[kind] || this.state === 'joined')
        );
    }

    /* Turns microphone or camera off or on; opens the device when it was not open.  Never
     * rejects: what goes wrong becomes a problem in words. */
    async setMuted(kind: Kind, muted: boolean): Promise<void> {
        if (this.muted[kind] === muted || !this.canSwitch(kind)) {
            return;
        }
        this.switching[kind] = true;
        try {
            if (muted) {
                this.muted[kind] = true;
                await this.silence(kind);
            } else {
                await this.speak(kind);
            }
        } catch (error) {
            if (!isOffline(error)) {
                /* if it is: joining again brings what is wanted now */
                this.problem((error as Error).message);
            }
        } finally {
            this.switching[kind] = false;
            this.onChange();
        }
    }

    /* Whether the own screen is being shown to the others. */
    get sharing(): boolean {
        return this.screen !== undefined;
    }

    canShare(): boolean {
        return (
            this.sharing ||
            (this.state === 'joined' &&
                !this.startsSharing &&
                navigator.mediaDevices?.getDisplayMedia !== undefined)
        );
    }

    /* Shows the screen to the others, or stops.  Never rejects, as setMuted(). */
    async setSharing(on: boolean): Promise<void> {
        if (on === this.sharing || !this.canShare()) {
            return;
        }
        this.startsSharing = on;
        try {
            await (on ? this.startSharing() : this.stopSharing());
        } catch (error) {
            /* a person who changed their mind is no problem */
            if (!isOffline(error) && (error as Error).name !== 'NotAllowedError') {
                this.problem(`The screen is not shared: ${(error as Error).message}`);
            }
        } finally {
            this.startsSharing = false;
            this.onChange();
        }
    }

    private async startSharing(): Promise<void> {
        const stream = await navigator.mediaDevices.getDisplayMedia({ video: true });
        const track = stream.getVideoTracks()[0];
        if (track === undefined || this.media === undefined) {
            track?.stop();
            return;
        }
        this.screen = track;
        track.addEventListener('ended', () => void this.setSharing(false));
        try {
            await this.sendScreen(this.media, track);
        } catch (error) {
            track.stop();
            this.screen = undefined;
            throw error;
        }
    }

    private async sendScreen(media: Media, track: MediaStreamTrack): Promise<void> {
        await this.signaling.request('screen:start', { meeting_id: this.options.meeting });
        await media.produce(track, 'screen', false, this.options.codec);
    }

    private async stopSharing(): Promise<void> {
        this.screen?.stop();
        this.screen = undefined;
        await this.media?.stopProducing('screen');
        await this.signaling.request('screen:stop', { meeting_id: this.options.meeting });
    }

    /* Tells the node how large the others' pictures are shown, by producer. */
    setView(visible: { producer_id: string; width: number; height: number }[]): void {
        const view = JSON.stringify(visible);

        if (this.state === 'joined' && view !== this.view) {
            this.view = view;
            this.signaling.request('view:set', { visible }).catch(() => {
                this.view = ''; /* offline: told again by the next redraw */
            });
        }
    }

    /* Leaves for good: tells the room, closes everything and frees the devices. */
    leave(): void {
        if (this.over()) {
            return;
        }
        this.signaling
            .request('room:leave', { meeting_id: this.options.meeting })
            .catch(() => undefined) /* the connection closes next, which says the same */
            .finally(() => this.signaling.close());
        this.end('left', '');
    }

    dismissProblem(index: number): void {
        this.problems.splice(index, 1);
        this.onChange();
    }

    private over(): boolean {
        return this.state === 'left' || this.state === 'failed';
    }

    private end(state: 'left' | 'failed', reason: string): void {
        this.stay++;
        window.clearTimeout(this.retryTimer);
        this.state = state;
        this.reason = reason;
        this.media?.close();
        this.media = undefined;
        this.people.clear();
        for (const track of [...Object.values(this.tracks), this.screen]) {
            track?.stop();
        }
        this.screen = undefined;
        this.onChange();
    }

    private fail(reason: string): void {
        if (!this.over()) {
            this.signaling.close();
            this.end('failed', reason);
        }
    }

    private problem(text: string): void {
        if (!this.problems.includes(text)) {
            this.problems.push(text);
        }
        this.onChange();
    }

    /* ---- joining
     * ------------------------------------------------------------------------ */

    private async join(): Promise<void> {
        const stay = ++this.stay;

        this.state = this.state === 'connecting' ? 'joining' : this.state;
        this.onChange();
        try {
            const room = await this.enterRoom();
            if (stay !== this.stay) {
                return;
            }
            if (room.resumed !== true || !(await this.resumeMedia(room))) {
                if (stay !== this.stay) {
                    return;
                }
                await this.openMedia(room, stay);
            }
            if (stay !== this.stay) {
                return;
            }
            this.state = 'joined';
            this.reason = '';
            this.onChange();
            for (const info of [...this.offers.values()]) {
                void this.consume(info);
            }
        } catch (error) {
            if (stay === this.stay) {
                this.onJoinError(error);
            }
        }
    }

    /* Goes on with the media that there is. Resolves with false if it cannot. */
    private async resumeMedia(room: RoomJoined): Promise<boolean> {
        const { media } = this;

        if (media === undefined || !(await media.resume(room))) {
            return false;
        }
        this.takeRoom(room);
        for (const { producerId, consumer } of media.receiving()) {
            const found = this.find(producerId);
            if (found === undefined) {
                media.dropConsumer(producerId); /* it ended while we were away */
            } else {
                found.media.track = consumer.track;
                this.offers.delete(producerId);
            }
        }
        return true;
    }

    /* Makes all media anew, and leaves nothing of before at the node. */
    private async openMedia(room: RoomJoined, stay: number): Promise<void> {
        this.dropMedia();
        for (const { transport_id } of room.own_transports ?? []) {
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
        this.takeRoom(room);
        this.onChange();
        const media = await Media.open(this.signaling, room, (direction, state) =>
            this.onTransportState(direction, state),
        );
        if (stay !== this.stay) {
            media.close();
            return;
        }
        this.media = media;
        await this.sendTracks(media);
    }

    private async enterRoom(): Promise<RoomJoined> {
        const payload = {
            meeting_id: this.options.meeting,
            display_name: this.options.name,
        };
        for (let tries = 0; this.resumeToken !== undefined; tries++) {
            try {
                return await this.signaling.request('room:join', {
                    ...payload,
                    resume_token: this.resumeToken,
                });
            } catch (error) {
                if (isOffline(error)) {
                    throw error;
                }
                const code = error instanceof SignalError ? error.code : '';
                if (code === 'media_unavailable' && tries < RESUME_TRIES) {
                    await new Promise((done) => setTimeout(done, RESUME_WAIT_MS));
                    continue;
                }
                this.resumeToken = undefined; /* too old, or of a node that lost all */
            }
        }
        return this.signaling.request('room:join', payload);
    }

    private takeRoom(room: RoomJoined): void {
        this.view = '';
        this.self = personOf(room);
        this.role = room.your_role;
        this.title = room.meeting?.meeting_name || this.options.meeting;
        this.resumeToken = room.resume_token;
        this.people.clear();
        this.offers.clear();
        for (const participant of room.participants ?? []) {
            this.person(participant);
        }
        for (const info of room.producers ?? []) {
            this.offered(info);
        }
    }

    private async sendTracks(media: Media): Promise<void> {
        for (const kind of ['audio', 'video'] as const) {
            const track = this.tracks[kind];
            if (track === undefined) {
                continue;
            }
            try {
                await this.startSending(media, kind, track);
            } catch (error) {
                if (isOffline(error)) {
                    throw error;
                }
                this.problem(`Your ${kind} is not being sent: ${(error as Error).message}`);
            }
        }
        if (this.screen !== undefined) {
            await this.sendScreen(media, this.screen);
        }
    }

    private async startSending(
        media: Media,
        kind: Kind,
        track: MediaStreamTrack,
    ): Promise<void> {
        if (!media.canSend(kind)) {
            throw new Error('this browser and the node have no codec in common.');
        }
        await media.produce(
            track,
            kind === 'audio' ? 'mic' : 'camera',
            this.muted[kind],
            this.options.codec,
            this.options.layers,
        );
        if (this.tracks[kind] !== track) {
            /* the person was quicker than the server */
            await media.replaceTrack(kind, this.tracks[kind] ?? null);
        }
        await media.setPaused(kind, this.muted[kind]);
    }

    private onJoinError(error: unknown): void {
        const code = error instanceof SignalError ? error.code : '';

        if (code === 'offline') {
            return; /* the connection broke in the midst: the next connect joins again */
        }
        if (code === 'timeout') {
            this.restartSoon('The server did not answer. Trying again…');
            return;
        }
        this.fail(joinErrorInWords(code, (error as Error).message));
    }

    /* ---- own tracks
     * --------------------------------------------------------------------- */

    private watchTrack(kind: Kind): void {
        const track = this.tracks[kind];

        track?.addEventListener('ended', () => {
            if (this.tracks[kind] === track && !this.over()) {
                this.problem(
                    `Your ${kind === 'audio' ? 'microphone' : 'camera'} was disconnected.`,
                );
                delete this.tracks[kind];
                void this.setMuted(kind, true);
            }
        });
    }

    /* Mutes.  A camera is let go, so that its light goes out; a microphone stays open,
     * so that speaking again is instant. */
    private async silence(kind: Kind): Promise<void> {
        const track = this.tracks[kind];

        this.onChange();
        if (kind === 'video') {
            await this.media?.replaceTrack(kind, null);
            track?.stop();
            delete this.tracks[kind];
        } else if (track !== undefined) {
            track.enabled = false;
        }
        await this.media?.setPaused(kind, true);
    }

    private async speak(kind: Kind): Promise<void> {
        let track = this.tracks[kind];

        if (track === undefined) {
            track = await openDevice(
                kind === 'audio' ? 'microphone' : 'camera',
                this.options.height,
            );
            if (this.over()) {
                track.stop();
                return;
            }
            this.tracks[kind] = track;
            this.watchTrack(kind);
        }
        track.enabled = true;
        this.muted[kind] = false;
        this.onChange();
        if (this.media?.isSending(kind)) {
            await this.media.replaceTrack(kind, track);
            await this.media.setPaused(kind, false);
        } else if (this.media !== undefined) {
            await this.startSending(this.media, kind, track);
        }
    }

    /* ---- the others
     * --------------------------------------------------------------------- */

    private listen(): void {
        const { signaling } = this;

        signaling.on('participant:joined', (info) => {
            this.person(info);
            this.onChange();
        });
        signaling.on('participant:left', (who) => this.onLeft(who));
        signaling.on('new-producer', (info) => {
            this.offered(info);
            this.onChange();
            void this.consume(info);
        });
        signaling.on('producer:closed', ({ producer_id }) =>
            this.onProducerGone(producer_id),
        );
        signaling.on('producer:paused', ({ producer_id }) =>
            this.onPaused(producer_id, true),
        );
        signaling.on('producer:resumed', ({ producer_id }) =>
            this.onPaused(producer_id, false),
        );
        signaling.on('consumer:closed', ({ consumer_id }) => {
            const producerId = this.media?.producerOfConsumer(consumer_id);
            if (producerId !== undefined) {
                this.onProducerGone(producerId);
            }
        });
        signaling.on('consumer:layers-changed', ({ producer_id, current }) => {
            const found = this.find(producer_id);
            if (found !== undefined) {
                found.media.layer = current ?? undefined;
                this.onChange();
            }
        });
        signaling.on('producer:layers', ({ producer_id, layers }) => {
            void this.media?.setLayers(producer_id, layers);
        });
        signaling.on('room:closed', () => this.fail('The meeting was ended.'));
        signaling.on('error', ({ code, message, event }) => {
            const where = event === undefined ? '' : ` (${event})`;
            this.problem(`The server reports: ${message ?? code ?? 'an error'}${where}`);
        });
    }

    private person(who: ParticipantInfo): Person | undefined {
        const id = personOf(who);
        const name = who.display_name ?? who.name;

        if (id === '' || id === this.self) {
            return undefined;
        }
        let person = this.people.get(id);
        if (person === undefined) {
            person = { id, name: name ?? 'Guest', media: new Map() };
            this.people.set(id, person);
        } else if (name !== undefined) {
            person.name = name;
        }
        return person;
    }

    private find(producerId: string): { person: Person; media: RemoteMedia } | undefined {
        for (const person of this.people.values()) {
            const media = person.media.get(producerId);
            if (media !== undefined) {
                return { person, media };
            }
        }
        return undefined;
    }

    private offered(info: ProducerInfo): void {
        const person = this.person(info);

        if (person !== undefined && !person.media.has(info.producer_id)) {
            person.media.set(info.producer_id, {
                producerId: info.producer_id,
                kind: info.kind,
                source: info.source,
                paused: info.paused === true,
                track: undefined,
                layer: undefined,
            });
            this.offers.set(info.producer_id, info);
        }
    }

    private async consume(info: ProducerInfo): Promise<void> {
        const { media, stay } = this;

        if (media === undefined || this.state !== 'joined') {
            return; /* join() comes back to it */
        }
        if (!this.offers.delete(info.producer_id)) {
            return; /* our own, or in hand already */
        }
        try {
            const remote = await media.consume(info);
            const found = this.find(info.producer_id);
            if (remote === null || stay !== this.stay) {
                return;
            }
            if (found === undefined) {
                media.dropConsumer(info.producer_id); /* closed while we asked */
                return;
            }
            found.media.track = remote.track;
            this.onChange();
        } catch (error) {
            if (stay === this.stay && this.find(info.producer_id) !== undefined) {
                const name = this.find(info.producer_id)?.person.name ?? 'someone';
                const why = (error as Error).message;
                this.problem(`The ${info.kind} of ${name} cannot be received: ${why}`);
            }
        }
    }

    private onLeft(who: WithPerson): void {
        const person = this.people.get(personOf(who));

        if (person !== undefined) {
            for (const producerId of person.media.keys()) {
                this.offers.delete(producerId);
                this.media?.dropConsumer(producerId);
            }
            this.people.delete(person.id);
            this.onChange();
        }
    }

    private onProducerGone(producerId: string): void {
        this.offers.delete(producerId);
        this.media?.dropConsumer(producerId);
        this.find(producerId)?.person.media.delete(producerId);
        this.onChange();
    }

    private onPaused(producerId: string, paused: boolean): void {
        const found = this.find(producerId);

        if (found !== undefined) {
            found.media.paused = paused;
            this.onChange();
        }
    }

    /* ---- the connection
     * ----------------------------------------------------------------- */

    private dropMedia(): void {
        this.media?.close();
        this.media = undefined;
        this.interrupted.clear();
        this.offers.clear();
        for (const person of this.people.values()) {
            for (const media of person.media.values()) {
                media.track = undefined;
            }
        }
    }

    private onDisconnect(reason: string, willRetry: boolean): void {
        if (this.over()) {
            return;
        }
        this.stay++;
        if (!willRetry) {
            this.fail(
                reason === 'io server disconnect'
                    ? 'The server closed the connection.'
                    : `The connection is closed (${reason}).`,
            );
            return;
        }
        this.state = 'reconnecting';
        this.reason ||= 'The connection to the server was lost. Reconnecting…';
        this.onChange();
    }

    private onConnectError(code: string, message: string, refused: boolean): void {
        if (this.over()) {
            return;
        }
        if (refused) {
            this.fail(refusalInWords(code, message));
            return;
        }
        this.reason = 'The server cannot be reached. Trying again…';
        this.onChange();
    }

    private onTransportState(direction: Direction, state: string): void {
        if (state === 'failed') {
            this.restartSoon('The media connection was lost. Reconnecting…');
            return;
        }
        if (state === 'connected') {
            this.interrupted.delete(direction);
            this.retries = 0;
        } else if (state === 'disconnected') {
            this.interrupted.add(direction);
        }
        if (this.state === 'joined') {
            this.reason =
                this.interrupted.size > 0 ? 'The media connection is interrupted…' : '';
            this.onChange();
        }
    }

    /* Starts over with everything after a pause that grows with each failure. */
    private restartSoon(reason: string): void {
        if (this.retryTimer !== undefined) {
            return; /* both directions failed: one restart mends both */
        }
        const wait = MEDIA_RETRY_MS[Math.min(this.retries, MEDIA_RETRY_MS.length - 1)];

        this.retries++;
        this.state = 'reconnecting';
        this.reason = reason;
        this.onChange();
        this.retryTimer = window.setTimeout(() => {
            this.retryTimer = undefined;
            if (!this.over()) {
                this.resumeToken = undefined; /* its media is what failed */
                this.dropMedia();
                this.signaling.restart();
            }
        }, wait);
    }
}

function isOffline(error: unknown): boolean {
    return error instanceof SignalError && error.code === 'offline';
}
