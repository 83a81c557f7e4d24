/* Who has signed in here.  The tokens of a login are kept for all tabs of this browser, till
 * one signs out or they end: each tab reads what another has renewed, and only one at a time
 * renews, for a refresh token that comes again too late ends the whole login. */
import type { Tokens } from './api.gen';
import { ask, askPage, RestError, type Question } from './rest';

const KEY = 'kcs-account';
const EARLY_MS = 30_000; /* renewed so long before the end */

export interface Account {
    userId: string;
    name: string;
    role: string;
    access: string;
    accessEndsAt: number; /* by this machine's clock */
    refresh: string;
}

export function account(): Account | undefined {
    try {
        const kept = JSON.parse(localStorage.getItem(KEY) ?? 'null') as Account | null;

        return typeof kept?.access === 'string' && typeof kept.refresh === 'string'
            ? kept
            : undefined;
    } catch {
        return undefined; /* what is there is none of ours */
    }
}

function keep(tokens: Tokens): Account {
    const kept = {
        userId: tokens.user_id,
        name: tokens.name,
        role: tokens.role,
        access: tokens.access_token,
        accessEndsAt: Date.now() + tokens.expires_in_s * 1000,
        refresh: tokens.refresh_token,
    };

    localStorage.setItem(KEY, JSON.stringify(kept));
    return kept;
}

function forget(): void {
    localStorage.removeItem(KEY);
}

/* tenant: undefined is the default one. */
export async function signIn(
    login: string,
    password: string,
    tenant: string | undefined,
): Promise<void> {
    const body = { login, password, ...(tenant === undefined ? {} : { tenant }) };

    keep(await ask<Tokens>('POST', '/auth/login', { body }));
}

/* Here at once, whether or not the node can be told. */
export async function signOut(): Promise<void> {
    try {
        const token = await accessToken();
        const body = { refresh_token: account()?.refresh };

        forget();
        await ask('POST', '/auth/logout', { token, body });
    } catch {
        forget();
    }
}

/* One tab at a time; a page that is not secure has no locks, and no camera either. */
async function alone<T>(act: () => Promise<T>): Promise<T> {
    const locks = navigator.locks as LockManager | undefined;

    return locks === undefined ? act() : locks.request(KEY, act);
}

/* refused: one that the node no longer takes, whatever the clock says. */
async function accessToken(refused?: string): Promise<string> {
    const good = ({ access, accessEndsAt }: Account): boolean =>
        access !== refused && accessEndsAt - EARLY_MS > Date.now();
    const kept = account();

    if (kept !== undefined && good(kept)) {
        return kept.access;
    }
    return alone(async () => {
        const now = account();

        if (now === undefined) {
            throw new RestError(401, 'signed_out', 'nobody has signed in');
        }
        if (good(now)) {
            return now.access; /* another tab was quicker */
        }
        try {
            const body = { refresh_token: now.refresh };

            return keep(await ask<Tokens>('POST', '/auth/refresh', { body })).access;
        } catch (error) {
            if ((error as RestError).status === 401) {
                forget();
            }
            throw error;
        }
    });
}

/* Asks as who has signed in; 401 only if that is over. */
export async function askAsMe<T>(
    method: string,
    path: string,
    question: Question = {},
): Promise<{ data: T; next: string | undefined }> {
    const token = await accessToken();

    try {
        return await askPage<T>(method, path, { ...question, token });
    } catch (error) {
        if ((error as RestError).status !== 401) {
            throw error;
        }
        return askPage<T>(method, path, { ...question, token: await accessToken(token) });
    }
}

/* Calls back when another tab signs in or out. */
export function onAccountChange(act: () => void): void {
    let before = account()?.userId;

    window.addEventListener('storage', ({ key }) => {
        const now = account()?.userId;

        if ((key === KEY || key === null) && now !== before) {
            before = now;
            act();
        }
    });
}
