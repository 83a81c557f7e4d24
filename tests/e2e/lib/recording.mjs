/* Nodes that record. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, connect } from './client.mjs';
import { claimsFor, signToken } from './jwt.mjs';
import { withNode } from './node.mjs';
import { rest, user } from './rest.mjs';

/* A node that records, with a meeting that REST has made and its host in it. 'recording':
 * lines more of that part of the configuration. */
export function recordingNode(name, body, { recording = '', ...more } = {}) {
    const directory = mkdtempSync(join(tmpdir(), 'kcs-recordings-'));
    const control = `recording:\n  directory: ${directory}\n  live: ${directory}/live\n${recording}`;

    return withNode({ name, devices: ['udp:127.0.0.1'], tls: true, control, ...more }, async (node) => {
        const owner = user(node, 'ada');
        const made = await rest(node, 'POST', '/meeting', {
            token: owner,
            body: { meeting_name: 'Recorded', allow_attendee_media: true },
        });
        const id = made.body.data.id;
        const { body: ticket } = await rest(node, 'POST', `/meeting/${id}/join`, { token: owner, body: {} });
        const host = await connect(node, ticket.data.token);
        const joined = await ask(host, 'room:join', { meeting_id: id, display_name: 'Ada' });

        assert.equal(joined.your_role, 'host');
        const tokenOf = (meeting) => (sub, role = 'presenter') => signToken(
            { ...claimsFor(meeting), sub, name: sub, tenant: 'acme', role }, node.secret);
        await body({ node, directory, id, owner, host, tokenOf, token: tokenOf(id) });
        host.close();
    }).finally(() => rmSync(directory, { recursive: true }));
}

/* The recordings of the meeting, once the newest is in this state. */
export async function listed({ node, id, owner }, state) {
    let data;

    await node.until(`the recording is ${state}`, async () => {
        ({ data } = (await rest(node, 'GET', `/meeting/${id}/recordings`, { token: owner })).body);
        return data[0]?.state === state;
    });
    return data;
}

/* Its process id, while there is one. */
export const egressOf = (node) =>
    execFileSync('pgrep', ['-P', `${node.control.pid}`, 'kcs-egress'], { encoding: 'utf8' }).trim();
