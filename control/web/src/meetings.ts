/* What the page asks the node about a meeting over REST: its name, tokens, links for others. */
import type { Options } from './options';

const NAME_MS = 5_000;

function part(token: string, index: number): Record<string, unknown> {
    const text = token.split('.')[index] ?? '';

    return JSON.parse(
        new TextDecoder().decode(
            Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) =>
                c.charCodeAt(0),
            ),
        ),
    ) as Record<string, unknown>;
}

async function post<T>(meeting: string, path: string, token: string, body: object): Promise<T> {
    const response = await fetch(`/api/meeting/${encodeURIComponent(meeting)}/${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
    });
    const { data, code, message } = (await response.json()) as {
        data?: T;
        code?: string;
        message?: string;
    };

    if (!response.ok || data === undefined) {
        throw Object.assign(new Error(message ?? String(response.status)), { code });
    }
    return data;
}

/* What the meeting is called, if the node has stored it: only then it has signed the token,
 * with a key that has an id. */
export async function nameOf({ meeting, token }: Options): Promise<string | undefined> {
    try {
        const { kid } = part(token, 0);
        const response = await fetch(`/api/meeting/${encodeURIComponent(meeting)}`, {
            headers: { authorization: `Bearer ${token}` },
            signal: kid === undefined ? AbortSignal.abort() : AbortSignal.timeout(NAME_MS),
        });
        const { data } = (await response.json()) as { data?: { meeting_name?: string } };

        return data?.meeting_name;
    } catch {
        return undefined; /* then it is called by its id */
    }
}

/* For a meeting that the node has stored, as often as one may enter it; for a link's token
 * also of one that it has not. */
export async function freshToken({ meeting, name }: Options, token: string): Promise<string> {
    return (await post<{ token: string }>(meeting, 'join', token, { display_name: name })).token;
}

/* Whether it is a link's, by which many come: it is changed for one's own before one joins. */
export function isLink(token: string): boolean {
    try {
        return String(part(token, 1)['scope'] ?? '').split(' ').includes('join_link');
    } catch {
        return false;
    }
}

/* The address by which others come in with that role. */
export async function linkFor(meeting: string, token: string, role: string): Promise<string> {
    const made = await post<{ token: string }>(meeting, 'link', token, { role });
    const link = new URL(location.href);

    for (const mine of ['name', 'token']) {
        link.searchParams.delete(mine);
    }
    link.searchParams.set('meeting', meeting);
    link.hash = `token=${made.token}`;
    return link.href;
}
