/* Who speaks: two tabs whose microphones beep, muted in turn; a third client is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Person, withBrowser } from './lib/browser.mjs';
import { connect, ask } from './lib/client.mjs';
import { withNode } from './lib/node.mjs';

const MEETING = 'e2e-speaker';
const WAIT_MS = 15_000;
const QUIET_MS = 3_000; /* of which the node keeps two */

async function until(what, condition) {
    for (const end = Date.now() + WAIT_MS; !(await condition()); await sleep(50)) {
        assert.ok(Date.now() < end, `waited ${WAIT_MS} ms in vain: ${what}`);
    }
}

/* Makes what the page sends silent at its source: the producer goes on. */
function silence(person, on) {
    return person.page.evaluate((off) => {
        for (const track of window.kcsTest.tracks()) {
            track.enabled = track.kind !== 'audio' || !off;
        }
    }, on);
}

async function packetsFrom(who, name) {
    return (await who.received(name, 'audio')).packetsReceived;
}

test('the active speaker follows who is heard; silence costs nothing', {
    timeout: 120_000,
}, async () => {
    await withNode({ name: 'speaker', devices: ['udp'] }, async (node) => {
        const watcher = await connect(
            node,
            await node.token({ meeting: MEETING, name: 'Watcher' }),
        );
        const told = [];

        const ids = new Map();

        watcher.on('participant:joined', (event) =>
            ids.set(event.display_name, event.participant_id),
        );
        watcher.on('speaker:active', (event) => told.push(event));
        const joined = await ask(watcher, 'room:join', {
            meeting_id: MEETING,
            display_name: 'Watcher',
        });
        assert.equal(joined.ok, true);
        await withBrowser(async (browser) => {
            const people = [];

            for (const name of ['Ada', 'Grace']) {
                const token = await node.token({ meeting: MEETING, name });
                const options = { name, meeting: MEETING, token, camera: false };
                const person = await Person.open(browser, node, options);

                people.push(person);
                await person.joined();
                if (name === 'Grace') {
                    await silence(person, true);
                }
            }
            const [ada, grace] = people;
            const [adaId, graceId] = people.map(({ name }) => ids.get(name));
            const last = () => told.at(-1)?.participant_id;

            await until('Ada has the floor', () => last() === adaId);
            assert.equal(told.at(-1).meeting_id, MEETING);
            assert.equal(typeof told.at(-1).producer_id, 'string');
            assert.equal(typeof told.at(-1).user_id, 'string');

            /* Grace is silent: after a while nothing of her comes to Ada */
            await sleep(QUIET_MS);
            const before = await packetsFrom(ada, 'Grace');
            const n = told.length;
            await sleep(QUIET_MS);
            assert.equal(await packetsFrom(ada, 'Grace'), before, 'silence is not sent');
            assert.ok((await packetsFrom(grace, 'Ada')) > 0);
            assert.equal(told.length, n, `told without a change: ${JSON.stringify(told)}`);

            /* they change places */
            await silence(ada, true);
            await silence(grace, false);
            await until('Grace has the floor', () => last() === graceId);
            const lost = (await ada.received('Grace', 'audio')).packetsLost;
            assert.ok((await packetsFrom(ada, 'Grace')) > before, 'her word arrives');
            assert.ok(lost < 10, `${lost} packets of the silence count as lost`);
            assert.ok(told.length <= n + 2, `flapping: ${JSON.stringify(told)}`);
        });
        watcher.close();
    });
});
