import { setTimeout as sleep } from 'node:timers/promises';
import { Person, withBrowser } from '/work/wt/c2/tests/e2e/lib/browser.mjs';
import { withNode } from '/work/wt/c2/tests/e2e/lib/node.mjs';
await withNode({ name: 'c2pav1', devices: ['udp'] }, (node) => withBrowser(async (browser) => {
  const people=[];
  for (const [name, video] of [['Ada', true], ['Grace', false]]) {
    const token = await node.token({ meeting:'m', name });
    const p = await Person.open(browser, node, { name, meeting:'m', token, codec: process.env.CODEC ?? 'vp8', height: 720, layers: 3, video, minKbps: 4000 });
    people.push(p); await p.joined();
  }
  await people[1].page.setViewport({ width: 1920, height: 1080 });
  for (let i=0;i<Number(process.env.N ?? 8);i++) { await sleep(4000);
    const r = await people[0].page.evaluate(async () => {
      const out=[];
      for (const pc of window.kcsTest.peers()) for (const s of (await pc.getStats()).values())
        if (s.type==='outbound-rtp' && s.kind==='video') out.push([s.rid, s.frameHeight, s.framesPerSecond, s.active, s.qualityLimitationReason, s.targetBitrate, s.framesEncoded, s.scalabilityMode, s.encoderImplementation, 'kf'+s.keyFramesEncoded, 'pli'+s.pliCount].join(' '));
        else if (s.type==='candidate-pair' && s.availableOutgoingBitrate) out.push('bwe '+s.availableOutgoingBitrate);
        else if (s.type==='remote-inbound-rtp') out.push('rr '+s.fractionLost+' '+s.roundTripTime);
      return out; });
    console.log(i, JSON.stringify(r, null, 1));
    console.log(JSON.stringify(await people[1].page.evaluate(async () => { const {received}=await window.kcs.stats(); const v=received.find(e=>e.kind==='video'); return [v?.height, v?.framesDecoded, window.kcs.people[0]?.media.map(m=>m.layer)]; })));
  }
}));
