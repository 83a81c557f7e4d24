/* An operator takes the node out of service and back, changes its configuration while it runs,
 * and has it stop when nobody is left. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, connect, next } from './lib/client.mjs';
import { withNode } from './lib/node.mjs';

const OPTIONS = { name: 'drain', devices: ['udp:127.0.0.1'] };

async function enter(node, meeting) {
    const socket = await connect(node, await node.token({ meeting, role: 'host' }));

    return { socket, joined: await ask(socket, 'room:join', {
            meeting_id: meeting,
            display_name: 'Somebody',
        }) };
}

test('drain, undrain, reload, and SIGTERM that waits for people', { timeout: 60_000 }, () =>
    withNode(OPTIONS, async (node) => {
        const yaml = join(node.dir, 'control.yaml');
        const logged = (event) => readFileSync(node.control.log, 'utf8').includes(event);
        const ready = async () => (await fetch(`${node.origin}/api/health/ready`)).status;
        const { socket: here, joined } = await enter(node, 'here');
        assert.equal(joined.ok, true);

        let told = next(here, 'server:draining');
        await node.kcsctl('drain', '--deadline', '1h');
        assert.ok(Math.abs((await told).deadline_ms - 3_600_000) < 60_000);
        assert.equal(await ready(), 503);
        const refused = await enter(node, 'new');
        assert.equal(refused.joined.error.code, 'draining');
        refused.socket.close();
        const second = await enter(node, 'here'); /* a meeting that has begun goes on */
        assert.equal(second.joined.ok, true);
        second.socket.close();

        told = next(here, 'server:draining');
        await node.kcsctl('undrain');
        assert.equal((await told).cancelled, true);
        assert.equal(await ready(), 200);
        const again = await enter(node, 'new');
        assert.equal(again.joined.ok, true);
        await ask(again.socket, 'room:leave', {});
        again.socket.close();

        const good = readFileSync(yaml, 'utf8');
        writeFileSync(yaml, `${good}shutdown:\n  drain_s: many\n`);
        node.control.kill('SIGHUP');
        await node.until('it is refused', () => logged('"reload_refused"'));
        const line = good.split('\n').length + 1;
        assert.ok(logged(`control.yaml:${line}: `), 'with its line');

        writeFileSync(yaml, `${good}shutdown:\n  drain_s: 600\n`);
        node.control.kill('SIGHUP');
        await node.until('it is taken', () => logged('"changed":"shutdown"'));

        node.dataplane.kill('SIGHUP'); /* nothing of it can change while it runs */
        assert.equal((await fetch(`${node.origin}/api/health/ready`)).status, 200);
        assert.equal(node.dataplane.ended, undefined);

        told = next(here, 'server:draining');
        node.control.asked = true; /* from here on it may end */
        node.control.kill('SIGTERM');
        assert.ok((await told).deadline_ms > 500_000);
        assert.equal((await ask(here, 'room:leave', {})).ok, true);
        await node.until('nobody is left', () => node.control.ended !== undefined);
        assert.equal(node.control.ended.code, 0);
        assert.ok(logged('"reason":"empty"'));
        here.close();
    }),
);

test('a drain ends at its deadline with people still in', { timeout: 60_000 }, () =>
    withNode({ ...OPTIONS, name: 'drain-deadline' }, async (node) => {
        const { socket, joined } = await enter(node, 'stays');
        assert.equal(joined.ok, true);
        const cut = new Promise((done) => socket.once('disconnect', done));
        const begun = Date.now();
        node.control.asked = true;
        await node.kcsctl('drain', '--deadline', '2s');
        await node.until('it stops', () => node.control.ended !== undefined);
        assert.equal(node.control.ended.code, 0);
        assert.ok(Date.now() - begun >= 2_000, 'not before');
        assert.match(readFileSync(node.control.log, 'utf8'),
            /"event":"drained".*"reason":"deadline","participants":1/);
        await cut;
        socket.close();
    }),
);
