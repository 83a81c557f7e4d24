/* Two hundred clients come, ask for everything at random and go in every way there is,
 * while two people are in a call that must not notice. Afterwards nothing of them is left:
 * no object, packet buffer, ring memory, descriptor, vault record; and neither process,
 * built with AddressSanitizer, has anything to complain of.
 *
 * KCS_BUILD_ASAN names the build directory (-DKCS_SANITIZE=address); KCS_CHURN_SEED makes
 * the choices of a failed run again. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const ASAN = process.env.KCS_BUILD_ASAN;
const SEED = Number(process.env.KCS_CHURN_SEED ?? randomInt(2 ** 31));

if (ASAN !== undefined) {
    process.env.KCS_BUILD = ASAN; /* before lib/node.mjs reads it */
}
const { Person, withBrowser } = await import('./lib/browser.mjs');
const { BUILD, KEPT, withNode } = await import('./lib/node.mjs');
const { visitors } = await import('./lib/visitor.mjs');
const { assertCountersAddUp, buffersInUse, hangsUp, holdings, returns, vaultWordsInUse } =
    await import('./lib/holdings.mjs');

const VISITS = 200;
const AT_ONCE = 10;
const ROOMS = 4;
const WINDOW_MS = 2_000;

/* ---- the call that must not notice ---- */

/* Watches until told to stop: in every window both see new pictures and hear new packets of
 * each other, over the transports that they began with. */
class Watch {
    constructor(people) {
        this.people = people;
        this.windows = 0;
        this.stopped = false;
    }

    async look() {
        const [ada, grace] = this.people;

        return Promise.all(
            [
                [ada, grace],
                [grace, ada],
            ].map(async ([who, from]) => {
                const { received, transports } = await who.stats();
                const of = (kind) =>
                    received.find(
                        (entry) => entry.name === from.name && entry.kind === kind,
                    );
                const path = ['send', 'recv'].map((direction) => {
                    const { dtlsState, remoteAddress, remotePort } = transports[direction];
                    return { dtlsState, remoteAddress, remotePort };
                });

                return {
                    who: who.name,
                    frames: of('video')?.framesDecoded ?? -1,
                    sound: of('audio')?.packetsReceived ?? -1,
                    path: JSON.stringify(path),
                };
            }),
        );
    }

    async run() {
        let before = await this.look();

        while (!this.stopped) {
            await sleep(WINDOW_MS);
            const now = await this.look();
            for (const [i, { who, frames, sound, path }] of now.entries()) {
                assert.ok(
                    frames > before[i].frames,
                    `${who}: the picture stands still at ${frames} frames`,
                );
                assert.ok(
                    sound > before[i].sound,
                    `${who}: silence after ${sound} packets`,
                );
                assert.equal(path, before[i].path, `${who}: the transport has changed`);
            }
            before = now;
            this.windows++;
        }
    }

    start() {
        this.done = this.run().catch((error) => (this.failure = error));
    }

    async stop() {
        this.stopped = true;
        await this.done;
        if (this.failure !== undefined) {
            throw this.failure;
        }
    }
}

async function makeCall(browser, node) {
    const meeting = 'undisturbed';
    const people = [];

    for (const name of ['Ada Lovelace', 'Grace Hopper']) {
        const token = await node.token({ meeting, name });
        const person = await Person.open(browser, node, { name, meeting, token });
        people.push(person);
        await person.joined();
    }
    const [ada, grace] = people;
    await Promise.all([ada.receives(grace.name), grace.receives(ada.name)]);
    return people;
}

async function list(node, what, id) {
    return JSON.parse(await node.kcsctl(what, '--json'))
        .map((entry) => entry[id])
        .sort();
}

/* ---- the test ---- */

function needsAsan() {
    return ASAN === undefined ? 'KCS_BUILD_ASAN names no build directory' : false;
}

function assertBuiltWithAsan() {
    for (const program of ['kcs-control', 'kcs-dataplane']) {
        assert.ok(
            readFileSync(join(BUILD, program)).includes('__asan_init'),
            `${join(BUILD, program)} is built with AddressSanitizer`,
        );
    }
}

test(
    '200 come and go at random, a call runs on, and everything returns',
    { timeout: 300_000, skip: needsAsan() },
    async (t) => {
        t.diagnostic(`KCS_CHURN_SEED=${SEED}`);
        assertBuiltWithAsan();
        await withNode({ name: 'churn', devices: ['udp'] }, async (node) => {
            const empty = await holdings(node);
            const emptyBuffers = await buffersInUse(node);

            assert.equal(vaultWordsInUse(node.dataplane.pid), 0);
            await withBrowser(async (browser) => {
                const people = await makeCall(browser, node);
                const before = await holdings(node);
                const peers = await list(node, 'peers', 'transport_id');
                const streams = await list(node, 'streams', 'producer_id');
                const watch = new Watch(people);

                assert.equal(before.peers, 4);
                assert.equal(before.streams, 4);
                assert.equal(before.subscriptions, 4);
                assert.ok(vaultWordsInUse(node.dataplane.pid) > 0, 'the vault has records');
                watch.start();
                const tally = await visitors(node, {
                    seed: SEED,
                    visits: VISITS,
                    atOnce: AT_ONCE,
                    rooms: ROOMS,
                });
                t.diagnostic(JSON.stringify(tally));
                assert.ok(
                    tally.produced > VISITS && tally.consumed > VISITS / 2,
                    JSON.stringify(tally),
                );
                await returns(node, 'after the churn', before);
                await hangsUp(node, 'after the churn', people.length);
                await watch.stop();
                assert.ok(watch.windows >= 3, `${watch.windows} windows were watched`);
                assert.deepEqual(await list(node, 'peers', 'transport_id'), peers);
                assert.deepEqual(await list(node, 'streams', 'producer_id'), streams);
                await assertCountersAddUp(node);
            });
            await returns(node, 'after the call', empty);
            await hangsUp(node, 'after the call', 0);
            assert.ok(
                (await buffersInUse(node)) <= emptyBuffers,
                'every packet buffer has returned',
            );
            assert.equal(
                vaultWordsInUse(node.dataplane.pid),
                0,
                'nothing is left in the vault',
            );
            await assertCountersAddUp(node);
        });
        for (const program of ['kcs-control', 'kcs-dataplane']) {
            const log = readFileSync(join(KEPT, `churn.${program}.log`), 'utf8');
            assert.doesNotMatch(log, /Sanitizer|runtime error:/, `${program}: a clean log`);
        }
    },
);
