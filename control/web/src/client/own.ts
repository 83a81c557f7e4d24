/* What one sends oneself: microphone, camera, screen.  Keeps the tracks over all joins, and
 * what is wanted of them, so that a new join brings it back. */
import { codeOf, isOffline, type Context } from './context';
import { DeviceError, openDevice, type Thing } from './devices';
import type { Media } from './media';
import type { Kind, Source } from './protocol';

export interface OwnTracks {
    audio?: MediaStreamTrack;
    video?: MediaStreamTrack;
}

export interface OwnOptions {
    height: number; /* wanted of the camera when it is opened again */
    microphone?: string; /* ids of the devices to open */
    camera?: string;
}

const SOURCES: Record<Kind, Source> = { audio: 'mic', video: 'camera' };
const THINGS: Record<Kind, Thing> = { audio: 'microphone', video: 'camera' };

export class OwnMedia {
    readonly muted: Record<Kind, boolean>;
    private readonly tracks: Partial<Record<Kind, MediaStreamTrack | undefined>>;
    private readonly switching: Record<Kind, boolean> = { audio: false, video: false };
    private screen: MediaStreamTrack[] = [];
    private startsSharing = false;

    /* The tracks are moved: they are stopped when the call ends. */
    constructor(
        private readonly ctx: Context,
        tracks: OwnTracks,
        readonly options: OwnOptions,
    ) {
        this.tracks = { ...tracks };
        this.muted = {
            audio: tracks.audio === undefined,
            video: tracks.video === undefined,
        };
        for (const kind of ['audio', 'video'] as const) {
            this.watchTrack(kind);
        }
    }

    /* The own camera, or undefined while it is off. */
    get preview(): MediaStreamTrack | undefined {
        return this.muted.video ? undefined : this.tracks.video;
    }

    /* What is shown to the others of the own screen. */
    get screenTrack(): MediaStreamTrack | undefined {
        return this.screen[0];
    }

    get sharing(): boolean {
        return this.screen.length > 0;
    }

    /* Whether the role may send. A node that tells no permissions is asked. */
    may(permission: string): boolean {
        const { permissions } = this.ctx.room;

        return permissions.size === 0 || permissions.has(permission);
    }

    /* Whether setMuted() can do anything now: off is possible always, on while joined. */
    canSwitch(kind: Kind): boolean {
        return (
            !this.switching[kind] &&
            !this.ctx.over &&
            (!this.muted[kind] ||
                (this.ctx.room.status === 'joined' && this.may('produce_media')))
        );
    }

    /* Turns microphone or camera off or on; opens the device when it was not open.  Never
     * rejects: what goes wrong becomes a notice. */
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
            this.complain(error, SOURCES[kind]);
        } finally {
            this.switching[kind] = false;
            this.ctx.changed();
        }
    }

    /* Takes another microphone or camera from now on. */
    async setDevice(kind: Kind, id: string): Promise<void> {
        this.options[kind === 'audio' ? 'microphone' : 'camera'] = id;
        if (this.tracks[kind] === undefined || this.muted[kind]) {
            this.tracks[kind]?.stop();
            delete this.tracks[kind]; /* the next unmute opens the new one */
            return;
        }
        try {
            const track = await openDevice(THINGS[kind], this.options);
            this.tracks[kind]?.stop();
            this.tracks[kind] = track;
            this.watchTrack(kind);
            await this.ctx.media?.replaceTrack(SOURCES[kind], track);
        } catch (error) {
            this.complain(error, SOURCES[kind]);
        }
        this.ctx.changed();
    }

    canShare(): boolean {
        return (
            this.sharing ||
            (this.ctx.room.status === 'joined' &&
                !this.startsSharing &&
                this.may('produce_screen') &&
                navigator.mediaDevices?.getDisplayMedia !== undefined)
        );
    }

    /* Shows the screen to the others, with its sound where the browser gives it, or stops.
     * Never rejects, as setMuted(). */
    async setSharing(on: boolean): Promise<void> {
        if (on === this.sharing || !this.canShare()) {
            return;
        }
        this.startsSharing = on;
        try {
            await (on ? this.startSharing() : this.stopSharing());
        } catch (error) {
            /* a person who changed their mind is no problem */
            if ((error as Error).name !== 'NotAllowedError') {
                this.complain(error, 'screen');
            }
        } finally {
            this.startsSharing = false;
            this.ctx.changed();
        }
    }

    /* Sends all there is on new transports. Rejects if the server is gone. */
    async sendAll(media: Media): Promise<void> {
        for (const kind of ['audio', 'video'] as const) {
            const track = this.tracks[kind];
            if (track === undefined) {
                continue;
            }
            if (!this.may('produce_media')) {
                track.stop();
                delete this.tracks[kind];
                this.muted[kind] = true;
                continue;
            }
            try {
                await this.startSending(media, kind, track);
            } catch (error) {
                if (isOffline(error)) {
                    throw error;
                }
                this.complain(error, SOURCES[kind]);
            }
        }
        if (this.sharing) {
            await this.sendScreen(media);
        }
    }

    stop(): void {
        for (const track of [...Object.values(this.tracks), ...this.screen]) {
            track?.stop();
        }
        this.screen = [];
    }

    private complain(error: unknown, source: Source): void {
        if (isOffline(error)) {
            return; /* joining again brings what is wanted now */
        }
        const detail = (error as Error).message;
        this.ctx.notice(
            error instanceof DeviceError
                ? { code: error.code, detail, source }
                : { code: codeOf(error) || 'not_sent', detail, source },
        );
    }

    private async startSharing(): Promise<void> {
        const stream = await navigator.mediaDevices.getDisplayMedia({
            video: true,
            audio: true,
        });
        const { media } = this.ctx;
        const picture = stream.getVideoTracks()[0];
        if (picture === undefined || media === undefined || this.ctx.over) {
            stream.getTracks().forEach((track) => track.stop());
            return;
        }
        this.screen = [picture, ...stream.getAudioTracks()];
        picture.addEventListener('ended', () => void this.setSharing(false));
        try {
            await this.sendScreen(media);
        } catch (error) {
            this.screen.forEach((track) => track.stop());
            this.screen = [];
            throw error;
        }
    }

    private async sendScreen(media: Media): Promise<void> {
        await this.ctx.signaling.request('screen:start', {
            meeting_id: this.ctx.options.meeting,
        });
        for (const track of this.screen) {
            const source = track.kind === 'audio' ? 'screen_audio' : 'screen';
            await media.produce(track, source, false, this.ctx.options.codec);
        }
    }

    private async stopSharing(): Promise<void> {
        const { media, signaling, options } = this.ctx;

        this.screen.forEach((track) => track.stop());
        this.screen = [];
        this.ctx.changed();
        await media?.stopProducing('screen');
        await media?.stopProducing('screen_audio');
        await signaling.request('screen:stop', { meeting_id: options.meeting });
    }

    private async startSending(
        media: Media,
        kind: Kind,
        track: MediaStreamTrack,
    ): Promise<void> {
        const source = SOURCES[kind];
        const { codec, layers } = this.ctx.options;

        if (!media.canSend(kind)) {
            throw new DeviceError('no_codec', '');
        }
        await media.produce(track, source, this.muted[kind], codec, layers);
        if (this.tracks[kind] !== track) {
            /* the person was quicker than the server */
            await media.replaceTrack(source, this.tracks[kind] ?? null);
        }
        await media.setPaused(source, this.muted[kind]);
    }

    private watchTrack(kind: Kind): void {
        const track = this.tracks[kind];

        track?.addEventListener('ended', () => {
            if (this.tracks[kind] === track && !this.ctx.over) {
                this.ctx.notice({ code: 'device_gone', source: SOURCES[kind] });
                delete this.tracks[kind];
                void this.setMuted(kind, true);
            }
        });
    }

    /* Mutes.  A camera is let go, so that its light goes out; a microphone stays open,
     * so that speaking again is instant. */
    private async silence(kind: Kind): Promise<void> {
        const track = this.tracks[kind];

        this.ctx.changed();
        if (kind === 'video') {
            await this.ctx.media?.replaceTrack('camera', null);
            track?.stop();
            delete this.tracks[kind];
        } else if (track !== undefined) {
            track.enabled = false;
        }
        await this.ctx.media?.setPaused(SOURCES[kind], true);
    }

    private async speak(kind: Kind): Promise<void> {
        const source = SOURCES[kind];
        let track = this.tracks[kind];

        if (track === undefined) {
            track = await openDevice(THINGS[kind], this.options);
            if (this.ctx.over) {
                track.stop();
                return;
            }
            this.tracks[kind] = track;
            this.watchTrack(kind);
        }
        track.enabled = true;
        this.muted[kind] = false;
        this.ctx.changed();
        const { media } = this.ctx;
        if (media?.isSending(source)) {
            await media.replaceTrack(source, track);
            await media.setPaused(source, false);
        } else if (media !== undefined) {
            await this.startSending(media, kind, track);
        }
    }
}
