/* The check before the call: is the server there, can it carry media, how far and how fast
 * is it. */
import { words } from '../words';

export interface Verdict {
    level: 'good' | 'warn' | 'bad';
    text: string;
}

const TRIES = 4;
const SLOW_MS = 250;
const SLOW_MBPS = 1;
const PATIENCE_MS = 8_000;

async function ask(path: string): Promise<{ response: Response; ms: number }> {
    const begun = performance.now();
    const response = await fetch(path, {
        cache: 'no-store',
        signal: AbortSignal.timeout(PATIENCE_MS),
    });

    return { response, ms: performance.now() - begun };
}

/* How fast the page's own program comes. */
async function speed(): Promise<number> {
    const begun = performance.now();
    const { response } = await ask('app.js');
    const { byteLength } = await response.arrayBuffer();

    return (byteLength * 8) / 1_000 / Math.max(1, performance.now() - begun);
}

export async function checkNetwork(): Promise<Verdict> {
    if (typeof RTCPeerConnection === 'undefined') {
        return { level: 'bad', text: words.network.noWebrtc };
    }
    try {
        let rtt = Infinity;
        for (let i = 0; i < TRIES; i++) {
            const { response, ms } = await ask('/api/health/live');
            await response.arrayBuffer();
            rtt = Math.min(rtt, ms); /* the first also opens the connection */
        }
        const { response } = await ask('/api/health/webrtc');
        if (!response.ok) {
            return { level: 'bad', text: words.network.noMedia };
        }
        const mbps = await speed();
        const slow = rtt > SLOW_MS || mbps < SLOW_MBPS;
        return {
            level: slow ? 'warn' : 'good',
            text: (slow ? words.network.slow : words.network.good)(
                Math.max(1, Math.round(rtt)),
                words.network.speed(mbps),
            ),
        };
    } catch {
        return { level: 'bad', text: words.network.unreachable };
    }
}
