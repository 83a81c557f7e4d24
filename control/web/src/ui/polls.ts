/* Polls: a question of the host's, answers of all, and how they stand. */
import type { Poll } from '../api.gen';
import type { KcsClient } from '../client';
import { words } from '../words';
import type { Attempt } from './callview';
import { el, field, textButton } from './dom';
import type { Panel } from './panel';

const MAX_OPTIONS = 20;

export class PollPanel implements Panel {
    readonly title = words.polls;
    readonly body = el('div', { class: 'polls' });
    private readonly list = el('div', { class: 'poll-list' });
    private readonly form: HTMLFormElement;
    private readonly question = el('input', { required: true, maxlength: '500' });
    private readonly options = el('div', {});
    private readonly multiple = el('input', { type: 'checkbox' });
    private readonly voted = new Set<string>();
    private client: KcsClient | undefined;
    private drawn = '';

    constructor(private readonly attempt: Attempt) {
        this.form = el(
            'form',
            {},
            el('h3', {}, words.poll.fresh),
            field(words.poll.question, this.question),
            this.options,
            textButton(words.poll.add, () => this.addOption()),
            el('label', { class: 'check' }, this.multiple, words.poll.multiple),
            el('button', { type: 'submit', class: 'primary' }, words.poll.start),
        );
        this.addOption();
        this.addOption();
        this.form.addEventListener('submit', (event) => {
            event.preventDefault();
            void this.create();
        });
        this.body.append(this.list, this.form);
    }

    update(client: KcsClient): void {
        const { polls } = client.room.value;
        const now = JSON.stringify([...polls.values()]);

        this.client = client;
        this.form.hidden = !client.own.may('moderate');
        if (now !== this.drawn || polls.size === 0) {
            this.drawn = now;
            this.list.replaceChildren(
                ...(polls.size === 0
                    ? [el('p', { class: 'empty' }, words.poll.empty)]
                    : [...polls.values()].reverse().map((poll) => this.poll(poll))),
            );
        }
    }

    private addOption(): void {
        const n = this.options.children.length + 1;

        if (n <= MAX_OPTIONS) {
            this.options.append(
                field(
                    words.poll.option(n),
                    el('input', { required: n <= 2, maxlength: '200' }),
                ),
            );
        }
    }

    private async create(): Promise<void> {
        const inputs = [...this.options.querySelectorAll('input')];
        const options = inputs.map((input) => input.value.trim()).filter(Boolean);
        const made = await this.attempt(() =>
            this.client?.talk.poll(
                this.question.value.trim(),
                options,
                this.multiple.checked,
            ),
        );

        if (made) {
            this.form.reset();
        }
    }

    private poll(poll: Poll): HTMLElement {
        const open = poll.state === 'open';
        const most = Math.max(1, ...poll.votes);
        const inputs = poll.options.map((_, i) =>
            el('input', {
                type: poll.multiple ? 'checkbox' : 'radio',
                name: poll.poll_id,
                value: String(i),
            }),
        );
        const form = el(
            'form',
            { class: 'poll' },
            el(
                'fieldset',
                {},
                el('legend', {}, poll.question),
                ...poll.options.map((option, i) => {
                    const votes = poll.votes[i] ?? 0;
                    return el(
                        'label',
                        { class: 'poll-option' },
                        ...(open ? [inputs[i] as HTMLElement] : []),
                        el('span', {}, option),
                        el('small', {}, words.poll.votes(votes)),
                        el('meter', {
                            min: '0',
                            max: String(most),
                            value: String(votes),
                            'aria-label': option,
                        }),
                    );
                }),
            ),
            el(
                'p',
                { class: 'note' },
                open
                    ? this.voted.has(poll.poll_id)
                        ? words.poll.voted
                        : ''
                    : words.poll.closed,
            ),
        );

        form.addEventListener('submit', (event) => {
            event.preventDefault();
            const choice = inputs.flatMap((input, i) => (input.checked ? [i] : []));
            if (choice.length > 0) {
                this.voted.add(poll.poll_id);
                void this.attempt(() => this.client?.talk.vote(poll.poll_id, choice));
            }
        });
        if (open) {
            form.append(el('button', { type: 'submit', class: 'small' }, words.poll.vote));
            if (this.client?.own.may('moderate')) {
                form.append(
                    textButton(
                        words.poll.end,
                        () =>
                            void this.attempt(() => this.client?.talk.closePoll(poll.poll_id)),
                    ),
                );
            }
        }
        return form;
    }
}
