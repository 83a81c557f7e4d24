/* Who is here, whose hands are up, who waits to be let in; with the host's controls. */
import type { KcsClient, Person } from '../client';
import { words } from '../words';
import type { Attempt } from './callview';
import { el, icon, textButton } from './dom';
import { Menu, type Command } from './menu';
import type { Panel } from './panel';
import { hueOf, initials } from './tile';

const SHOWN = 200; /* rows at once; the search finds the others */

export interface PeopleActions {
    pinned(id: string): boolean;
    pin(id: string): void;
    write(userId: string): void;
}

export class PeoplePanel implements Panel {
    readonly title = words.roster.title;
    readonly body: HTMLElement;
    private readonly tools = el('div', { class: 'panel-tools' });
    private readonly lobby = el('section', { class: 'lobby', hidden: true });
    private readonly search = el('input', {
        type: 'search',
        name: 'search',
        placeholder: words.roster.search,
        'aria-label': words.roster.search,
    });
    private readonly list = el('ul', { class: 'people-list', tabindex: '0', 'aria-label': words.roster.title });
    private client: KcsClient | undefined;
    private drawn = '';

    constructor(
        private readonly attempt: Attempt,
        private readonly actions: PeopleActions,
    ) {
        this.body = el(
            'div',
            { class: 'people' },
            this.tools,
            this.lobby,
            this.search,
            this.list,
        );
        this.search.addEventListener('input', () => {
            this.drawn = '';
            if (this.client !== undefined) {
                this.update(this.client);
            }
        });
    }

    update(client: KcsClient): void {
        const room = client.room.value;
        const people = this.found(client);
        const hosts = client.own.may('moderate') && room.settings !== undefined;
        /* rows are only made anew when they would differ: an open menu stays open */
        const now = JSON.stringify([
            people.map((person) => [
                ...[person.id, person.name, person.role],
                [...person.media.values()].map((media) => [media.source, media.paused]),
            ]),
            [room.self, room.role, room.hands, room.spotlight, room.settings, room.lobby],
            [client.own.muted, hosts],
        ]);

        this.client = client;
        if (now !== this.drawn) {
            this.drawn = now;
            this.drawTools(client, hosts);
            this.drawLobby(client);
            this.list.replaceChildren(
                this.ownRow(client),
                ...people.slice(0, SHOWN).map((person) => this.row(client, person, hosts)),
            );
        }
    }

    /* Raised hands first, in their order; then by name. */
    private found(client: KcsClient): Person[] {
        const { people, hands } = client.room.value;
        const wanted = this.search.value.trim().toLowerCase();
        const place = (id: string): number => (hands.indexOf(id) + 1 || Infinity);

        return [...people.values()]
            .filter(({ name }) => name.toLowerCase().includes(wanted))
            .sort((a, b) =>
                place(a.id) === place(b.id)
                    ? a.name.localeCompare(b.name)
                    : place(a.id) - place(b.id),
            );
    }

    private drawTools(client: KcsClient, hosts: boolean): void {
        const { host } = client;
        const { settings, hands } = client.room.value;
        const locked = settings?.locked === true;
        const waits = settings?.waiting_room_enabled === true;
        const tool = (text: string, act: () => Promise<void>): HTMLElement =>
            textButton(text, () => void this.attempt(act));

        this.tools.hidden = !hosts;
        this.tools.replaceChildren(
            tool(words.roster.muteAll, () => host.muteAll()),
            tool(locked ? words.roster.unlock : words.roster.lock, () => host.lock(!locked)),
            tool(waits ? words.roster.waitingRoomOff : words.roster.waitingRoomOn, () =>
                host.setWaitingRoom(!waits),
            ),
            ...(hands.length > 0
                ? [tool(words.roster.lowerAll, () => host.lowerAllHands())]
                : []),
        );
    }

    private drawLobby(client: KcsClient): void {
        const { lobby } = client.room.value;
        const button = (text: string, act: () => Promise<void>): HTMLElement =>
            textButton(text, () => void this.attempt(act));

        this.lobby.hidden = lobby.length === 0;
        this.lobby.replaceChildren(
            el('h3', {}, words.roster.lobby(lobby.length)),
            el(
                'ul',
                {},
                ...lobby.map(({ user_id, display_name }) =>
                    el(
                        'li',
                        {},
                        el('span', { class: 'who' }, display_name || words.guest),
                        button(words.roster.admit, () => client.host.admit([user_id])),
                        button(words.roster.deny, () => client.host.deny([user_id])),
                    ),
                ),
            ),
            button(words.roster.admitAll, () =>
                client.host.admit(lobby.map(({ user_id }) => user_id)),
            ),
        );
    }

    private ownRow(client: KcsClient): HTMLElement {
        const { self, role, hands } = client.room.value;

        return personRow(
            `${self.name} ${words.you}`,
            self.name,
            role,
            hands.indexOf(self.id) + 1,
            client.own.muted.audio,
        );
    }

    private row(client: KcsClient, person: Person, hosts: boolean): HTMLElement {
        const mic = [...person.media.values()].find((media) => media.source === 'mic');
        const row = personRow(
            person.name,
            person.name,
            person.role,
            client.room.value.hands.indexOf(person.id) + 1,
            mic === undefined || mic.paused,
        );

        row.append(
            new Menu('more', words.roster.actions(person.name), () => [
                {
                    text: this.actions.pinned(person.id)
                        ? words.roster.unpin
                        : words.roster.pin,
                    act: () => this.actions.pin(person.id),
                },
                ...(client.room.value.settings !== undefined && client.own.may('chat')
                    ? [
                          {
                              text: words.roster.write,
                              act: () => this.actions.write(person.userId),
                          },
                      ]
                    : []),
                ...(hosts ? this.hostCommands(client, person) : []),
            ]).element,
        );
        return row;
    }

    private hostCommands(client: KcsClient, person: Person): Command[] {
        const { host } = client;
        const { hands, spotlight, role } = client.room.value;
        const id = person.userId;
        const media = [...person.media.values()];
        const sends = (source: string): boolean =>
            media.some((each) => each.source === source && !each.paused);
        const command = (text: string, act: () => Promise<void>): Command => ({
            text,
            act: () => void this.attempt(act),
        });
        const lit = spotlight === person.id;
        const roles = (['co_host', 'presenter', 'attendee'] as const).filter(
            (each) => each !== person.role,
        );

        return [
            sends('mic')
                ? command(words.roster.mute, () => host.mute(id))
                : command(words.roster.askUnmute, () => host.askToUnmute(id)),
            ...(sends('camera')
                ? [command(words.roster.stopCamera, () => host.mute(id, 'video'))]
                : []),
            ...(hands.includes(person.id)
                ? [command(words.roster.lowerHand, () => host.lowerHand(id))]
                : []),
            command(lit ? words.roster.unspotlight : words.roster.spotlight, () =>
                host.spotlight(id, !lit),
            ),
            ...roles
                .filter((each) => each !== 'co_host' || role === 'host' || role === 'admin')
                .map((each) =>
                    command(words.roster.makeRole(words.roster.roles[each] ?? each), () =>
                        host.setRole(id, each),
                    ),
                ),
            command(words.roster.remove, () => host.remove(id)),
            {
                text: words.roster.ban,
                act: () => {
                    if (window.confirm(words.roster.sure(person.name))) {
                        void this.attempt(() => host.remove(id, true));
                    }
                },
            },
        ];
    }
}

function personRow(
    label: string,
    name: string,
    role: string,
    hand: number,
    muted: boolean,
): HTMLElement {
    const avatar = el('span', { class: 'avatar', 'aria-hidden': 'true' }, initials(name));
    const row = el(
        'li',
        {},
        avatar,
        el(
            'span',
            { class: 'who' },
            el('span', { class: 'who-name' }, label),
            el('small', {}, words.roster.roles[role] ?? role),
        ),
    );

    avatar.style.setProperty('--hue', String(hueOf(name)));
    if (hand > 0) {
        row.append(
            el(
                'span',
                { class: 'tile-hand' },
                icon('hand'),
                el('span', { 'aria-hidden': 'true' }, String(hand)),
                el('span', { class: 'hidden' }, words.tile.hand(hand)),
            ),
        );
    }
    if (muted) {
        row.append(
            el(
                'span',
                { class: 'row-flag' },
                icon('mic-off'),
                el('span', { class: 'hidden' }, words.tile.micOff),
            ),
        );
    }
    return row;
}
