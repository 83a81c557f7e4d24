/* A tab with the client of lib/legacy-page.js, bundled with one generation or another of
 * mediasoup-client. */
import { build } from 'esbuild';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const bundles = new Map();

/* mediasoup: the package to take, 'mediasoup-client' or 'mediasoup-client-37' */
async function bundle(mediasoup) {
    if (!bundles.has(mediasoup)) {
        const { outputFiles } = await build({
            entryPoints: [join(here, 'legacy-page.js')],
            alias: mediasoup === 'mediasoup-client' ? {} : { 'mediasoup-client': mediasoup },
            bundle: true,
            write: false,
            format: 'iife',
            platform: 'browser',
            define: { global: 'globalThis', 'process.env.NODE_ENV': '"production"' },
        });
        bundles.set(mediasoup, outputFiles[0].text);
    }
    return bundles.get(mediasoup);
}

/* Opens it on a page of the node, so that its origin is one that gets a camera. */
export async function openLegacy(browser, node, mediasoup = 'mediasoup-client') {
    const page = await browser.newPage();

    await page.goto(`${node.origin}/api/health/live`);
    await page.addScriptTag({ content: await bundle(mediasoup) });
    return page;
}
