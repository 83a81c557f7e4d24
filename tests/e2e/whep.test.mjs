/* What a WHEP viewer was not told when it asked, it is shown without negotiating again:
 * another codec, a kind that nobody sent then, somebody who left and is back. Chromium
 * publishes by WHIP and decodes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withBrowser } from './lib/browser.mjs';
import { ask, connect } from './lib/client.mjs';
import { withNode } from './lib/node.mjs';
import { openWishPage, publishInPage, watchInPage } from './lib/wish.mjs';

/* In the page: ends what it publishes. */
async function leaveInPage() {
    const { pc, session, token } = window.publisher;

    await fetch(session, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });
    pc.close();
}

/* In the page: chooses whom to watch; resolves with the status. */
async function chooseInPage(participant) {
    const { session, token } = window.viewer;
    const response = await fetch(session, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ participant }),
    });

    return response.status;
}

/* What the page has received: by kind packets and pictures decoded, and the codec of now. */
async function received(page) {
    return page.evaluate(async () => {
        const stats = await window.viewer.pc.getStats();
        const out = { state: window.viewer.pc.connectionState };

        for (const entry of stats.values()) {
            if (entry.type === 'inbound-rtp') {
                out[entry.kind] = {
                    packets: entry.packetsReceived,
                    frames: entry.framesDecoded ?? 0,
                    codec: stats.get(entry.codecId)?.mimeType,
                    ssrc: entry.ssrc,
                };
            }
        }
        return out;
    });
}

/* Waits until 20 more pictures of this codec were decoded. */
async function sees(page, node, codec) {
    let last = await received(page);
    let since = last.video?.frames ?? 0;
    let was = last.video?.codec;

    await node.until(`${codec} is decoded`, async () => {
        last = await received(page);
        if (last.video?.codec !== was) {
            was = last.video?.codec;
            since = last.video?.frames ?? 0;
        }
        return was === `video/${codec}` && last.video.frames >= since + 20;
    }).catch((error) => {
        throw new Error(`${error.message}: ${JSON.stringify(last)}`);
    });
    return last;
}

/* A room with a host who knows who is who. */
async function open(node, browser, meeting) {
    const ids = new Map();
    const socket = await connect(node, await node.token({ meeting, name: 'Host' }));

    socket.on('participant:joined', (event) => ids.set(event.user_id, event.participant_id));
    assert.equal((await ask(socket, 'room:join', { meeting_id: meeting, display_name: 'Host' })).ok, true);
    const userOf = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).sub;
    const page = () => openWishPage(browser, node);

    return {
        socket,
        page,
        person: async (name) => {
            const token = await node.token({ meeting, name });
            const own = await page();
            return {
                id: () => ids.get(userOf(token)),
                publish: (kinds, codec) => own.evaluate(publishInPage, { meeting, token, kinds, codec }),
                leave: () => own.evaluate(leaveInPage),
            };
        },
        watch: async (participant) => {
            const own = await page();
            const token = await node.token({ meeting, name: 'Viewer', role: 'guest' });
            own.answer = await own.evaluate(watchInPage, { meeting, token, participant });
            return own;
        },
    };
}

test('a viewer goes from codec to codec', { timeout: 240_000 }, () =>
    withNode({ name: 'whep-codecs', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const room = await open(node, browser, 'whep-codecs');
            const a = await room.person('A');
            const b = await room.person('B');
            const c = await room.person('C');

            try {
                await a.publish(['audio', 'video'], 'VP8');
                await b.publish(['audio', 'video'], 'H264');
                await c.publish(['audio', 'video'], 'VP9');
                const viewer = await room.watch(a.id());
                for (const codec of ['VP8', 'H264', 'VP9', 'AV1']) {
                    assert.match(viewer.answer, new RegExp(`a=rtpmap:\\d+ ${codec}/90000`), 'all in common');
                }
                const first = await sees(viewer, node, 'VP8');
                for (const [who, codec] of [[b, 'H264'], [c, 'VP9'], [a, 'VP8'], [b, 'H264']]) {
                    assert.equal(await viewer.evaluate(chooseInPage, who.id()), 204);
                    const now = await sees(viewer, node, codec);
                    assert.equal(now.video.ssrc, first.video.ssrc);
                    assert.equal(now.state, 'connected');
                }
            } finally {
                room.socket.close();
            }
        }),
    ),
);

test('what was not sent when it asked is shown when it comes, goes and comes again', {
    timeout: 240_000,
}, () =>
    withNode({ name: 'whep-later', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const room = await open(node, browser, 'whep-later');
            const a = await room.person('A');
            const speaker = await room.person('S');

            try {
                await a.publish(['audio'], 'VP8');
                const viewer = await room.watch();
                const chooser = await room.watch(a.id());
                await node.until('it is heard', async () => (await received(viewer)).audio?.packets > 20);
                /* there is a picture now, of somebody else */
                await speaker.publish(['audio', 'video'], 'H264');
                const first = await sees(viewer, node, 'H264');
                await speaker.leave();
                await speaker.publish(['audio', 'video'], 'VP8');
                const again = await sees(viewer, node, 'VP8');
                assert.equal(again.video.ssrc, first.video.ssrc);

                /* who was chosen leaves, and is back with a picture */
                assert.equal((await received(chooser)).video?.frames ?? 0, 0, 'it chose another');
                await a.leave();
                await a.publish(['audio', 'video'], 'VP9');
                await sees(chooser, node, 'VP9');
                for (const page of [viewer, chooser]) {
                    assert.equal((await received(page)).state, 'connected');
                }
            } finally {
                room.socket.close();
            }
        }),
    ),
);

/* In the page: watches as one who asks for reference times to be answered; resolves with the
 * node's answer. libwebrtc has them, but offers them only where the application says so. */
async function watchWithReferenceTimes({ meeting, token, participant }) {
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });

    pc.addTransceiver('audio', { direction: 'recvonly' });
    pc.addTransceiver('video', { direction: 'recvonly' });
    const offer = (await pc.createOffer()).sdp.replace(
        /a=rtpmap:(\d+) (?!rtx|red|ulpfec|flexfec|CN|telephone)[^\r]*\r\n/g,
        (line, pt) => `${line}a=rtcp-fb:${pt} rrtr\r\n`);
    await pc.setLocalDescription({ type: 'offer', sdp: offer });
    const response = await fetch(`/api/whep/${meeting}?participant=${participant}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/sdp' },
        body: pc.localDescription.sdp,
    });
    const sdp = await response.text();

    await pc.setRemoteDescription({ type: 'answer', sdp });
    window.viewer = { pc, session: response.headers.get('location'), token };
    return sdp;
}

/* In the page: what it knows of the way to the node and back by extended reports. */
async function roundTrip() {
    const stats = await window.viewer.pc.getStats();
    const entries = [...stats.values()].filter(({ type }) => type === 'remote-outbound-rtp');

    return entries.find(({ kind }) => kind === 'audio');
}

test('who only receives learns its round trip: reference times are answered', {
    timeout: 240_000,
}, () =>
    withNode({ name: 'whep-times', devices: ['udp'] }, (node) =>
        withBrowser(async (browser) => {
            const meeting = 'whep-times';
            const room = await open(node, browser, meeting);

            try {
                const a = await room.person('A');
                await a.publish(['audio', 'video'], 'VP8');
                const viewer = await openWishPage(browser, node);
                const answer = await viewer.evaluate(watchWithReferenceTimes, {
                    meeting,
                    token: await node.token({ meeting, name: 'Eve', role: 'guest' }),
                    participant: a.id(),
                });
                let told;

                assert.match(answer, /a=rtcp-fb:\d+ rrtr/);
                await node.until('a round trip is measured', async () => {
                    told = await viewer.evaluate(roundTrip);
                    return told?.roundTripTimeMeasurements >= 3;
                }).catch((error) => {
                    throw new Error(`${error.message}: ${JSON.stringify(told)}`);
                });
                assert.ok(told.roundTripTime >= 0 && told.roundTripTime < 0.5, JSON.stringify(told));
            } finally {
                room.socket.close();
            }
        }),
    ),
);
