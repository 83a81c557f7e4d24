/* What recordings cost: the CPU time of kcs-egress while a browser's cameras are recorded, each
 * stream for itself, and as one picture of 1280x720 at 30 a second with all sound. Beside the
 * latter, in the same run, libx264 alone on the very pictures that came out, with the same settings.
 *
 * usage: tools/bench egress [OPTION…], see HELP */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { withBrowser } from '../../tests/e2e/lib/browser.mjs';
import { ask } from '../../tests/e2e/lib/client.mjs';
import { publishDrawnInPage } from '../../tests/e2e/lib/drawn.mjs';
import { egressOf, listed, recordingNode } from '../../tests/e2e/lib/recording.mjs';
import { openWishPage } from '../../tests/e2e/lib/wish.mjs';

const HELP = `usage: tools/bench egress [--cameras N] [--seconds T] [--json]

  --cameras N  that are sent, of 640x360 at 20 a second, VP8, each with a voice (2)
  --seconds T  of each recording that are looked at (15)
  --json       one object
`;
const SETTLE_MS = 4000;
const HZ = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

const { values: o } = parseArgs({
    options: {
        cameras: { type: 'string', default: '2' },
        seconds: { type: 'string', default: '15' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
    },
});
if (o.help) {
    process.stdout.write(HELP);
    process.exit(0);
}
const [cameras, seconds] = [Number(o.cameras), Number(o.seconds)];
if (!(cameras >= 1 && cameras <= 9 && seconds >= 5)) {
    console.error('egress: 1 to 9 cameras, 5 seconds at least; see tools/bench egress --help');
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

const f = { cameras, seconds };

await recordingNode('bench-egress', (room) => withBrowser(async (browser) => {
    const page = await openWishPage(browser, room.node);

    for (let who = 0; who < cameras; who++) {
        await page.evaluate(publishDrawnInPage,
            { meeting: room.id, token: room.token(`p${who}`), who, size: [640, 360] });
    }
    const tracks = await record(room, { mode: 'tracks' });
    f.track_cores = tracks.share / tracks.paths.length;
    const composite = await record(room, { mode: 'composite' });
    f.composite_cores = composite.share;
    f.path = composite.paths[0];

    /* raw, in memory, so that it is libx264 that takes the time */
    const raw = `/dev/shm/kcs-bench-${process.pid}.y4m`;
    try {
        ffmpeg('-i', f.path, '-an', '-t', `${seconds}`, '-pix_fmt', 'yuv420p', '-fps_mode', 'cfr', '-r', '30', '-y', raw);
        const floor = ffmpeg('-i', raw, '-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency',
            '-crf', '23', '-maxrate', '3M', '-bufsize', '3M', '-g', '60', '-threads', '1', '-f', 'null', '-');
        f.x264_cores = (floor.cpu / floor.pictures) * 30;
    } finally {
        rmSync(raw, { force: true });
    }
    delete f.path;
    f.ratio = f.composite_cores / f.x264_cores;
}));

if (o.json) {
    console.log(JSON.stringify(f));
} else {
    const share = (value) => `${value.toFixed(4).padStart(8)} of a core`;

    console.log(`egress, ${cameras} cameras of 640x360, ${seconds} s\n`);
    console.log(`a track as it is      ${share(f.track_cores)}`);
    console.log(`one picture of all    ${share(f.composite_cores)}`);
    console.log(`libx264 alone         ${share(f.x264_cores)}`);
    console.log(`ratio                 ${f.ratio.toFixed(2).padStart(8)}`);
}
