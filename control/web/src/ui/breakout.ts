/* Breakout rooms: a host makes them, shares people out, sends them there and brings them
 * back. */
import { nameOf, type KcsClient } from '../client';
import { words } from '../words';
import type { Attempt } from './callview';
import { el, field, textButton } from './dom';
import type { Panel } from './panel';

const MAX_ROOMS = 50;

export class BreakoutPanel implements Panel {
    readonly title = words.breakouts;
    readonly body: HTMLElement;
    private readonly state = el('div', {});
    private readonly form: HTMLFormElement;
    private readonly rooms = el('input', {
        type: 'number',
        min: '1',
        max: String(MAX_ROOMS),
        value: '2',
        required: true,
    });
    private readonly minutes = el('input', { type: 'number', min: '1', max: '1440' });
    private readonly message = el('input', { maxlength: '4000', required: true });
    private readonly said: HTMLFormElement;
    private client: KcsClient | undefined;
    private drawn = '';

    constructor(private readonly attempt: Attempt) {
        this.form = el(
            'form',
            {},
            field(words.breakout.rooms, this.rooms),
            el('button', { type: 'submit', class: 'primary' }, words.breakout.create),
        );
        this.form.addEventListener('submit', (event) => {
            event.preventDefault();
            void this.create();
        });
        this.said = el(
            'form',
            {},
            field(words.breakout.message, this.message),
            el('button', { type: 'submit', class: 'small' }, words.breakout.send),
        );
        this.said.addEventListener('submit', (event) => {
            event.preventDefault();
            const text = this.message.value;
            void this.attempt(() => this.client?.talk.broadcast(text)).then((sent) => {
                this.message.value = sent ? '' : text;
            });
        });
        this.body = el('div', { class: 'breakouts' }, this.state, this.said, this.form);
    }

    update(client: KcsClient): void {
        const room = client.room.value;
        const hosts = client.own.may('moderate');
        const { breakouts } = room;
        const ends = breakouts?.closes_at;

        const now = JSON.stringify([breakouts, room.breakoutId, hosts, room.count]);

        this.client = client;
        if (now === this.drawn) {
            return; /* what is typed or pressed now stays as it is */
        }
        this.drawn = now;
        this.form.hidden = !hosts || breakouts?.open === true;
        this.said.hidden = !hosts || breakouts?.open !== true;
        this.state.replaceChildren(
            ...(breakouts === undefined || breakouts.rooms.length === 0
                ? [el('p', { class: 'empty' }, words.breakout.empty)]
                : breakouts.rooms.map(({ breakout_id, name, user_ids = [] }) =>
                      el(
                          'section',
                          { class: 'breakout' },
                          el('h3', {}, name),
                          el(
                              'p',
                              { class: 'note' },
                              user_ids.map((id) => nameOf(room, id) ?? id).join(', ') ||
                                  words.breakout.members(0),
                          ),
                          ...(breakouts.open && breakout_id !== room.breakoutId
                              ? [this.goes(words.breakout.join, breakout_id ?? null)]
                              : []),
                      ),
                  )),
            ...(ends == null
                ? []
                : [
                      el(
                          'p',
                          {},
                          words.breakout.until(new Date(ends).toLocaleTimeString()),
                      ),
                  ]),
        );
        if (room.breakoutId !== null) {
            this.state.append(this.goes(words.breakout.leave, null));
        }
        if (hosts && breakouts !== undefined && breakouts.rooms.length > 0) {
            this.state.append(
                breakouts.open
                    ? textButton(
                          words.breakout.close,
                          () => void this.attempt(() => client.talk.closeBreakouts()),
                      )
                    : el(
                          'div',
                          {},
                          field(words.breakout.minutes, this.minutes),
                          textButton(words.breakout.open, () => void this.open()),
                      ),
            );
        }
    }

    private goes(text: string, id: string | null): HTMLElement {
        return textButton(
            text,
            () => void this.attempt(() => this.client?.talk.joinBreakout(id)),
        );
    }

    private async open(): Promise<void> {
        const minutes = Number(this.minutes.value);

        await this.attempt(() =>
            this.client?.talk.openBreakouts(minutes > 0 ? minutes * 60 : undefined),
        );
    }

    /* People are dealt out in turn. */
    private async create(): Promise<void> {
        const { client } = this;

        if (client === undefined) {
            return;
        }
        const count = Number(this.rooms.value);
        const users = [...client.room.value.people.values()].map(({ userId }) => userId);
        const rooms = Array.from({ length: count }, (_, i) => ({
            name: words.breakout.roomName(i + 1),
            user_ids: users.filter((_, at) => at % count === i),
        }));
        await this.attempt(() => client.talk.createBreakouts(rooms));
    }
}
