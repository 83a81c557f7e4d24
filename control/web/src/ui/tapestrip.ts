/* That the meeting is recorded or shown live: a word beside its name for as long as it is, and a
 * question that stays until it is answered. */
import type { KcsClient } from '../client';
import { words } from '../words';
import { el } from './dom';

export class TapeStrip {
    readonly marks = el('span', { class: 'marks', role: 'status' });
    readonly consent: HTMLElement;
    private readonly text = el('span', { id: 'consent-text' });
    private before: Element | null = null; /* what had the keyboard when it was asked */
    private agreed = ''; /* to what */
    private asked = '';

    constructor(leave: () => void) {
        const agree = el('button', { type: 'button', class: 'primary' }, words.tape.agree);
        const away = el('button', { type: 'button', class: 'secondary' }, words.tape.leave);

        agree.id = 'consent-agree';
        away.id = 'consent-leave';
        agree.addEventListener('click', () => {
            this.agreed = this.asked;
            this.show(false);
        });
        away.addEventListener('click', leave);
        this.consent = el(
            'div',
            {
                class: 'banner consent',
                role: 'alertdialog',
                'aria-label': words.tape.question,
                'aria-describedby': 'consent-text',
                tabindex: '-1',
                hidden: true,
            },
            this.text,
            agree,
            away,
        );
    }

    update(client: KcsClient): void {
        const { recording, live } = client.room.value;
        const shown = [
            recording !== null ? words.tape.recording : '',
            live !== null ? words.tape.onAir : '',
        ].filter(Boolean);

        if (this.marks.dataset['shown'] !== shown.join()) {
            this.marks.dataset['shown'] = shown.join();
            this.marks.replaceChildren(
                ...shown.map((text) => el('span', { class: 'mark' }, text)),
            );
        }
        this.asked = `${recording ?? ''} ${live ?? ''}`;
        if (recording === null && live === null) {
            this.agreed = '';
        }
        this.text.textContent = words.tape.consent(recording !== null, live !== null);
        this.show((recording !== null || live !== null) && !this.covered(recording, live));
    }

    /* It gets the keyboard as a whole, not its button: a space would agree that was to talk.
     * Who is writing goes on. */
    private show(on: boolean): void {
        const now = document.activeElement;

        if (on === !this.consent.hidden) {
            return;
        }
        if (on) {
            this.consent.hidden = false;
            if (now?.closest('input, textarea, select, [contenteditable]') == null) {
                this.before = now;
                this.consent.focus();
            }
            return;
        }
        const had = this.consent.contains(now);

        this.consent.hidden = true;
        if (had && this.before instanceof HTMLElement && this.before.isConnected) {
            this.before.focus();
        }
        this.before = null;
    }

    /* Whoever has agreed to more has agreed to what is left of it. */
    private covered(recording: string | null, live: string | null): boolean {
        const [recorded, streamed] = this.agreed.split(' ');

        return (
            this.agreed !== '' &&
            (recording === null || recording === recorded) &&
            (live === null || live === streamed)
        );
    }
}
