/* What meetings leave in the store: chat, settings, who was there; over restarts of control,
 * and on a disk that is full. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, connect, next } from './lib/client.mjs';
import { loadgen } from './lib/loadgen.mjs';
import { BUILD, withNode } from './lib/node.mjs';
import { killControl, rest, user } from './lib/rest.mjs';

const noRoot = process.getuid() !== 0 ? 'a file system of its own needs root' : false;

async function good(socket, event, payload = {}) {
    const answer = await ask(socket, event, payload);

    assert.equal(answer.ok, true, `${event}: ${JSON.stringify(answer.error)}`);
    return answer;
}

/* Enters a meeting that REST has made, with the ticket that REST gives. */
async function enter(node, id, token, name) {
    const ticket = await rest(node, 'POST', `/meeting/${id}/join`,
        { token, body: { display_name: name } });
    const socket = await connect(node, ticket.body.data.token);
    const answer = await good(socket, 'room:join', { meeting_id: id, display_name: name });

    return { socket, answer };
}

test('a stored meeting is its room, and the room is stored', { timeout: 60_000 }, () =>
    withNode({ name: 'keep', devices: ['udp:127.0.0.1'] }, async (node) => {
        const [ada, bob, eve] = ['ada', 'bob', 'eve'].map((sub) => user(node, sub));
        const made = await rest(node, 'POST', '/meeting', { token: ada, body: {
            meeting_name: 'Board', waiting_room_enabled: true, participants: [
                { user_id: 'bob', name: 'Bob', role: 'presenter' }, { user_id: 'eve' }] } });
        const { id, participants } = made.body.data;
        const at = `/meeting/${id}`;

        assert.deepEqual(participants.map((p) => [p.user_id, p.role]),
            [['bob', 'presenter'], ['eve', 'attendee']]);
        assert.equal((await rest(node, 'GET', at, { token: bob })).body.data.participants.length, 2);

        /* who was invited passes the waiting room, a stranger of the tenant does not */
        const host = await enter(node, id, ada, 'Ada');
        const guest = await enter(node, id, user(node, 'zoe'), 'Zoe');
        assert.equal(guest.answer.waiting, true);
        const bobs = await enter(node, id, bob, 'Bob');
        assert.equal(bobs.answer.your_role, 'presenter');

        /* a change of the meeting reaches the room, and the other way round */
        const told = next(bobs.socket, 'room:updated');
        const admitted = next(guest.socket, 'lobby:admitted');
        await rest(node, 'PATCH', at, { token: ada, body: {
            waiting_room_enabled: false, features: { whiteboard_enabled: false } } });
        assert.equal((await told).settings.features.whiteboard_enabled, false);
        await admitted;
        await good(host.socket, 'room:lock');
        assert.equal((await rest(node, 'GET', at, { token: ada })).body.data.locked, true);

        /* roles by REST reach who is there; who is removed has to go */
        const changed = next(bobs.socket, 'participant:role:changed');
        await rest(node, 'PATCH', `${at}/participants/bob/role`,
            { token: ada, body: { new_role: 'co_host' } });
        assert.equal((await changed).new_role, 'co_host');

        const said = await good(host.socket, 'chat:send', { message: 'to all' });
        await good(bobs.socket, 'chat:send', { message: 'to ada', to: 'ada' });
        await good(bobs.socket, 'chat:react', { message_id: said.message_id, emoji: '+' });
        await good(host.socket, 'participant:remove', { target_user_id: 'zoe', ban: true });
        await killControl(node); // whatever else is on its way
        const read = (token, more = '') => rest(node, 'GET', `${at}/chat${more}`, { token });
        const words = async (token) => (await read(token)).body.data.map((m) => m.message);
        assert.deepEqual(await words(ada), ['to ada', 'to all']);
        assert.deepEqual(await words(eve), ['to all']);
        assert.equal((await read(user(node, 'zoe'))).status, 404);
        const page = (await read(ada, '?limit=1')).body;
        const second = (await read(ada, `?limit=1&cursor=${page.next_cursor}`)).body;
        assert.deepEqual(second.data[0].reactions, [{ emoji: '+', count: 1 }]);
        assert.equal(second.next_cursor, null);

        const again = await enter(node, id, ada, 'Ada');
        assert.equal(again.answer.settings.locked, true);
        assert.equal(again.answer.settings.features.whiteboard_enabled, false);
        const history = await good(again.socket, 'chat:history');
        assert.deepEqual(history.messages.map((m) => m.message), ['to ada', 'to all']);
        await good(again.socket, 'room:unlock');
        await assert.rejects(enter(node, id, user(node, 'zoe'), 'Zoe'), /banned/);
        const events = (await rest(node, 'GET', `${at}/export`, { token: ada })).body.data.events;
        for (const type of ['kcs.meeting.created', 'kcs.participant.joined', 'kcs.chat.message',
            'kcs.participant.role', 'kcs.chat.reaction', 'kcs.meeting.settings']) {
            assert.ok(events.some((event) => event.type === type), type);
        }
        const order = events.map((e) => [e.epoch, e.seq]);
        assert.deepEqual(order, order.toSorted((x, y) => x[0] - y[0] || x[1] - y[1]));

        const over = next(again.socket, 'room:closed');
        await rest(node, 'POST', `${at}/end`, { token: ada });
        await over;
        for (const { socket } of [host, bobs, guest, again]) {
            socket.close();
        }
    }));

test('an export has all that is kept of a meeting, however much', { timeout: 120_000 }, () =>
    withNode({ name: 'keep-export', devices: ['udp:127.0.0.1'],
        control: 'limits: {requests_per_user: 0, requests_per_address: 0}\n' }, async (node) => {
        const ada = user(node, 'ada');
        const root = user(node, 'root', { role: 'admin' });
        const { id } = (await rest(node, 'POST', '/meeting',
            { token: ada, body: { meeting_name: 'Long' } })).body.data;
        const host = await enter(node, id, ada, 'Ada');
        const bob = await enter(node, id, user(node, 'bob'), 'Bob');
        const zoe = await enter(node, id, user(node, 'zoe'), 'Zoe');

        const { message_id } = await good(host.socket, 'chat:send', { message: 'first' });
        await good(host.socket, 'chat:edit', { message_id, message: 'second' });
        await good(bob.socket, 'chat:react', { message_id, emoji: '+' });
        const gone = await good(bob.socket, 'chat:send', { message: 'sorry' });
        await good(bob.socket, 'chat:delete', { message_id: gone.message_id });
        await good(bob.socket, 'chat:send', { message: 'aside', to: 'zoe' });
        const { poll_id } = await good(host.socket, 'poll:create',
            { question: 'Lunch?', options: ['yes', 'no'] });
        await good(bob.socket, 'poll:vote', { poll_id, choice: [1] });
        await good(host.socket, 'whiteboard:update', { ops: [{ op: 'line', id: 'line', points: [[1, 2]] }] });
        await good(host.socket, 'participant:remove', { target_user_id: 'zoe', ban: true });
        for (let i = 0; i < 520; i++) { /* each is a fact and an audit entry, which is one */
            const { status } = await rest(node, 'PATCH', `/meeting/${id}`,
                { token: ada, body: { meeting_description: `${i}` } });
            assert.equal(status, 200);
        }

        const lists = ['events', 'invitations', 'attendance', 'bans', 'messages', 'polls',
            'audit', 'recordings', 'whiteboard'];
        const whole = async (token, limit) => {
            const all = Object.fromEntries(lists.map((list) => [list, []]));
            let pages = 0;

            for (let cursor = ''; cursor !== null; pages++) {
                const { status, body } = await rest(node, 'GET', `/meeting/${id}/export?limit=${limit}`
                    + (cursor === '' ? '' : `&cursor=${cursor}`), { token });

                assert.equal(status, 200, JSON.stringify(body));
                assert.equal(body.data.meeting.meeting_name, 'Long');
                assert.ok(lists.reduce((n, list) => n + body.data[list].length, 0) <= limit + 1);
                for (const list of lists) {
                    all[list].push(...body.data[list]);
                }
                cursor = body.data.next_cursor;
            }
            return { ...all, pages };
        };
        const all = await whole(root, 100);
        assert.ok(all.pages >= 11, `${all.pages}`);
        assert.ok(all.events.length > 1000, `${all.events.length}`);
        assert.deepEqual(all.events.map((e) => e.seq),
            Array.from({ length: all.events.length }, (_, i) => i + 1));
        assert.deepEqual(all.messages.map((m) => [m.message, m.deleted ?? false, m.to ?? null]),
            [['second', false, null], ['', true, null], ['aside', false, 'zoe']]);
        assert.deepEqual(all.messages[0].reactions, [{ emoji: '+', count: 1 }]);
        assert.ok(all.messages[0].edited_at);
        assert.equal(JSON.stringify(all).includes('reactors'), false);
        assert.equal(all.polls.length, 1);
        assert.equal(all.polls[0].question, 'Lunch?');
        assert.equal('ballots' in all.polls[0], false);
        assert.deepEqual(all.whiteboard.map((op) => op.id), ['line']);
        assert.deepEqual(all.attendance.map((a) => [a.user_id, a.state]).sort(),
            [['ada', 'present'], ['bob', 'present'], ['zoe', 'left']]);
        assert.deepEqual(all.bans.map((b) => [b.user_id, b.state]), [['zoe', 'banned']]);
        assert.equal(all.audit.filter((e) => e.act === 'meeting.update').length, 520);
        assert.ok(all.audit.some((e) => e.act === 'participant:remove' && e.actor_id === 'ada'));

        /* what two said to each other is not the host's, who may have all else */
        const hosts = await whole(ada, 1000);
        assert.deepEqual(hosts.messages.map((m) => m.message), ['second', '']);
        assert.equal(JSON.stringify(hosts).includes('aside'), false);
        const seen = new Set(hosts.events.map((e) => e.seq));
        const missing = all.events.filter((e) => !seen.has(e.seq));
        assert.deepEqual(missing.map((e) => [e.type, e.data.message]),
            [['kcs.chat.message', 'aside']]);
        const export1 = (query) => rest(node, 'GET', `/meeting/${id}/export?${query}`, { token: ada });
        assert.ok((await export1('')).body.data.next_cursor);
        for (const cursor of ['x', Buffer.from('9:1:a').toString('base64url'),
            Buffer.from('1:a:b').toString('base64url'), Buffer.from('1').toString('base64url')]) {
            assert.equal((await export1(`cursor=${cursor}`)).body.errors[0].path, '/cursor');
        }
        assert.equal((await rest(node, 'GET', `/meeting/${id}/export`,
            { token: user(node, 'bob') })).status, 404);
        for (const { socket } of [host, bob, zoe]) {
            socket.close();
        }
    }));

test('figures of a meeting are those of its facts', { timeout: 60_000 }, () =>
    withNode({ name: 'keep-figures', devices: ['udp:127.0.0.1'] }, async (node) => {
        const ada = user(node, 'ada');
        const { id } = (await rest(node, 'POST', '/meeting',
            { token: ada, body: { meeting_name: 'Board' } })).body.data;
        const figures = async (token = ada) =>
            (await rest(node, 'GET', `/meeting/${id}/analytics`, { token })).body;

        assert.equal((await figures()).data.peak_participants, 0);
        assert.equal((await figures(user(node, 'eve'))).code, 'not_found');
        const host = await enter(node, id, ada, 'Ada');
        const bob = await enter(node, id, user(node, 'bob'), 'Bob');
        const { message_id } = await good(bob.socket, 'chat:send', { message: 'one' });
        await good(host.socket, 'chat:send', { message: 'two' });
        await good(host.socket, 'chat:react', { message_id, emoji: '+' });
        await good(host.socket, 'hand:raise');
        await sleep(300);
        await good(bob.socket, 'room:leave');
        const again = await enter(node, id, user(node, 'bob'), 'Bob');
        await sleep(300);
        const going = (await figures()).data; /* two are there, and their time runs */
        await sleep(200);
        assert.ok((await figures()).data.attended_ms >= going.attended_ms + 300);

        /* both die with the node, whose next one does not know of them; one comes again */
        await killControl(node);
        again.socket.close();
        host.socket.close();
        const third = await enter(node, id, user(node, 'zoe'), 'Zoe');
        await good(third.socket, 'room:leave');
        const { data } = await figures();
        const events = (await rest(node, 'GET', `/meeting/${id}/export`, { token: ada }))
            .body.data.events;
        const of = (type) => events.filter((e) => e.type === type).length;

        assert.equal(data.joins, of('kcs.participant.joined'));
        assert.equal(data.messages, of('kcs.chat.message'));
        assert.deepEqual([data.participants, data.joins, data.peak_participants, data.messages,
            data.reactions, data.hands_raised, data.screens_shared],
        [3, 4, 2, 2, 1, 1, 0]);
        assert.ok(data.duration_ms >= 290, `${data.duration_ms}`);
        assert.ok(data.attended_ms > data.duration_ms, `${data.attended_ms}`);
        assert.equal(data.first_fact_at, events[0].at);
        assert.equal(data.complete, true);
        third.socket.close();
    }));

/* Of a room that stands in the vault, and of one that only the store knows. */
test('who lost the socket misses nothing, though control was killed meanwhile',
    { timeout: 90_000 }, () =>
        withNode({ name: 'keep-missed', devices: ['udp:127.0.0.1'] }, async (node) => {
            const make = async () => (await rest(node, 'POST', '/meeting', {
                token: user(node, 'ada'), body: { meeting_name: 'Board' } })).body.data.id;
            const back = async (id, name, resume_token) => {
                const ticket = await rest(node, 'POST', `/meeting/${id}/join`,
                    { token: user(node, name), body: { display_name: name } });
                const socket = await connect(node, ticket.body.data.token);

                return { socket, answer: await good(socket, 'room:join',
                    { meeting_id: id, display_name: name, resume_token }) };
            };
            const kept = await make();
            const opened = await make();
            const rooms = [];

            for (const id of [kept, opened]) {
                const [ada, bob, eve] = [await back(id, 'ada'), await back(id, 'bob'),
                    await back(id, 'eve')];
                if (id === kept) {
                    for (const { socket } of [ada, bob, eve]) {
                        await good(socket, 'transport:create', { direction: 'recv' });
                    }
                }
                const { epoch, seq } = await good(ada.socket, 'layout:change',
                    { layout: 'speaker' });
                bob.socket.io.engine.close();
                await good(ada.socket, 'chat:send', { message: 'for eve', to: 'eve' });
                await good(eve.socket, 'hand:raise');
                await good(ada.socket, 'chat:send', { message: 'before' }); // is written
                rooms.push({ ada, bob, eve, epoch, seq });
            }
            await killControl(node);

            const sync = async (socket, since_seq, epoch) => {
                const page = await good(socket, 'room:sync', { since_seq, epoch });
                const behind = page.more ? await sync(socket, page.seq, page.epoch) : {
                    words: [], complete: true };

                return { words: [...page.facts.map(({ event, payload }) =>
                    payload.message ?? event), ...behind.words],
                complete: page.complete && behind.complete, snapshot: page.snapshot };
            };
            const [first, second] = rooms;
            const ada = await back(kept, 'ada', first.ada.answer.resume_token);
            await good(ada.socket, 'chat:send', { message: 'after' });
            const bob = await back(kept, 'bob', first.bob.answer.resume_token);
            assert.equal(bob.answer.resumed, true);
            const missed = await sync(bob.socket, first.seq, first.epoch);
            assert.deepEqual(missed.words, ['hand:raised', 'before', 'after']);
            assert.equal(missed.complete, true);

            /* too late to be the same participant, and still the same ears */
            await good(ada.socket, 'participant:remove', { target_user_id: 'eve' });
            const eve = await back(kept, 'eve');
            assert.equal(eve.answer.resumed, false);
            const { words } = await sync(eve.socket, first.seq, first.epoch);
            assert.deepEqual(words.slice(0, 4), ['for eve', 'hand:raised', 'before', 'after']);

            /* nobody had a transport there: another epoch, which begins with nobody */
            const alone = await back(opened, 'bob');
            assert.notEqual(alone.answer.epoch, second.epoch);
            const all = await sync(alone.socket, second.seq, second.epoch);
            assert.deepEqual(all.words.slice(0, 2), ['hand:raised', 'before']);
            assert.equal(all.complete, false);
            assert.deepEqual(all.snapshot.participants.map((p) => p.user_id), ['bob']);
            for (const { socket } of [ada, bob, eve, alone]) {
                socket.close();
            }
        }));

/* Without transports nothing of the room is in the vault: only the store has it. */
test('what anybody was told that a host decided outlives kill -9 at that moment',
    { timeout: 90_000 }, () =>
        withNode({ name: 'keep-decided', devices: ['udp:127.0.0.1'] }, async (node) => {
            const token = (sub) => user(node, sub);
            const made = await rest(node, 'POST', '/meeting', { token: token('ada'),
                body: { meeting_name: 'Board' } });
            const { id } = made.body.data;

            for (let round = 0; round < 4; round++) {
                const bad = `bad${round}`;
                const host = await enter(node, id, token('ada'), 'Ada');
                const bob = await enter(node, id, token('bob'), 'Bob');
                const role = ['presenter', 'attendee'][round % 2];

                await enter(node, id, token(bad), 'Bad');
                const heard = [next(bob.socket, 'participant:left'),
                    next(bob.socket, 'participant:role:changed')];
                /* whoever hears of it kills it, without a moment for the disk */
                host.socket.emit('participant:role:update',
                    { target_user_id: 'bob', new_role: role });
                host.socket.emit('participant:remove', { target_user_id: bad, ban: true });
                await Promise.all(heard);
                await killControl(node);

                const ticket = await rest(node, 'POST', `/meeting/${id}/join`,
                    { token: token(bad), body: { display_name: 'Bad' } });
                const socket = await connect(node, ticket.body.data.token);
                const answer = await ask(socket, 'room:join',
                    { meeting_id: id, display_name: 'Bad' });
                assert.equal(answer.error?.code, 'banned', `round ${round}`);
                const again = await enter(node, id, token('bob'), 'Bob');
                assert.equal(again.answer.your_role, role);
                for (const one of [host, bob, again]) {
                    one.socket.close();
                }
                socket.close();
            }
        }));

test('a full disk is told in words, and media goes on', { timeout: 90_000, skip: noRoot }, async () => {
    const disk = mkdtempSync(join(tmpdir(), 'kcs-disk-'));
    const mount = (...options) => execFileSync('mount', [...options, disk]);

    mount('-t', 'tmpfs', '-o', 'size=4m', 'kcs-disk');
    try {
        await withNode({ name: 'keep-full', devices: ['udp'], store: join(disk, 'kcs.db') },
            (node) => fillDisk(node, () => mount('-o', 'remount,size=32m')));
    } finally {
        execFileSync('umount', [disk]);
        rmdirSync(disk);
    }
});

async function fillDisk(node, grow) {
    const people = [];

    for (const name of ['Ann', 'Ben', 'Cem', 'Dan']) {
        const token = await node.token({ meeting: 'full', name, role: 'host' });
        const socket = await connect(node, token);
        await good(socket, 'room:join', { meeting_id: 'full', display_name: name });
        people.push(socket);
    }
    const admin = user(node, 'root', { role: 'admin', tenant: '' });
    const media = loadgen(node, ['--publishers', '1', '--subscribers', '5', '--media', 'both',
        '--seconds', '20'], { patience: 60 });
    const message = '\u{1F4BE}'.repeat(4_000);
    let refused;
    let kept = 0;

    await node.until('the disk is full', async () => {
        const answers = await Promise.all(people.map((s) => ask(s, 'chat:send', { message })));

        kept += answers.filter((answer) => answer.ok).length;
        refused = answers.find((a) => !a.ok && a.error.code !== 'rate_limited');
        return refused !== undefined;
    });
    assert.equal(refused.error.code, 'store_full');
    assert.ok(kept >= 10, `${kept} messages were kept before`);

    /* REST says it with its own status; all else of the meeting works */
    const made = await rest(node, 'POST', '/meeting', { token: admin,
        body: { meeting_name: 'x', meeting_description: 'y'.repeat(4_000) } });
    assert.equal(made.status, 507);
    assert.equal(made.body.code, 'store_full');
    const health = await rest(node, 'GET', '/health/system');
    assert.equal(health.body.data.store.state, 'degraded');
    assert.match(health.body.data.store.reason, /full/);
    const raised = next(people[1], 'hand:raised');
    await good(people[0], 'hand:raise');
    await raised;
    const { messages } = await good(people[0], 'chat:history', { limit: 200 });
    assert.equal(messages.length, kept, 'what was acknowledged, and nothing else');

    const { status, result, err } = await media;
    assert.equal(status, 0, `kcs-loadgen: ${err}`);
    assert.equal(result.streams_verified, 10);
    assert.equal(result.lost, 0);

    /* with room again it goes on by itself, and what happened meanwhile is written */
    grow();
    await node.until('the store works again', async () =>
        (await ask(people[0], 'chat:send', { message: 'room again' })).ok);
    for (const socket of people) {
        socket.close();
    }
}

test('operators copy the store, put it back, and make accounts', { timeout: 60_000 }, () =>
    withNode({ name: 'keep-copy', devices: ['udp:127.0.0.1'] }, async (node) => {
        const ada = user(node, 'ada');
        const make = async (name) => (await rest(node, 'POST', '/meeting',
            { token: ada, body: { meeting_name: name } })).body.data.id;
        const before = await make('before');
        const copy = join(node.dir, 'copy.db');

        await node.kcsctl('backup', copy);
        await assert.rejects(node.kcsctl('backup', copy), /already/);
        const after = await make('after');
        await assert.rejects(node.kcsctl('restore', copy, node.storePath), /stop kcs-control/);
        const audit = await node.kcsctl('audit');
        assert.match(audit, /meeting\.create/);

        /* back to the copy, on a store that nobody has open */
        const other = join(node.dir, 'other.db');
        const kcsctl = (...args) => execFileSync(join(BUILD, 'kcsctl'), args);
        kcsctl('backup', '--socket', node.adminSocket, other);
        kcsctl('restore', copy, other);
        assert.deepEqual(readFileSync(other), readFileSync(copy));
        assert.ok(existsSync(`${other}.before`));
        assert.throws(() => execFileSync(join(BUILD, 'kcsctl'),
            ['restore', node.secretFile, other], { stdio: 'pipe' }), /is no store/);
        for (const id of [before, after]) {
            assert.equal((await rest(node, 'GET', `/meeting/${id}`, { token: ada })).status, 200);
        }

        execFileSync(join(BUILD, 'kcsctl'), ['user', '--socket', node.adminSocket, '--role',
            'admin', 'add', 'ops'], { input: 'long enough\n' });
        const login = await rest(node, 'POST', '/auth/login',
            { body: { login: 'ops', password: 'long enough' } });
        assert.equal(login.body.data.role, 'admin');
    }));
