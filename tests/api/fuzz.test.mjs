/* schemathesis with all its checks: requests made of the description of the interface, good
 * and bad, and answers held against it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { BUILD, withNode } from '../e2e/lib/node.mjs';
import { user } from '../e2e/lib/rest.mjs';

const LONG = process.env.KCS_LONG === '1';
const SCHEMATHESIS = process.env.KCS_SCHEMATHESIS ?? join(BUILD, 'foreign/bin/schemathesis');

/* Resolves with its status and what it has said. */
function run(args, cwd) {
    const child = spawn(SCHEMATHESIS, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
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
 * too many bytes (400). The listener closes on TRACE, which libwebsockets does not know. */
const CONFIG = `
[phases.coverage]
unexpected-methods = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"]
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "412", "422", "428", "429"]
negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "411", "412", "413", "415", "422", "428", "429"]
`;
const TWO_FIELDS = `
[[operations]]
include-path-regex = "^/api/(meeting|audit|user)"
[operations.checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "412", "422", "428", "429"]
`;

/* Routes that are not built (501), that carry no JSON (WHIP and WHEP have suites of their
 * own), and the one that would end the token. */
async function leftOut(node) {
    const openapi = await (await fetch(`${node.origin}/api/openapi.json`)).json();
    const paths = Object.entries(openapi.paths).filter(([path, methods]) =>
        /^\/api\/(whip|whep)|logout$/.test(path) ||
        Object.values(methods).some((o) => o.description.includes('not_implemented')));

    return paths.flatMap(([path]) => ['--exclude-path', path]);
}

test('schemathesis finds nothing', { timeout: LONG ? 900_000 : 85_000 }, () => {
    const control = 'limits: {requests_per_address: 0, requests_per_user: 0, logins_per_address: 0}\n';

    return withNode({ name: 'api-fuzz', devices: ['udp:127.0.0.1'], control }, async (node) => {
        const dir = mkdtempSync(join(tmpdir(), 'kcs-fuzz-'));
        const token = user(node, 'root', { role: 'admin' });

        writeFileSync(join(dir, 'schemathesis.toml'), CONFIG + TWO_FIELDS);
        const { status, text } = await run(['run', '--no-color', '--checks', 'all',
            '--max-examples', LONG ? '100' : '5', '--max-time', LONG ? '240' : '15',
            '--seed', '1', '--header', `Authorization: Bearer ${token}`,
            ...(await leftOut(node)), `${node.origin}/api/openapi.json`], dir);

        rmSync(dir, { recursive: true });
        assert.equal(status, 0, text.slice(0, 30_000));
        assert.match(text, /Test cases|Tested/);
    });
});
