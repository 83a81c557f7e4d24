/* WHIP with simulcast from a browser, a legacy client and WHEP viewers in one room: each is
 * decoded by those who can watch it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withBrowser } from './lib/browser.mjs';
import { openLegacy } from './lib/legacy.mjs';
import { withNode } from './lib/node.mjs';
import { openWishPage, watchInPage } from './lib/wish.mjs';

const MEDIA_MS = 40_000;

/* In the page: publishes picture and sound, the picture in two sizes. Resolves with the
 * node's answer. */
async function publishInPage({ meeting, token }) {
    const stream = await navigator.mediaDevices.getUserMedia({
        audio: true,
        video: { width: 640, height: 360 },
    });
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });

    for (const track of stream.getTracks()) {
        pc.addTransceiver(track, {
            direction: 'sendonly',
            streams: [stream],
            sendEncodings:
                track.kind === 'video' ? [{ rid: 'l', scaleResolutionDownBy: 2 }, { rid: 'h' }] : [{}],
        });
    }
    /* layers, not estimates on a busy machine, are what is looked at */
    const insist = (sdp) => {
        const [, pt] = /a=rtpmap:(\d+) VP8/.exec(sdp);
        const least = `a=fmtp:${pt} x-google-min-bitrate=2000;x-google-start-bitrate=2000\r\n`;
        return sdp.replace(/a=rtpmap:\d+ VP8.*\r\n/, (line) => line + least);
    };
    const path = `/api/whip/${meeting}?name=Studio`;
    const { sdp } = await window.negotiate(pc, path, token, insist);
    window.pc = pc;
    return sdp;
}

/* Waits until the page decodes pictures of at least this height, and hears. */
async function sees(page, height) {
    await page.waitForFunction(
        async (least) => {
            const found = {};
            for (const entry of (await window.viewer.pc.getStats()).values()) {
                if (entry.type === 'inbound-rtp') {
                    found[entry.kind] = entry;
                }
            }
            window.last = [found.video?.frameHeight, found.video?.framesDecoded, found.audio?.packetsReceived];
            return (
                found.video?.frameHeight >= least &&
                found.video.framesDecoded > 30 &&
                found.audio?.packetsReceived > 50
            );
        },
        { timeout: MEDIA_MS, polling: 200 },
        height,
    ).catch(async (error) => {
        throw new Error(`${error.message}: ${JSON.stringify(await page.evaluate(() => window.last))}`);
    });
}

test('simulcast by WHIP, a legacy client and WHEP viewers in one room', { timeout: 150_000 }, () =>
    withNode({ name: 'wish', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const meeting = 'e2e-wish';
            const open = () => openWishPage(browser, node);
            const studio = await open();
            const token = await node.token({ meeting, name: 'Studio' });
            const answer = await studio.evaluate(publishInPage, { meeting, token });

            assert.match(answer, /a=simulcast:recv l;h\r\n/);
            assert.match(answer, /a=rid:l recv\r\na=rid:h recv\r\n/);

            /* the legacy client sees the studio, which has no eyes of its own */
            const legacy = await openLegacy(browser, node);
            await legacy.evaluate((options) => window.legacy.join(options), {
                origin: node.origin,
                token: await node.token({ meeting, name: 'Old' }),
                meetingId: meeting,
            });
            await legacy.waitForFunction(
                async () => {
                    const { video, audio } = await window.legacy.stats();
                    return video >= 20 && audio >= 50;
                },
                { timeout: MEDIA_MS, polling: 200 },
            );
            const told = await legacy.evaluate(() => ({
                errors: window.legacy.own.errors,
                existing: window.legacy.own.joined.existingProducers.map(({ kind }) => kind).sort(),
                studio: window.legacy.own.joined.existingProducers[0].participantId,
                own: window.legacy.own.joined.participantId,
            }));
            assert.deepEqual(told.errors, []);
            assert.deepEqual(told.existing, ['audio', 'video']);

            /* a viewer gets the larger picture of the studio, then another the legacy client's */
            const watch = async (participant) => {
                const page = await open();
                const guest = await node.token({ meeting, name: 'Viewer', role: 'guest' });
                await page.evaluate(watchInPage, { meeting, token: guest, participant });
                return page;
            };
            const first = await watch(told.studio);
            await sees(first, 360);
            await first.close();
            const second = await watch(told.own);
            await sees(second, 100);
        }),
    ),
);
