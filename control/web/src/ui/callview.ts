/* The screen of a running call: puts the parts together and redraws them on every
 * change. */
import type { Call } from '../call/call';
import { Controls } from './controls';
import { el } from './dom';
import { Notices } from './notices';
import { Stage } from './stage';
import { StatsLine } from './statsline';

const COPIED_MS = 2_000;

export class CallView {
    readonly element: HTMLElement;
    private call: Call | undefined;
    private readonly title = el('h1', { class: 'meeting' });
    private readonly count = el('span', { class: 'count' });
    private readonly sound = el(
        'button',
        { type: 'button', class: 'primary sound', hidden: true },
        'Turn the sound on',
    );
    private readonly copied = el('span', { class: 'copied', role: 'status' });
    private readonly notices = new Notices();
    private readonly stats = new StatsLine();
    private readonly stage = new Stage(() => {
        this.sound.hidden = false;
    });
    private readonly controls = new Controls({
        toggle: (kind) => void this.call?.setMuted(kind, !this.call.muted[kind]),
        share: () => void this.call?.setSharing(!this.call.sharing),
        toggleStats: () => {
            if (this.call !== undefined) {
                this.stats.toggle(this.call);
                this.update(this.call);
            }
        },
        invite: () => void this.copyLink(),
        leave: () => this.call?.leave(),
    });

    constructor() {
        this.sound.addEventListener('click', () => {
            this.sound.hidden = true;
            this.stage.playAll();
        });
        this.element = el(
            'div',
            { class: 'call' },
            el(
                'header',
                { class: 'top' },
                el('span', { class: 'brand' }, 'KCS'),
                this.title,
                this.count,
            ),
            this.notices.banner,
            this.notices.list,
            this.stage.element,
            this.sound,
            this.stats.element,
            this.copied,
            this.controls.element,
        );
    }

    update(call: Call): void {
        const people = call.people.size + 1;

        this.call = call;
        this.title.textContent = call.title;
        this.count.textContent = people === 1 ? '1 person' : `${people} people`;
        this.notices.update(call);
        this.stage.update(call);
        this.controls.update(call, this.stats.shown);
    }

    close(): void {
        this.stats.stop();
        this.element.remove();
    }

    /* The link for others: this address without what is only mine. */
    private async copyLink(): Promise<void> {
        const link = new URL(location.href);

        link.searchParams.delete('name');
        link.searchParams.set('meeting', this.call?.options.meeting ?? '');
        link.hash = `token=${this.call?.options.token ?? ''}`;
        link.searchParams.delete('token');
        try {
            await navigator.clipboard.writeText(link.href);
            this.copied.textContent = 'Link copied';
        } catch {
            this.copied.textContent = 'Copy the link from the address bar';
        }
        window.setTimeout(() => (this.copied.textContent = ''), COPIED_MS);
    }
}
