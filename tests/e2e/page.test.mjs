/* What a person meets in the page: the form before the call, keys, layouts, a shared screen,
 * coming back by itself.  Every screen is looked at by axe-core, and kept as a picture in two
 * sizes, light and dark. */
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Person, withBrowser } from './lib/browser.mjs';
import { assertAccessible, pictures, PHONE, WIDE } from './lib/look.mjs';
import { claimsFor, signToken } from './lib/jwt.mjs';
import { ask, connect } from './lib/client.mjs';
import { withNode } from './lib/node.mjs';
import { firstPassword, rest, user } from './lib/rest.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const TIMEOUT = { timeout: 120_000 };
const EVIL = '<img src=x onerror="window.evil=1">';

/* Which of these parts of the page, as far as they are shown, lie over another. */
function overlaps(who, selectors) {
    return who.page.evaluate((all) => {
        const shown = all
            .map((selector) => [selector, document.querySelector(selector)])
            .filter(([, element]) => element?.checkVisibility())
            .map(([selector, element]) => [selector, element.getBoundingClientRect()]);

        return shown.flatMap(([one, a], i) =>
            shown
                .slice(i + 1)
                .filter(
                    ([, b]) =>
                        Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
                        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1,
                )
                .map(([other]) => `${one} and ${other}`),
        );
    }, selectors);
}

/* A screen to share: the browser of a test has none. */
async function fakeScreen(who) {
    await who.page.evaluate(() => {
        navigator.mediaDevices.getDisplayMedia = async () => {
            const canvas = document.createElement('canvas');
            canvas.width = 1280;
            canvas.height = 720;
            const context = canvas.getContext('2d');
            let n = 0;
            window.setInterval(() => {
                context.fillStyle = '#203060';
                context.fillRect(0, 0, 1280, 720);
                context.fillStyle = '#ffffff';
                context.font = '120px sans-serif';
                context.fillText(`Slide ${n++}`, 200, 400);
            }, 100);
            return canvas.captureStream(10);
        };
    });
}

/* Chooses from the menu More. */
async function choose(who, text) {
    await who.press('More');
    await who.page.locator(`::-p-xpath(//button[@class="menu-item" and .="${text}"])`).click();
}

function muted(who) {
    return who.page.$eval('#toggle-mic', (button) => button.ariaPressed);
}

function framesOf(who, source) {
    return who.page.evaluate(async (wanted) => {
        const media = window.kcs.people.flatMap((person) => person.media);
        const id = media.find((each) => each.source === wanted)?.producerId;
        const { received } = await window.kcs.stats();
        return received.find((each) => each.producerId === id)?.framesDecoded ?? 0;
    }, source);
}

/* Chooses from the menu of a person's row. */
async function act(who, name, text) {
    await who.press(`Actions for ${name}`);
    await who.page.locator(`::-p-xpath(//button[@class="menu-item" and .="${text}"])`).click();
}

async function click(who, text) {
    await who.page.bringToFront();
    await who.page.locator(`::-p-xpath(//button[.="${text}"])`).click();
}

async function write(who, text) {
    await who.page.bringToFront();
    await who.page.type('textarea[name=message]', text);
    await who.page.keyboard.press('Enter');
}

async function reads(who, wanted) {
    await who.until(
        `the chat is ${JSON.stringify(wanted)}`,
        (texts) =>
            JSON.stringify(
                [...document.querySelectorAll('.message .text, .message .gone')].map(
                    (each) => each.textContent,
                ),
            ) === JSON.stringify(texts),
        wanted,
    );
}

/* What moved with the form's button in it, since the page came, without the person's doing. */
function shifts(who) {
    return who.page.evaluate(
        () =>
            new Promise((resolve) => {
                new PerformanceObserver((list) =>
                    resolve(
                        list
                            .getEntries()
                            .flatMap((entry) => entry.sources)
                            .filter(({ node }) =>
                                node?.contains(document.querySelector('#join-form [type=submit]')),
                            )
                            .map(({ node, previousRect: a, currentRect: b }) =>
                                [node.nodeName, a.y, b.y].join(' '),
                            ),
                    ),
                ).observe({ type: 'layout-shift', buffered: true });
                setTimeout(() => resolve([]), 500);
            }),
    );
}

async function withBoth(node, browser, body) {
    const meeting = 'page';
    const open = async (name, more) =>
        Person.open(browser, node, {
            ...{ name, meeting, token: await node.token({ meeting, name, role: 'host' }) },
            ...more,
        });
    const ada = await open('Ada Lovelace', { form: 'open' });
    try {
        await body(ada, open);
    } catch (error) {
        error.message += `\n${await ada.describe()}`;
        throw error;
    }
}

test('tiles: large ones first, pages when they become too small', async () => {
    const { outputFiles } = await build({
        entryPoints: [join(here, '../../control/web/src/ui/layout.ts')],
        bundle: true,
        format: 'esm',
        write: false,
    });
    const code = Buffer.from(outputFiles[0].contents).toString('base64');
    const { place, chooseMain } = await import(`data:text/javascript;base64,${code}`);
    const ids = Array.from({ length: 60 }, (_, i) => `p${i}`);
    const seen = new Set();
    const { pages } = place(ids, undefined, 1200, 600, 0);

    assert.ok(pages > 1 && pages < 6, `${pages} pages of 60`);
    for (let page = 0; page < pages; page++) {
        for (const [id, rect] of place(ids, undefined, 1200, 600, page).rects) {
            seen.add(id);
            assert.ok(rect.width >= 150, `${id} is ${rect.width} wide`);
            assert.ok(rect.left >= 0 && rect.left + rect.width <= 1200.5, `${id} is inside`);
            assert.ok(rect.top >= 0 && rect.top + rect.height <= 600.5, `${id} is inside`);
        }
    }
    assert.equal(seen.size, 60, 'each is on a page');
    assert.equal(place(ids, undefined, 1200, 600, 99).page, pages - 1);

    const none = { pin: undefined, spotlight: undefined, speaker: undefined };
    assert.equal(chooseMain('grid', ['a', 'b'], none), undefined);
    assert.equal(chooseMain('speaker', ['a', 'b'], { ...none, speaker: 'b' }), 'b');
    assert.equal(chooseMain('grid', ['a', 'b'], { ...none, spotlight: 'a' }), 'a');
    assert.equal(chooseMain('presentation', ['screen:1', 'b'], none), 'screen:1');
    assert.equal(
        chooseMain('presentation', ['screen:1', 'b'], { ...none, pin: 'b' }),
        'b',
        'what was pinned by oneself goes before all',
    );
    /* upright, as a phone is held, they fill what there is */
    for (const [n, least] of [[1, 0.7], [2, 0.75], [3, 0.8], [4, 0.7], [6, 0.6]]) {
        const { rects } = place(ids.slice(0, n), undefined, 370, 640, 0);
        const area = [...rects.values()].reduce((sum, r) => sum + r.width * r.height, 0);

        assert.equal(rects.size, n);
        assert.ok(area > least * 370 * 640, `${n}: ${area / 370 / 640}`);
    }
    const large = place(['a', 'b'], 'a', 1200, 600, 0).rects;
    assert.ok(large.get('a').width > 3 * large.get('b').width);
});

test('the button to join is in sight, also for who has yet to paste an invitation', TIMEOUT, () =>
    withNode({ name: 'page-door', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const page = await browser.newPage();

            for (const size of [{ width: 1280, height: 700 }, PHONE]) {
                await page.setViewport(size);
                await page.goto(`${node.origin}/?meeting=demo`);
                await page.waitForFunction(
                    () => /ms to the server/.test(document.querySelector('.network').textContent),
                );
                const bottom = await page.$eval('#join-form button.primary',
                    (button) => button.getBoundingClientRect().bottom);
                assert.ok(bottom <= size.height, `${bottom} of ${size.height}`);
            }
        }),
    ));

/* Types into the fields of a form and sends it. */
async function fill(who, form, values) {
    for (const [name, value] of Object.entries(values)) {
        const at = await who.page.waitForSelector(`${form} [name=${name}]`);
        await at.evaluate((element) => (element.value = ''));
        await at.type(value);
    }
    await who.page.click(`${form} [type=submit]`);
}

const shows = (who, what, pattern) =>
    who.until(what, (source) => new RegExp(source).test(document.querySelector('#app').textContent),
        pattern.source);

test('one signs in, plans a meeting, shares its link, begins it, comes back, takes it away, signs out', TIMEOUT, () =>
    withNode({ name: 'page-home', devices: ['udp'], control: 'limits: {logins_per_address: 12}\n' }, (node) =>
        withBrowser(async (browser) => {
            const password = await firstPassword(node);
            const ada = new Person(await browser.newPage(), 'Administrator');
            const item = (text) =>
                ada.page.locator(`::-p-xpath(//button[@class="menu-item" and .="${text}"])`).click();

            await ada.page.evaluateOnNewDocument(() => {
                window.confirm = () => true;
                navigator.clipboard.writeText = async (text) => void (window.copiedLink = text);
            });
            await ada.page.goto(node.origin);
            await ada.page.waitForSelector('#sign-in');
            await assertAccessible(ada, 'signing in');
            await pictures(ada, 'sign-in');

            /* ---- wrong, too often, right ---- */
            await fill(ada, '#sign-in', { login: 'admin', password: 'not this' });
            await shows(ada, 'it is told', /account or the password is wrong/);
            for (let i = 0; i < 12; i++) {
                await rest(node, 'POST', '/auth/login', { body: { login: 'x', password: 'y' } });
            }
            await fill(ada, '#sign-in', { password });
            await shows(ada, 'it says when again', /too often. Try again in \d+ seconds/);
            assert.equal(await ada.page.$eval('#sign-in [type=submit]', (b) => b.disabled), true);
            await pictures(ada, 'sign-in-wait');
            await ada.page.waitForSelector('#sign-in [type=submit]:not(:disabled)', { timeout: 30_000 });
            await fill(ada, '#sign-in', { password });
            await shows(ada, 'there are none yet', /Nothing is planned/);

            /* ---- planned ---- */
            await click(ada, 'Plan a meeting');
            await ada.page.waitForSelector('#plan');
            await ada.page.select('#plan [name=repeats]', 'workdays');
            await assertAccessible(ada, 'planning');
            await pictures(ada, 'plan');
            await ada.page.$eval('#plan [name=last]', (last) => (last.value = '2001-01-01'));
            await fill(ada, '#plan', { title: EVIL });
            await shows(ada, 'a series that never happens is refused', /recurrence/);
            await ada.page.$eval('#plan [name=last]', (last) => (last.value = ''));
            await ada.page.click('#plan [type=submit]');
            await ada.until('it is in the list', (text) =>
                document.querySelector('.mine li strong')?.textContent === text &&
                /every week, 5 days/.test(document.querySelector('.mine li').textContent), EVIL);
            assert.equal(await ada.page.evaluate(() => window.evil), undefined);

            /* ---- a guest by its link; the host by the button ---- */
            await ada.press(`Actions for ${EVIL}`.replaceAll('"', '\\"'));
            await assertAccessible(ada, 'one’s meetings');
            await pictures(ada, 'mine');
            await item('Copy the invitation link');
            await ada.until('it is copied', () => window.copiedLink !== undefined);
            const link = await ada.page.evaluate(() => window.copiedLink);
            await click(ada, 'Start');
            await ada.until('the form has her name', () =>
                document.querySelector('#join-form [name=name]')?.value === 'Administrator');
            await ada.page.goBack();
            await ada.until('the list is where it was', () => document.querySelector('.mine li') !== null);
            await click(ada, 'Join');
            await ada.page.waitForSelector('#join-form');
            await ada.join();
            await ada.joined();
            const bob = new Person(await browser.newPage(), 'Bob');
            await bob.page.goto(`${link.replace('?', '?name=Bob&')}`);
            await bob.joined();
            await ada.until('she sees him', () => window.kcs.people.some(({ name }) => name === 'Bob'));

            /* ---- the tokens of a tab are those of all; an old one is changed for another ---- */
            await ada.page.bringToFront();
            await ada.press('Leave the call');
            await click(ada, 'Your meetings');
            await ada.until('it is going on', () =>
                document.querySelector('.mine h2')?.textContent === 'Now');
            const kept = () => ada.page.evaluate(() => JSON.parse(localStorage.getItem('kcs-account')));
            const before = await kept();
            await ada.page.evaluate(() => {
                const old = JSON.parse(localStorage.getItem('kcs-account'));
                localStorage.setItem('kcs-account', JSON.stringify({ ...old, accessEndsAt: 0 }));
            });
            const other = new Person(await browser.newPage(), 'another tab');
            await Promise.all([ada.page.reload(), other.page.goto(node.origin)]);
            for (const who of [ada, other]) {
                await who.until('the meetings are there', () => document.querySelector('.mine li') !== null);
            }
            assert.notEqual((await kept()).refresh, before.refresh, 'it was used, once');
            await ada.page.evaluate(() => {
                const old = JSON.parse(localStorage.getItem('kcs-account'));
                localStorage.setItem('kcs-account', JSON.stringify({ ...old, access: `${old.access}x` }));
            });
            await ada.page.reload();
            await ada.until('a token that is refused is changed, too', () =>
                document.querySelector('.mine li') !== null);

            /* ---- ended for all, deleted, signed out in all tabs ---- */
            await ada.press(`Actions for ${EVIL}`.replaceAll('"', '\\"'));
            await item('Delete');
            await shows(ada, 'it is gone', /Nothing is planned/);
            await bob.until('he has to leave', () => window.kcs.state === 'failed');
            const { refresh } = await kept();
            await click(ada, 'Sign out');
            await ada.page.waitForSelector('#sign-in');
            await other.page.waitForSelector('#sign-in');
            const again = await rest(node, 'POST', '/auth/refresh', { body: { refresh_token: refresh } });
            assert.equal(again.status, 401, 'the node knows it, too');
            assert.deepEqual(
                [...ada.console, ...other.console].filter((line) => /uncaught|Content Security/.test(line)),
                [],
            );
        }),
    ));

test('who loads the page anew while its tokens are renewed stays signed in', TIMEOUT, () =>
    withNode({ name: 'page-renew', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const ada = new Person(await browser.newPage(), 'Administrator');
            let lost;

            await ada.page.goto(node.origin);
            await fill(ada, '#sign-in', { login: 'admin', password: await firstPassword(node) });
            await shows(ada, 'there are none yet', /Nothing is planned/);
            await ada.page.evaluate(() => {
                const old = JSON.parse(localStorage.getItem('kcs-account'));
                localStorage.setItem('kcs-account', JSON.stringify({ ...old, accessEndsAt: 0 }));
            });

            /* the node answers; the page that has asked is gone */
            await ada.page.setRequestInterception(true);
            const asked = new Promise((resolve) => ada.page.on('request', (request) => {
                if (lost === undefined && request.url().endsWith('/auth/refresh')) {
                    lost = rest(node, 'POST', '/auth/refresh', { body: JSON.parse(request.postData()) });
                    resolve();
                } else {
                    void request.continue();
                }
            }));
            await ada.page.reload();
            await asked;
            const { status, body } = await lost;
            assert.equal(status, 200);
            await ada.page.reload();
            await shows(ada, 'she is still who she was', /Nothing is planned/);
            const { refresh } = await ada.page.evaluate(() => JSON.parse(localStorage.getItem('kcs-account')));
            assert.equal(refresh, body.data.refresh_token);
        }),
    ));

test('a stored meeting is called by its name, from the form and the waiting room on', TIMEOUT, () =>
    withNode({ name: 'page-name', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const made = await rest(node, 'POST', '/meeting', { token: user(node, 'ada'),
                body: { meeting_name: 'Board & Co', waiting_room_enabled: true } });
            const { id } = made.body.data;
            const ticket = await rest(node, 'POST', `/meeting/${id}/join`,
                { token: user(node, 'zoe'), body: { display_name: 'Zoe' } });
            const zoe = await Person.open(browser, node, { name: 'Zoe', meeting: id,
                token: ticket.body.data.token, form: 'open' });

            await zoe.until('the form has it', () =>
                document.querySelector('h1').textContent === 'Join “Board & Co”');
            await zoe.join();
            await zoe.until('the waiting room has it', () =>
                window.kcs.state === 'waiting' &&
                document.querySelector('.card .strong')?.textContent === 'Board & Co' &&
                document.title === 'Board & Co – KCS');
        }),
    ));

test('who follows a host’s link is somebody else, of the role that the link has', TIMEOUT, () =>
    withNode({ name: 'page-link', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const meeting = 'page-link';
            const ada = await Person.open(browser, node, { name: 'Ada', meeting,
                token: await node.token({ meeting, name: 'Ada', role: 'host' }) });

            await ada.joined();
            await ada.page.evaluate(() => {
                navigator.clipboard.writeText = async (text) => void (window.copiedLink = text);
            });
            await ada.press('Copy the invitation link');
            await ada.until('it says for whom', () =>
                window.copiedLink !== undefined && /comes in as attendee/.test(document.body.textContent));
            const link = new URL(await ada.page.evaluate(() => window.copiedLink));
            const token = new URLSearchParams(link.hash.slice(1)).get('token');
            const claims = (of) => JSON.parse(Buffer.from(of.split('.')[1], 'base64url'));

            assert.equal(claims(token).scope, 'join_link');
            assert.equal(link.searchParams.get('meeting'), meeting);
            assert.equal(link.searchParams.has('name'), false);
            const bob = await Person.open(browser, node, { name: 'Bob', meeting, token });
            await bob.joined();
            const own = await bob.page.evaluate(() => new URLSearchParams(location.hash.slice(1)).get('token'));
            assert.match(claims(own).sub, /^guest_/);
            assert.equal(claims(own).role, 'attendee');
            await bob.until('who may not invite has no button for it', () =>
                document.querySelector('button[aria-label="Copy the invitation link"]').hidden);
            await bob.page.reload();
            await bob.joined();
            assert.equal(await bob.page.evaluate(() =>
                new URLSearchParams(location.hash.slice(1)).get('token')), own, 'a reload stays the same');

            const late = await Person.open(browser, node, { name: 'Eve', meeting, token: `${token}x` });
            await late.until('a bad one is refused in words', () =>
                /invitation is not valid/.test(document.querySelector('#app').textContent));
        }),
    ));

test('before the call: devices, level, network; keys; a shared screen; layouts; coming back', TIMEOUT, () =>
    withNode({ name: 'page', devices: ['udp'] }, (node) =>
        withBrowser((browser) =>
            withBoth(node, browser, async (ada, open) => {
                /* ---- the form ---- */
                await ada.until('the preview shows a picture', () =>
                    document.querySelector('.preview video').videoWidth > 0,
                );
                await ada.until('the meter moves', () =>
                    document.querySelector('meter').value > 0.1,
                );
                await ada.until('the network was checked', () =>
                    /ms to the server/.test(document.querySelector('.network').textContent),
                );
                for (const name of ['microphone', 'camera']) {
                    const n = await ada.page.$$eval(
                        `select[name=${name}] option:not([value=''])`,
                        (all) => all.length,
                    );
                    assert.ok(n >= 1, `there is a choice of ${name}s`);
                }
                assert.deepEqual(
                    await shifts(ada),
                    [],
                    'the form does not move under the pointer when devices are found',
                );
                await ada.press('Turn the camera off');
                await ada.until('there is no preview', () =>
                    document.querySelector('.preview video').srcObject === null,
                );
                await ada.press('Turn the camera on');
                await ada.until('there is again', () =>
                    document.querySelector('.preview video').videoWidth > 0,
                );
                await assertAccessible(ada, 'the form');
                await pictures(ada, 'form');
                await ada.join();
                await ada.joined();

                /* ---- a name is a name ---- */
                const grace = await open(EVIL, {});
                await grace.joined();
                await ada.receives(EVIL);
                const shown = await ada.page.$eval('.tile.person', (tile) => ({
                    name: tile.querySelector('.tile-name').textContent,
                    images: tile.querySelectorAll('img').length,
                }));
                assert.deepEqual(shown, { name: EVIL, images: 0 });
                assert.equal(await ada.page.evaluate(() => window.evil), undefined);

                /* ---- keys ---- */
                await ada.page.bringToFront();
                await ada.page.evaluate(() => document.activeElement.blur());
                assert.equal(await muted(ada), 'false');
                await ada.page.keyboard.down('Control');
                await ada.page.keyboard.press('d');
                await ada.page.keyboard.press('e');
                await ada.page.keyboard.up('Control');
                await ada.until('both are off', () =>
                    ['#toggle-mic', '#toggle-camera'].every(
                        (id) =>
                            document.querySelector(id).ariaPressed === 'true' &&
                            !document.querySelector(id).disabled,
                    ),
                );
                await ada.page.keyboard.down(' ');
                await ada.until('she talks while she holds space', () =>
                    document.querySelector('#toggle-mic').ariaPressed === 'false',
                );
                await ada.page.keyboard.up(' ');
                await ada.until('she is muted again', () =>
                    document.querySelector('#toggle-mic').ariaPressed === 'true',
                );
                await ada.press('Turn the microphone on');
                await ada.press('Turn the camera on');

                /* ---- who is here ---- */
                await ada.press('People');
                const rows = await ada.page.$$eval('.people-list .who-name', (all) =>
                    all.map((row) => row.textContent),
                );
                assert.deepEqual(rows, ['Ada Lovelace (you)', EVIL]);
                await assertAccessible(ada, 'people');
                await pictures(ada, 'people');
                await ada.press('People');

                /* ---- a screen ---- */
                await fakeScreen(grace);
                await grace.press('Share the screen');
                await ada.until("Grace's screen is large", () =>
                    document.querySelector('.tile.screen.is-main.has-video') !== null &&
                    document.querySelector('.stage').dataset.mode === 'presentation',
                );
                assert.equal(
                    await grace.page.$eval('.sharing', (banner) => banner.checkVisibility() &&
                        banner.firstChild.textContent),
                    'You are sharing your screen',
                );
                await assertAccessible(grace, 'sharing');
                await assertAccessible(ada, 'presentation');
                await pictures(ada, 'screen');
                await choose(ada, 'Layout: Grid');
                await ada.until('nobody is large', () =>
                    document.querySelector('.is-main') === null,
                );
                await assertAccessible(ada, 'grid');
                await pictures(ada, 'grid');

                /* ---- how well it comes, in numbers, on the best of links too ---- */
                await ada.page.$eval('.tile.person .quality', (button) => button.click());
                await ada.until('there are figures of sound and picture', () => {
                    const figures = document.querySelector('.tile.person .tile-figures');
                    return ['sound', 'picture'].every((kind) =>
                        new RegExp(`${kind}: [1-9]\\d* kb/s, \\d+\\.\\d % lost, jitter \\d+ ms`)
                            .test(figures.textContent));
                });
                await assertAccessible(ada, 'figures');
                await ada.page.$eval('.tile.person .quality', (button) => button.click());

                /* ---- nothing of the longest menu is out of sight ---- */
                await ada.press('More');
                assert.ok(await ada.page.$eval('.controls .menu:not([hidden])', (menu) =>
                    menu.scrollHeight <= menu.clientHeight &&
                    menu.getBoundingClientRect().top >= 0 &&
                    menu.lastChild.textContent === 'End the meeting for all'));
                await ada.page.keyboard.press('Escape');

                /* ---- what is on another page is not sent ---- */
                await ada.page.setViewport({ width: 300, height: 250 });
                await ada.until('there are pages', () =>
                    !document.querySelector('.pager').hidden &&
                    document.querySelectorAll('.tile:not([hidden])').length === 1,
                );
                let before = -1;
                for (let tries = 0; tries < 20; tries++) {
                    const now = await framesOf(ada, 'camera');
                    if (now === before) {
                        break;
                    }
                    before = now;
                    await new Promise((done) => setTimeout(done, 700));
                }
                assert.equal(await framesOf(ada, 'camera'), before, 'no picture comes');
                await ada.page.setViewport(WIDE);
                await ada.until(
                    'it comes again',
                    async (since) => {
                        const { received } = await window.kcs.stats();
                        return received.some(
                            (each) => each.width > 0 && each.framesDecoded > since,
                        );
                    },
                    before,
                );

                await choose(ada, 'Layout: Speaker');
                await ada.until('one is large', () =>
                    document.querySelectorAll('.is-main').length === 1,
                );
                await grace.press('Stop sharing the screen');
                await ada.until('the screen is gone', () =>
                    document.querySelector('.tile.screen') === null,
                );

                /* ---- coming back without a click ---- */
                const ids = await ada.page.evaluate(() => window.kcsTest.identities());
                await ada.page.evaluate(() => window.dispatchEvent(new Event('online')));
                await ada.until(
                    'ICE has new credentials, and media goes on',
                    async (old) => {
                        const now = await window.kcsTest.identities();
                        return (
                            now.length === old.length &&
                            now.every(([ufrag]) => !old.some(([was]) => was === ufrag)) &&
                            now.every(([, dtls]) => dtls === 'connected')
                        );
                    },
                    ids,
                );
                await ada.page.evaluate(() => {
                    window.kcsTest.expectReconnect();
                    window.kcsTest.cutSockets();
                });
                await ada.until('she is back', () =>
                    window.kcs.state === 'joined' && window.kcsTest.reconnected(),
                );
                const since = await framesOf(ada, 'camera');
                await ada.until(
                    'the picture moves',
                    async (n) => {
                        const { received } = await window.kcs.stats();
                        return received.some((each) => each.framesDecoded > n + 5);
                    },
                    since,
                );
                assert.deepEqual(
                    ada.console.filter((line) => /uncaught|Content Security/i.test(line)),
                    [],
                );
            }),
        ),
    ),
);

test('a meeting: chat, hands, reactions, poll, whiteboard, host controls, the waiting room', TIMEOUT, () =>
    withNode({ name: 'page-meeting', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const meeting = 'page-meeting';
            const open = async (name, role) =>
                Person.open(browser, node, {
                    ...{ name, meeting, video: false },
                    token: await node.token({ meeting, name, role }),
                });
            const ada = await open('Ada Lovelace', 'host');
            await ada.joined();
            const grace = await open('Grace Hopper', 'presenter');
            await grace.joined();
            try {
                /* ---- chat ---- */
                await ada.press('Chat');
                await write(ada, EVIL);
                await grace.until('she sees that somebody wrote', () =>
                    document.querySelector('button[aria-label="Chat, 1 new"]') !== null,
                );
                await grace.press('Chat, 1 new');
                await reads(grace, [EVIL]);
                await write(grace, 'Hello Ada');
                await reads(ada, [EVIL, 'Hello Ada']);
                await reads(grace, [EVIL, 'Hello Ada']);
                await grace.page.$$eval('.message.mine .menu-root button', ([button]) =>
                    button.click(),
                );
                await click(grace, 'Edit');
                await grace.page.$eval('textarea[name=message]', (area) => (area.value = ''));
                await write(grace, 'Hello, Ada!');
                await reads(ada, [EVIL, 'Hello, Ada!']);
                await ada.page.$$eval('.message .menu-root button', (all) =>
                    all.at(-1).click(),
                );
                await click(ada, 'React 👍');
                await grace.until('she sees the reaction', () =>
                    document.querySelector('.pill')?.textContent === '👍 1',
                );
                await assertAccessible(ada, 'chat');
                await pictures(ada, 'chat');
                await grace.page.$$eval('.message.mine .menu-root button', ([button]) =>
                    button.click(),
                );
                await click(grace, 'Delete');
                await reads(ada, [EVIL, 'This message was deleted.']);
                assert.equal(await grace.page.evaluate(() => window.evil), undefined);
                await ada.press('Close');

                /* ---- what was written while the socket was cut ---- */
                await grace.page.evaluate(() => {
                    window.kcsTest.expectReconnect();
                    window.kcsTest.cutSockets();
                });
                await ada.press('Chat');
                await write(ada, 'Are you there?');
                await grace.until('she is back', () =>
                    window.kcs.state === 'joined' && window.kcsTest.reconnected(),
                );
                await reads(grace, [EVIL, 'This message was deleted.', 'Are you there?']);
                await grace.press('Close');
                await ada.press('Close');

                /* ---- hands and reactions ---- */
                await grace.press('Raise your hand');
                await ada.until("Grace's hand is up", () =>
                    document.querySelector('.tile .tile-hand:not([hidden])') !== null,
                );
                await grace.press('Send a reaction');
                await click(grace, '🎉');
                await ada.until('the reaction floats', () =>
                    document.querySelector('.reaction')?.textContent === '🎉Grace Hopper',
                );
                /* On its way out its name fades: not what a look at colours is about. */
                await ada.until('it has floated away', () =>
                    document.querySelector('.reaction') === null,
                );

                /* ---- what a host may ---- */
                await ada.press('People');
                await assertAccessible(ada, 'people of a host');
                await pictures(ada, 'host');
                await act(ada, grace.name, 'Lower the hand');
                await grace.until('her hand is down', () =>
                    document.querySelector('#toggle-hand').ariaPressed === 'false',
                );
                await act(ada, grace.name, 'Mute');
                await grace.until('she is muted, and told', () =>
                    document.querySelector('#toggle-mic').ariaPressed === 'true' &&
                    /Ada Lovelace has turned your microphone off/.test(
                        document.querySelector('.notices').textContent,
                    ),
                );
                await act(ada, grace.name, 'Ask to unmute');
                await grace.until('she is asked', () =>
                    /Ada Lovelace asks you to turn your microphone on/.test(
                        document.querySelector('.notices').textContent,
                    ),
                );
                await act(ada, grace.name, 'Show large to everybody');
                await ada.until('Grace is large', () =>
                    document.querySelector('.tile.person.is-main') !== null ||
                    document.querySelectorAll('.tile.person').length === 1,
                );
                await act(ada, grace.name, 'Make co-host');
                await grace.until('she is co-host', () =>
                    /You are now co-host/.test(document.querySelector('.notices').textContent),
                );
                await ada.press('Close');

                /* ---- a poll, the whiteboard ---- */
                await choose(ada, 'Polls');
                const fields = await ada.page.$$('.polls form input:not([type=checkbox])');
                for (const [i, text] of ['Tea?', 'Yes', 'No'].entries()) {
                    await fields[i].type(text);
                }
                await click(ada, 'Ask');
                await grace.until('she is told', () =>
                    /A new poll: Tea\?/.test(document.querySelector('.notices').textContent));
                await click(grace, 'Answer');
                await grace.page.locator('.poll input').click();
                await click(grace, 'Vote');
                await ada.until('the vote counts', () =>
                    [...document.querySelectorAll('.poll small')].map((e) => e.textContent)[0] ===
                    '1 vote',
                );
                await assertAccessible(ada, 'polls');
                await pictures(ada, 'poll');
                await ada.press('Close');
                await grace.press('Close');
                await choose(ada, 'Whiteboard');
                await choose(grace, 'Whiteboard');
                await grace.page.bringToFront();
                const board = await (await grace.page.$('canvas.board')).boundingBox();
                await grace.page.mouse.move(board.x + 40, board.y + 40);
                await grace.page.mouse.down();
                await grace.page.mouse.move(board.x + 160, board.y + 120, { steps: 8 });
                await grace.page.mouse.up();
                await ada.until('the stroke is on her board', () => {
                    const canvas = document.querySelector('canvas.board');
                    const { data } = canvas
                        .getContext('2d')
                        .getImageData(0, 0, canvas.width, canvas.height);
                    return data.some((value) => value > 0);
                });
                await assertAccessible(ada, 'whiteboard');
                await pictures(ada, 'board');
                await ada.press('Close');

                /* ---- a breakout room, and back ---- */
                await choose(ada, 'Breakout rooms');
                await ada.page.$eval('.breakouts form:not([hidden]) input', (input) => {
                    input.value = '1';
                });
                await click(ada, 'Make rooms');
                await click(ada, 'Send people into them');
                await grace.until('she is in the room, alone', () =>
                    /Room 1/.test(document.querySelector('.meeting').textContent) &&
                    document.querySelector('.tile.person') === null &&
                    window.kcs.people.every(({ media }) => media.length === 0),
                );
                await assertAccessible(ada, 'breakout rooms');
                await pictures(ada, 'breakout');
                await click(ada, 'Bring everybody back');
                await grace.until('she is back and hears Ada', () =>
                    document.querySelector('.tile.person') !== null &&
                    window.kcs.people.some(({ media }) => media.some((m) => m.received)),
                );
                await ada.press('Close');

                /* ---- captions, from whoever has the right to send them ---- */
                const source = await connect(
                    node,
                    signToken(
                        { ...claimsFor(meeting), tenant: undefined, scope: 'caption' },
                        node.secret,
                    ),
                );
                try {
                    const segment = { lang: 'en', start_ms: 0, end_ms: 900, final: true };
                    const entered = await ask(source, 'room:join', {
                        meeting_id: meeting,
                        display_name: 'Captions',
                    });
                    assert.ok(entered.ok, JSON.stringify(entered));
                    await choose(grace, 'Captions');
                    const told = await ask(source, 'caption:segment', { ...segment, text: EVIL });
                    assert.ok(told.ok, JSON.stringify(told));
                    await grace.until(
                        'she reads what is said',
                        (text) => document.querySelector('.captions p')?.textContent === text,
                        EVIL,
                    );
                    await assertAccessible(grace, 'captions');
                    await pictures(grace, 'captions');

                    /* ---- on a phone nothing of this hides another ---- */
                    await grace.until('what has happened has passed, what is asked stays', () =>
                        document.querySelectorAll('.notices li').length === 1,
                    );
                    await grace.press('Chat');
                    await pictures(grace, 'captions-chat');
                    await grace.page.setViewport(PHONE);
                    const parts = ['.top', '.notices', '.panel', '.captions', '.controls'];
                    assert.deepEqual(await overlaps(grace, parts), []);
                    assert.ok(
                        await grace.page.$eval('.panel', (panel) => panel.offsetHeight > 300),
                        'the panel has room',
                    );
                    await grace.page.setViewport(WIDE);
                    await grace.press('Close');
                    await click(grace, 'Turn the microphone on');
                    await grace.until('what she was asked is done', () =>
                        document.querySelector('#toggle-mic').ariaPressed === 'false' &&
                        document.querySelector('.notices li') === null,
                    );
                    assert.equal(
                        await ada.page.$eval('.captions', (captions) => captions.hidden),
                        true,
                        'who did not ask is not shown them',
                    );
                } finally {
                    source.close();
                }

                /* ---- a locked meeting ---- */
                await ada.press('People');
                await click(ada, 'Lock the meeting');
                const locked = await open('Shut Out', 'attendee');
                await locked.until('he is told', () =>
                    window.kcs.state === 'failed' &&
                    /The meeting is locked/.test(document.querySelector('.card').textContent),
                );
                await click(ada, 'Unlock the meeting');
                await ada.press('Close');

                /* ---- the waiting room, and out ---- */
                await ada.press('People');
                await click(ada, 'Turn the waiting room on');
                await ada.press('Close');
                const late = await open('Late Comer', 'attendee');
                await late.until('he waits', () => window.kcs.state === 'waiting');
                await assertAccessible(late, 'waiting');
                await late.screenshot('page-waiting.png');
                await ada.until('Ada is told', () =>
                    /Somebody is waiting/.test(document.querySelector('.notices').textContent));
                await pictures(ada, 'told');
                await click(ada, 'See who');
                await ada.until('Ada sees who waits', () =>
                    document.querySelector('.notices li') === null &&
                    /Late Comer/.test(document.querySelector('.lobby').textContent),
                );
                await assertAccessible(ada, 'lobby');
                await pictures(ada, 'lobby');
                await click(ada, 'Admit');
                await late.joined();
                await ada.press('Close');

                /* ---- a word in private ---- */
                await ada.press('Chat');
                await ada.page.select(
                    'select[name=to]',
                    await ada.page.$$eval(
                        'select[name=to] option',
                        (all) => all.find((option) => option.text === 'Late Comer').value,
                    ),
                );
                await write(ada, 'Only for you: https://example.org/?a=1&b=2.');
                await late.until('he sees that somebody wrote', () => {
                    const button = document.querySelector('button[aria-label^="Chat, "]');
                    button?.click();
                    return button !== null;
                });
                await late.until('he reads it', () =>
                    [...document.querySelectorAll('.message .text')].some(
                        ({ textContent }) =>
                            textContent === 'Only for you: https://example.org/?a=1&b=2.',
                    ),
                );
                assert.deepEqual(
                    await late.page.$eval('.message a', ({ href, rel, target }) => [href, rel, target]),
                    ['https://example.org/?a=1&b=2', 'noopener noreferrer', '_blank'],
                );
                assert.ok(
                    !(await grace.page.content()).includes('Only for you'),
                    'nobody else is sent it',
                );
                await ada.press('Close');
                await ada.press('People');
                await act(ada, late.name, 'Remove');
                await late.until('he is out', () =>
                    window.kcs.state === 'failed' && document.querySelector('.card') !== null,
                );
                assert.match(
                    await late.page.$eval('.card', (card) => card.textContent),
                    /A host has removed you/,
                );
            } catch (error) {
                error.message += `\n${await ada.describe()}\n${await grace.describe()}`;
                throw error;
            }
            assert.deepEqual(
                [...ada.console, ...grace.console].filter((line) => /uncaught/.test(line)),
                [],
            );
        }),
    ),
);

test('a token that ends is renewed where the meeting is stored, and told of where not', TIMEOUT, () =>
    withNode({ name: 'page-token', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const made = await rest(node, 'POST', '/meeting', {
                token: user(node, 'ada', { tenant: 'default', role: 'host' }),
                body: { meeting_name: 'Long' },
            });
            assert.equal(made.status, 201);
            const { id: stored } = made.body.data;
            const endsAt = Date.now() + 15_000;
            const open = async (name, meeting, sub) => {
                const claims = { ...claimsFor(meeting), sub, name, role: 'host' };
                claims.exp = Math.floor(endsAt / 1000);
                const token = signToken(claims, node.secret);
                const person = await Person.open(browser, node, { name, meeting, token });
                await person.joined();
                return person;
            };
            const ada = await open('Ada Lovelace', stored, 'ada');
            const grace = await open('Grace Hopper', 'page-ends', 'grace');

            await grace.until('she is told', () =>
                /Your invitation ends at/.test(document.querySelector('.notices').textContent),
            );
            await sleep(Math.max(0, endsAt + 2_000 - Date.now()));
            for (const who of [ada, grace]) {
                assert.equal(await who.page.evaluate(() => window.kcs.state), 'joined');
                await who.page.evaluate(() => {
                    window.kcsTest.expectReconnect();
                    window.kcsTest.cutSockets();
                });
            }
            await ada.until('she is back', () =>
                window.kcs.state === 'joined' && window.kcsTest.reconnected(),
            );
            await grace.until('she is told why not', () =>
                window.kcs.state === 'failed' && /has expired/.test(window.kcs.reason),
            );
        }),
    ),
);
