/* Who watches by WHEP is shown one participant after the other without negotiating again:
 * whoever speaks, or whom it chose. Pion publishes, and watches with header extensions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, connect } from './lib/client.mjs';
import { withNode } from './lib/node.mjs';
import { noPion, Pion } from './lib/pion.mjs';

const CALM_MS = 2_500; /* longer than the floor takes to change hands */

/* A meeting with a client that knows who is who. */
async function open(node, meeting) {
    const ids = new Map();
    const socket = await connect(node, await node.token({ meeting, name: 'Host' }));
    const tokens = {};

    socket.on('participant:joined', (event) => ids.set(event.user_id, event.participant_id));
    const joined = await ask(socket, 'room:join', {
        meeting_id: meeting,
        display_name: 'Host',
    });
    assert.equal(joined.ok, true);
    const userOf = (token) => JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/'))).sub;
    return {
        socket,
        idOf: (tag) => ids.get(userOf(tokens[tag])),
        publish: async (tag) => {
            tokens[tag] = await node.token({ meeting, name: tag });
            return Pion.start(node, 'publish', tokens[tag], meeting, '--tag', tag);
        },
        watch: async (...args) => {
            const token = await node.token({ meeting, name: 'Viewer', role: 'guest' });
            return Pion.start(node, 'watch', token, meeting, ...args);
        },
    };
}

/* What a receiver saw is one stream a kind: one SSRC, numbers by one, time forwards, and
 * each picture of another begins with a key frame. */
function seamless(result) {
    for (const kind of ['audio', 'video']) {
        const seen = result[kind];
        const { Gaps, Back, Bad, Ssrcs } = seen;
        const text = `${kind}: ${JSON.stringify(seen)}`;

        assert.ok(seen.Packets > 50, text);
        assert.deepEqual({ Gaps, Back, Bad, Ssrcs }, { Gaps: 0, Back: 0, Bad: 0, Ssrcs: 1 }, text);
        assert.ok(seen.MaxStep < 15 * (kind === 'audio' ? 48000 : 90000), text);
    }
}

test('a viewer follows who speaks, or whom it chose', {
    skip: noPion,
    timeout: 120_000,
}, async () => {
    await withNode({ name: 'viewers', devices: ['udp'] }, async (node) => {
        const room = await open(node, 'viewers');
        const a = await room.publish('A');
        const viewer = await room.watch();

        try {
            await viewer.sees('video', 'A');
            const b = await room.publish('B');
            const c = await room.publish('C');
            await sleep(CALM_MS);
            assert.equal(viewer.from('video'), 'A', 'nobody speaks: the picture stays');
            b.say('loud');
            await viewer.sees('video', 'B');
            await viewer.sees('audio', 'B');
            b.say('quiet');
            await sleep(CALM_MS);
            assert.equal(viewer.from('video'), 'B', 'silence changes nothing');

            /* a choice holds, whoever speaks */
            const chosen = await viewer.choose(room.idOf('C'));
            assert.equal(chosen.status, 204, chosen.body_text);
            await viewer.sees('video', 'C');
            c.say('loud'); /* of C's own sound nothing comes while it is silent */
            await viewer.sees('audio', 'C');
            a.say('loud');
            await sleep(CALM_MS);
            assert.equal(viewer.from('video'), 'C');
            c.say('quiet');
            assert.equal((await viewer.choose(null)).status, 204);
            await viewer.sees('video', 'A');

            /* who speaks leaves: another takes the place, and then that one */
            await a.end();
            await viewer.sees('video', 'B');
            await b.end();
            await viewer.sees('video', 'C');

            /* it is a choice between those who send */
            for (const [body, status, code] of [
                ['{"participant": "nobody"}', 409, 'nothing_to_watch'],
                ['{"participant": 7}', 422, 'invalid'],
                ['{}', 422, 'invalid'],
                ['[]', 422, 'invalid'],
                ['{', 400, 'malformed'],
                ['', 400, 'malformed'],
            ]) {
                const response = await viewer.patch({ 'content-type': 'application/json' }, body);
                assert.equal(response.status, status, response.body_text);
                assert.equal(JSON.parse(response.body_text).code, code);
            }
            const refused = await c.patch({ 'content-type': 'application/json' }, '{"participant": null}');
            assert.equal(refused.status, 415, 'a publisher watches nobody');

            const result = await viewer.end();
            seamless(result);
            for (const kind of ['audio', 'video']) {
                const { exts, Packets, Mid } = result[kind];
                const count = (name) =>
                    exts[Object.keys(exts).find((uri) => uri.includes(name))] ?? 0;

                assert.ok(Mid !== '', `${kind} names its section`);
                assert.ok(count('abs-send-time') >= Packets - 1, JSON.stringify(result[kind]));
                assert.equal(count('ssrc-audio-level') > 0, kind === 'audio');
                assert.equal(count('transport-wide') > 0, kind === 'video');
            }
            await c.end();
        } finally {
            room.socket.close();
        }
    });
});

test('a viewer that chose waits for whom it watches, but not for ever', {
    skip: noPion,
    timeout: 120_000,
}, async () => {
    await withNode({ name: 'viewers-choice', devices: ['udp'] }, async (node) => {
        const room = await open(node, 'viewers-choice');
        const a = await room.publish('A');
        const b = await room.publish('B');
        const viewer = await room.watch('--participant', room.idOf('B'));

        try {
            await viewer.sees('video', 'B');
            a.say('loud');
            await sleep(CALM_MS);
            assert.equal(viewer.from('video'), 'B');
            await b.end();
            await sleep(CALM_MS);
            assert.equal((await fetch(viewer.session)).status, 204, 'it is waited for');
            assert.equal(viewer.from('video'), 'B', 'another was not chosen');
            let status = 0;
            for (let i = 0; i < 200 && status !== 404; i++) {
                await sleep(200);
                status = (await fetch(viewer.session)).status;
            }
            assert.equal(status, 404, 'after half a minute the session is gone');
            await viewer.end();
            await a.end();
        } finally {
            room.socket.close();
        }
    });
});

test('sessions outlive a crash of control', { skip: noPion, timeout: 90_000 }, async () => {
    await withNode({ name: 'viewers-crash', devices: ['udp'] }, async (node) => {
        const room = await open(node, 'viewers-crash');
        const a = await room.publish('A');
        const b = await room.publish('B');
        const viewer = await room.watch();
        const chooser = await room.watch('--participant', room.idOf('A'));
        const fragment = { 'content-type': 'application/trickle-ice-sdpfrag' };
        const trickle = 'a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=end-of-candidates\r\n';

        await viewer.sees('video', 'A');
        await chooser.sees('video', 'A');
        b.say('loud');
        await viewer.sees('video', 'B');
        room.socket.close();
        await node.crash('kcs-control');
        const packets = (who) => who.lines.length;
        await node.until('control answers', async () => {
            const { status } = await fetch(a.session);
            assert.ok([204, 503].includes(status), `never ${status}: the session is not unknown`);
            return status === 204;
        });
        for (const who of [a, b, viewer, chooser]) {
            assert.equal((await fetch(who.session)).status, 204, who.session);
            const wrong = await who.patch({ ...fragment, 'if-match': '"other"' }, trickle);
            assert.equal(wrong.status, 412, wrong.body_text);
            const right = await who.patch({ ...fragment, 'if-match': who.etag }, trickle);
            assert.equal(right.status, 204, right.body_text);
        }
        /* they go on as they were: one follows who speaks, one has chosen */
        const before = packets(viewer);
        b.say('quiet');
        a.say('loud');
        await viewer.sees('video', 'A');
        assert.ok(packets(viewer) > before);
        const restart = 'a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n';
        const restarted = await b.patch({ ...fragment, 'if-match': '"*"' }, restart);
        assert.equal(restarted.status, 200, restarted.body_text);
        const etag = restarted.headers.get('etag');

        assert.equal((await viewer.choose(room.idOf('B'))).status, 204);
        await viewer.sees('video', 'B');
        await node.crash('kcs-control');
        await node.until('control answers again', async () => (await fetch(a.session)).status === 204);
        const after = await b.patch({ ...fragment, 'if-match': etag }, trickle);
        assert.equal(after.status, 204, `the new entity-tag holds: ${after.body_text}`);
        const results = { viewer: await viewer.end(), chooser: await chooser.end() };
        for (const result of Object.values(results)) {
            seamless(result);
        }
        await a.end(); /* with DELETE */
        await node.until('the session is gone', async () => (await fetch(a.session)).status === 404);
        await b.end();
    });
});
