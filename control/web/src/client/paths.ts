/* Looks after the media paths: one that stutters gets new ICE credentials, which finds another
 * way without a new handshake; one that has failed is given up, and all media made anew. */
import type { Context } from './context';
import type { Direction } from './protocol';

const PATIENCE_MS = 2_000; /* a path that was lost for less mends itself */
const AGAIN_MS = 5_000;

export class PathKeeper {
    private readonly broken = new Set<Direction>();
    private timer: ReturnType<typeof setTimeout> | undefined;

    constructor(
        private readonly ctx: Context,
        private readonly onFailed: (code: string) => void,
        private readonly onConnected: () => void,
    ) {}

    onState(direction: Direction, state: string): void {
        const { room } = this.ctx;

        if (state === 'failed') {
            this.onFailed('media_lost');
            return;
        }
        if (state === 'connected') {
            this.broken.delete(direction);
            this.onConnected();
        } else if (state === 'disconnected') {
            this.broken.add(direction);
            this.later(PATIENCE_MS);
        }
        if (room.status === 'joined') {
            room.reason =
                this.broken.size > 0 ? { code: 'media_interrupted' } : undefined;
            this.ctx.changed();
        }
    }

    /* All media is gone. */
    reset(): void {
        this.broken.clear();
        clearTimeout(this.timer);
        this.timer = undefined;
    }

    mendIfBroken(): void {
        if (this.broken.size > 0) {
            this.later(0);
        }
    }

    /* Asks for new paths now, whether they seem broken or not. */
    mend(): void {
        for (const direction of ['send', 'recv'] as const) {
            if (['connected', 'disconnected'].includes(this.stateOf(direction))) {
                this.ctx.media
                    ?.restartIce(direction)
                    .catch(() => undefined); /* offline, or just closed: the rejoin mends it */
            }
        }
    }

    private stateOf(direction: Direction): string {
        return this.ctx.media?.stateOf(direction) ?? 'new';
    }

    private later(wait: number): void {
        if (this.timer !== undefined) {
            return;
        }
        this.timer = setTimeout(() => {
            this.timer = undefined;
            for (const direction of this.broken) {
                if (this.stateOf(direction) === 'disconnected') {
                    this.ctx.media?.restartIce(direction).catch(() => undefined);
                }
            }
            if (this.broken.size > 0) {
                this.later(AGAIN_MS);
            }
        }, wait);
    }
}
