/* What the person must be told: one line on the state of the connection, notices, and what
 * only screen readers say.  All are live regions.  A notice of what has happened passes by
 * itself; one about something that is to be done stays until it is dismissed. */
import type { KcsClient, Notice } from '../client';
import { inWords, words } from '../words';
import { el, iconButton } from './dom';

const PASS_MS = 10_000;
const PASSING = new Set(['said', 'your_role', 'server_reports', 'not_kept']);

export class Notices {
    readonly banner = el('p', { class: 'banner', role: 'status' }, words.opening);
    readonly list = el('ul', { class: 'notices', 'aria-live': 'polite' });
    readonly spoken = el('p', { class: 'hidden', 'aria-live': 'polite' });
    private shown = '';
    private readonly timed = new WeakSet<Notice>();

    /* Says it to screen readers. */
    say(text: string): void {
        this.spoken.textContent = text;
    }

    update(client: KcsClient): void {
        const { status, reason, notices } = client.room.value;
        const text =
            reason !== undefined
                ? inWords(reason)
                : status === 'connecting'
                  ? words.connecting
                  : status === 'joining'
                    ? words.joining
                    : '';

        if (this.banner.textContent !== text) {
            this.banner.textContent = text;
        }
        this.banner.hidden = text === '';
        this.banner.classList.toggle('warn', reason !== undefined);
        notices.forEach((notice) => this.time(client, notice));
        this.updateList(client, notices.map(inWords));
    }

    /* It does not pass while somebody points at it. */
    private time(client: KcsClient, notice: Notice): void {
        const pass = (): void => {
            const index = client.room.value.notices.indexOf(notice);

            if (this.list.matches(':hover, :focus-within')) {
                window.setTimeout(pass, PASS_MS / 10);
            } else if (index >= 0) {
                client.dismissNotice(index);
            }
        };

        if (PASSING.has(notice.code) && !this.timed.has(notice)) {
            this.timed.add(notice);
            window.setTimeout(pass, PASS_MS);
        }
    }

    private updateList(client: KcsClient, sentences: string[]): void {
        const now = sentences.join('\n');

        if (now === this.shown) {
            return;
        }
        this.shown = now;
        this.list.replaceChildren(
            ...sentences.map((sentence, index) =>
                el(
                    'li',
                    {},
                    el('span', {}, sentence),
                    iconButton('close', words.dismiss, () => client.dismissNotice(index)),
                ),
            ),
        );
    }
}
