/* Meetings while the broker and control are killed again and again, and how long it takes
 * until all that waited has left. Fails if an event is missing or out of order.
 *
 * usage: tools/bench kafka-outage [SECONDS [MEETINGS]]    600 s and 20 by default */
import { outage } from '../../tests/kafka/outage.mjs';

const BESIDES_S = 10; /* of each outage: kills, starts, draining */
const [seconds = 600, meetings = 20] = process.argv.slice(2).map(Number);
const away = [];

if (!(seconds > 0) || !(meetings > 0)) {
    console.error('usage: tools/bench kafka-outage [SECONDS [MEETINGS]]');
    process.exit(2);
}
/* shorter and longer ones by turns */
for (let left = seconds, s = 5; left > 0; left -= s + BESIDES_S, s = (2 * s) % 115) {
    away.push(1_000 * Math.min(s, Math.max(1, left - BESIDES_S)));
}
console.log(JSON.stringify(await outage({ meetings, away })));
