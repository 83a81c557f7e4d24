/* The filters and capabilities of the units of conf/systemd, applied without systemd, leave what
 * a call needs; and nobody is refused while a supervisor that holds the sockets restarts
 * control, again and again, while people call. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadgen } from './lib/loadgen.mjs';
import { CONFINED, withNode } from './lib/node.mjs';

const TIMEOUT = { timeout: 90_000 };
const unit = (name) => join(CONFINED, '../../../conf/systemd', `${name}.service`);

function confined(name, ...command) {
    return spawnSync('/usr/bin/python3', [CONFINED, unit(name), ...command], { encoding: 'utf8' });
}

test('what is not allowed is refused', TIMEOUT, () => {
    assert.equal(confined('kcs-control', 'true').status, 0);
    for (const name of ['kcs-control', 'kcs-dataplane']) {
        const { status, stderr } = confined(name, 'unshare', '--net', 'true');
        assert.notEqual(status, 0, name);
        assert.match(stderr, /not permitted/);
    }
    const packet = 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)';
    assert.match(confined('kcs-control', 'python3', '-c', packet).stderr, /not supported/);
    assert.equal(confined('kcs-dataplane', 'python3', '-c', packet).status, 0);
    const caps = (name) => /CapEff:\s*(\w+)/.exec(confined(name, 'cat', '/proc/self/status').stdout)[1];
    assert.equal(BigInt(`0x${caps('kcs-control')}`), 0n);
    assert.equal(BigInt(`0x${caps('kcs-dataplane')}`), (1n << 12n) | (1n << 13n) | (1n << 14n) | (1n << 39n));
    const status = execFileSync('cat', ['/proc/self/status'], { encoding: 'utf8' });
    assert.notEqual(/CapEff:\s*(\w+)/.exec(status)[1], caps('kcs-dataplane'), 'it was dropped');
});

for (const device of ['udp:127.0.0.1', 'veth']) {
    test(`a call as the units confine both processes, on ${device}`, TIMEOUT, () =>
        withNode({ name: `units-${device.slice(0, 4)}`, devices: [device], confined: true }, async (node) => {
            const { status, err } = await loadgen(node, [
                ...['--publishers', '1', '--subscribers', '2', '--seconds', '3'],
            ]);
            assert.equal(status, 0, err);
            for (const { pid } of [node.control, node.dataplane]) {
                assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /Seccomp:\s*2/);
            }
        }),
    );
}

test('both tell a supervisor that they are ready and alive; its sockets refuse nobody', TIMEOUT, (t) =>
    withNode({ name: 'units-held', devices: ['udp:127.0.0.1'], supervised: true }, async (node) => {
        const told = (child, line) =>
            readFileSync(child.log, 'utf8').split('\n').filter((text) => text === line).length;
        const resumed = () =>
            readFileSync(node.control.log, 'utf8').split('"participant_resumed"').length - 1;
        const answers = { ok: 0, cut: 0, refused: 0 };
        let over = false;
        t.after(() => (over = true)); /* else it would ask for ever */
        const asking = (async () => {
            while (!over) {
                try {
                    const answer = await fetch(`${node.origin}/api/health/live`, {
                        headers: { connection: 'close' },
                    });
                    await answer.arrayBuffer();
                    answers.ok += answer.status === 200;
                } catch (error) {
                    answers[error.cause?.code === 'ECONNREFUSED' ? 'refused' : 'cut'] += 1;
                }
            }
        })();

        for (const child of [node.dataplane, node.control]) {
            assert.equal(told(child, 'READY=1'), 1);
            await node.until('it is alive', () => told(child, 'WATCHDOG=1') >= 3);
        }
        const people = 10;
        const stop = new AbortController();
        const call = loadgen(node, ['--publishers', '2', '--subscribers', `${people - 2}`, '--resume',
            '--seconds', '600', '--no-feedback'], { patience: 80, meeting: 'rolled', signal: stop.signal });
        const connected = async () => JSON.parse(await node.kcsctl('peers', '--json'))
            .filter(({ state }) => state === 'connected').length;
        await node.until('they call', async () => (await connected()) === people);
        for (let starts = 2; starts <= 4; starts++) {
            node.control.kill('SIGHUP'); /* to the supervisor */
            await node.until('it is there again', () => told(node.control, 'READY=1') === starts);
            const before = answers.ok;
            await node.until('it answers', () => answers.ok > before);
            await node.until('all are back', () => resumed() >= (starts - 1) * people);
        }
        stop.abort();
        const { status, result, err } = await call;
        assert.equal(status, 0, `nothing but a reconnect: ${err}`);
        assert.deepEqual([result.lost, result.rejoined], [0, 0]);
        assert.ok(result.resumed >= 3 * people, `${result.resumed}`);
        over = true;
        await asking;
        assert.equal(told(node.control, 'STOPPING=1'), 3);
        assert.equal(answers.refused, 0);
        assert.equal((await loadgen(node, ['--publishers', '1', '--subscribers', '1', '--seconds', '1'])).status, 0);
    }),
);

test('a loop that is stuck is killed and started again, and the call goes on', TIMEOUT, () =>
    withNode({ name: 'units-stuck', devices: ['udp:127.0.0.1'], supervised: true }, async (node) => {
        const told = (child, line) =>
            readFileSync(child.log, 'utf8').split('\n').filter((text) => text === line).length;
        const call = loadgen(node, ['--publishers', '1', '--subscribers', '1', '--seconds', '20']);
        await node.until('they call', async () =>
            JSON.parse(await node.kcsctl('peers', '--json'))
                .filter(({ state }) => state === 'connected').length === 2);

        for (const child of [node.control, node.dataplane]) {
            const [pid] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
                .trim().split(' ').map(Number);
            process.kill(pid, 'SIGSTOP'); /* what a loop that does not turn looks like */
            await node.until('it is killed', () => told(child, `killed ${pid}`) === 1);
            await node.until('it is there again', () => told(child, 'READY=1') === 2);
        }
        await node.until('they are together again', async () =>
            (await fetch(`${node.origin}/api/health/ready`)).status === 200);
        await node.until('the call goes on', async () =>
            JSON.parse(await node.kcsctl('peers', '--json'))
                .filter(({ state }) => state === 'connected').length === 2);
        await call; /* it has lost what came while the dataplane stood still */
        const { status, err } = await loadgen(node,
            ['--publishers', '1', '--subscribers', '1', '--seconds', '1'], { meeting: 'after' });
        assert.equal(status, 0, err);
    }),
);
