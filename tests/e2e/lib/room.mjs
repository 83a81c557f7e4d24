/* A tab with the client of lib/room-page.js. */
import { build } from 'esbuild';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
let bundled;

async function bundle() {
    bundled ??= build({
        entryPoints: [join(here, 'room-page.js')],
        bundle: true,
        write: false,
        format: 'iife',
        platform: 'browser',
        define: { global: 'globalThis', 'process.env.NODE_ENV': '"production"' },
    });
    return (await bundled).outputFiles[0].text;
}

/* Joins on a page of the node, so that its origin is one that gets a camera. relay: the port
 * of a Relay (relay.mjs) that all its media goes through. Resolves with the page, and what
 * the node said of the room in 'room'. */
export async function openRoom(browser, node, { meeting, name, relay = 0 }) {
    const page = await browser.newPage();
    const token = await node.token({ meeting, name });

    await page.goto(`${node.origin}/api/health/live`);
    await page.addScriptTag({ content: await bundle() });
    const room = await page.evaluate((options) => window.room.join(options), {
        ...{ origin: node.origin, token, meeting, relay },
    });
    return { page, room };
}

/* Resolves with what the node said by 'event', as soon as it has. */
export async function toldOf(page, event, timeout = 15_000) {
    await page.waitForFunction(
        (wanted) => window.room.told.some((each) => each.event === wanted),
        { timeout, polling: 50 },
        event,
    );
    return page.evaluate(
        (wanted) => window.room.told.filter((e) => e.event === wanted).map((e) => e.data),
        event,
    );
}
