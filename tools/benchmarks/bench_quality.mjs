/* What the events of quality cost: the CPU time of control while so many people are in one
 * meeting, listen to one, and how well each does is told to a real Kafka every ten seconds. The
 * people are kcs-loadgen's: each with a WebSocket, DTLS, SRTP and receiver reports of its own.
 * Beside it, in the same run, the same people without a broker, a file or webhooks: nothing is
 * told then, but all is reckoned.
 *
 * usage: tools/bench quality [PEOPLE [SECONDS]]    10000 and 30 by default */
import { readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

import { loadgen } from '../../tests/e2e/lib/loadgen.mjs';
import { withNode } from '../../tests/e2e/lib/node.mjs';
import { withBroker } from '../../tests/kafka/broker.mjs';
import { kafkaYaml } from '../../tests/kafka/outbox.mjs';

const TOPIC = 'kcs.quality.v1';
const EVERY_S = 10; /* each is told of so often */
const JOINS_S = 100;
const [people = 10_000, seconds = 30] = process.argv.slice(2).map(Number);

if (!(people > 1) || !(seconds > 0)) {
    console.error('usage: tools/bench quality [PEOPLE [SECONDS]]');
    process.exit(2);
}
const HZ = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const JOINING_S = Math.ceil(people / JOINS_S) + 60;

/* Seconds of CPU that a process has taken. */
function cpuOf(pid) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');

    return (Number(fields[11]) + Number(fields[12])) / HZ;
}

/* How many a topic has had. */
function told(broker) {
    return [0, 1, 2].reduce((sum, partition) => {
        const text = execFileSync('kcat', ['-b', broker.address, '-Q', '-t', `${TOPIC}:${partition}:-1`],
            { encoding: 'utf8' });

        return sum + Number(text.trim().split(' ').at(-1));
    }, 0);
}

/* Resolves with what control took in the midst of the meeting. */
async function meet(name, events, count) {
    let figures;

    await withNode({
        name,
        devices: ['udp:127.0.0.1'],
        control: events,
        level: 'info',
        dataplane: `limits:\n  peers: ${people + 512}\n  subscriptions: ${people + 64}\n`,
    }, async (node) => {
        const stop = new AbortController();
        const running = loadgen(node, [
            ...['--publishers', '1', '--subscribers', `${people - 1}`, '--media', 'audio', '--rate', '2'],
            ...['--seconds', `${JOINING_S + 3 * EVERY_S + seconds}`, '--join-rate', `${JOINS_S}`],
            ...['--join-timeout', '60', '--verify-every', '100'],
        ], { patience: 2 * JOINING_S + 4 * EVERY_S + seconds, signal: stop.signal });

        await node.until('all have joined', async () =>
            (await node.metric('kcs_participants')) >= people, JOINING_S * 1_000);
        await sleep(1.5 * EVERY_S * 1_000);
        const [cpu, at, before] = [cpuOf(node.control.pid), Date.now(), count?.()];
        await sleep(seconds * 1_000);
        const s = (Date.now() - at) / 1_000;
        const events = count ? count() - before : 0;
        const due = people * Math.floor(s / EVERY_S);
        if (count && events < due) {
            throw new Error(`${events} events in ${s} s, of ${people} people at least ${due}`);
        }
        figures = {
            cpu_percent: Math.round((1_000 * (cpuOf(node.control.pid) - cpu)) / s) / 10,
            ...(count ? { events_per_s: Math.round(events / s) } : {}),
            ...(count ? { lost: await node.metric('kcs_event_quality_lost_total') } : {}),
        };
        stop.abort();
        const { status, err } = await running;
        if (status !== 0) {
            throw new Error(`kcs-loadgen ended with ${status}: ${err}`);
        }
    });
    return figures;
}

const silent = await meet('bench-quality-silent', 'events:\n  file:\n    max_mb: 0\n');
const loud = await withBroker(async (broker) => {
    await broker.makeTopics();
    return meet('bench-quality', kafkaYaml(broker), () => told(broker));
});
console.log(JSON.stringify({ people, seconds, told: loud, not_told: silent }));
