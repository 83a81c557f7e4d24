/* A meeting in which everything happens that is told of: each type of events once at least. */
import assert from 'node:assert/strict';

import { ask, connect, next } from './client.mjs';
import { rest, user } from './rest.mjs';

const OPUS = {
    codecs: [{ mimeType: 'audio/opus', payloadType: 111, clockRate: 48000, channels: 2,
        parameters: {}, rtcpFeedback: [] }],
    headerExtensions: [],
    encodings: [{ ssrc: 1111 }],
    rtcp: { cname: 'c' },
};

async function good(socket, event, payload = {}) {
    const answer = await ask(socket, event, payload);

    assert.equal(answer.ok, true, `${event}: ${JSON.stringify(answer.error)}`);
    return answer;
}

async function done(node, token, method, path, body, more = {}) {
    const answer = await rest(node, method, path, { token, body, ...more });

    assert.ok(answer.status < 300, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body?.data;
}

async function enter(node, meeting_id, sub) {
    const { token } = await done(node, user(node, sub, { jti: `j-${sub}` }), 'POST',
        `/meeting/${meeting_id}/join`, {});
    const socket = await connect(node, token);

    return { socket, ...(await good(socket, 'room:join', { meeting_id, display_name: sub })) };
}

async function talk(host, ann) {
    const { message_id } = await good(ann, 'chat:send', { message: 'secret' });

    await good(ann, 'chat:edit', { message_id, message: 'secret, too' });
    await good(host, 'chat:react', { message_id, emoji: '👍' });
    await good(ann, 'chat:delete', { message_id });
    await good(host, 'poll:create', { question: 'Why?', options: ['a', 'b'] });
    await good(host, 'whiteboard:update', { ops: [{ op: 'line' }] });
    await good(host, 'whiteboard:clear');
    await good(ann, 'hand:raise');
    await good(ann, 'hand:lower');
}

async function send(ann) {
    const { transport_id } = await good(ann, 'transport:create', { direction: 'send' });
    const { producer_id } = await good(ann, 'produce', { transport_id, kind: 'audio',
        source: 'mic', rtp_parameters: OPUS });
    const { data_producer_id } = await good(ann, 'data:produce', { transport_id, label: 'l',
        sctp_stream_parameters: { streamId: 0 } });

    await good(ann, 'produce:pause', { producer_id });
    await good(ann, 'produce:resume', { producer_id });
    await good(ann, 'produce:close', { producer_id });
    await good(ann, 'data:close', { id: data_producer_id });
    await good(ann, 'media:toggle', { kind: 'audio', enabled: false });
    await good(ann, 'screen:start');
    await good(ann, 'screen:stop');
}

async function record(host, ann) {
    const stopped = next(ann, 'recording:stopped');
    const { recording_id } = await good(host, 'recording:start');

    await good(host, 'recording:pause', { recording_id });
    await good(host, 'recording:resume', { recording_id });
    await good(host, 'recording:stop', { recording_id });
    await stopped;
}

async function goLive(host, ann) {
    const stopped = next(ann, 'stream:stopped');
    const { stream_id } = await good(host, 'stream:start', { kind: 'hls' });

    await good(host, 'stream:stop', { stream_id });
    await stopped;
}

async function lead(host, ann) {
    await good(host, 'room:update', { settings: { meeting_name: 'New' } });
    await good(host, 'layout:change', { layout: 'speaker' });
    await good(host, 'participant:rename', { target_user_id: 'ann', display_name: 'Anne' });
    await good(host, 'participant:spotlight', { target_user_id: 'ann', on: true });
    await good(host, 'participant:mute', { target_user_id: 'ann' });
    await good(host, 'participant:role:update', { target_user_id: 'ann', new_role: 'co_host' });
    await good(host, 'participant:add', { user_id: 'eve' });
    await good(host, 'breakout:create', { rooms: [{ name: 'One', user_ids: ['ann'] }] });
    await good(host, 'breakout:open');
    await good(host, 'breakout:broadcast', { message: 'secret' });
    await good(ann, 'room:leave');
}

/* Resolves with the meeting's id, when it is over. The node has to record. */
export async function everything(node) {
    const token = user(node, 'host', { jti: 'j-rest' });
    const { id } = await done(node, token, 'POST', '/meeting', { meeting_name: 'All' });
    const at = `/meeting/${id}`;

    await done(node, token, 'PATCH', at, { meeting_description: 'in which all happens' });
    await done(node, token, 'POST', `${at}/participants`, { user_id: 'bob', name: 'Bob' });
    await done(node, token, 'PATCH', `${at}/participants/bob/role`, { new_role: 'presenter' });
    await done(node, token, 'DELETE', `${at}/participants?user_id=bob`);
    await done(node, token, 'POST', `${at}/participants`, { user_id: 'ann', role: 'presenter' });
    await done(node, token, 'POST', `${at}/start`);

    const { socket: host } = await enter(node, id, 'host');
    const { socket: ann } = await enter(node, id, 'ann');

    await talk(host, ann);
    await send(ann);
    await record(host, ann);
    await goLive(host, ann);
    await lead(host, ann);
    await good(host, 'room:close');
    host.close();
    ann.close();
    await done(node, token, 'POST', `${at}/end`);
    await done(node, token, 'DELETE', at);
    return id;
}
