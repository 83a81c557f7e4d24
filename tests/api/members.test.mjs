/* Clients of Socket.IO in other languages, in a meeting with socket.io-client: each hears the
 * other. They begin with polling and upgrade. */
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
const JAVA_LIB = process.env.KCS_JAVA_LIB ?? join(BUILD, 'java-lib');

/* name: said in "from NAME" and "to NAME"; command: gets origin, token and meeting */
const MEMBERS = [
    { client: 'python-socketio', name: 'Python',
        command: [PYTHON, join(here, 'python/member.py')] },
    { client: 'socket.io-client of Java', name: 'Java',
        command: ['java', '-cp', join(JAVA_LIB, '*'), join(here, 'java/Member.java')] },
];

for (const { client, name, command } of MEMBERS) {
    test(`${client} joins, writes, hears and leaves`, { timeout: 60_000 }, () =>
        withNode({ name: `api-${name}`, devices: ['udp:127.0.0.1'] }, async (node) => {
            const token = (who, role) => node.token({ meeting: 'm', name: who, role });
            const host = await connect(node, await token('Host', 'host'));
            const joined = await ask(host, 'room:join',
                { meeting_id: 'm', display_name: 'Host' });
            assert.equal(joined.ok, true);

            const said = next(host, 'chat:message', 30_000);
            const left = next(host, 'participant:left', 45_000);
            const [program, ...args] = command;
            const running = promisify(execFile)(program,
                [...args, node.origin, await token(name, 'attendee'), 'm'],
                { timeout: 40_000 });
            /* it may fail before it says anything */
            const { message } = await Promise.race([said, running.then(() => said)]);
            assert.equal(message, `from ${name}`);
            await ask(host, 'chat:send', { message: `to ${name}` });
            const told = JSON.parse((await running).stdout);
            assert.equal(told.joined.ok, true);
            assert.equal(told.joined.participant_count, 2);
            assert.equal(told.sent.message, `from ${name}`);
            assert.equal(told.refused.error.code, 'forbidden');
            assert.equal(told.heard.display_name, 'Host');
            assert.equal(told.left.ok, true);
            assert.equal(told.carrier, 'websocket');
            assert.equal((await left).user_id, told.sent.user_id);
            host.close();
        }));
}
