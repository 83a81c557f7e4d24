/* Enters the room: as the participant that one was, as long as the node knows it, else as a
 * new one. */
import { codeOf, isOffline, type Context } from './context';
import type { LobbyWait, RoomJoined } from '../api.gen';
import type { SignalError } from './signaling';

const RESUME_WAIT_MS = 250; /* a node that restarts does not know yet who was here */
const RESUME_TRIES = 40;

export class Door {
    resumeToken: string | undefined; /* of the last stay, while it may be gone on with */

    constructor(private readonly ctx: Context) {}

    /* Rejects with SignalError. Where many come at once the node says when to ask again; that
     * is done as long as `wanted`. */
    async enter(wanted: () => boolean): Promise<RoomJoined | LobbyWait> {
        const { options, signaling } = this.ctx;
        const payload = { meeting_id: options.meeting, display_name: options.name };

        for (let tries = 0; this.resumeToken !== undefined; tries++) {
            try {
                return await signaling.request('room:join', {
                    ...payload,
                    resume_token: this.resumeToken,
                });
            } catch (error) {
                if (isOffline(error)) {
                    throw error;
                }
                if (codeOf(error) === 'media_unavailable' && tries < RESUME_TRIES) {
                    await new Promise((done) => setTimeout(done, RESUME_WAIT_MS));
                    continue;
                }
                this.resumeToken = undefined; /* too old, or of a node that lost all */
            }
        }
        for (;;) {
            try {
                return await signaling.request('room:join', payload);
            } catch (error) {
                const wait = (error as Partial<SignalError>).retryAfterMs;

                if (wait === undefined) {
                    throw error;
                }
                this.ctx.room.reason = { code: 'crowded' };
                this.ctx.changed();
                await new Promise((done) => setTimeout(done, wait));
                if (!wanted()) {
                    throw error;
                }
            }
        }
    }
}
