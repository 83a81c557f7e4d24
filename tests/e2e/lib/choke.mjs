/* A process that may use no more than so much of the CPU, as a container with a limit: by a
 * control group of its own, of whichever version the system has. */
import { mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PERIOD_US = 100_000; /* what containers have if nobody says otherwise */
const TICKS = 100; /* of a second, in /proc */
const V1 = '/sys/fs/cgroup/cpu';
const V2 = '/sys/fs/cgroup';

/* Makes a group. Returns undefined where none may be made. */
export function makeChoke() {
    for (const [base, quota] of [[V1, 'cpu.cfs_quota_us'], [V2, 'cpu.max']]) {
        let dir;

        try {
            if (base === V2) {
                writeFileSync(join(base, 'cgroup.subtree_control'), '+cpu');
            }
            dir = mkdtempSync(join(base, 'kcs-e2e-'));
            readFileSync(join(dir, quota));
            return new Choke(base, dir);
        } catch {
            if (dir !== undefined) {
                rmdirSync(dir);
            }
        }
    }
    return undefined;
}

class Choke {
    constructor(base, dir) {
        this.base = base;
        this.dir = dir;
    }

    hold(pid) {
        writeFileSync(join(this.dir, 'cgroup.procs'), `${pid}`);
    }

    /* To so much of one CPU; Infinity: to all there is. */
    limit(share) {
        const free = share === Infinity;
        const us = free ? 0 : Math.max(1_000, Math.round(share * PERIOD_US));

        if (this.base === V2) {
            writeFileSync(join(this.dir, 'cpu.max'), `${free ? 'max' : us} ${PERIOD_US}`);
        } else {
            writeFileSync(join(this.dir, 'cpu.cfs_period_us'), `${PERIOD_US}`);
            writeFileSync(join(this.dir, 'cpu.cfs_quota_us'), `${free ? -1 : us}`);
        }
    }

    /* When the process has ended. */
    end() {
        rmdirSync(this.dir);
    }
}

function cpuSeconds(pid) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');

    return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/* How much of one CPU a process uses for so long. */
export async function shareOf(pid, ms) {
    const before = cpuSeconds(pid);

    await sleep(ms);
    return ((cpuSeconds(pid) - before) * 1_000) / ms;
}
