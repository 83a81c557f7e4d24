/* What becomes of the meeting outside: whether it is recorded, and shown live; and how hosts
 * begin and end both. The verbs reject with SignalError where the node refuses. */
import type { Context } from './context';
import type { RoomJoined } from '../api.gen';

export class Tape {
    constructor(private readonly ctx: Context) {
        const { room, signaling } = ctx;

        signaling.on('recording:started', ({ recording_id }) => {
            room.recording = recording_id;
            ctx.changed();
        });
        signaling.on('recording:stopped', () => {
            room.recording = null;
            ctx.changed();
        });
        signaling.on('stream:started', ({ stream_id }) => {
            room.live = stream_id;
            ctx.changed();
        });
        signaling.on('stream:stopped', () => {
            room.live = null;
            ctx.changed();
        });
        const told = ({ state, reason }: { state: string; reason?: string | null }): void => {
            if (state === 'failed') {
                ctx.tell('tapeFailed', { reason: reason ?? '' });
            }
        };
        signaling.on('recording:status', told);
        signaling.on('stream:status', told);
    }

    /* After a join: what runs already. */
    settle({ recording_id, live_stream }: RoomJoined): void {
        this.ctx.room.recording = recording_id ?? null;
        this.ctx.room.live = live_stream?.stream_id ?? null;
    }

    async record(on: boolean): Promise<void> {
        const { room, signaling } = this.ctx;

        if (on) {
            const { recording_id } = await signaling.request('recording:start', {
                options: { mode: 'composite' },
            });
            room.recording = recording_id;
        } else {
            await signaling.request('recording:stop', {});
            room.recording = null;
        }
        this.ctx.changed();
    }

    async goLive(on: boolean): Promise<void> {
        const { room, signaling } = this.ctx;

        if (on) {
            const { stream_id } = await signaling.request('stream:start', { kind: 'hls' });
            room.live = stream_id;
        } else {
            await signaling.request('stream:stop', {});
            room.live = null;
        }
        this.ctx.changed();
    }
}
