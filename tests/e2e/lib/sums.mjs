/* What the consumers of a loadgen's result got and missed, in all. */
import assert from 'node:assert/strict';

/* Of all consumers of that kind: what came and what of the publisher's numbers did not. */
export function sum(result, kind) {
    const kinds = new Map(result.producers.map((p) => [p.producer_id, p.kind]));
    const all = result.consumers.filter((c) => kinds.get(c.producer_id) === kind);

    return {
        n: all.length,
        packets: all.reduce((n, c) => n + c.packets, 0),
        missing: all.reduce((n, c) => n + c.missing, 0),
        least: Math.min(...all.map((c) => c.packets)),
    };
}

export function assertNothingWrong(name, result) {
    for (const fault of ['corrupt', 'misrouted', 'replayed', 'forged', 'malformed', 'duplicates']) {
        assert.equal(result[fault], 0, `${name}: ${fault}`);
    }
}

export function assertPart({ packets, missing }, least, most, what, drops) {
    const part = missing / (packets + missing);

    assert.ok(part >= least && part <= most, `${what}: ${part} is missing; ${drops}`);
}
