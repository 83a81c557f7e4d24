/* Every route and every event, asked by each role: allowed or refused as the roles of
 * docs/api.md say. What there is to ask comes from the interface's own description, so that a
 * new event or route is asked too; one with a permission that has no line below fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { io } from 'socket.io-client';
import { claimsFor, signToken } from '../e2e/lib/jwt.mjs';
import { withNode } from '../e2e/lib/node.mjs';
import { rest, user as someone } from '../e2e/lib/rest.mjs';

let nTokens = 0;
const user = (node, sub, claims = {}) => someone(node, sub, { jti: `t${++nTokens}`, ...claims });

const ROLES = ['host', 'co_host', 'presenter', 'attendee', 'guest', 'admin'];
const ALL = ROLES;
const HOSTS = ['host', 'co_host', 'admin'];
const PRESENTERS = [...HOSTS, 'presenter'];

/* In a meeting that has neither allow_attendee_media nor allow_guest_chat. */
const MAY = {
    public: ALL,
    signed_in: ALL,
    view: ALL,
    produce_media: PRESENTERS,
    produce_screen: PRESENTERS,
    chat: [...PRESENTERS, 'attendee'],
    raise_hand: [...PRESENTERS, 'attendee'],
    react: [...PRESENTERS, 'attendee'],
    present: PRESENTERS,
    moderate: HOSTS,
    record: HOSTS,
    end_meeting: ['host', 'admin'],
    create_meeting: PRESENTERS,
    administer: ['admin'],
};

const UDP = { devices: ['udp:127.0.0.1'], control: 'limits: {requests_per_address: 0, requests_per_user: 0}\n' };

async function document(node, name) {
    return (await fetch(`${node.origin}/api/${name}`)).json();
}

function may(role, permission, what) {
    assert.ok(permission in MAY, `${what}: the permission ${permission} has no rule here`);
    return MAY[permission].includes(role);
}

/* ---- routes ---- */

/* What is sent so that only the role can be wrong. */
const BODIES = {
    'POST /api/meeting': { meeting_name: 'm' },
    'PUT /api/meeting/{id}': { meeting_name: 'm' },
    'PATCH /api/meeting/{id}': { meeting_name: 'm' },
    'POST /api/meeting/{id}/participants': { user_id: 'new' },
    'PATCH /api/meeting/{id}/participants/{user_id}/role': { new_role: 'attendee' },
    'POST /api/user': { login: 'l', password: 'long enough' },
};
const QUERIES = { 'DELETE /api/meeting/{id}/participants': '?user_id=new' };

/* A meeting in which there is somebody of each role, by id of the user. */
async function makeMeeting(node) {
    const token = user(node, 'host');
    const participants = ROLES.filter((role) => !['host', 'admin'].includes(role))
        .map((role) => ({ user_id: role, role }));
    const made = await rest(node, 'POST', '/meeting', { token,
        body: { meeting_name: 'm', allow_attendee_media: false, participants } });

    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body.data.id;
}

function routesOf(openapi) {
    return Object.entries(openapi.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => ({
            what: `${method.toUpperCase()} ${path}`,
            method: method.toUpperCase(),
            path,
            operation,
        })));
}

async function askRoute(node, { what, method, path, operation }, token) {
    const needsBody = operation.requestBody?.content?.['application/json'] !== undefined;
    const id = path.startsWith('/api/meeting/{id}') ? await makeMeeting(node) : 'nobody';
    const filled = path.replace('/api', '').replace('{id}', id).replace('{user_id}', 'attendee')
        .replace('{recording_id}', 'r') + (QUERIES[what] ?? '');
    const headers = what.startsWith('PUT') ? { 'if-match': '*' } : {};

    return rest(node, method, filled, { token, headers, body: needsBody ? (BODIES[what] ?? {}) : undefined });
}

test('each route, by each role', { timeout: 120_000 }, () =>
    withNode({ name: 'api-routes', ...UDP }, async (node) => {
        const openapi = await document(node, 'openapi.json');
        const routes = routesOf(openapi).filter(({ path, operation }) =>
            !/\/(whip|whep)\/|^\/docs|json$/.test(path) && operation['x-permission'] !== 'public');
        let asked = 0;

        assert.ok(routes.length >= 20, `${routes.length} routes`);
        for (const route of routes) {
            const { what, operation } = route;
            const later = operation.description.includes('not_implemented');
            const bare = await askRoute(node, route, undefined);
            const stranger = await askRoute(node, route, user(node, 'x', { tenant: 'other', role: 'admin' }));

            assert.equal(bare.status, later ? 501 : 401, `${what} without a token`);
            if (route.path.startsWith('/api/meeting/{id}')) {
                assert.equal(stranger.status, later ? 501 : 404, `${what} of another tenant`);
            }
            for (const role of ROLES) {
                const { status, body } = await askRoute(node, route,
                    user(node, role, { role: role === 'admin' || !route.path.startsWith('/api/meeting/{') ? role : 'guest' }));
                const told = `${what} by ${role}: ${status} ${JSON.stringify(body)}`;

                asked++;
                if (later) {
                    assert.equal(status, 501, told);
                } else if (may(role, operation['x-permission'], what)) {
                    assert.ok(status < 300 || [404, 409].includes(status), told);
                } else {
                    assert.equal(status, 403, told);
                    assert.equal(body.code, 'forbidden', told);
                }
            }
        }
        assert.equal(asked, routes.length * ROLES.length);
    }));

/* ---- events ---- */

/* These end it: each with a socket of its own. */
const ENDING = ['room:leave', 'room:close'];

async function enter(node, role, meeting) {
    const claims = { ...claimsFor(meeting), sub: `u-${role}`, role };
    const socket = io(`${node.origin}/meeting`, {
        auth: { token: signToken(claims, node.secret) }, forceNew: true, reconnection: false });

    await new Promise((done, failed) => socket.once('connect', done).once('connect_error', failed));
    const joined = await socket.timeout(8_000).emitWithAck('room:join', { meeting_id: meeting, display_name: role });
    assert.equal(joined.ok, true, JSON.stringify(joined));
    return socket;
}

test('each event, by each role', { timeout: 120_000 }, () =>
    withNode({ name: 'api-events', ...UDP }, async (node) => {
        const asyncapi = await document(node, 'asyncapi.json');
        const operations = Object.values(asyncapi.operations).filter((o) => o.action === 'receive');
        const name = (operation) => {
            const key = operation.messages[0].$ref.split('/').at(-1);
            return asyncapi.channels.meeting.messages[key].name;
        };
        let refused = 0;

        assert.ok(operations.length >= 60, `${operations.length} events`);
        for (const role of ROLES) {
            let socket = await enter(node, role, `matrix-${role}`);
            const last = (o) => (ENDING.includes(name(o)) ? 1 : 0);

            for (const operation of [...operations].sort((x, y) => last(x) - last(y))) {
                const event = name(operation);
                if (last(operation)) {
                    socket.close();
                    socket = await enter(node, role, `matrix-${role}-${event.replace(':', '-')}`);
                }
                const answer = await socket.timeout(8_000).emitWithAck(event, {});
                const code = answer.ok ? 'ok' : answer.error.code;
                const told = `${event} by ${role}: ${JSON.stringify(answer).slice(0, 300)}`;

                if (operation['x-not-implemented']) {
                    assert.equal(code, 'not_implemented', told);
                } else if (may(role, operation['x-permission'], event)) {
                    assert.notEqual(code, 'forbidden', told);
                } else {
                    assert.equal(code, 'forbidden', told);
                    assert.ok(answer.error.message.includes(operation['x-permission']), told);
                    refused++;
                }
            }
            socket.close();
        }
        assert.ok(refused > 80, `${refused} refusals`);

        /* out of a room, and what nobody knows */
        const claims = { ...claimsFor('matrix-out'), role: 'host' };
        const socket = io(`${node.origin}/meeting`, {
            auth: { token: signToken(claims, node.secret) }, forceNew: true, reconnection: false });
        assert.equal((await socket.timeout(8_000).emitWithAck('chat:send', {})).error.code, 'not_joined');
        assert.equal((await socket.timeout(8_000).emitWithAck('chat:sendd', {})).error.code, 'unknown_event');
        socket.close();
    }));
