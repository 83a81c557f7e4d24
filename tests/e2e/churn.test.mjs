/* Two hundred clients come, ask for everything at random and go in every way there is,
 * while two people are in a call that must not notice. Afterwards nothing of them is left:
 * no object, packet buffer, ring memory, descriptor, vault record; and neither process,
 * built with AddressSanitizer, has anything to complain of.
 *
 * KCS_BUILD_ASAN names the build directory (-DKCS_SANITIZE=address); KCS_CHURN_SEED makes
 * the choices of a failed run again. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
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
const { Visitor } = await import('./lib/visitor.mjs');

const VISITS = 200;
const AT_ONCE = 10;
const ROOMS = 4;
const WINDOW_MS = 2_000;
const SETTLE_MS = 90_000; /* a vanished poller: missed by its ping in 45 s, then 15 s of grace */
const VAULT_HEADER = 4096;
const COUNTER_MAX = 1n << 24n;
const COUNTER_ALONE = 8; /* words */
const OWN_CONNECTIONS = 1; /* fetch() keeps one for /metrics */

async function churn(node) {
    const tally = { asked: 0, refused: 0, produced: 0, consumed: 0, vanished: 0 };
    let next = 0;

    await Promise.all(
        Array.from({ length: AT_ONCE }, async () => {
            while (next < VISITS && tally.failure === undefined) {
                const number = next++;
                await new Visitor(
                    node,
                    SEED + number * 7919,
                    `churn-${number % ROOMS}`,
                    tally,
                ).visit();
            }
        }),
    );
    if (tally.failure !== undefined) {
        throw tally.failure;
    }
    return tally;
}

/* ---- what the processes hold ---- */

/* /metrics as a Map: series -> number. */
async function readMetrics(node) {
    const response = await fetch(`http://127.0.0.1:${node.metricsPort}/metrics`);
    const lines = (await response.text()).split('\n');

    return new Map(
        lines
            .filter((line) => line !== '' && !line.startsWith('#'))
            .map((line) => line.match(/^(.+) (\S+)$/))
            .map(([, series, value]) => [series, Number(value)]),
    );
}

function sum(metrics, family, filter = '') {
    return [...metrics]
        .filter(([series]) => series.startsWith(`${family}{`) && series.includes(filter))
        .reduce((total, [, value]) => total + value, 0);
}

/* Descriptors of a process by what they are, without the numbers of sockets and pipes. */
function descriptors(pid) {
    const counts = {};

    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        let target;
        try {
            target = readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/:\[\d+\]$/, '');
        } catch {
            continue; /* closed since it was listed */
        }
        counts[target] = (counts[target] ?? 0) + 1;
    }
    return counts;
}

/* The metrics and control's descriptors of one moment: a connection that ends between two
 * looks would be counted in one and not in the other. */
async function readTogether(node) {
    const connections = (metrics) => metrics.get('kcs_net_connections');
    let metrics = await readMetrics(node);

    for (;;) {
        const control = descriptors(node.control.pid);
        const after = await readMetrics(node);

        if (connections(after) === connections(metrics)) {
            control.socket -= connections(after);
            return { metrics: after, control };
        }
        metrics = after;
    }
}

/* What is held that must come back. Connections of clients are counted by themselves: an
 * idle one may stay for a while after its last request. */
async function holdings(node) {
    const { metrics, control } = await readTogether(node);
    const lanes = (family) => sum(metrics, `kcs_lane_${family}`);

    return {
        dataplane: descriptors(node.dataplane.pid),
        control,
        rooms: metrics.get('kcs_rooms'),
        participants: metrics.get('kcs_participants'),
        clients: metrics.get('kcs_clients'),
        websockets: metrics.get('kcs_websocket_open'),
        sessions: sum(metrics, 'kcs_sessions'),
        peers: lanes('peers'),
        streams: lanes('streams'),
        subscriptions: lanes('subscriptions'),
        ring_bytes: lanes('ring_used_bytes'),
    };
}

async function buffersInUse(node) {
    let least = Infinity;

    for (let i = 0; i < 10; i++) {
        /* media in flight comes and goes */
        const metrics = await readMetrics(node);
        least = Math.min(
            least,
            sum(metrics, 'kcs_lane_buffers') - sum(metrics, 'kcs_lane_buffers_free'),
        );
        await sleep(100);
    }
    return least;
}

/* Waits until nobody is connected but our own questions and 'others'. */
async function hangsUp(node, what, others) {
    const deadline = Date.now() + SETTLE_MS;
    let open;

    do {
        await sleep(250);
        open = (await readMetrics(node)).get('kcs_net_connections');
    } while (open > OWN_CONNECTIONS + others && Date.now() < deadline);
    assert.ok(open <= OWN_CONNECTIONS + others, `${what}: ${open} are still connected`);
}

/* Waits until the node holds what it held before. */
async function returns(node, what, before) {
    const deadline = Date.now() + SETTLE_MS;
    let now;

    do {
        await sleep(250);
        now = await holdings(node);
    } while (JSON.stringify(now) !== JSON.stringify(before) && Date.now() < deadline);
    assert.deepEqual(now, before, `${what}: all that was held has returned`);
}

/* How many words of the vault are more than the commit counter of a record that was given
 * back: such a counter is a small number, and nothing stands near to it. */
function vaultWordsInUse(pid) {
    const dir = `/proc/${pid}/fd`;
    const fd = readdirSync(dir).find((name) =>
        readlinkSync(join(dir, name)).includes('kcs-vault'),
    );

    assert.ok(fd !== undefined, 'the dataplane holds the vault');
    const bytes = readFileSync(join(dir, fd)).subarray(VAULT_HEADER);
    const words = new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
    let used = 0;
    let last = -COUNTER_ALONE;
    for (let i = 0; i < words.length; i++) {
        if (words[i] !== 0n) {
            used += words[i] >= COUNTER_MAX || i - last < COUNTER_ALONE ? 1 : 0;
            last = i;
        }
    }
    return used;
}

async function assertCountersAddUp(node) {
    const { balance } = JSON.parse(await node.kcsctl('drops', '--json'));
    const metrics = await readMetrics(node);

    for (const lane of balance) {
        assert.equal(
            lane.frames_in + lane.handed_in,
            lane.answered + lane.ignored + lane.handled + lane.dropped + lane.handed_out,
            JSON.stringify(lane),
        );
    }
    assert.equal(
        sum(metrics, 'kcs_lane_frames_in_total') + sum(metrics, 'kcs_lane_handed_in_total'),
        sum(metrics, 'kcs_lane_answered_total') +
            sum(metrics, 'kcs_lane_ignored_total') +
            sum(metrics, 'kcs_lane_done_total') +
            sum(metrics, 'kcs_lane_handed_out_total') +
            sum(metrics, 'kcs_drops_total', 'direction="in"'),
        '/metrics: frames in + handed in = answered + ignored + done + dropped + handed out',
    );
    assert.ok(sum(metrics, 'kcs_lane_frames_in_total') > 1000, 'media has flowed');
    assert.equal(metrics.get('kcs_media_bad_total'), 0, 'the contract was kept');
}

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
                const tally = await churn(node);
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
