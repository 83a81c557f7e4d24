/* What the two processes of a node take of this machine, as /proc tells. */
import { readFileSync, readdirSync } from 'node:fs';

const SAMPLE_MS = 200;

/* Microseconds of CLOCK_MONOTONIC, as kcs-loadgen tells them. */
const now = () => Number(process.hrtime.bigint() / 1000n);

/* CPU seconds of all threads of a process, to the nanosecond, and by their names; bytes that are resident, those
 * of them that are its own (the rest is files and what both processes share, the vault), and that
 * it has mapped in all. */
function look(pid) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const bytes = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) * 1024;
    const threads = {};
    let cpu = 0;

    for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const of = `/proc/${pid}/task/${thread}`;
        const name = readFileSync(`${of}/comm`, 'utf8').trim();
        const s = Number(readFileSync(`${of}/schedstat`, 'utf8').split(' ')[0]) / 1e9;

        threads[name] = (threads[name] ?? 0) + s;
        cpu += s;
    }
    return { cpu, threads, memory: bytes('VmRSS'), own: bytes('RssAnon'),
        mapped: bytes('VmSize') };
}

export function lookAtBoth(node) {
    return { at: now(), control: look(node.control.pid), dataplane: look(node.dataplane.pid) };
}

/* How often the threads of both have gone to sleep by themselves. */
export function sleeps(node) {
    let n = 0;

    for (const { pid } of [node.control, node.dataplane]) {
        for (const thread of readdirSync(`/proc/${pid}/task`)) {
            const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
            n += Number(/\nvoluntary_ctxt_switches:\s+(\d+)/.exec(status)[1]);
        }
    }
    return n;
}

/* Looks at both again and again until stop(). at(us) is what they had taken then: the first
 * look from then on, so that what came before is in it. */
export function watch(node) {
    const seen = [lookAtBoth(node)];
    const timer = setInterval(() => seen.push(lookAtBoth(node)), SAMPLE_MS);

    return {
        first: seen[0],
        at: (us) => seen.find(({ at }) => at >= us) ?? seen.at(-1),
        stop: () => {
            clearInterval(timer);
            seen.push(lookAtBoth(node));
        },
    };
}

/* Cores in use by one process between two looks. */
export function cores(name, from, to) {
    return (to[name].cpu - from[name].cpu) / ((to.at - from.at) / 1e6);
}
