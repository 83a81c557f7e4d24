/* REST, as a client of another site would use it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { claimsFor, signToken } from './jwt.mjs';

/* Asks; resolves with {status, headers, body}. */
export async function rest(node, method, path, { token, body, headers = {} } = {}) {
    const response = await fetch(`${node.origin}/api${path}`, {
        method,
        headers: {
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...headers,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();

    return {
        status: response.status,
        headers: response.headers,
        body: text === '' ? undefined : JSON.parse(text),
    };
}

/* A token of somebody who has logged in elsewhere: for no meeting in particular. */
export function user(node, sub, claims = {}) {
    const all = { ...claimsFor(undefined), sub, tenant: 'acme', ...claims };

    return signToken(all, node.secret);
}

export async function killControl(node) {
    await node.crash('kcs-control');
    await node.until('control is back', async () => {
        const response = await fetch(`${node.origin}/api/health/ready`).catch(() => undefined);
        return response?.status === 200;
    });
}

/* The administrator's. It is told on standard output, which is in the log's file here. */
export async function firstPassword(node) {
    let found;

    await node.until('the first password is told', () => {
        found = /password: (\S+)/.exec(readFileSync(join(node.dir, 'kcs-control.log'), 'utf8'));
        return found !== null;
    });
    return found[1];
}
