/* A node that keeps its data in a database server (FerretDB): meetings and chat are there
 * after both have been killed, and while the server is away calls go on. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectTo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { ask, connect, next } from '../e2e/lib/client.mjs';
import { loadgen } from '../e2e/lib/loadgen.mjs';
import { freeTcp, withNode } from '../e2e/lib/node.mjs';
import { killControl, rest, user } from '../e2e/lib/rest.mjs';

class Database {
    constructor(port) {
        this.port = port;
        this.dir = mkdtempSync(join(tmpdir(), 'kcs-ferretdb-'));
    }

    async start() {
        this.process = spawn(process.env.KCS_FERRETDB, [`127.0.0.1:${this.port}`, this.dir],
            { stdio: ['pipe', 'ignore', 'ignore'] });
        for (let i = 0; ; i++) {
            const socket = connectTo(this.port, '127.0.0.1');
            const up = await once(socket, 'connect').then(() => true, () => false);

            socket.destroy();
            if (up) {
                return;
            }
            assert.ok(i < 300, 'FerretDB does not listen');
            await sleep(100);
        }
    }

    async kill() {
        this.process.kill('SIGKILL');
        await once(this.process, 'exit');
    }
}

async function good(socket, event, payload = {}) {
    const answer = await ask(socket, event, payload);

    assert.equal(answer.ok, true, `${event}: ${JSON.stringify(answer.error)}`);
    return answer;
}

test('a node on a database server, which goes away and comes back', { timeout: 180_000 },
    async () => {
        const db = new Database(await freeTcp());

        await db.start();
        try {
            await withNode({ name: 'store-mongo', devices: ['udp'],
                store: `mongodb://127.0.0.1:${db.port}/kcs` }, (node) => live(node, db));
        } finally {
            await db.kill();
            rmSync(db.dir, { recursive: true });
        }
    });

async function live(node, db) {
    const ada = user(node, 'ada');
    const made = await rest(node, 'POST', '/meeting', { token: ada, body: { meeting_name: 'Board',
        participants: [{ user_id: 'bob', role: 'presenter' }] } });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const { id } = made.body.data;
    const enter = async (sub) => {
        const ticket = await rest(node, 'POST', `/meeting/${id}/join`,
            { token: user(node, sub), body: { display_name: sub } });
        const socket = await connect(node, ticket.body.data.token);

        return { socket, answer: await good(socket, 'room:join',
            { meeting_id: id, display_name: sub }) };
    };
    const host = await enter('ada');
    const bob = await enter('bob');
    assert.equal(bob.answer.your_role, 'presenter');
    await good(host.socket, 'chat:send', { message: 'before' });

    /* Away: it is said so, and all else of the meeting and its media go on. */
    const media = loadgen(node, ['--publishers', '1', '--subscribers', '3', '--media', 'both',
        '--seconds', '25'], { patience: 60 });
    await sleep(3_000);
    await db.kill();
    const store = async () => (await rest(node, 'GET', '/health/system')).body.data.store.state;
    await node.until('it is known, though nobody asks for anything', async () =>
        (await store()) === 'degraded');
    const away = await rest(node, 'GET', `/meeting/${id}`, { token: ada });
    assert.equal(away.status, 503);
    assert.equal(away.body.code, 'store_away');
    const health = await rest(node, 'GET', '/health/system');
    assert.equal(health.body.data.store.state, 'degraded');
    assert.match(health.body.data.store.reason, /does not answer/);
    const said = await ask(host.socket, 'chat:send', { message: 'nobody keeps this' });
    assert.equal(said.error?.code, 'store_away');
    const raised = next(host.socket, 'hand:raised');
    await good(bob.socket, 'hand:raise');
    await raised;
    const changed = next(bob.socket, 'room:updated');
    await good(host.socket, 'room:lock'); // a host decides all the same
    await changed;
    const { status, result, err } = await media;
    assert.equal(status, 0, `kcs-loadgen: ${err}`);
    assert.equal(result.streams_verified, 6);
    assert.equal(result.lost, 0);

    /* Back: what rooms had to write is written, in its order. */
    await db.start();
    await node.until('it is known to be back', async () => (await store()) === 'ok');
    await node.until('the store works again', async () =>
        (await ask(host.socket, 'chat:send', { message: 'after' })).ok);
    const events = (await rest(node, 'GET', `/meeting/${id}/export`, { token: ada }))
        .body.data.events.map((event) => event.type);
    assert.ok(events.includes('kcs.participant.hand_raised'), events.join());
    assert.ok(events.includes('kcs.meeting.settings'));
    assert.equal((await rest(node, 'GET', `/meeting/${id}`, { token: ada }))
        .body.data.locked, true);

    /* Both killed at once: what was acknowledged is there. */
    await good(host.socket, 'room:unlock');
    await good(host.socket, 'participant:remove', { target_user_id: 'bob', ban: true });
    await db.kill();
    await db.start();
    await killControl(node);
    const words = (await rest(node, 'GET', `/meeting/${id}/chat`, { token: ada }))
        .body.data.map((message) => message.message);
    assert.deepEqual(words, ['after', 'before']);
    const ticket = await rest(node, 'POST', `/meeting/${id}/join`,
        { token: user(node, 'bob'), body: { display_name: 'Bob' } });
    const again = await connect(node, ticket.body.data.token);
    const out = await ask(again, 'room:join', { meeting_id: id, display_name: 'Bob' });
    assert.equal(out.error?.code, 'banned');
    again.close();
    for (const { socket } of [host, bob]) {
        socket.close();
    }
}
