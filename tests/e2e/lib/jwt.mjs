/* Tokens made by hand: those that kcsctl would not mint, for the node to refuse. */
import { createHmac } from 'node:crypto';

function part(value) {
    return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString(
        'base64url',
    );
}

/* Signs with HS256, whatever the header claims. */
export function signToken(claims, secret, header = { alg: 'HS256', typ: 'JWT' }) {
    const text = `${part(header)}.${part(claims)}`;
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/* Good claims for a meeting, to be spoilt. */
export function claimsFor(meeting) {
    const now = Math.floor(Date.now() / 1000);
    return {
        sub: 'u-test',
        tenant: 'default',
        name: 'Test',
        role: 'presenter',
        meeting_id: meeting,
        iat: now,
        exp: now + 600,
        jti: `j-${now}`,
    };
}
