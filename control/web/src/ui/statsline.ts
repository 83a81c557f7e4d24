/* The line of figures: what is sent and received, in which codec, how fast, how well
 * protected. */
import { collectStats, type CallStats, type KcsClient } from '../client';
import { words } from '../words';
import { el } from './dom';
import { Rates } from './rates';

const PERIOD_MS = 1_000;

export class StatsLine {
    readonly element = el('p', {
        class: 'stats',
        hidden: true,
        'aria-label': words.statistics,
        role: 'group',
    });
    private readonly rates = new Rates();
    private timer: number | undefined;

    get shown(): boolean {
        return !this.element.hidden;
    }

    toggle(client: KcsClient): void {
        this.element.hidden = !this.element.hidden;
        this.stop();
        if (this.shown) {
            this.timer = window.setInterval(() => void this.refresh(client), PERIOD_MS);
            void this.refresh(client);
        }
    }

    stop(): void {
        window.clearInterval(this.timer);
        this.rates.clear();
    }

    private async refresh(client: KcsClient): Promise<void> {
        const stats = await collectStats(client).catch(() => undefined);

        if (stats !== undefined) {
            this.element.replaceChildren(
                ...this.describe(stats).map((part) => el('span', {}, part)),
            );
        }
    }

    private describe(stats: CallStats): string[] {
        const sent = stats.sent.map((entry) =>
            [
                `↑ ${entry.codec || entry.kind}`,
                size(entry),
                this.rate(`up ${entry.kind}`, entry.bytesSent),
            ]
                .filter(Boolean)
                .join(' '),
        );
        const received = stats.received.map((entry) =>
            [
                `↓ ${entry.name}: ${entry.codec || entry.kind}`,
                size(entry),
                this.rate(entry.producerId, entry.bytesReceived),
                entry.packetsLost > 0 ? words.lost(entry.packetsLost) : '',
            ]
                .filter(Boolean)
                .join(' '),
        );
        const path = stats.transports.recv ?? stats.transports.send;
        const parts = [...sent, ...received];

        if (path?.srtpCipher) {
            parts.push(path.srtpCipher);
        }
        if (path?.roundTripMs != null) {
            parts.push(`RTT ${Math.round(path.roundTripMs)} ms`);
        }
        return parts.length > 0 ? parts : [words.noMedia];
    }

    /* Bit rate since the last look; empty the first time. */
    private rate(key: string, count: number): string {
        const bytes = this.rates.perMs(key, count);

        if (bytes === undefined) {
            return '';
        }
        const kbps = bytes * 8;
        return kbps >= 1_000
            ? `${(kbps / 1_000).toFixed(1)} Mb/s`
            : `${kbps.toFixed(0)} kb/s`;
    }
}

function size(entry: { width?: number; height?: number }): string {
    return entry.width ? `${entry.width}×${entry.height}` : '';
}
