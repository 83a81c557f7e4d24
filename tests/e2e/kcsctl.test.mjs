/* kcsctl without a node: it says so, and shells complete what it takes; and with one, in which
 * two browsers have a call. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Person, withBrowser } from './lib/browser.mjs';
import { ask, connect, next } from './lib/client.mjs';
import { BUILD, withNode } from './lib/node.mjs';
import { readPcapng, rtpPayload } from './lib/pcapng.mjs';

const KCSCTL = join(BUILD, 'kcsctl');
const MEETING = 'e2e-kcsctl';
const run = (program, ...args) => spawnSync(program, args, { encoding: 'utf8' });

test('what needs a node fails with 3 and the reason, without one', () => {
    const asked = [
        ...['node', 'rooms', 'room m', 'participants', 'peers', 'peer x', 'streams', 'drops'],
        ...['lanes', 'top --count 1', 'drain', 'undrain', 'loglevel info', 'audit', 'backup x'],
        ...['close m', 'kick m x', 'mute m x', 'events tail', 'capture x /tmp/kcs-no-such-capture'],
    ];
    for (const command of asked) {
        const { status, stderr } = run(KCSCTL, '--socket', '/nowhere/admin.sock', ...command.split(' '));
        assert.equal(status, 3, command);
        assert.match(stderr, /no node answers on \/nowhere\/admin.sock \(No such file/);
    }
    assert.equal(run(KCSCTL, 'drain', '--deadline', '2d').status, 2);
    assert.equal(run(KCSCTL, 'loglevel', 'loud').status, 2);
    assert.equal(run(KCSCTL, 'kick', 'm').status, 2);
    assert.equal(run(KCSCTL, 'top', '--interval', '2h').status, 2);
    assert.match(run(KCSCTL, 'token').stderr, /needs --meeting/);
    assert.match(run(KCSCTL, 'peers', '--ban').stderr, /takes no --ban/);
});

test('a configuration file is checked by the program that it is for', () => {
    const dir = mkdtempSync(join(tmpdir(), 'kcs-check-'));
    const file = join(dir, 'control.yaml');
    const check = (...more) => run(KCSCTL, 'check', 'control', file, ...more);

    writeFileSync(file, 'auth: {hs256_secret: 0123456789012345678901234567890123456789}\n');
    assert.equal(check().status, 0);
    assert.match(check().stdout, /hs256_secret: '?\*+/);
    assert.equal(JSON.parse(check('--json').stdout).ok, true);
    writeFileSync(file, 'limits:\n  roms: 3\n');
    assert.equal(check().status, 4);
    assert.match(check().stderr, /control\.yaml:2: unknown key 'roms' \(did you mean 'rooms'/);
    assert.equal(check('--json').status, 4);
    assert.match(JSON.parse(check('--json').stdout).error, /unknown key/);
    assert.equal(run(KCSCTL, 'check', 'dataplane', file).status, 4);
    assert.equal(run(KCSCTL, 'check', 'nothing', file).status, 2);
    rmSync(dir, { recursive: true });
});

test('bash and zsh complete every command and option', () => {
    const { stdout: help } = run(KCSCTL, '--help');
    const commands = [...help.matchAll(/^ {2}([a-z]+)\b/gm)].map(([, name]) => name);
    const complete = (words) =>
        run('bash', '-c', `source <(${KCSCTL} completion bash); COMP_WORDS=(kcsctl ${words}); ` +
            'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _kcsctl; echo ${COMPREPLY[@]}').stdout.trim();

    assert.ok(commands.includes('drain') && commands.length > 10);
    for (const name of commands) {
        assert.ok(complete(name).split(' ').includes(name), name);
    }
    for (const [option] of help.matchAll(/--[a-z-]+/g)) {
        assert.ok(complete(`${option}`).split(' ').includes(option), option);
    }
    assert.ok(complete('kick m x --').split(' ').includes('--ban'));
    assert.ok(!complete('peers --').split(' ').includes('--ban'), 'only what it takes');
    assert.equal(complete('loglevel w'), 'warn');
    assert.equal(complete('token --role pres'), 'presenter');
    const dir = mkdtempSync(join(tmpdir(), 'kcs-zsh-')); /* what it remembers */
    const script = `source <(${KCSCTL} completion zsh) && echo $_comps[kcsctl]`;
    const zsh = spawnSync('zsh', ['-fc', script], {
        encoding: 'utf8',
        env: { ...process.env, ZDOTDIR: dir },
    });
    assert.equal(zsh.stderr, '');
    assert.match(zsh.stdout, /_bash_complete/);

    /* what the package has for zsh is found by itself */
    copyFileSync(join(BUILD, '../conf/package/completion.zsh'), join(dir, '_kcsctl'));
    const found = run('zsh', '-fc', `fpath=(${dir} $fpath); autoload -U compinit; compinit -u -D; ` +
        'echo $_comps[kcsctl]');
    rmSync(dir, { recursive: true });
    assert.deepEqual([found.stdout, found.stderr], ['_kcsctl\n', '']);
});

/* VP8's payload descriptor (RFC 7741, 4.2) begins with three bits that are always 0, and the
 * index of a partition: of what is encrypted a 32nd looks like that. */
const looksLikeVp8 = (payload) => (payload[0] & 0x4f) === 0;

/* What a browser is sent, as on the wire and opened. */
async function watches(node, { transport_id: transport, remote, local }) {
    const dir = mkdtempSync(join(tmpdir(), 'kcs-capture-'));
    const capture = async (name, ...more) => {
        const file = join(dir, name);
        const sum = JSON.parse(await node.kcsctl('capture', ...more, file, '--json'));
        const packets = readPcapng(file);

        assert.equal(sum.packets, packets.length);
        assert.equal(sum.missed, 0);
        for (const { from, to } of packets) {
            assert.deepEqual([from, to].sort(), [remote, local].sort());
        }
        for (const side of [remote, local]) {
            assert.ok(packets.some(({ from }) => from === side), `some are from ${side}`);
        }
        const { status, stdout, stderr } = run('tcpdump', '-nnr', file);
        assert.equal(status, 0, stderr);
        assert.equal(stdout.trim().split('\n').length, packets.length);
        return { sum, file, large: packets.map(({ udp }) => rtpPayload(udp))
            .filter((payload) => payload?.length > 500) };
    };

    const wire = await capture('wire', transport, '--time', '3s');
    assert.equal(wire.sum.ended, 'stopped');
    assert.ok(wire.large.length > 50, `${wire.large.length} of video`);
    assert.ok(wire.large.filter(looksLikeVp8).length < wire.large.length / 4);
    const opened = await capture('opened', '--peer', transport, '--count', '300', '--decrypted');
    assert.deepEqual([opened.sum.ended, opened.sum.packets], ['as many as were asked for', 300]);
    assert.ok(opened.large.length > 50 && opened.large.every(looksLikeVp8));
    assert.equal(statSync(opened.file).mode & 0o777, 0o600);
    await assert.rejects(node.kcsctl('capture', transport, opened.file), /cannot make .*exists/);
    await assert.rejects(node.kcsctl('capture', 'nobody', join(dir, 'x')), /no such transport/);
    for (const count of ['0', '-1', '12x', '100000001', '99999999999999999999999']) {
        await assert.rejects(node.kcsctl('capture', transport, join(dir, 'x'), '--count', count),
            /--count a number from 1 to 100000000/);
    }
    /* what cannot be written ends at once, not when the node has waited ten seconds for us */
    const full = run('sh', '-c', 'trap "" XFSZ; ulimit -f 16; exec "$@"', 'sh', KCSCTL,
        '--socket', node.adminSocket, 'capture', transport, join(dir, 'full'), '--time', '20s');
    assert.deepEqual([full.status, full.stderr],
        [1, 'kcsctl: cannot write the file: File too large\n']);
    await node.until('another may be made', async () =>
        (await capture('after', transport, '--count', '300')).sum.packets === 300, 5_000);
    rmSync(dir, { recursive: true });
}

/* What stages take, of one burst in eight. */
async function traces(node) {
    const path = ['rx', 'classify', 'unprotect', 'ingest', 'spread', 'route', 'rewrite', 'protect', 'tx'];
    let rows;

    await node.until('each stage was measured', async () => {
        rows = JSON.parse(await node.kcsctl('trace', '--time', '20s', '--json'));
        return path.every((name) => rows.some(({ stage, bursts }) => stage === name && bursts >= 5));
    });
    for (const row of rows) {
        const said = JSON.stringify(row);

        assert.ok(row.packets >= row.bursts && row.packets_per_burst <= 32, said);
        assert.ok(row.burst_ns_p50 > 0 && row.burst_ns_p50 <= row.burst_ns_p99, said);
        assert.ok(row.packet_ns_p50 > 0 && row.packet_ns_p50 <= row.packet_ns_p99, said);
    }
    const cost = (name) => rows.find(({ stage }) => stage === name).packet_ns_p50;
    assert.ok(cost('protect') > cost('spread'), 'to encrypt costs more than to note that a ring has grown');
    assert.match(await node.kcsctl('trace'), /^lane +stage .*packet_ns_p99\n.*rx/);
    await assert.rejects(node.kcsctl('trace', '--time', 'x'), /--time/);
}

test('an operator looks at a call, mutes, removes and closes', { timeout: 120_000 }, () =>
    withNode({ name: 'kcsctl', devices: ['udp:127.0.0.1'], dataplane: '  trace: 8\n' }, async (node) => {
        const json = async (...args) => JSON.parse(await node.kcsctl(...args, '--json'));
        const host = await connect(node, await node.token({ meeting: MEETING, role: 'host' }));
        const joined = await ask(host, 'room:join', { meeting_id: MEETING, display_name: 'Host' });
        assert.equal(joined.ok, true);
        await withBrowser(async (browser) => {
            const people = [];
            for (const name of ['Ada', 'Grace']) {
                const token = await node.token({ meeting: MEETING, name });
                const options = { name, meeting: MEETING, token };
                people.push(await Person.open(browser, node, options));
            }
            const [ada, grace] = people;
            await Promise.all([ada.receives('Grace'), grace.receives('Ada')]);

            const status = await json('node');
            assert.equal(status.attached, true);
            assert.equal(status.participants, 3);
            const [room] = await json('rooms');
            assert.deepEqual([room.meeting_id, room.participants, room.producers],
                [MEETING, 3, 4]);
            assert.match(await node.kcsctl('rooms'), /^meeting_id .*\ne2e-kcsctl /);
            const { people: listed } = await json('room', MEETING);
            assert.deepEqual(listed.map(({ name }) => name).sort(), ['Ada', 'Grace', 'Host']);
            const all = await json('participants');
            assert.equal(all.length, 3);
            const { participant_id: id } = all.find(({ name }) => name === 'Ada');

            /* once a lane has published counters, which it does each second */
            await node.until('the round trip is known', async () =>
                (await json('peer', id)).some(({ receives }) =>
                    receives.some(({ rtt_ms, score }) => rtt_ms > 0 && score === 10)));
            const transports = await json('peer', id);
            const [send] = transports.filter(({ direction }) => direction === 'send');
            const [recv] = transports.filter(({ direction }) => direction === 'recv');
            assert.equal(transports.length, 2);
            assert.ok(recv.rtt_ms > 0 && recv.rtt_ms < 1_000, `the way there and back: ${recv.rtt_ms}`);
            assert.ok(send.rtt_ms === null || send.rtt_ms > 0, 'it is known, or not');
            const known = (await json('lanes')).map(({ lane }) => lane);
            for (const { state, dtls, cipher, ice_pairs, remote, lane } of transports) {
                assert.deepEqual([state, dtls, cipher],
                    ['connected', 'done', 'AEAD_AES_128_GCM']);
                assert.ok(known.includes(lane), `lane ${lane} of ${known}`);
                assert.equal(ice_pairs.filter(({ selected }) => selected)[0].remote, remote);
            }
            assert.deepEqual(send.publishes.map(({ source }) => source).sort(), ['camera', 'mic']);
            assert.ok(send.publishes.every(({ packets, lost }) => packets > 0 && lost === 0));
            const video = recv.receives.find(({ kind }) => kind === 'video');
            assert.ok(video.packets > 0 && video.loss === 0);
            assert.match(await node.kcsctl('peer', send.transport_id), /\nice_pairs\n/);

            const frames = (await node.kcsctl('top', '--count', '2', '--json')).trim().split('\n');
            const [, { lanes, transports: busiest, meetings }] = frames.map((f) => JSON.parse(f));
            const sum = (field) => lanes.reduce((total, lane) => total + lane[field], 0);
            assert.ok(sum('in_packets_per_s') > 10 && sum('out_kbps') > 10);
            assert.equal(busiest.length, 4);
            assert.equal(meetings[0].meeting_id, MEETING);
            assert.match(await node.kcsctl('top', '--count', '1'), /busy_percent[^]*Grace/);
            /* the live screen, on a terminal that has not been told its size */
            const live = run('script', '-qec', `${KCSCTL} --socket ${node.adminSocket} top --count 2`, '/dev/null');
            assert.equal(live.status, 0);
            assert.match(live.stdout, /^\x1b\[\?1049h[^]*busy_percent[^]*Grace[^]*\x1b\[\?1049l$/);

            const [lane] = await json('lanes');
            assert.ok(lane.busy_percent > 0 && lane.busy_percent <= 100, `${lane.busy_percent} %`);
            assert.ok(lane.packets_per_s > 50 && lane.cycles_per_packet > 100, JSON.stringify(lane));
            await traces(node);
            await watches(node, recv);

            let told = next(host, 'participant:media:updated');
            await node.kcsctl('mute', MEETING, id, '--reason', 'echo');
            assert.deepEqual([(await told).participant_id, (await told).enabled], [id, false]);
            const paused = (await json('peer', id)).flatMap(({ publishes }) => publishes);
            assert.deepEqual(paused.filter((p) => p.paused).map((p) => p.source), ['mic']);
            await assert.rejects(node.kcsctl('mute', MEETING, 'nobody'), /nobody with that id/);

            told = next(host, 'participant:left');
            await node.kcsctl('kick', MEETING, id, '--ban');
            assert.equal((await told).participant_id, id);
            assert.equal((await json('rooms'))[0].participants, 2);
            await assert.rejects(node.kcsctl('peer', id), /no such transport or participant/);

            told = next(host, 'room:closed');
            await node.kcsctl('close', MEETING);
            assert.equal((await told).reason, 'closed_by_operator');
            assert.deepEqual(await json('rooms'), []);
        });
        const mine = (await json('audit')).filter(({ actor }) => actor === 'operator');
        assert.deepEqual(mine.map(({ act, meeting }) => [act, meeting]).sort(),
            ['ban', 'capture', 'capture', 'capture', 'capture_decrypted', 'close', 'mute'].map((act) => [`operator.${act}`, MEETING]));
        assert.ok(mine.every(({ address }) => address === `unix:${process.getuid()}`));
        host.close();
    }));
