/* What hosts do to the room and the people in it; rejects with SignalError where the role may
 * not.  And what a host does to oneself. */
import type { Context } from './context';
import type { OwnMedia } from './own';
import type { Media, Role } from './protocol';
import { nameOf } from './room';

export class Host {
    constructor(
        private readonly ctx: Context,
        own: OwnMedia,
    ) {
        const { room, signaling } = ctx;
        const name = (id: string | null | undefined): string | undefined =>
            id === undefined || id === null ? undefined : nameOf(room, id);

        signaling.on('muted:by-host', ({ kind, by_user_id }) => {
            if (kind === 'screen') {
                void own.setSharing(false);
            } else {
                void own.setMuted(kind, true);
            }
            ctx.tell('muted', { kind, name: name(by_user_id) });
        });
        signaling.on('unmute:requested', ({ kind, by_user_id, participant_id }) => {
            if (participant_id === room.self.id) {
                ctx.tell('unmuteRequested', { kind, name: name(by_user_id) });
            }
        });
        signaling.on('lobby:updated', ({ waiting }) => {
            room.lobby = waiting;
            ctx.changed();
        });
        signaling.on('room:updated', ({ settings }) => {
            room.settings = { ...room.settings, ...settings };
            room.title = settings.meeting_name || room.title;
            ctx.changed();
        });
    }

    async mute(userId: string, kind: Media = 'audio'): Promise<void> {
        await this.ctx.signaling.request('participant:mute', {
            target_user_id: userId,
            kind,
        });
    }

    async muteAll(kind: Media = 'audio'): Promise<void> {
        await this.ctx.signaling.request('participant:mute-all', { kind });
    }

    async askToUnmute(userId: string, kind: Media = 'audio'): Promise<void> {
        await this.ctx.signaling.request('participant:unmute-request', {
            target_user_id: userId,
            kind,
        });
    }

    async remove(userId: string, ban = false): Promise<void> {
        await this.ctx.signaling.request('participant:remove', {
            target_user_id: userId,
            ban,
        });
    }

    async setRole(userId: string, role: Role): Promise<void> {
        await this.ctx.signaling.request('participant:role:update', {
            target_user_id: userId,
            new_role: role,
        });
    }

    async spotlight(userId: string, on: boolean): Promise<void> {
        await this.ctx.signaling.request('participant:spotlight', {
            target_user_id: userId,
            on,
        });
    }

    async lowerHand(userId: string): Promise<void> {
        await this.ctx.signaling.request('hand:lower', { target_user_id: userId });
    }

    async lowerAllHands(): Promise<void> {
        await this.ctx.signaling.request('hand:lower-all', {});
    }

    async lock(on: boolean): Promise<void> {
        await this.ctx.signaling.request(on ? 'room:lock' : 'room:unlock', {});
        this.ctx.room.settings = { ...this.ctx.room.settings, locked: on };
        this.ctx.changed();
    }

    async setWaitingRoom(on: boolean): Promise<void> {
        await this.ctx.signaling.request('room:update', {
            settings: { waiting_room_enabled: on },
        });
        this.ctx.room.settings = {
            ...this.ctx.room.settings,
            waiting_room_enabled: on,
        };
        this.ctx.changed();
    }

    async admit(userIds: string[]): Promise<void> {
        await this.ctx.signaling.request('lobby:admit', { user_ids: userIds });
    }

    async deny(userIds: string[]): Promise<void> {
        await this.ctx.signaling.request('lobby:deny', { user_ids: userIds });
    }

    async endMeeting(): Promise<void> {
        await this.ctx.signaling.request('room:close', {});
    }
}
