/* What the page's address says: which meeting, which token, who, and how to send.
 *
 *   https://host:port/?meeting=demo&name=Ada&codec=vp9#token=…
 *
 * The token rides in the fragment, which browsers do not send, so it is in no access log;
 * `?token=` is understood too. With meeting, token and name the page joins by itself.
 *
 *   tenant=NAME              whose accounts may sign in; else the default tenant's
 *   codec=vp8|vp9|h264|av1   the video codec to send; else the first the node offers
 *   audio=0, video=0         join without microphone, without camera
 *   height=90…1080           wanted height of the camera's picture, 16:9 (720)
 *   layers=1|2|3             sizes to send it in; else as many as its height is worth */

import { CODECS, type CodecName } from './client';

export interface Options {
    meeting: string;
    token: string;
    name: string;
    tenant: string;
    codec: CodecName | undefined;
    audio: boolean;
    video: boolean;
    height: number;
    layers: number;
}

/* Reads an address; anything missing is an empty string or the default. */
export function parseOptions(address: URL): Options {
    const query = address.searchParams;
    const fragment = new URLSearchParams(address.hash.replace(/^#/, ''));
    const codec = (query.get('codec') ?? '').toLowerCase();
    const asked = Number(query.get('height') ?? 720);
    const height = Number.isFinite(asked) ? Math.min(1080, Math.max(90, asked)) : 720;
    const layers = Number(query.get('layers') ?? 0);

    return {
        meeting: (query.get('meeting') ?? '').trim(),
        token: (fragment.get('token') ?? query.get('token') ?? '').trim(),
        name: (query.get('name') ?? '').trim(),
        tenant: (query.get('tenant') ?? '').trim(),
        codec: CODECS.find((name) => name === codec),
        audio: query.get('audio') !== '0',
        video: query.get('video') !== '0',
        height,
        layers: [1, 2, 3].includes(layers)
            ? layers
            : height >= 720
              ? 3
              : height >= 540
                ? 2
                : 1,
    };
}

/* What a person may paste where an invitation is asked for: a whole join link, or the bare
 * token.  Returns what was found of both. */
export function parseInvitation(text: string): { meeting: string; token: string } {
    const trimmed = text.trim();

    if (/^https?:\/\//i.test(trimmed)) {
        try {
            const { meeting, token } = parseOptions(new URL(trimmed));
            return { meeting, token };
        } catch {
            return { meeting: '', token: '' };
        }
    }
    return { meeting: '', token: trimmed };
}
