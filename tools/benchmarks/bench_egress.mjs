/* What recordings cost. The CPU time of kcs-egress while a browser's cameras are recorded, each
 * stream for itself, and as one picture of 1280x720 at 30 a second with all sound; beside the
 * latter, in the same run, libx264 alone on the very pictures that came out, with the same
 * settings. Then four meetings are recorded so at once, and what the node forwards to the clients
 * of a fifth (kcs-loadgen) is held against what it forwarded without them.
 *
 * usage: tools/bench egress [OPTION…], see HELP */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { withBrowser } from '../../tests/e2e/lib/browser.mjs';
import { ask, connect } from '../../tests/e2e/lib/client.mjs';
import { publishDrawnInPage } from '../../tests/e2e/lib/drawn.mjs';
import { loadgen } from '../../tests/e2e/lib/loadgen.mjs';
import { egressOf, listed, recordingNode } from '../../tests/e2e/lib/recording.mjs';
import { rest } from '../../tests/e2e/lib/rest.mjs';
import { openWishPage } from '../../tests/e2e/lib/wish.mjs';
import { cores, lookAtBoth } from './node_watch.mjs';
import { optionsOf } from './options.mjs';

const HELP = `usage: tools/bench egress [--cameras N] [--size WxH] [--seconds T] [--alone] [--json]

  --cameras N  that are sent, at 20 a second, VP8, each with a voice (2)
  --size WxH   of each (640x360)
  --seconds T  of each recording that are looked at (15)
  --alone      not the part with four recordings at once
  --json       one object
`;
const SETTLE_MS = 4000;
const AT_ONCE = 4;
const BESIDE = ['--publishers', '2', '--subscribers', '20', '--media', 'both', '--no-feedback', '--quiet'];
const HZ = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

const o = optionsOf('egress', HELP, {
    cameras: { type: 'string', default: '2' },
    size: { type: 'string', default: '640x360' },
    seconds: { type: 'string', default: '15' },
    alone: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
});
const [cameras, seconds, size] = [Number(o.cameras), Number(o.seconds), o.size.split('x').map(Number)];
if (!(cameras >= 1 && cameras <= 40 && seconds >= 5 && size.length === 2 && size.every((n) => n >= 16))) {
    console.error('egress: 1 to 40 cameras of 16x16 or more, 5 seconds at least; see tools/bench egress --help');
    process.exit(2);
}

function cpuOf(pid) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');

    return (Number(fields[11]) + Number(fields[12])) / HZ;
}

/* Records in a mode; resolves with the share of a core, and the files. */
async function record(room, options) {
    const { recording_id: id } = await ask(room.host, 'recording:start', { options });
    await sleep(SETTLE_MS);
    const pid = egressOf(room.node);
    const [cpu, at] = [cpuOf(pid), Date.now()];
    await sleep(seconds * 1000);
    const share = (cpuOf(pid) - cpu) / ((Date.now() - at) / 1000);
    await ask(room.host, 'recording:stop', {});
    const [recording] = await listed(room, 'stopped');
    return { share, paths: recording.files.map(({ file }) => join(room.directory, id, file)) };
}

/* Seconds of CPU that ffmpeg takes, and how many pictures it had. */
function ffmpeg(...args) {
    const { stderr, status } = spawnSync('ffmpeg', ['-hide_banner', '-nostdin', '-benchmark', ...args],
        { encoding: 'utf8' });
    const [, user, system] = /utime=([0-9.]+)s stime=([0-9.]+)s/.exec(stderr) ?? [];

    if (status !== 0 || user === undefined) {
        throw new Error(stderr.slice(-500));
    }
    return { cpu: Number(user) + Number(system), pictures: Number(/frame= *(\d+)(?![^]*frame=)/.exec(stderr)[1]) };
}

/* Another meeting of the node, with its host in it. */
async function another(room) {
    const made = await rest(room.node, 'POST', '/meeting',
        { token: room.owner, body: { meeting_name: 'Another', allow_attendee_media: true } });
    const { id } = made.body.data;
    const { body: ticket } = await rest(room.node, 'POST', `/meeting/${id}/join`, { token: room.owner, body: {} });
    const host = await connect(room.node, ticket.data.token);

    await ask(host, 'room:join', { meeting_id: id, display_name: 'Ada' });
    return { ...room, id, host, token: room.tokenOf(id) };
}

/* What the clients of a meeting get meanwhile, and what it takes. */
async function forwards(node, meeting) {
    const before = lookAtBoth(node);
    const { result, err } = await loadgen(node, [...BESIDE, '--seconds', `${seconds}`],
        { patience: seconds + 40, meeting });
    const after = lookAtBoth(node);

    if (result === undefined) {
        throw new Error(`kcs-loadgen: ${err}`);
    }
    const { received, lost, duplicates, misordered, corrupt, delay_us: delay } = result;
    return {
        received, lost, wrong: duplicates + misordered + corrupt, p50_us: delay.p50, p99_us: delay.p99,
        dataplane_us_a_packet: (cores('dataplane', before, after) * (after.at - before.at)) / received,
    };
}

/* Four at once, of a camera each; and the same without them. */
async function beside(room, page) {
    const rooms = [room];

    while (rooms.length < AT_ONCE) {
        const next = await another(room);
        await publish(page, next, rooms.length);
        rooms.push(next);
    }
    const without = await forwards(room.node, 'bench-without');
    for (const each of rooms) {
        await ask(each.host, 'recording:start', { options: { mode: 'composite' } });
    }
    await sleep(SETTLE_MS);
    const pids = egressOf(room.node).split('\n');
    const [cpu, at] = [pids.map(cpuOf), Date.now()];
    const during = await forwards(room.node, 'bench-with');
    const share = pids.map((pid, i) => (cpuOf(pid) - cpu[i]) / ((Date.now() - at) / 1000));
    const lengths = [];
    for (const each of rooms) {
        await ask(each.host, 'recording:stop', {});
        const [recording] = await listed(each, 'stopped');
        const [{ file, complete }] = recording.files;
        if (!complete || recording.files.length !== 1) {
            throw new Error(`a recording has ${JSON.stringify(recording.files)}`);
        }
        lengths.push(Number(execFileSync('ffprobe', ['-v', 'error', '-show_entries', 'format=duration', '-of',
            'csv=p=0', join(room.directory, recording.id, file)])));
        if (each !== room) {
            each.host.close();
        }
    }
    return { without, during, recordings: pids.length, cores: share.reduce((sum, each) => sum + each, 0), lengths };
}

const publish = (page, { id, token }, who) => page.evaluate(publishDrawnInPage,
    { meeting: id, token: token(`p${who}`), who: who % 16, size });

const f = { cameras, seconds, size: o.size };

await recordingNode('bench-egress', (room) => withBrowser(async (browser) => {
    const page = await openWishPage(browser, room.node);

    for (let who = 0; who < cameras; who++) {
        await publish(page, room, who);
    }
    const tracks = await record(room, { mode: 'tracks' });
    f.track_cores = tracks.share / tracks.paths.length;
    const composite = await record(room, { mode: 'composite' });
    f.composite_cores = composite.share;
    f.path = composite.paths[0];

    /* raw, in memory, so that it is libx264 that takes the time: each picture when it is due, as
     * kcs-egress has them, and all in one go, with everything in the caches */
    const raw = `/dev/shm/kcs-bench-${process.pid}.y4m`;
    const alone = (...pace) => {
        const { cpu, pictures } = ffmpeg(...pace, '-i', raw, '-c:v', 'libx264', '-preset', 'veryfast', '-tune',
            'zerolatency', '-crf', '23', '-maxrate', '3M', '-bufsize', '3M', '-g', '60', '-threads', '1', '-f', 'null', '-');
        return (cpu / pictures) * 30;
    };
    try {
        ffmpeg('-i', f.path, '-an', '-t', `${seconds}`, '-pix_fmt', 'yuv420p', '-fps_mode', 'cfr', '-r', '30', '-y', raw);
        f.x264_cores = alone('-re');
        f.x264_at_once_cores = alone();
    } finally {
        rmSync(raw, { force: true });
    }
    delete f.path;
    f.ratio = f.composite_cores / f.x264_cores;
    f.ratio_at_once = f.composite_cores / f.x264_at_once_cores;
    if (!o.alone) {
        f.beside = await beside(room, page);
    }
}));

if (o.json) {
    console.log(JSON.stringify(f));
} else {
    const share = (value) => `${value.toFixed(4).padStart(8)} of a core`;

    console.log(`egress, ${cameras} cameras of ${o.size}, ${seconds} s\n`);
    console.log(`a track as it is      ${share(f.track_cores)}`);
    console.log(`one picture of all    ${share(f.composite_cores)}`);
    console.log(`libx264 alone, live   ${share(f.x264_cores)}: ratio ${f.ratio.toFixed(2)}`);
    console.log(`  all in one go       ${share(f.x264_at_once_cores)}: ratio ${f.ratio_at_once.toFixed(2)}`);
    if (f.beside !== undefined) {
        const row = (name, key, digits = 0) => console.log(name.padEnd(22)
            + [f.beside.without, f.beside.during].map((of) => of[key].toFixed(digits).padStart(10)).join(''));

        console.log(`\n${f.beside.recordings} at once            ${share(f.beside.cores)}\n`);
        console.log('forwarded                without      with');
        row('packets', 'received');
        row('lost', 'lost');
        row('wrong', 'wrong');
        row('delay p50, us', 'p50_us');
        row('delay p99, us', 'p99_us');
        row('us of CPU a packet', 'dataplane_us_a_packet', 2);
    }
}
