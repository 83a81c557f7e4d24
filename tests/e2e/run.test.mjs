/* tools/run keeps a node alive, whichever of its processes dies, and leaves nothing behind
 * when it is told to stop. It is of this machine, not of a test: it has the sockets in
 * /run/kcs and the pair kcs0. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freeTcp } from './lib/node.mjs';

const TOP = join(dirname(fileURLToPath(import.meta.url)), '../..');
const RUN = join(TOP, 'tools/run');
const SOCKETS = '/run/kcs';
const PAIR = '/sys/class/net/kcs0';
const START_MS = 60_000; /* it looks first whether all is built */
const WAIT_MS = 15_000;
const BOTH = 4; /* times that both are killed */
const KILLS = 20; /* of the dataplane, in a row */
const BACK_MS = 3_000; /* in which media must be back */

function skip() {
    if (process.getuid() !== 0) {
        return 'needs root, for the pair and /run/kcs';
    }
    return existsSync(SOCKETS) || existsSync(PAIR) ? 'a node runs here already' : false;
}

async function until(what, wait, check) {
    const deadline = Date.now() + wait;

    while (Date.now() < deadline) {
        if (await check()) {
            return;
        }
        await sleep(50);
    }
    throw new Error(`waited ${wait} ms in vain: ${what}`);
}

/* Process ids of a program that tools/run of this tree has started. */
function pids(program) {
    return readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .filter((pid) => {
            try {
                const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
                return (
                    line[0] === `build/${program}` &&
                    line.some((word) => word.startsWith(join(TOP, 'build/run')))
                );
            } catch {
                return false; /* gone since */
            }
        })
        .map(Number);
}

function programsOfXdp() {
    const links = execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' });

    return links.split('\n').filter((line) => line.includes('xdp')).length;
}

async function ready(http) {
    try {
        const answer = await fetch(`http://127.0.0.1:${http}/api/health/ready`);
        await answer.arrayBuffer();
        return answer.status === 200;
    } catch {
        return false;
    }
}

/* Kills the program that runs; resolves when there is another. */
async function killAndReplace(program) {
    const [victim] = pids(program);

    assert.ok(victim > 0, `${program} runs`);
    process.kill(victim, 'SIGKILL');
    await until(`another ${program}`, WAIT_MS, () =>
        pids(program).some((pid) => pid !== victim),
    );
}

/* Runs 'body' with a node that tools/run has started; it must end well, and leave nothing. */
async function withRun(body) {
    const [http, https] = [await freeTcp(), await freeTcp()];
    const before = programsOfXdp();
    const child = spawn(
        RUN,
        ['--device', 'veth', '--http', `${http}`, '--https', `${https}`],
        { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let words = '';
    let ended;
    child.stdout.on('data', (data) => (words += data));
    child.stderr.on('data', (data) => (words += data));
    child.on('exit', (status) => (ended = status));
    try {
        await until('it prints its links', START_MS, () => {
            assert.equal(ended, undefined, words);
            return words.includes('Open on this machine');
        });
        assert.equal(await ready(http), true, 'ready when the links are there');
        await body(http);
        assert.match(words, /ended with status 137: starting it again/);
        child.kill('SIGINT');
        await until('tools/run ends', WAIT_MS, () => ended !== undefined);
        assert.equal(ended, 130, words);
    } catch (error) {
        error.message += `\n${words}`;
        throw error;
    } finally {
        if (ended === undefined) {
            child.kill('SIGTERM');
            await until('tools/run ends', WAIT_MS, () => ended !== undefined);
        }
    }
    assert.deepEqual([pids('kcs-dataplane'), pids('kcs-control')], [[], []]);
    assert.equal(existsSync(SOCKETS), false, `${SOCKETS} is gone`);
    assert.equal(existsSync(PAIR), false, 'the pair is gone');
    assert.equal(programsOfXdp(), before, 'no XDP program stays');
}

test('each process that dies is started again; Ctrl-C leaves nothing', { timeout: 150_000, skip: skip() }, () =>
    withRun(async (http) => {
        for (const program of ['kcs-dataplane', 'kcs-control', 'kcs-dataplane']) {
            await killAndReplace(program);
            await until(`the node is ready after ${program} died`, WAIT_MS, () =>
                ready(http),
            );
        }
        for (let i = 0; i < BOTH; i++) {
            const victims = [...pids('kcs-dataplane'), ...pids('kcs-control')];

            assert.equal(victims.length, 2, 'both run');
            for (const victim of victims) {
                process.kill(victim, 'SIGKILL');
                await sleep(i * 100); /* at once, and while the first is waited for */
            }
            await until('both are others', WAIT_MS, () => {
                const now = [...pids('kcs-dataplane'), ...pids('kcs-control')];

                return now.length === 2 && !now.some((pid) => victims.includes(pid));
            });
            await until('the node is ready after both died', WAIT_MS, () => ready(http));
        }
    }),
);

test('a dataplane that is killed again and again is back in time', { timeout: 200_000, skip: skip() }, (t) =>
    withRun(async (http) => {
        const took = [];

        for (let i = 0; i < KILLS; i++) {
            await sleep(Math.random() * 2_000);
            if (i % 4 === 3) {
                await killAndReplace('kcs-dataplane');
                await sleep(Math.random() * 500); /* and while it starts */
            }
            const killed = Date.now();
            await killAndReplace('kcs-dataplane');
            await until(`the node is ready after kill ${i}`, WAIT_MS, () => ready(http));
            took.push(Date.now() - killed);
        }
        t.diagnostic(`back after ${took.join(', ')} ms`);
        assert.ok(Math.max(...took) < BACK_MS, `back after ${took.join(', ')} ms`);
    }),
);
