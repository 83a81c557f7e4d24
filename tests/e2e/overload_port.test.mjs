/* More is to be sent than a port carries: a large room wants twice as much as there is, small
 * ones next to nothing. What the port carries is set by the kernel's traffic control behind
 * the node's socket, so that it does not depend on the machine. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { askForHealth, assertResponsive } from './lib/health.mjs';
import { loadgen } from './lib/loadgen.mjs';
import { withNode } from './lib/node.mjs';
import { assertNothingWrong, assertPart, sum } from './lib/sums.mjs';
import { withWire } from './lib/wire.mjs';

const PORT_MBIT = 80;
const PEOPLE = 60; /* of the large room */
const RATE = 300; /* packets of video a second, 1100 bytes each */
const AUDIO = 50;
const SMALL = { rooms: 2, people: 3, rate: 60 };
const CHOKED_S = 8;
const RECOVERY_S = 8; /* until all are taken up again, at most */
const AFTER_S = 3;
const skip = process.getuid() === 0 ? false : 'a veth pair needs root';

function shape(wire, ...rate) {
    execFileSync('tc', ['qdisc', 'replace', 'dev', wire.name, 'root', 'tbf',
        ...['rate', ...rate, 'burst', '128kb', 'limit', '64mb']]);
}

test('a port carries half of what is wanted', { skip, timeout: 100_000 }, (t) =>
    withWire(1, (wire) => withNode({
        name: 'overload-port',
        devices: [`udp:${wire.ipv4}`],
        level: 'warn',
    }, async (node) => {
        const shed = (kind) => node.metric('kcs_drops_total', `reason="shed_${kind}"`);
        const seconds = CHOKED_S + RECOVERY_S + AFTER_S;
        const options = { patience: 60, behind: wire };

        await wire.forward(node);
        const idle = await askForHealth(node, sleep(1_000));
        const small = loadgen(node, [
            ...['--publishers', '1', '--subscribers', `${SMALL.people}`, '--rooms', `${SMALL.rooms}`],
            ...['--media', 'both', '--rate', `${SMALL.rate}`, '--seconds', `${seconds + 2}`],
            '--no-feedback',
        ], { ...options, meeting: 'small' });
        const big = loadgen(node, [
            ...['--publishers', '1', '--subscribers', `${PEOPLE}`, '--media', 'both'],
            ...['--rate', `${RATE}`, '--audio-rate', `${AUDIO}`, '--seconds', `${seconds}`],
            '--no-feedback', /* else each one's link would be held to be too slow */
        ], { ...options, meeting: 'big' });
        await node.until('all are there', async () =>
            (await node.metric('kcs_participants')) ===
                PEOPLE + 1 + SMALL.rooms * (SMALL.people + 1), 30_000);
        shape(wire, `${PORT_MBIT}mbit`);
        const loaded = await askForHealth(node, sleep(CHOKED_S * 1_000));
        const choked = await shed('video');
        shape(wire, '10gbit');
        await sleep(RECOVERY_S * 1_000);
        const recovered = await shed('video');

        const [s, b] = await Promise.all([small, big]);
        const drops = await node.kcsctl('drops');
        const video = sum(b.result, 'video');
        t.diagnostic(`large: audio ${JSON.stringify(sum(b.result, 'audio'))}, video ` +
            `${JSON.stringify(video)}; small: audio ${JSON.stringify(sum(s.result, 'audio'))}, ` +
            `video ${JSON.stringify(sum(s.result, 'video'))}; shed ${choked}, ${recovered}, ` +
            `${await shed('video')}, audio ${await shed('audio')}`);
        assertNothingWrong('small', s.result);
        assertNothingWrong('large', b.result);
        assert.equal(sum(s.result, 'audio').missing, 0, `audio of the small rooms: ${drops}`);
        assertPart(sum(s.result, 'video'), 0, 0.01, 'video of the small rooms', drops);
        assertPart(sum(b.result, 'audio'), 0, 0.001, 'audio of the large room', drops);
        /* half of what it wanted while there was not enough, and then a few at a time */
        assertPart(video, 0.1, 0.6, 'video of the large room', drops);
        assert.ok(video.least > 0, 'each has had its turn');
        assert.ok(choked > 0, 'there was too much');
        assert.equal(await shed('video'), recovered, 'afterwards all have it');
        const counted = recovered + (await node.metric('kcs_drops_total', 'reason="tx_full'));
        assert.ok(Math.abs(counted - video.missing) < 0.1 * video.missing,
            `${video.missing} were not sent, ${counted} are counted`);
        assertResponsive(t, 'a full port', idle, loaded);
    })));
