/* What the person must be told: one line on the state of the connection, notices that stay
 * until they are dismissed, and what only screen readers say.  All are live regions. */
import type { KcsClient } from '../client';
import { inWords, words } from '../words';
import { el, iconButton } from './dom';

export class Notices {
    readonly banner = el('p', { class: 'banner', role: 'status' }, words.opening);
    readonly list = el('ul', { class: 'notices', 'aria-live': 'polite' });
    readonly spoken = el('p', { class: 'hidden', 'aria-live': 'polite' });
    private shown = '';

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
        this.updateList(client, notices.map(inWords));
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
