/* A node under a steady load of media while others come, go, mute, wish for other layers and
 * vanish; and what it holds before and after. Used by bench_soak.mjs and by a test of tests/e2e/,
 * which judge it.
 *
 * All at once: a meeting whose media must all arrive; one whose people are restless, in several
 * sizes; complete clients that join one of these or make a meeting of their own and are gone after a
 * second, some of them killed; visitors without media that ask for anything. */
import { setTimeout as sleep } from 'node:timers/promises';

import { buffersInUse, hangsUp, holdings, returns, vaultWordsInUse } from '../../tests/e2e/lib/holdings.mjs';
import { loadgen } from '../../tests/e2e/lib/loadgen.mjs';
import { visitors } from '../../tests/e2e/lib/visitor.mjs';
import { cores, lookAtBoth } from './node_watch.mjs';

const STEADY = ['--publishers', '2', '--subscribers', '6', '--media', 'both', '--audio-rate', '25',
    '--rate', '30', '--no-feedback'];
const RESTLESS = ['--publishers', '2', '--subscribers', '4', '--media', 'both', '--audio-rate', '25',
    '--rate', '40', '--layers', '3', '--restless', '0.3'];
const COMERS = ['--seconds', '1', '--media', 'both', '--audio-rate', '25', '--rate', '30'];
const GUESTS = ['--publishers', '0', '--subscribers', '4']; /* of the steady meeting */
const OWN = ['--publishers', '1', '--subscribers', '3'];
const KILLED = 4; /* each so manieth group of comers */
const KILLED_AFTER_MS = 700;
const VISITORS = 2; /* at a time */
const VISITOR_ROOMS = 3;
const REST_MS = 400; /* from one to the next */
const SETTLE_LOOKS = 10;
const JOIN_S = 20;

/* The least of some looks, at rest: bytes of each process's own. What both share is laid out once
 * for all, and resident once it was used. */
async function memoryAtRest(node) {
    const least = { control: Infinity, dataplane: Infinity };

    for (let i = 0; i < SETTLE_LOOKS; i++) {
        const now = lookAtBoth(node);

        for (const name of Object.keys(least)) {
            least[name] = Math.min(least[name], now[name].own);
        }
        await sleep(100);
    }
    return least;
}

/* What a node holds with nobody there; 'before' it must be the same again but for memory. */
async function atRest(node, what, before) {
    await hangsUp(node, what, 0);
    if (before !== undefined) {
        await returns(node, what, before.holdings);
    }
    return {
        holdings: before?.holdings ?? (await holdings(node)),
        buffers: await buffersInUse(node),
        vault_words: vaultWordsInUse(node.dataplane.pid),
        dataplane_mapped: lookAtBoth(node).dataplane.mapped,
        memory: await memoryAtRest(node),
    };
}

const count = (descriptors) => Object.values(descriptors).reduce((sum, n) => sum + n, 0);

/* A look at what is held while all goes on. */
async function sample(node, began) {
    const held = await holdings(node);
    const { at, control, dataplane } = lookAtBoth(node);

    return {
        seconds: Math.round((at - began) / 1e5) / 10,
        control_bytes: control.own,
        dataplane_bytes: dataplane.own,
        fds: count(held.control) + count(held.dataplane),
        buffers: await buffersInUse(node),
        participants: held.participants,
        peers: held.peers,
        streams: held.streams,
        subscriptions: held.subscriptions,
    };
}

async function runLoad(node, args, options) {
    const { status, result, err } = await loadgen(node, [...args, '--quiet'], options);

    if (status !== 0) {
        throw new Error(`kcs-loadgen ${args.join(' ')} ended with ${status}: ${err}`);
    }
    return result;
}

/* Groups of complete clients, one after the other. */
async function comeAndGo(node, until, sums) {
    for (let i = 0; Date.now() < until; i++) {
        const guests = i % 2 === 0;
        const args = [...COMERS, ...(guests ? GUESTS : OWN)];
        const meeting = guests ? 'steady' : `own-${i % 8}`;

        if (i % KILLED === KILLED - 1) {
            const running = loadgen(node, [...args, '--quiet'], { meeting });
            const child = node.witnesses.at(-1);

            await sleep(KILLED_AFTER_MS);
            child.kill('SIGKILL');
            await running;
            sums.killed++;
        } else {
            const { joined, received } = await runLoad(node, args, { meeting });

            sums.joined += joined;
            sums.received += received;
        }
        node.witnesses.pop(); /* it has ended; there are hundreds */
    }
}

async function round(node, { seconds, seed, sampleMs }) {
    const until = Date.now() + seconds * 1000;
    const patience = seconds + 2 * JOIN_S;
    const began = lookAtBoth(node);
    const sums = { joined: 0, received: 0, killed: 0 };
    const samples = [];
    let over = false;
    const watch = (async () => {
        while (!over) {
            await sleep(sampleMs);
            samples.push(await sample(node, began.at));
        }
    })();

    try {
        const forSeconds = ['--seconds', `${seconds}`];
        const [steady, restless, , tally] = await Promise.all([
            runLoad(node, [...STEADY, ...forSeconds], { patience, meeting: 'steady' }),
            runLoad(node, [...RESTLESS, ...forSeconds], { patience, meeting: 'restless' }),
            comeAndGo(node, until, sums),
            visitors(node, {
                seed, until, atOnce: VISITORS, rooms: VISITOR_ROOMS,
                manners: {
                    ways: [['websocket']], /* a vanished poller is missed after a minute only */
                    restMs: REST_MS,
                },
            }),
        ]);
        const ended = lookAtBoth(node);

        return {
            seconds: (ended.at - began.at) / 1e6,
            cores: { control: cores('control', began, ended), dataplane: cores('dataplane', began, ended) },
            joins: sums.joined + steady.joined + restless.joined,
            killed: sums.killed,
            packets: sums.received + steady.received + restless.received,
            lost: steady.lost + restless.lost,
            restless: { changes: restless.whims, switches: restless.switches },
            visitors: tally,
            samples,
        };
    } finally {
        over = true;
        await watch;
    }
}

/* A round to warm up, then one of 'seconds'; 'start' and 'end' are what is held with nobody
 * there before and after it. Throws if anything but memory has not returned by then, or if media
 * of the steady meeting was lost. */
export async function soak(node, { seconds, warmUp, seed, sampleMs = 5000 }) {
    const empty = await atRest(node, 'at first');

    await round(node, { seconds: warmUp, seed, sampleMs });
    const start = await atRest(node, 'after the warm-up', empty);
    const measured = await round(node, { seconds, seed: seed + 1, sampleMs });
    const end = await atRest(node, 'after the soak', empty);

    return { ...measured, empty, start, end };
}

const MIB = 1024 * 1024;
/* By so much control's memory may differ between two times of rest: pages of its allocator. The
 * dataplane lays out all at its start: it may map no more, and use of that what it never used. */
const CONTROL_SLACK = 4 * MIB;

/* What has not returned; empty if all has. (Objects and descriptors are waited for by soak().) */
export function judge({ lost, empty, start, end }) {
    const wrong = [];
    const grown = end.memory.control - start.memory.control;

    if (grown > CONTROL_SLACK) {
        wrong.push(`kcs-control has grown by ${(grown / MIB).toFixed(2)} MiB`);
    }
    if (end.dataplane_mapped > start.dataplane_mapped) {
        wrong.push('kcs-dataplane has asked for memory after its start');
    }
    if (end.buffers > empty.buffers) {
        wrong.push(`${end.buffers - empty.buffers} packet buffers have not returned`);
    }
    if (end.vault_words > 0) {
        wrong.push(`${end.vault_words} words are left in the vault`);
    }
    if (lost > 0) {
        wrong.push(`${lost} packets were lost`);
    }
    return wrong;
}

/* The node to do it with. Without a store: what SQLite keeps of its pages, up to 32 MB, would hide
 * what else grows. */
export const SOAK_NODE = {
    devices: ['udp:127.0.0.1'],
    level: 'warn',
    store: '""',
    /* packets: so few that all have been used before long; rings: visitors who have vanished keep
     * theirs for a while */
    dataplane: 'memory:\n  packets: 4096\n  streams_mib: 4096\n',
};
