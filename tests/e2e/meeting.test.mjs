/* A meeting with socket.io-client: lobby, chat, host controls, a lost socket, breakout rooms
 * and the end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, connect, next } from './lib/client.mjs';
import { withNode } from './lib/node.mjs';

const MEETING = 'e2e-meeting';

async function good(socket, event, payload = {}) {
    const answer = await ask(socket, event, payload);

    assert.equal(answer.ok, true, `${event}: ${JSON.stringify(answer.error)}`);
    return answer;
}

async function code(socket, event, payload = {}) {
    const answer = await ask(socket, event, payload);

    assert.equal(answer.ok, false, `${event} is refused`);
    return answer.error.code;
}

test('a meeting from its lobby to its end', { timeout: 60_000 }, async () => {
    await withNode({ name: 'meeting', devices: ['udp'] }, async (node) => {
        const enter = async (name, role, more = {}, known = undefined) => {
            const token = known ?? (await node.token({ meeting: MEETING, name, role }));
            const socket = await connect(node, token);
            const answer = await good(socket, 'room:join', {
                meeting_id: MEETING,
                display_name: name,
                ...more,
            });
            return { socket, answer, token };
        };
        const host = await enter('Host', 'host');

        await good(host.socket, 'room:update', {
            settings: { waiting_room_enabled: true },
        });

        const lobby = next(host.socket, 'lobby:updated');
        const ann = await enter('Ann', 'attendee');
        assert.equal(ann.answer.waiting, true);
        const [waiting] = (await lobby).waiting;
        assert.equal(waiting.display_name, 'Ann');
        assert.equal(await code(ann.socket, 'chat:send', { message: 'in?' }), 'waiting');
        const admitted = next(ann.socket, 'lobby:admitted');
        await good(host.socket, 'lobby:admit', { user_ids: [waiting.user_id] });
        const joined = await admitted;
        assert.equal(joined.participants.length, 2);

        /* chat: once, however often it is sent */
        const heard = next(host.socket, 'chat:message');
        const draft = { message: 'hello', client_message_id: 'c1' };
        const sent = await good(ann.socket, 'chat:send', draft);
        assert.equal((await heard).message_id, sent.message_id);
        assert.equal((await good(ann.socket, 'chat:send', draft)).duplicate, true);

        /* hosts */
        const muted = next(ann.socket, 'muted:by-host');
        await good(host.socket, 'participant:mute', { target_user_id: waiting.user_id });
        assert.equal((await muted).may_unmute, false);
        const toggle = { kind: 'audio', enabled: true };
        assert.equal(await code(ann.socket, 'media:toggle', toggle), 'muted_by_host');
        assert.equal(await code(ann.socket, 'room:lock'), 'forbidden');

        /* a socket is lost; what happened meanwhile is told afterwards */
        const { seq } = await good(host.socket, 'room:lock');
        ann.socket.io.engine.close();
        await good(host.socket, 'hand:raise');
        const again = { resume_token: joined.resume_token };
        const back = await enter('Ann', 'attendee', again, ann.token);
        assert.equal(back.answer.resumed, true);
        const missed = await good(back.socket, 'room:sync', { since_seq: seq });
        assert.equal(missed.complete, true);
        assert.deepEqual(
            missed.facts.map((fact) => fact.event),
            ['hand:raised'],
        );

        /* breakout rooms */
        const { rooms } = await good(host.socket, 'breakout:create', {
            rooms: [{ name: 'One', user_ids: [waiting.user_id] }],
        });
        const moved = next(back.socket, 'breakout:moved');
        await good(host.socket, 'breakout:open');
        assert.equal((await moved).breakout_id, rooms[0].breakout_id);

        const closed = next(back.socket, 'room:closed');
        await good(host.socket, 'room:close');
        assert.equal((await closed).reason, 'ended');
        for (const socket of [host.socket, ann.socket, back.socket]) {
            socket.close();
        }
    });
});
