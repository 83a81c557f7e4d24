/* The dataplane's own count of media packets, as kcsctl tells it. This is the one place
 * that knows the fields of `kcsctl streams --json`: a list with one entry for each
 * published stream,
 *
 *     producer_id, packets      packets that arrived, were authentic and reached the ring
 *     subscribers[]             consumer_id, packets (sent), skipped */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

const SETTLE_STEP_MS = 800; /* the dataplane reports each 500 ms, 600 when it sleeps */
const SETTLE_MS = 15_000;

function count(entry, field, where) {
    assert.equal(
        typeof entry?.[field],
        'number',
        `kcsctl streams --json: ${where} has no '${field}': ${JSON.stringify(entry)}`,
    );
    return entry[field];
}

/* Resolves with a Map: producer id -> {packets, subscribers: Map of consumer id ->
 * packets, skipped: the same of what each was not sent}. */
export async function readCounters(node) {
    const streams = JSON.parse(await node.kcsctl('streams', '--json'));
    const counters = new Map();

    assert.ok(Array.isArray(streams), 'kcsctl streams --json is a list');
    for (const stream of streams) {
        const subscribers = new Map();
        const skipped = new Map();
        const where = `stream of producer ${stream.producer_id}`;

        assert.ok(Array.isArray(stream.subscribers), `${where} lists its subscribers`);
        for (const subscriber of stream.subscribers) {
            subscribers.set(subscriber.consumer_id, count(subscriber, 'packets', where));
            skipped.set(subscriber.consumer_id, count(subscriber, 'skipped', where));
        }
        counters.set(stream.producer_id, {
            packets: count(stream, 'packets', where),
            subscribers,
            skipped,
        });
    }
    return counters;
}

/* Reads until two readings are alike: nothing is on its way any more. */
export async function settledCounters(node) {
    const deadline = Date.now() + SETTLE_MS;
    let before = await readCounters(node);

    for (;;) {
        await sleep(SETTLE_STEP_MS);
        const now = await readCounters(node);
        if (JSON.stringify(flat(now)) === JSON.stringify(flat(before))) {
            return now;
        }
        assert.ok(
            Date.now() < deadline,
            `the dataplane still counts packets ${SETTLE_MS} ms after the last was sent`,
        );
        before = now;
    }
}

function flat(counters) {
    return [...counters].map(([id, { packets, subscribers }]) => [
        id,
        packets,
        [...subscribers],
    ]);
}

/* Asserts that between two settled readings every packet that came in on a stream went
 * out to each of its subscribers, once. `least` packets must have come on each stream. */
export function assertBalanced(before, after, { streams, least }) {
    assert.equal(after.size, streams, `the dataplane knows ${streams} streams`);
    for (const [producerId, now] of after) {
        const then = before.get(producerId);
        assert.ok(then !== undefined, `producer ${producerId} was there before`);
        const came = now.packets - then.packets;

        assert.ok(came >= least, `producer ${producerId}: ${came} packets in, ≥ ${least}`);
        assert.ok(now.subscribers.size > 0, `producer ${producerId} has a subscriber`);
        for (const [consumerId, packets] of now.subscribers) {
            const went = packets - (then.subscribers.get(consumerId) ?? 0);
            assert.equal(
                went,
                came,
                `producer ${producerId}, consumer ${consumerId}: packets out = in; ` +
                    `${now.skipped.get(consumerId)} skipped`,
            );
        }
    }
}
