/* How fast counters grow, from one look to the next. */

export class Rates {
    private readonly seen = new Map<string, { at: number; count: number }>();

    /* By how much a millisecond; undefined the first time, and if it was begun anew. */
    perMs(key: string, count: number): number | undefined {
        const at = performance.now();
        const before = this.seen.get(key);

        this.seen.set(key, { at, count });
        return before === undefined || at <= before.at || count < before.count
            ? undefined
            : (count - before.count) / (at - before.at);
    }

    clear(): void {
        this.seen.clear();
    }
}
