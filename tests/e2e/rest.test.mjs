/* Accounts and meetings over REST, as a client of another site would use them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { ask as say, connect } from './lib/client.mjs';
import { withNode } from './lib/node.mjs';
import { firstPassword, killControl, rest as ask, user } from './lib/rest.mjs';

test('the first administrator logs in, refreshes and logs out', async () => {
    await withNode({ name: 'rest-login', devices: ['udp:127.0.0.1'] }, async (node) => {
        const password = await firstPassword(node);
        const login = async (pw) => {
            const body = { login: 'admin', password: pw };
            let answer;

            do { /* after a restart it is told to come again until the keys are read */
                answer = await ask(node, 'POST', '/auth/login', { body });
            } while (answer.status === 503);
            return answer;
        };

        assert.equal((await login('wrong')).status, 401);
        assert.equal((await login('wrong')).body.code, 'bad_credentials');
        assert.equal((await ask(node, 'POST', '/auth/login', { body: {} })).status, 400);

        const first = (await login(password)).body.data;
        assert.equal(first.role, 'admin');
        assert.equal((await ask(node, 'GET', '/audit', { token: first.access_token })).status, 200);

        const refresh = (token) =>
            ask(node, 'POST', '/auth/refresh', { body: { refresh_token: token } });
        const second = (await refresh(first.refresh_token)).body.data;
        const lost = (await refresh(first.refresh_token)).body.data; /* had the answer been lost */
        assert.equal(lost.refresh_token, second.refresh_token);
        assert.equal((await ask(node, 'GET', '/audit', { token: lost.access_token })).status, 200);
        const next = (await refresh(second.refresh_token)).body.data;
        const again = await refresh(first.refresh_token);
        assert.equal(again.status, 401);
        assert.equal(again.body.code, 'refresh_reused');
        const after = await ask(node, 'GET', '/audit', { token: next.access_token });
        assert.equal(after.status, 401);
        assert.equal(after.body.code, 'token_revoked');

        const third = (await login(password)).body.data;
        assert.equal((await ask(node, 'POST', '/auth/logout', { token: third.access_token,
            body: { refresh_token: third.refresh_token } })).status, 204);
        assert.equal((await ask(node, 'GET', '/audit', { token: third.access_token })).status, 401);
        assert.equal((await refresh(third.refresh_token)).status, 401);

        /* What was revoked stays so when control is killed. */
        await killControl(node);
        assert.equal((await ask(node, 'GET', '/audit', { token: third.access_token })).status, 401);
        const last = (await login(password)).body.data.access_token;

        /* Who came, went and was refused is in the audit, and so is who makes accounts. */
        const made = await ask(node, 'POST', '/user', { token: last,
            body: { login: 'ann', password: 'correct horse', name: 'Ann' } });
        assert.equal(made.status, 201);
        assert.equal(made.body.data.role, 'presenter');
        assert.equal((await ask(node, 'POST', '/user', { token: last,
            body: { login: 'ann', password: 'another one' } })).status, 409);
        const ann = await ask(node, 'POST', '/auth/login',
            { body: { login: 'ann', password: 'correct horse' } });
        assert.equal(ann.body.data.user_id, made.body.data.user_id);
        assert.equal((await ask(node, 'POST', '/user', { token: ann.body.data.access_token,
            body: { login: 'eve', password: 'not an admin' } })).status, 403);
        const audit = (await ask(node, 'GET', '/audit', { token: last })).body.data;
        const ids = { [first.user_id]: 'admin', [made.body.data.user_id]: 'ann', '': '' };
        assert.deepEqual(
            audit.filter(({ act }) => /^(login|logout|refresh)$|^user\./.test(act)).reverse()
                .map((e) => [e.act, ids[e.actor_id], ids[e.target] ?? e.target ?? '', e.result]),
            [['login', '', 'admin', 'refused'], ['login', '', 'admin', 'refused'],
                ['login', 'admin', 'admin', 'ok'], ['refresh', 'admin', '', 'refused'],
                ['login', 'admin', 'admin', 'ok'], ['logout', 'admin', '', 'ok'],
                ['login', 'admin', 'admin', 'ok'], ['user.create', 'admin', 'ann', 'ok'],
                ['login', 'ann', 'ann', 'ok'], ['user.create', 'ann', '', 'refused']]);
        assert.ok(audit.every(({ address }) => address.startsWith('127.0.0.1:')));

        /* What is erased is gone at once: the access token, and one for a meeting. */
        const ann1 = ann.body.data.access_token;
        const made1 = await ask(node, 'POST', '/meeting', { token: ann1, body: { meeting_name: 'm' } });
        const ticket = (await ask(node, 'POST', `/meeting/${made1.body.data.id}/join`,
            { token: ann1, body: {} })).body.data.token;
        for (const [path, of] of [['/meeting', { meeting_name: 'x' }], ['/user', { login: 'x', password: 'correct horse' }]]) {
            assert.equal((await ask(node, 'POST', path, { token: ticket, body: of })).status, 403,
                'of one meeting, so it makes nothing beside it');
        }
        const erasure = await ask(node, 'DELETE', `/user/${ann.body.data.user_id}/data`, { token: last });
        assert.equal(erasure.status, 200);
        for (const kill of [false, true]) {
            await (kill ? killControl(node) : undefined);
            for (const token of [ann1, ticket]) {
                assert.equal((await ask(node, 'GET', '/meeting', { token })).body.code, 'token_revoked');
            }
        }

        /* What one may not is written, but not as often as one likes to try. */
        const eve = user(node, 'eve', { tenant: '', role: 'guest' });
        for (let i = 0; i < 40; i++) {
            assert.equal((await ask(node, 'DELETE', '/user/ann/data', { token: eve })).status, 403);
        }
        const tries = (await ask(node, 'GET', '/audit?limit=200', { token: last })).body.data
            .filter((e) => e.actor_id === 'eve');
        assert.ok(tries.length >= 20 && tries.length < 40, `${tries.length}`);
        assert.ok(tries.every((e) => e.act === 'user.erase' && e.target === 'ann' &&
            e.result === 'refused'));
    });
});

/* Events of no meeting that a node of its own store tells while administrators and operators act. */
async function actsOfOneNode(name) {
    let events;

    await withNode({ name, devices: ['udp:127.0.0.1'] }, async (node) => {
        const token = user(node, 'root', { role: 'admin', tenant: '' });

        for (let i = 0; i < 3; i++) {
            const body = { login: `ann${i}`, password: 'correct horse' };
            assert.equal((await ask(node, 'POST', '/user', { token, body })).status, 201);
            await node.kcsctl('drain', '--deadline', '1h'); /* a fact of the node, and an act */
            await node.kcsctl('undrain');
        }
        await node.until('all is told', () => {
            events = readFileSync(join(node.dir, 'events.jsonl'), 'utf8').split('\n')
                .slice(0, -1).map((line) => JSON.parse(line));
            return events.filter(({ type }) => type === 'kcs.node.in_service').length === 3;
        });
    });
    return events.filter(({ subject }) => subject === 'no meeting');
}

test('what is told of no meeting has one count, whoever tells it, and no other node the same', async () => {
    const events = await actsOfOneNode('rest-acts');
    const others = await actsOfOneNode('rest-others');

    assert.equal(events.filter(({ data }) => data.act === 'user.create').length, 3);
    assert.deepEqual(events.map(({ seq }) => seq), events.map((_, i) => i + 1));
    assert.equal(new Set(events.map(({ epoch }) => epoch)).size, 1);
    const ids = new Set(events.map(({ id }) => id));
    assert.deepEqual(others.filter(({ id }) => ids.has(id)), []);
});

test('a feature that only a newer client knows of is not kept', { timeout: 60_000 }, async () => {
    await withNode({ name: 'rest-newer', devices: ['udp:127.0.0.1'] }, async (node) => {
        const { status, body } = await ask(node, 'POST', '/meeting', { token: user(node, 'ada'),
            body: { meeting_name: 'Newer', features: { chat_enabled: false, nonsense: 1 } } });

        assert.equal(status, 201);
        assert.equal(body.data.features.chat_enabled, false);
        assert.equal(body.data.features.video_enabled, true);
        assert.equal('nonsense' in body.data.features, false);
    });
});

test('a meeting from its making to its end', async () => {
    await withNode({ name: 'rest-meeting', devices: ['udp:127.0.0.1'] }, async (node) => {
        const [ada, bob, eve] = [user(node, 'ada'), user(node, 'bob'),
            user(node, 'eve', { tenant: 'other', role: 'admin' })];
        const body = { meeting_name: 'Review', meeting_start_time: '2030-01-01T10:00:00Z',
            meeting_end_time: '2030-01-01T11:00:00Z' };
        const made = await ask(node, 'POST', '/meeting', { token: ada, body,
            headers: { 'idempotency-key': 'k1' } });
        const meeting = made.body.data;
        const at = `/meeting/${meeting.id}`;

        assert.equal(made.status, 201);
        assert.equal(made.headers.get('etag'), '"1"');
        assert.equal(meeting.creator_id, 'ada');
        const known = await fetch(`${node.origin}/api${at}`, { headers: {
            authorization: `Bearer ${ada}`, 'if-none-match': '"1"' } });
        assert.equal(known.status, 304);
        for (const [etags, status] of [['W/"1"', 304], ['"7", W/"1"', 304], ['*', 304],
            ['"11", "7"', 200]]) { /* as proxies make of it that compress */
            assert.equal((await ask(node, 'GET', at, { token: ada,
                headers: { 'if-none-match': etags } })).status, status, etags);
        }
        const twice = await ask(node, 'GET', '/meeting?limit=1&limit=2', { token: ada });
        assert.deepEqual(twice.body.errors, [{ path: '/limit', reason: 'stands twice' }]);
        const long = await ask(node, 'POST', '/meeting', { token: ada, body,
            headers: { 'idempotency-key': 'k'.repeat(201) } });
        assert.equal(long.status, 400);

        /* A retry makes no second one; the same key for something else is refused. */
        const retry = await ask(node, 'POST', '/meeting', { token: ada, body,
            headers: { 'idempotency-key': 'k1' } });
        assert.equal(retry.body.data.id, meeting.id);
        const reused = await ask(node, 'POST', '/meeting', { token: ada,
            body: { meeting_name: 'Other' }, headers: { 'idempotency-key': 'k1' } });
        assert.equal(reused.status, 422);

        /* What is wrong is told at once, with its place, and makes nothing. */
        const bad = await ask(node, 'POST', '/meeting', { token: ada,
            body: { meeting_name: '', max_participants: 0, nonsense: 1,
                recording_config: { nonsense: 1 } } });
        assert.equal(bad.status, 400);
        assert.deepEqual(bad.body.errors.map((e) => e.path).sort(),
            ['/max_participants', '/meeting_name', '/nonsense', '/recording_config/nonsense']);
        const backwards = await ask(node, 'POST', '/meeting', { token: ada,
            body: { ...body, meeting_end_time: '2029-01-01T00:00:00Z' } });
        assert.equal(backwards.body.errors[0].path, '/meeting_end_time');
        const nothing = await ask(node, 'PATCH', at, { token: ada, body: null });
        assert.equal(nothing.status, 400);

        /* Another tenant's administrator sees nothing; one who is not invited neither. */
        for (const [method, path] of [['GET', at], ['PATCH', at], ['DELETE', at],
            ['POST', `${at}/join`], ['GET', `${at}/audit`], ['GET', `${at}/export`],
            ['GET', `${at}/participants`]]) {
            const answer = await ask(node, method, path, { token: eve,
                ...(method === 'PATCH' ? { body: { locked: true } } : {}) });
            assert.equal(answer.status, 404, `${method} ${path}`);
        }
        assert.equal((await ask(node, 'GET', at, { token: bob })).status, 404);

        /* Two who change it: the second is told. */
        const patch = (etag, change) => ask(node, 'PATCH', at, { token: ada, body: change,
            headers: etag === undefined ? {} : { 'if-match': etag } });
        const changed = await patch('"1"', { meeting_name: 'Retro' });
        assert.equal(changed.status, 200);
        assert.equal(changed.body.data.meeting_name, 'Retro');
        assert.equal(changed.headers.get('etag'), '"2"');
        assert.equal((await patch('"1"', { meeting_name: 'Late' })).status, 412);
        assert.equal((await ask(node, 'PUT', at, { token: ada, body })).status, 428);

        /* What changes nothing is no change. */
        for (const none of [{}, { meeting_name: 'Retro' }, { features: { chat_enabled: true } }]) {
            const same = await patch(undefined, none);
            assert.equal(same.status, 200);
            assert.equal(same.headers.get('etag'), '"2"');
            assert.deepEqual(same.body.data, changed.body.data);
        }
        assert.equal((await patch('"1"', {})).status, 412);
        assert.equal((await patch('W/"2"', {})).status, 412);
        assert.equal((await patch('"9", "2"', {})).status, 200);

        /* Invited, given a role, and then allowed what the role may. */
        const invited = await ask(node, 'POST', `${at}/participants`, { token: ada,
            body: { user_id: 'bob', name: 'Bob' } });
        assert.equal(invited.status, 201);
        assert.equal((await ask(node, 'GET', at, { token: bob })).status, 200);
        assert.equal((await ask(node, 'PATCH', at, { token: bob, body: { locked: true } })).status, 403);
        const role = (token, who, name) => ask(node, 'PATCH',
            `${at}/participants/${who}/role`, { token, body: { new_role: name } });
        assert.equal((await role(ada, 'bob', 'co_host')).status, 200);
        assert.equal((await role(bob, 'bob', 'host')).status, 403);
        assert.equal((await ask(node, 'POST', `${at}/end`, { token: bob })).status, 403);
        assert.equal((await ask(node, 'POST', `${at}/start`, { token: bob })).body.data.meeting_status, 'live');

        /* A token for the room: good there, and of the role. */
        const ticket = (await ask(node, 'POST', `${at}/join`, { token: bob,
            body: { display_name: 'Bobby' } })).body.data;
        assert.equal(ticket.role, 'co_host');
        assert.equal(ticket.socketio_url, node.origin);
        assert.equal((await ask(node, 'GET', at, { token: ticket.token })).status, 200);

        const mine = await ask(node, 'GET', '/meeting?limit=1', { token: bob });
        assert.equal(mine.body.count, 1);
        assert.equal((await ask(node, 'GET', '/meeting?cursor=x', { token: bob })).status, 400);

        /* Killed: all of it is there. */
        await killControl(node);
        assert.equal((await ask(node, 'GET', at, { token: ada })).body.data.meeting_status, 'live');
        assert.equal((await ask(node, 'POST', `${at}/end`, { token: ada })).body.data.meeting_status, 'ended');
        assert.equal((await ask(node, 'POST', `${at}/join`, { token: bob })).status, 409);

        const audit = await ask(node, 'GET', `${at}/audit`, { token: ada });
        const done = ({ act, actor_id, target, result }) =>
            [actor_id, result, act, target].filter(Boolean).join(' ');
        assert.deepEqual(audit.body.data.map(done).reverse(), ['ada ok meeting.create',
            'ada ok meeting.update', 'ada ok participant.invite bob',
            'bob refused meeting.update', 'ada ok participant.role bob',
            'bob refused participant.role bob', 'bob refused meeting.end',
            'bob ok meeting.start', 'ada ok meeting.end']);
        const events = (await ask(node, 'GET', `${at}/export`, { token: ada })).body.data.events;
        assert.deepEqual(events.map((e) => e.seq), Array.from({ length: 15 }, (_, i) => i + 1));
        assert.deepEqual(events.filter((e) => e.type === 'kcs.audit.act').map((e) => e.data.act),
            audit.body.data.map((e) => e.act).reverse());

        assert.equal((await ask(node, 'DELETE', at, { token: ada })).status, 204);
        assert.equal((await ask(node, 'GET', at, { token: ada })).status, 404);
        const gone = await ask(node, 'POST', '/meeting', { token: ada, body,
            headers: { 'idempotency-key': 'k1' } });
        assert.equal(gone.status, 404, 'a retry does not bring back what was deleted');

        /* Erased: bob is invited nowhere any more. */
        const admin = user(node, 'root', { role: 'admin' });
        assert.equal((await ask(node, 'DELETE', '/user/bob/data', { token: ada })).status, 403);
        assert.equal((await ask(node, 'GET', '/user/bob/data', { token: ada })).status, 403);
        const kept = async () => (await ask(node, 'GET', '/user/bob/data', { token: admin })).body.data;
        const before = await kept();
        assert.equal(before.complete, true);
        assert.equal(before.account, null);
        assert.deepEqual(before.invitations.map(({ meeting_id, role }) => [meeting_id, role]),
            [[meeting.id, 'co_host']]);
        assert.ok(before.acts.some(({ act }) => act === 'meeting.start'));
        const stranger = user(node, 'root', { role: 'admin', tenant: 'other' });
        const theirs = await ask(node, 'GET', '/user/bob/data', { token: stranger });
        assert.deepEqual([theirs.body.data.invitations, theirs.body.data.acts], [[], []]);
        const erased = await ask(node, 'DELETE', '/user/bob/data', { token: admin });
        assert.equal(erased.body.data.user_id, 'bob');
        assert.ok(erased.body.data.erased >= 1);
        assert.deepEqual((await kept()).invitations, []);
        const said = await ask(node, 'GET', '/audit?limit=3', { token: admin });
        assert.ok(said.body.data.some(({ act, target }) => act === 'user.export' && target === 'bob'));
    });
});

test('who asks too often waits; pages of other sites are let in by a list', async () => {
    const control = `limits: {requests_per_user: 5, requests_per_address: 50, logins_per_address: 2}
cors:
  - origin: https://app.example.org
meetings: {require_stored: true}
`;
    await withNode({ name: 'rest-limits', devices: ['udp:127.0.0.1'], control }, async (node) => {
        const ada = user(node, 'ada');
        const answers = await Promise.all(
            Array.from({ length: 40 }, () => ask(node, 'GET', '/meeting', { token: ada })));
        const refused = answers.filter((answer) => answer.status === 429);

        assert.ok(refused.length >= 10 && refused.length < 40, `${refused.length} of 40`);
        assert.ok(Number(refused[0].headers.get('retry-after')) >= 1);
        assert.equal(refused[0].headers.get('ratelimit-limit'), '20');
        const other = await ask(node, 'GET', '/meeting', { token: user(node, 'bob'),
            headers: { origin: 'https://app.example.org', 'x-request-id': 'r-1' } });
        assert.equal(other.status, 200);
        assert.equal(other.headers.get('x-request-id'), 'r-1');
        assert.equal(other.headers.get('access-control-allow-origin'), 'https://app.example.org');
        const preflight = (origin) => fetch(`${node.origin}/api/meeting`, { method: 'OPTIONS',
            headers: { origin, 'access-control-request-method': 'POST' } });
        assert.equal((await preflight('https://app.example.org')).status, 204);
        assert.equal((await preflight('https://evil.example')).headers.get('access-control-allow-origin'), null);

        const login = () => ask(node, 'POST', '/auth/login', { body: { login: 'a', password: 'b' } });
        await Promise.all([login(), login()]);
        assert.equal((await login()).status, 429);

        /* Of the same user each route has a share, that of making meetings is 2 at once. */
        const make = () => ask(node, 'POST', '/meeting', { token: user(node, 'cas'),
            body: { meeting_name: 'M', meeting_type: 'instant' } });
        const made = [await make(), await make(), await make()];
        assert.deepEqual(made.map(({ status }) => status), [201, 201, 429]);
        assert.equal(made[2].headers.get('ratelimit-limit'), '2');
        assert.ok(Number(made[2].headers.get('retry-after')) >= 1);
        assert.equal((await ask(node, 'GET', '/meeting', { token: user(node, 'cas') })).status, 200);

        /* WHIP and WHEP ask from the same share, and tell pages of every site. */
        const posts = await Promise.all(Array.from({ length: 300 }, () =>
            fetch(`${node.origin}/api/whip/some`, { method: 'POST',
                headers: { authorization: 'Bearer none', 'content-type': 'application/sdp' } })));
        const late = posts.filter(({ status }) => status === 429);
        assert.ok(late.length >= 10 && late.length < 300, `${late.length} of 300`);
        assert.ok(posts.every(({ status }) => [401, 429].includes(status)));
        assert.equal(late[0].headers.get('access-control-allow-origin'), '*');
        assert.ok(Number(late[0].headers.get('retry-after')) >= 1);
        await sleep(2_000);

        /* A meeting that nobody has made is nobody's to join. */
        const forged = user(node, 'eve', { meeting_id: 'made-up' });
        assert.equal((await ask(node, 'GET', '/meeting/made-up', { token: forged })).body.code, 'meeting_not_stored');
    });
});

test('by a link others come in, each as somebody else, with the role that it was given', async () => {
    await withNode({ name: 'rest-link', devices: ['udp:127.0.0.1'] }, async (node) => {
        const ada = user(node, 'ada');
        const made = await ask(node, 'POST', '/meeting', { token: ada, body: { meeting_name: 'Open day' } });
        const { id } = made.body.data;
        const link = (token, role, of = id) => ask(node, 'POST', `/meeting/${of}/link`,
            { token, body: role === undefined ? {} : { role } });
        const enter = (token, name, of = id) => ask(node, 'POST', `/meeting/${of}/join`,
            { token, body: { display_name: name } });
        const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

        const one = await link(ada);
        assert.equal(one.status, 201, JSON.stringify(one.body));
        assert.equal(one.body.data.role, 'attendee');
        const { token } = one.body.data;
        assert.equal(claims(token).meeting_id, id);

        /* it is good for nothing else */
        assert.equal((await ask(node, 'GET', `/meeting/${id}`, { token })).body.code, 'token_is_link');
        assert.equal((await link(token)).body.code, 'token_is_link');
        await assert.rejects(connect(node, token), ({ data }) => data.code === 'token_is_link');

        const [bob, cas] = [await enter(token, 'Bob'), await enter(token, 'Cas')];
        const [his, hers] = [bob, cas].map(({ body }) => claims(body.data.token));
        assert.deepEqual([his.role, his.name, hers.name], ['attendee', 'Bob', 'Cas']);
        assert.match(his.sub, /^guest_[\w-]{16}$/);
        assert.notEqual(his.sub, hers.sub);
        const socket = await connect(node, bob.body.data.token);
        const joined = await say(socket, 'room:join', { meeting_id: id, display_name: 'Bob' });
        assert.equal(joined.ok, true, JSON.stringify(joined));
        assert.equal(joined.your_role, 'attendee');
        socket.close();

        /* none above one's own; who may not moderate gives none */
        const host = (await enter(ada, 'Ada')).body.data.token;
        assert.equal((await link(host, 'host')).status, 201);
        assert.equal((await link(host, 'presenter')).body.data.role, 'presenter');
        assert.equal((await link(bob.body.data.token)).status, 403);
        const co = user(node, 'co', { role: 'co_host', meeting_id: id });
        assert.equal((await link(co, 'host')).status, 403);
        assert.equal((await link(co, 'co_host')).status, 201);
        assert.equal((await link(host, undefined, 'another')).status, 404);
        assert.equal((await enter(token, 'Bob', 'another')).status, 404);
        assert.equal((await link(user(node, 'dan', { tenant: 'other' }))).status, 404);
        const root = user(node, 'root', { role: 'admin' });
        const acts = (await ask(node, 'GET', '/audit?limit=50', { token: root })).body.data;
        assert.ok(acts.some(({ act, actor_id, target }) =>
            act === 'meeting.link' && actor_id === 'ada' && target === 'attendee'));

        /* a meeting that no one has stored: a token for it is enough, and none outlives it */
        const demo = user(node, 'eve', { role: 'host', meeting_id: 'demo' });
        const open = await link(demo, 'presenter', 'demo');
        assert.equal(open.status, 201, JSON.stringify(open.body));
        const fay = await enter(open.body.data.token, 'Fay', 'demo');
        assert.equal(claims(fay.body.data.token).role, 'presenter');
        assert.equal(claims(fay.body.data.token).exp, claims(demo).exp);
        assert.equal((await enter(demo, 'Eve', 'demo')).status, 404);

        await ask(node, 'POST', `/meeting/${id}/end`, { token: ada });
        assert.equal((await enter(token, 'Late')).body.code, 'meeting_closed');
        assert.equal((await ask(node, 'DELETE', `/meeting/${id}`, { token: ada })).status, 204);
        assert.equal((await enter(token, 'Later')).status, 404);
    });
});

test('a trusted proxy says who asks, and by what', async () => {
    const control = `limits: {logins_per_address: 2}
trusted_proxies:
  - network: 127.0.0.1
`;
    await withNode({ name: 'rest-proxy', devices: ['udp:127.0.0.1'], control }, async (node) => {
        const by = (address) => ({ 'x-forwarded-for': `192.0.2.99, ${address}`, 'x-forwarded-proto': 'https' });
        const login = (address) => ask(node, 'POST', '/auth/login',
            { body: { login: 'a', password: 'b' }, headers: by(address) });
        const ada = user(node, 'ada');

        await Promise.all([login('203.0.113.1'), login('203.0.113.1')]);
        assert.equal((await login('203.0.113.1')).status, 429);
        assert.notEqual((await login('203.0.113.2')).status, 429);

        /* of IPv6 a network of 64 bits is one address */
        await Promise.all([login('2001:db8::1'), login('2001:db8::2')]);
        assert.equal((await login('2001:db8::3')).status, 429);
        assert.notEqual((await login('2001:db8:0:1::3')).status, 429);

        const made = await ask(node, 'POST', '/meeting', { token: ada, headers: by('203.0.113.3'),
            body: { meeting_name: 'M' } });
        const { id } = made.body.data;
        const entered = await ask(node, 'POST', `/meeting/${id}/join`, { token: ada, body: {},
            headers: by('203.0.113.3') });
        assert.match(entered.body.data.socketio_url, /^https:/);
        const { body } = await ask(node, 'GET', `/meeting/${id}/audit`, { token: ada });
        assert.equal(body.data.find(({ act }) => act === 'meeting.create').address, '203.0.113.3');

        const socket = await connect(node, user(node, 'ada', { role: 'host', meeting_id: id }),
            { extraHeaders: by('2001:db8::5'), transports: ['websocket'] });
        await say(socket, 'room:join', { meeting_id: id, display_name: 'Ada' });
        assert.equal((await say(socket, 'room:lock', { meeting_id: id })).ok, true);
        socket.close();
        await node.until('the audit has it', async () =>
            (await ask(node, 'GET', `/meeting/${id}/audit`, { token: ada })).body.data.some(
                ({ act, address }) => act === 'room:lock' && address === '[2001:db8::5]'));
    });
});

test('a recurring meeting comes again until its rule ends', async () => {
    await withNode({ name: 'rest-series', devices: ['udp:127.0.0.1'] }, async (node) => {
        const ada = user(node, 'ada');
        const make = (recurrence, more = {}) => ask(node, 'POST', '/meeting', { token: ada, body: {
            meeting_name: 'Weekly', meeting_type: 'recurring', recurrence,
            meeting_start_time: '2030-01-07T09:00:00Z', meeting_end_time: '2030-01-07T10:00:00Z',
            ...more } });
        const wrong = async (recurrence, path, reason, more) => {
            const got = await make(recurrence, more);

            assert.equal(got.status, 400, recurrence);
            assert.ok(got.body.errors.some((e) => e.path === path && reason.test(e.reason)),
                JSON.stringify(got.body.errors));
        };

        await wrong('FREQ=SECONDLY', '/recurrence', /FREQ must be/);
        await wrong('FREQ=DAILY;COUNT=1000000000', '/recurrence', /COUNT must be/);
        await wrong('FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30', '/recurrence', /never/);
        await wrong(null, '/recurrence', /needs one/);
        await wrong('FREQ=DAILY', '/meeting_start_time', /needs one/,
            { meeting_start_time: null, meeting_end_time: null });

        const made = await make('FREQ=WEEKLY;BYDAY=MO,WE;COUNT=5');
        assert.equal(made.status, 201);
        const { id } = made.body.data;
        const all = ['2030-01-07T09:00:00', '2030-01-09T09:00:00', '2030-01-14T09:00:00',
            '2030-01-16T09:00:00', '2030-01-21T09:00:00'];
        const short = (list) => list.map((t) => t.slice(0, 19));
        assert.deepEqual(short(made.body.data.occurrences), all);

        const list = async (query) =>
            (await ask(node, 'GET', `/meeting?${query}`, { token: ada })).body.data;
        const seen = await list('from=2030-01-10T00:00:00Z&to=2030-01-17T00:00:00Z');
        assert.deepEqual(short(seen[0].occurrences), all.slice(2, 4));
        assert.equal((await list('from=2030-01-17T00:00:00Z')).length, 1);
        assert.deepEqual(await list('from=2030-01-10T00:00:00Z&to=2030-01-14T00:00:00Z'), []);
        assert.deepEqual(await list('from=2030-01-22T00:00:00Z'), []);

        /* What has been is over, and the next time comes; the last one ends it. */
        const ended = await ask(node, 'POST', `/meeting/${id}/end`, { token: ada });
        assert.equal(ended.body.data.meeting_status, 'scheduled');
        const past = await make('FREQ=DAILY;COUNT=3', { meeting_start_time: '2020-01-01T09:00:00Z',
            meeting_end_time: '2020-01-01T10:00:00Z' });
        assert.deepEqual(past.body.data.occurrences, []);
        assert.equal((await ask(node, 'POST', `/meeting/${past.body.data.id}/end`,
            { token: ada })).body.data.meeting_status, 'ended');

        /* A token is good for the time that comes next, and an hour. */
        const daily = await make('FREQ=DAILY', { meeting_start_time: '2020-01-01T00:00:00Z',
            meeting_end_time: '2020-01-01T12:00:00Z' });
        const ticket = await ask(node, 'POST', `/meeting/${daily.body.data.id}/join`,
            { token: ada });
        const end = new Date(ticket.body.data.expires_at).getTime();
        assert.ok(end > Date.now() && end < Date.now() + 38 * 3600e3);
        assert.equal(new Date(end).getUTCHours(), 13);
    });
});
