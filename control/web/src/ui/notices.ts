/* What the person must be told: one line on the state of the connection, and notices
 * that stay until they are dismissed.  Both are live regions, so screen readers say
 * them. */
import type { Call } from '../call/call';
import { el, icon } from './dom';

export class Notices {
    readonly banner = el(
        'p',
        { class: 'banner', role: 'status' },
        'Opening camera and microphone…',
    );
    readonly list = el('ul', { class: 'notices', 'aria-live': 'polite' });
    private shown = '';

    update(call: Call): void {
        const text =
            call.reason ||
            (call.state === 'connecting'
                ? 'Connecting…'
                : call.state === 'joining'
                  ? 'Joining the meeting…'
                  : '');

        this.banner.textContent = text;
        this.banner.hidden = text === '';
        this.banner.classList.toggle('warn', call.reason !== '');
        this.updateList(call);
    }

    private updateList(call: Call): void {
        const now = call.problems.join('\n');

        if (now === this.shown) {
            return;
        }
        this.shown = now;
        this.list.replaceChildren(
            ...call.problems.map((problem, index) => {
                const close = el('button', {
                    type: 'button',
                    class: 'plain',
                    'aria-label': 'Dismiss',
                });
                close.append(icon('close'));
                close.addEventListener('click', () => call.dismissProblem(index));
                return el('li', {}, el('span', {}, problem), close);
            }),
        );
    }
}
