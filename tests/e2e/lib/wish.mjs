/* Pages that speak WHIP and WHEP by themselves, without the page of the node. */

/* In the page: offers what 'pc' has and takes the answer, as 'change' makes it. Resolves with
 * the node's answer and where its session is. */
async function negotiate(pc, path, token, change = (sdp) => sdp) {
    await pc.setLocalDescription();
    const response = await fetch(path, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/sdp' },
        body: pc.localDescription.sdp,
    });
    const sdp = await response.text();

    if (response.status !== 201) {
        throw new Error(`${response.status} ${sdp}`);
    }
    await pc.setRemoteDescription({ type: 'answer', sdp: change(sdp) });
    return { sdp, session: response.headers.get('location') };
}

/* A page of the node's origin, in which negotiate() is at hand. */
export async function openWishPage(browser, node) {
    const page = await browser.newPage();

    await page.goto(`${node.origin}/api/health/live`);
    await page.evaluate(`window.negotiate = ${negotiate}`);
    return page;
}

/* In such a page: watches whom it is told to, or whoever speaks; resolves with the node's
 * answer. */
export async function watchInPage({ meeting, token, participant }) {
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });

    pc.addTransceiver('audio', { direction: 'recvonly' });
    pc.addTransceiver('video', { direction: 'recvonly' });
    pc.ontrack = ({ track }) => {
        const element = document.createElement(track.kind);
        element.srcObject = new MediaStream([track]);
        element.autoplay = element.muted = true;
        document.body.append(element);
    };
    const chosen = participant === undefined ? '' : `?participant=${participant}`;
    const { sdp, session } = await window.negotiate(pc, `/api/whep/${meeting}${chosen}`, token);
    window.viewer = { pc, session, token };
    return sdp;
}

/* In such a page: publishes these kinds by WHIP, video in this codec alone. */
export async function publishInPage({ meeting, token, kinds, codec }) {
    const stream = await navigator.mediaDevices.getUserMedia({
        audio: true,
        video: { width: 320, height: 180 },
    });
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });

    for (const track of stream.getTracks().filter(({ kind }) => kinds.includes(kind))) {
        const sender = pc.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
        if (track.kind === 'video') {
            const { codecs } = RTCRtpSender.getCapabilities('video');
            const own = codecs.filter(({ mimeType, sdpFmtpLine }) =>
                mimeType === `video/${codec}` &&
                (codec !== 'H264' || /packetization-mode=1;profile-level-id=42[ce]0/.test(sdpFmtpLine)));
            sender.setCodecPreferences([...own, ...codecs.filter(({ mimeType }) => mimeType === 'video/rtx')]);
        }
    }
    const { session } = await window.negotiate(pc, `/api/whip/${meeting}`, token);
    window.publisher = { pc, session, token };
}
