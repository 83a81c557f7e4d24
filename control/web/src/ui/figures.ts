/* The numbers of a tile whose quality somebody has asked for: what the browser measures, once
 * a second while at least one is shown. The node's score says only when something changes. */
import { collectStats, type KcsClient } from '../client';
import { words } from '../words';
import { Rates } from './rates';
import type { Tile } from './tile';

const PERIOD_MS = 1_000;

export class Figures {
    private readonly shown = new Set<Tile>();
    private readonly rates = new Rates();
    private timer: number | undefined;

    constructor(private readonly client: () => KcsClient | undefined) {}

    /* Of all tiles: the call is over. */
    stop(): void {
        this.shown.clear();
        window.clearInterval(this.timer);
        this.timer = undefined;
        this.rates.clear();
    }

    /* The tile's numbers are wanted, or not any more. */
    show(tile: Tile, on: boolean): void {
        this.shown[on ? 'add' : 'delete'](tile);
        if (this.shown.size === 0) {
            this.stop();
        } else {
            this.timer ??= window.setInterval(() => void this.refresh(), PERIOD_MS);
            void this.refresh();
        }
    }

    private async refresh(): Promise<void> {
        const client = this.client();
        const stats = client && (await collectStats(client).catch(() => undefined));
        const rtt = Math.round(stats?.transports.recv?.roundTripMs ?? 0);
        const lines = new Map<string, string>();

        for (const entry of stats?.received ?? []) {
            const { producerId: id, kind } = entry;
            const bytes = this.rates.perMs(`${id} bytes`, entry.bytesReceived);
            const came = this.rates.perMs(`${id} packets`, entry.packetsReceived);
            const lost = this.rates.perMs(`${id} lost`, Math.max(0, entry.packetsLost)) ?? 0;

            if (bytes !== undefined && came !== undefined) {
                const share = lost > 0 ? lost / (lost + came) : 0;

                lines.set(
                    id,
                    words.tile.figures(
                        kind,
                        Math.round(bytes * 8),
                        (share * 100).toFixed(1),
                        Math.round(entry.jitterMs),
                        rtt,
                    ),
                );
            }
        }
        this.shown.forEach((tile) => tile.showFigures(lines));
    }
}
