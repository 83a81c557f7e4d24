/* schemathesis with all its checks: requests made of the description of the interface, good
 * and bad, and answers held against it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { BUILD, withNode } from '../e2e/lib/node.mjs';
import { user } from '../e2e/lib/rest.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const LONG = process.env.KCS_LONG === '1';
const SCHEMATHESIS = process.env.KCS_SCHEMATHESIS ?? join(BUILD, 'foreign/bin/schemathesis');

/* Resolves with its status and what it has said. */
function run(args, cwd) {
    const child = spawn(SCHEMATHESIS, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, PYTHONPATH: join(here, 'python'), SCHEMATHESIS_HOOKS: 'hooks' } });
    let text = '';

    child.stdout.setEncoding('utf8').on('data', (more) => (text += more));
    child.stderr.setEncoding('utf8').on('data', (more) => (text += more));
    return new Promise((done, failed) => {
        child.on('error', failed);
        child.on('close', (status) => done({ status, text }));
    });
}

/* What is right by itself may still not fit what is there: another version (412, 428), a key
 * that was used (422), or fields that contradict each other, a cursor of another list, a text of
 * too many bytes, a text that is no SDP (400). A PUT without If-Match is 428 (RFC
 * 6585). */
const CONFIG = `
[checks]
missing_required_header.expected-statuses = ["400", "401", "403", "404", "406", "409", "415", "422", "428"]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "412", "422", "428", "429"]
negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "411", "412", "413", "415", "422", "428", "429"]
`;
/* What is kept of a user who was erased, or never was, is nothing: 200, and empty lists. Whoever
 * has erased somebody looks there whether it was done. */
const ERASED = `
[[operations]]
include-path = "/api/user/{id}/data"
checks.use_after_free.enabled = false
`;
const TWO_FIELDS = `
[[operations]]
include-path-regex = "^/api/(meeting|audit|user|whip|whep)"
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "412", "422", "428", "429"]
`;

/* Routes that are not built (501). */
async function leftOut(node) {
    const openapi = await (await fetch(`${node.origin}/api/openapi.json`)).json();
    const paths = Object.entries(openapi.paths).filter(([path, methods]) =>
        Object.values(methods).some((o) => o.description.includes('not_implemented')));

    return paths.flatMap(([path]) => ['--exclude-path', path]);
}

test('schemathesis finds nothing', { timeout: LONG ? 1_800_000 : 300_000 }, () => {
    const control = 'limits: {requests_per_address: 0, requests_per_user: 0, logins_per_address: 0}\n';

    return withNode({ name: 'api-fuzz', devices: ['udp:127.0.0.1'], control }, async (node) => {
        const dir = mkdtempSync(join(tmpdir(), 'kcs-fuzz-'));
        const token = user(node, 'root', { role: 'admin' });

        writeFileSync(join(dir, 'schemathesis.toml'), CONFIG + TWO_FIELDS + ERASED + `
[[operations]]
include-path = "/api/auth/logout"
headers = { Authorization = "Bearer ${user(node, 'leaving', { role: 'admin', jti: 'leaving' })}" }
`);
        const { status, text } = await run(['run', '--no-color', '--checks', 'all',
            /* a count: what a time covers depends on the machine */
            '--max-examples', LONG ? '50' : '8', '--seed', process.env.KCS_SEED ?? '1', '--header', `Authorization: Bearer ${token}`,
            ...(await leftOut(node)), `${node.origin}/api/openapi.json`], dir);

        rmSync(dir, { recursive: true });
        const [, found] = /(=+ (?:ERRORS|FAILURES) =+.*?)=+ WARNINGS =+/s.exec(text) ?? [];
        assert.equal(status, 0, (found ?? text).slice(0, 30_000));
        /* the token is still good: what was asked was not all refused */
        const after = await fetch(`${node.origin}/api/meeting`,
            { headers: { authorization: `Bearer ${token}` } });
        assert.equal(after.status, 200);
        assert.match(text, /Test cases|Tested/);
    });
});
