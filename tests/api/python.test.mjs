/* python-socketio in a meeting with socket.io-client: each hears the other. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { ask, connect, next } from '../e2e/lib/client.mjs';
import { BUILD, withNode } from '../e2e/lib/node.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const PYTHON = process.env.KCS_PYTHON ?? join(BUILD, 'foreign/bin/python');

test('python-socketio joins, writes, hears and leaves', { timeout: 60_000 }, () =>
    withNode({ name: 'api-python', devices: ['udp:127.0.0.1'] }, async (node) => {
        const token = (name, role) => node.token({ meeting: 'py', name, role });
        const host = await connect(node, await token('Host', 'host'));
        const joined = await ask(host, 'room:join', { meeting_id: 'py', display_name: 'Host' });
        assert.equal(joined.ok, true);

        const said = next(host, 'chat:message');
        const left = next(host, 'participant:left', 30_000);
        const running = promisify(execFile)(PYTHON,
            [join(here, 'python/member.py'), node.origin, await token('Py', 'attendee'), 'py'],
            { timeout: 40_000 });
        assert.equal((await said).message, 'from Python');
        await ask(host, 'chat:send', { message: 'to Python' });
        const told = JSON.parse((await running).stdout);
        assert.equal(told.joined.ok, true);
        assert.equal(told.joined.participant_count, 2);
        assert.equal(told.sent.message, 'from Python');
        assert.equal(told.refused.error.code, 'forbidden');
        assert.equal(told.heard.display_name, 'Host');
        assert.equal(told.left.ok, true);
        assert.equal((await left).user_id, told.sent.user_id);
        host.close();
    }));
