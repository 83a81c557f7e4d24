/* window.kcs: what tests and a curious person at the console may read.  Nothing here is
 * secret and nothing can be changed through it.
 *
 *   kcs.state        'idle' before the call, else Room.status: 'connecting', 'joining', 'waiting',
 *                    'joined', 'reconnecting', 'left', 'failed'
 *   kcs.reason       the words shown for 'reconnecting' and 'failed'
 *   kcs.problems     the notices shown
 *   kcs.people       [{id, name, media: [{producerId, consumerId, kind, source, paused, received,
 *                    layer}]}]
 *   kcs.stats()      a promise of CallStats (client/stats.ts): per remote track
 *                    framesDecoded, width, height or totalAudioEnergy; per transport
 *                    srtpCipher, dtlsCipher, remoteAddress */
import { collectStats, type CallStats, type KcsClient } from './client';
import { inWords } from './words';

export interface Hook {
    readonly state: string;
    readonly reason: string;
    readonly problems: string[];
    readonly people: object[];
    stats(): Promise<CallStats>;
}

declare global {
    interface Window {
        kcs: Hook;
    }
}

/* current: the client there is now, if any. */
export function installHook(current: () => KcsClient | undefined): void {
    const room = () => current()?.room.value;

    window.kcs = {
        get state() {
            return room()?.status ?? 'idle';
        },
        get reason() {
            const reason = room()?.reason;
            return reason === undefined ? '' : inWords(reason);
        },
        get problems() {
            return (room()?.notices ?? []).map(inWords);
        },
        get people() {
            return [...(room()?.people.values() ?? [])].map((person) => ({
                id: person.id,
                name: person.name,
                media: [...person.media.values()].map((media) => ({
                    producerId: media.producerId,
                    consumerId: current()?.media?.consumerOf(media.producerId),
                    kind: media.kind,
                    source: media.source,
                    layer: media.layer,
                    paused: media.paused,
                    received: media.track !== undefined,
                })),
            }));
        },
        async stats() {
            const client = current();
            return client === undefined
                ? { received: [], sent: [], transports: {} }
                : collectStats(client);
        },
    };
}
