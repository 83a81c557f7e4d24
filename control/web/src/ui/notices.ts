/* What the person must be told: one line on the state of the connection, notices, and what
 * only screen readers say.  All are live regions.  A notice of what has happened passes by
 * itself; one about something that is to be done has a button for it, and stays until it is
 * dismissed. */
import type { KcsClient, Notice } from '../client';
import { inWords, words } from '../words';
import { el, iconButton, textButton } from './dom';

const PASS_MS = 10_000;
const PASSING = new Set(['said', 'your_role', 'server_reports', 'not_kept', 'poll']);
const MILD = new Set(['said', 'your_role', 'poll', 'lobby', 'asked:audio', 'asked:video']);

/* What the button of a notice says and does, by the notice's code. */
export type Answers = Record<string, { text: string; act: () => void }>;

export class Notices {
    readonly banner = el('p', { class: 'banner', role: 'status' }, words.opening);
    readonly list = el('ul', { class: 'notices', 'aria-live': 'polite' });
    readonly spoken = el('p', { class: 'hidden', 'aria-live': 'polite' });
    private shown = '';
    private readonly timed = new WeakSet<Notice>();

    constructor(private readonly answers: Answers) {}

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
        this.updateList(client, notices);
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

    private updateList(client: KcsClient, notices: Notice[]): void {
        const now = notices.map(inWords).join('\n');

        if (now === this.shown) {
            return;
        }
        this.shown = now;
        this.list.replaceChildren(
            ...notices.map((notice, index) =>
                el(
                    'li',
                    { class: MILD.has(notice.code) ? 'mild' : '' },
                    el('span', {}, inWords(notice)),
                    ...this.answer(client, notice),
                    iconButton('close', words.dismiss, () => client.dismissNotice(index)),
                ),
            ),
        );
    }

    private answer(client: KcsClient, notice: Notice): HTMLElement[] {
        const answer = this.answers[notice.code];
        const act = (): void => {
            const index = client.room.value.notices.indexOf(notice);

            if (index >= 0) {
                client.dismissNotice(index);
            }
            answer?.act();
        };

        return answer === undefined ? [] : [textButton(answer.text, act)];
    }
}
