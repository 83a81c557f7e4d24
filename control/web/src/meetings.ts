/* What the page asks the node about meetings over REST: names, tokens, links for others; and,
 * of who has signed in, the meetings that are one's own. */
import { account, askAsMe } from './account';
import type { JoinLink, Meeting, MeetingNew, MeetingTicket } from './api.gen';
import type { Options } from './options';
import { ask, type Question } from './rest';

const NAME_MS = 5_000;
const DAY_MS = 86_400_000;
const PAST_DAYS = 30;
const PAGE = 50;
const PAGE_MOST = 200;

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

function pathOf(meeting: string, what = ''): string {
    return `/meeting/${encodeURIComponent(meeting)}${what}`;
}

/* What the meeting is called, if the node has stored it: only then it has signed the token,
 * with a key that has an id. */
export async function nameOf({ meeting, token }: Options): Promise<string | undefined> {
    try {
        const { kid } = part(token, 0);
        const signal = kid === undefined ? AbortSignal.abort() : AbortSignal.timeout(NAME_MS);

        return (await ask<Meeting>('GET', pathOf(meeting), { token, signal })).meeting_name;
    } catch {
        return undefined; /* then it is called by its id */
    }
}

/* For a meeting that the node has stored, as often as one may enter it; for a link's token
 * also of one that it has not. */
export async function freshToken({ meeting, name }: Options, token: string): Promise<string> {
    const body = { display_name: name };

    return (await ask<MeetingTicket>('POST', pathOf(meeting, '/join'), { token, body })).token;
}

/* Whether it is a link's, by which many come: it is changed for one's own before one joins. */
export function isLink(token: string): boolean {
    try {
        return String(part(token, 1)['scope'] ?? '').split(' ').includes('join_link');
    } catch {
        return false;
    }
}

/* The page's address for a meeting and a token; what else it says stays. */
export function addressOf(meeting: string, token: string): string {
    const link = new URL(location.href);

    for (const mine of ['name', 'token']) {
        link.searchParams.delete(mine);
    }
    link.searchParams.set('meeting', meeting);
    link.hash = `token=${token}`;
    return link.href;
}

/* The address by which others come in with that role.  token: the meeting's; without one it is
 * asked for as who has signed in. */
export async function linkFor(meeting: string, role: string, token?: string): Promise<string> {
    const asked = token === undefined ? mine<JoinLink> : ask<JoinLink>;
    const path = pathOf(meeting, '/link');

    return addressOf(meeting, (await asked('POST', path, { token, body: { role } })).token);
}

/* ---- of who has signed in ---- */

async function mine<T>(method: string, path: string, question?: Question): Promise<T> {
    return (await askAsMe<T>(method, path, question)).data;
}

export interface Listed {
    live: Meeting[];
    coming: Meeting[];
    past: Meeting[]; /* the last first */
    more: string | undefined; /* the cursor for more of those that come */
}

function query(all: Record<string, string | number>): string {
    return `/meeting?${new URLSearchParams(
        Object.entries(all).map(([name, value]) => [name, String(value)]),
    )}`;
}

function ago(days: number): string {
    return new Date(Date.now() - days * DAY_MS).toISOString();
}

/* Those of a day ago may still be begun; what is older is past. */
export async function moreMeetings(
    cursor?: string,
): Promise<{ data: Meeting[]; next: string | undefined }> {
    return askAsMe<Meeting[]>(
        'GET',
        query({
            status: 'scheduled',
            from: ago(1),
            limit: PAGE,
            ...(cursor === undefined ? {} : { cursor }),
        }),
    );
}

export async function myMeetings(): Promise<Listed> {
    const live = await mine<Meeting[]>('GET', query({ status: 'live', limit: PAGE_MOST }));
    const { data: coming, next } = await moreMeetings();
    const all = await mine<Meeting[]>(
        'GET',
        query({ from: ago(PAST_DAYS), to: ago(0), limit: PAGE_MOST }),
    );
    const shown = new Set([...live, ...coming].map(({ id }) => id));
    const past = all.filter(
        ({ id, meeting_status: status, meeting_type: type }) =>
            !shown.has(id) && !(status === 'scheduled' && type === 'recurring'),
    );

    return { live, coming, past: past.reverse(), more: next };
}

export async function makeMeeting(meeting: MeetingNew, key: string): Promise<Meeting> {
    return mine<Meeting>('POST', '/meeting', { body: meeting, key });
}

/* The address at which one takes part. */
export async function enterMeeting(meeting: string, begin: boolean): Promise<string> {
    if (begin) {
        await mine('POST', pathOf(meeting, '/start'));
    }
    const body = { display_name: account()?.name || undefined };

    return addressOf(
        meeting,
        (await mine<MeetingTicket>('POST', pathOf(meeting, '/join'), { body })).token,
    );
}

export async function endMeeting(meeting: string): Promise<void> {
    await mine('POST', pathOf(meeting, '/end'));
}

export async function deleteMeeting(meeting: string): Promise<void> {
    await mine('DELETE', pathOf(meeting));
}
