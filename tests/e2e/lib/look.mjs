/* How a page looks: to axe-core, which knows what people meet who cannot see it or use no mouse,
 * and as pictures in two sizes, light and dark, to be looked at. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const AXE = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
export const WIDE = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

/* Nothing serious may be wrong, in light and in dark. */
export async function assertAccessible(who, where) {
    for (const scheme of ['light', 'dark']) {
        await who.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
        await who.page.evaluate(AXE); /* by the debugger, which no CSP holds up */
        const wrong = await who.page.evaluate(async () => {
            const { violations } = await window.axe.run(document, {
                resultTypes: ['violations'],
            });
            return violations
                .filter(({ impact }) => ['serious', 'critical'].includes(impact))
                .map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.html).join(' | ')}`);
        });
        assert.deepEqual(wrong, [], `${where}, ${scheme}`);
    }
}

export async function pictures(who, name) {
    for (const [size, viewport] of [
        ['wide', WIDE],
        ['phone', PHONE],
    ]) {
        await who.page.setViewport(viewport);
        const wider = await who.page.evaluate(
            () => document.documentElement.scrollWidth > window.innerWidth,
        );
        assert.equal(wider, false, `${name} at ${size}: nothing sticks out`);
        for (const scheme of ['light', 'dark']) {
            await who.page.emulateMediaFeatures([
                { name: 'prefers-color-scheme', value: scheme },
            ]);
            await who.screenshot(`page-${name}-${size}-${scheme}.png`);
        }
    }
    await who.page.setViewport(WIDE);
}
