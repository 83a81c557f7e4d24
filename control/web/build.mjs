/* Bundles the page: node build.mjs [OUT_DIR] (default ./dist). CMake's target kcs-web
 * runs it in a copy of this folder, so that nothing is ever written into the source
 * tree.
 *
 * The result is self-contained (index.html, app.js; watch.html, watch.js; style.css): no other origin is
 * asked. */
import { build } from 'esbuild';
import { copyFileSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, 'dist'));

mkdirSync(out, { recursive: true });
await build({
    absWorkingDir: here,
    entryPoints: { app: 'src/main.ts', watch: 'src/watch.ts', style: 'css/style.css' },
    outdir: out,
    bundle: true,
    format: 'iife',
    platform: 'browser',
    target: ['chrome111', 'firefox115', 'safari16.4'],
    minify: true,
    sourcemap: 'linked',
    legalComments: 'eof',
    logLevel: 'warning',
});
for (const page of ['index.html', 'watch.html']) {
    copyFileSync(join(here, page), join(out, page));
}
