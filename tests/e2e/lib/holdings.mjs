/* What the two processes of a node hold: objects, packet buffers, ring memory, descriptors,
 * records of the vault; and that all of it comes back when those have gone that it was for. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SETTLE_MS = 90_000; /* a vanished poller: missed by its ping in 45 s, then 15 s of grace */
const VAULT_HEADER = 4096;
const COUNTER_MAX = 1n << 24n;
const COUNTER_ALONE = 8; /* words */
const OWN_CONNECTIONS = 1; /* fetch() keeps one for /metrics */

/* /metrics as a Map: series -> number. */
export async function readMetrics(node) {
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
export async function holdings(node) {
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

export async function buffersInUse(node) {
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
export async function hangsUp(node, what, others) {
    const deadline = Date.now() + SETTLE_MS;
    let open;

    do {
        await sleep(250);
        open = (await readMetrics(node)).get('kcs_net_connections');
    } while (open > OWN_CONNECTIONS + others && Date.now() < deadline);
    assert.ok(open <= OWN_CONNECTIONS + others, `${what}: ${open} are still connected`);
}

/* Waits until the node holds what it held before. */
export async function returns(node, what, before) {
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
export function vaultWordsInUse(pid) {
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

export async function assertCountersAddUp(node) {
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
