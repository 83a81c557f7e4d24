/* A question to the node's REST interface, which lies beside the page. */
const WAIT_S = 5; /* where the node does not say how long to wait */

export class RestError extends Error {
    constructor(
        readonly status: number, /* 0: nobody answered */
        readonly code: string,
        message: string,
        readonly waitS = 0, /* after how long to ask again; 0: at any time */
    ) {
        super(message);
    }
}

export interface Question {
    token?: string | undefined;
    body?: object | undefined;
    key?: string | undefined; /* Idempotency-Key: of one creation, however often it is asked for */
    signal?: AbortSignal;
}

interface Answer<T> {
    data?: T;
    next_cursor?: string | null;
    code?: string;
    message?: string;
    errors?: { path: string; reason: string }[];
}

async function fetchAnswer<T>(
    method: string,
    path: string,
    { token, body, key, signal }: Question,
): Promise<Answer<T>> {
    const headers = new Headers();

    if (token !== undefined) {
        headers.set('authorization', `Bearer ${token}`);
    }
    if (body !== undefined) {
        headers.set('content-type', 'application/json');
    }
    if (key !== undefined) {
        headers.set('idempotency-key', key);
    }
    const response = await fetch(`/api${path}`, {
        method,
        headers,
        cache: 'no-store',
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
    });
    const text = await response.text();
    const answer = (text === '' ? {} : JSON.parse(text)) as Answer<T>;

    if (!response.ok) {
        const after = Number(response.headers.get('retry-after') ?? NaN);
        const reasons = (answer.errors ?? []).map(({ path: at, reason }) => `${at} ${reason}`);
        const must = response.status === 429 || response.status === 503;

        throw new RestError(
            response.status,
            answer.code ?? '',
            reasons.join('; ') || (answer.message ?? String(response.status)),
            must ? (after > 0 ? after : WAIT_S) : 0,
        );
    }
    return answer;
}

/* Rejects with RestError only. */
export async function askPage<T>(
    method: string,
    path: string,
    question: Question = {},
): Promise<{ data: T; next: string | undefined }> {
    try {
        const { data, next_cursor: next } = await fetchAnswer<T>(method, path, question);

        return { data: data as T, next: next ?? undefined };
    } catch (error) {
        throw error instanceof RestError
            ? error
            : new RestError(0, 'unreachable', (error as Error).message);
    }
}

export async function ask<T>(method: string, path: string, question?: Question): Promise<T> {
    return (await askPage<T>(method, path, question)).data;
}
