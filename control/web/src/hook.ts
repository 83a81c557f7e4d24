/* window.kcs: what tests and a curious person at the console may read.  Nothing here is
 * secret and nothing can be changed through it.
 *
 *   kcs.state        'idle' before the call, else Call's state: 'connecting', 'joining',
 *                    'joined', 'reconnecting', 'left', 'failed'
 *   kcs.reason       the words shown for 'reconnecting' and 'failed'
 *   kcs.problems     the notices shown
 *   kcs.people       [{id, name, media: [{producerId, consumerId, kind, source, paused, received,
 *                    layer}]}]
 *   kcs.stats()      a promise of CallStats (call/stats.ts): per remote track
 *                    framesDecoded, width, height or totalAudioEnergy; per transport
 *                    srtpCipher, dtlsCipher, remoteAddress */
import type { Call } from './call/call';
import { collectStats, type CallStats } from './call/stats';

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

/* current: the call there is now, if any. */
export function installHook(current: () => Call | undefined): void {
    window.kcs = {
        get state() {
            return current()?.state ?? 'idle';
        },
        get reason() {
            return current()?.reason ?? '';
        },
        get problems() {
            return [...(current()?.problems ?? [])];
        },
        get people() {
            return [...(current()?.people.values() ?? [])].map((person) => ({
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
            const call = current();
            return call === undefined
                ? { received: [], sent: [], transports: {} }
                : collectStats(call);
        },
    };
}
