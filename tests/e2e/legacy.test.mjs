/* The legacy dialect on the namespace /, spoken by a client that was written from its
 * description (docs/api.md), with both generations of mediasoup-client, and beside the page. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { Person, withBrowser } from './lib/browser.mjs';
import { connect, ask } from './lib/client.mjs';
import { openLegacy } from './lib/legacy.mjs';
import { withNode } from './lib/node.mjs';

const MEDIA_MS = 30_000;
const LEAST = { video: 20, audio: 50 }; /* frames decoded and packets */

const told = (page, event) =>
    page.evaluate(
        (wanted) =>
            window.legacy.own.told.filter((e) => e.event === wanted).map((e) => e.data),
        event,
    );

async function heard(page, event, times = 1) {
    await page.waitForFunction(
        (wanted, least) =>
            window.legacy.own.told.filter((e) => e.event === wanted).length >= least,
        { timeout: MEDIA_MS, polling: 50 },
        event,
        times,
    );
    return told(page, event);
}

/* Picture and sound of the other arrive. */
async function receives(page) {
    await page.waitForFunction(
        async (least) => {
            const { video, audio } = await window.legacy.stats();
            return video >= least.video && audio >= least.audio;
        },
        { timeout: MEDIA_MS, polling: 200 },
        LEAST,
    );
    assert.deepEqual(await page.evaluate(() => window.legacy.own.errors), []);
}

async function enter(page, node, meeting, name) {
    const token = await node.token({ meeting, name });

    await page.evaluate((options) => window.legacy.join(options), {
        origin: node.origin,
        token,
        meetingId: meeting,
    });
}

test('two legacy clients, of two generations, see and hear each other', { timeout: 120_000 }, () =>
    withNode({ name: 'legacy', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const meeting = 'e2e-legacy';
            const ada = await openLegacy(browser, node, 'mediasoup-client');
            const bob = await openLegacy(browser, node, 'mediasoup-client-37');

            await enter(ada, node, meeting, 'Ada');
            await enter(bob, node, meeting, 'Bob');
            await Promise.all([receives(ada), receives(bob)]);

            for (const page of [ada, bob]) {
                assert.equal(await page.evaluate(() => window.legacy.own.first), 'polling');
                assert.ok(await page.evaluate(() => window.legacy.own.upgraded), 'upgraded');
            }
            const { existingProducers } = (await told(bob, 'meeting-joined'))[0];
            assert.deepEqual(existingProducers.map(({ kind }) => kind).sort(), [
                'audio',
                'video',
            ]);
            const [joined] = await told(ada, 'participant-joined');
            assert.equal(joined.displayName, 'Bob');
            const heardOf = await told(ada, 'new-producer');
            for (const { participantId, kind, appData } of heardOf) {
                assert.equal(participantId, joined.participantId);
                assert.deepEqual(appData, {
                    label: `my ${kind}`,
                    keep_this: { as_it: 'is' },
                });
            }
            const consumed = await told(ada, 'consumed');
            assert.deepEqual(
                consumed.map((each) => each.producerParticipantId),
                [joined.participantId, joined.participantId],
            );

            /* a producer ends, then the person */
            const closed = await bob.evaluate(async () => {
                const [producer] = window.legacy.own.producers;
                await window.legacy.ask(
                    'close-producer',
                    { producerId: producer.id },
                    'producer-closed',
                );
                return producer.id;
            });
            assert.equal((await heard(ada, 'producer-closed'))[0].producerId, closed);
            await bob.evaluate((meetingId) => {
                window.legacy.emit('leave-meeting', { meetingId });
            }, meeting);
            const [left] = await heard(ada, 'participant-left');
            assert.equal(left.participantId, joined.participantId);
            assert.equal((await told(ada, 'producer-closed')).length, 2);
        }),
    ),
);

test('a legacy client and the page see and hear each other', { timeout: 120_000 }, () =>
    withNode({ name: 'legacy-page', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const meeting = 'e2e-legacy-page';
            const token = await node.token({ meeting, name: 'Grace' });
            const grace = await Person.open(browser, node, {
                ...{ name: 'Grace', meeting, token },
            });
            await grace.joined();
            const bob = await openLegacy(browser, node, 'mediasoup-client-37');
            await enter(bob, node, meeting, 'Bob');
            await Promise.all([receives(bob), grace.receives('Bob')]);
        }),
    ),
);

test('refusals without acks are the event error', { timeout: 60_000 }, () =>
    withNode({ name: 'legacy-errors', devices: ['udp'] }, async (node) => {
        const meeting = 'e2e-legacy-errors';
        const token = await node.token({ meeting, name: 'Eve' });
        const socket = io(node.origin, { auth: { token }, reconnection: false });
        const next = (event) =>
            new Promise((done, failed) => {
                setTimeout(() => failed(new Error(`no ${event}`)), 8_000).unref();
                socket.once(event, done);
            });
        const refused = async (event, payload) => {
            const error = next('error');
            socket.emit(event, payload);
            const { code, message, event: named } = await error;
            assert.equal(named, event in known ? event : 'unknown');
            assert.equal(typeof message, 'string');
            return code;
        };
        const known = Object.fromEntries(
            [
                ...['join-meeting', 'create-transport', 'connect-transport', 'produce'],
                ...['consume', 'resume-consumer', 'close-producer', 'leave-meeting'],
                ...['send-message', 'typing', 'send-reaction', 'raise-hand'],
                'toggle-recording',
            ].map((event) => [event, true]),
        );

        await next('connect');
        assert.equal(await refused('create-transport', { direction: 'send' }), 'not_joined');
        assert.equal(await refused('join-meeting', {}), 'invalid');
        assert.equal(await refused('join-meeting', 'text'), 'invalid');
        assert.equal(await refused('join-meeting', { meetingId: 'other' }), 'not_found');
        assert.equal(await refused('room:join', { meeting_id: meeting }), 'unknown_event');
        const joined = next('meeting-joined');
        socket.emit('join-meeting', { meetingId: meeting });
        assert.deepEqual((await joined).existingProducers, []);
        assert.equal(await refused('join-meeting', { meetingId: meeting }), 'already_joined');
        assert.equal(
            await refused('create-transport', { meetingId: 'other', direction: 'send' }),
            'not_found',
        );
        assert.equal(await refused('create-transport', { direction: 'up' }), 'invalid');
        assert.equal(await refused('produce', { kind: 'audio' }), 'invalid');
        const appData = { big: 'x'.repeat(5000) };
        assert.equal(await refused('produce', { kind: 'audio', appData }), 'invalid');
        assert.equal(await refused('consume', { producerId: 'none' }), 'invalid');
        assert.equal(await refused('resume-consumer', { consumerId: 'none' }), 'not_found');
        assert.equal(await refused('close-producer', { producerId: 'none' }), 'not_found');

        for (const event of ['send-message', 'send-reaction']) {
            assert.equal(await refused(event, {}), 'invalid'); /* in want of fields */
        }
        assert.equal(await refused('toggle-recording', { start: true }), 'forbidden');

        /* the two namespaces beside each other on one connection */
        const modern = socket.io.socket('/meeting', { auth: { token } });
        await new Promise((done) => modern.once('connect', done));
        const reply = await ask(modern, 'room:join', {
            meeting_id: meeting,
            display_name: 'Modern',
        });
        assert.equal(reply.ok, true);
        assert.equal(reply.participant_count, 2);
        const left = next('participant-left');
        modern.close();
        assert.equal((await left).reason, 'client namespace disconnect');
        const other = await connect(node, token);
        assert.ok(socket.connected);
        other.close();
        socket.close();
    }),
);
