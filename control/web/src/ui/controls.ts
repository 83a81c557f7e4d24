/* The bar under the stage.  On narrow screens some of its buttons stand in the menu only. */
import type { KcsClient, Kind } from '../client';
import { words } from '../words';
import { el, face, iconButton } from './dom';
import { Menu, type Command } from './menu';

export interface ControlActions {
    toggle(kind: Kind): void;
    share(): void;
    hand(): void;
    react(emoji: string): void;
    panel(name: 'chat' | 'people'): void;
    toggleStats(): void;
    invite(): void;
    leave(): void;
    more(): Command[];
}

export interface Shows {
    stats: boolean;
    panel: string;
    chat: boolean; /* whether the meeting has it for this person */
    hand: boolean;
    react: boolean;
}

export class Controls {
    readonly element: HTMLElement;
    private readonly buttons: Record<Kind, HTMLButtonElement>;
    private readonly share: HTMLButtonElement;
    private readonly invite: HTMLButtonElement;
    private readonly hand: HTMLButtonElement;
    private readonly react: Menu;
    private readonly chat: HTMLButtonElement;
    private readonly unread = el('span', { class: 'badge', 'aria-hidden': 'true' });
    private readonly people: HTMLButtonElement;
    private readonly waiting = el('span', { class: 'badge', 'aria-hidden': 'true' });
    private readonly stats: HTMLButtonElement;

    constructor(actions: ControlActions) {
        const button = (
            id: string,
            iconName: string,
            label: string,
            act: () => void,
            more = '',
        ): HTMLButtonElement => {
            const made = iconButton(iconName, label, act, `round ${more}`);
            made.id = id;
            return made;
        };

        this.buttons = {
            audio: button('toggle-mic', 'mic', '', () => actions.toggle('audio')),
            video: button('toggle-camera', 'camera', '', () => actions.toggle('video')),
        };
        this.share = button('toggle-screen', 'screen', '', () => actions.share(), 'wide-only');
        this.hand = button('toggle-hand', 'hand', '', () => actions.hand());
        this.react = new Menu(
            'smile',
            words.react,
            () =>
                Object.keys(words.emojis).map((emoji) => ({
                    text: emoji,
                    act: () => actions.react(emoji),
                })),
            'round',
        );
        this.react.element.classList.add('emojis');
        this.chat = button('toggle-chat', 'chat', words.chatButton, () =>
            actions.panel('chat'),
        );
        this.chat.append(this.unread);
        this.people = button('toggle-people', 'people', '', () =>
            actions.panel('people'),
        );
        this.people.append(this.waiting);
        this.stats = button(
            'toggle-stats',
            'stats',
            words.statistics,
            () => actions.toggleStats(),
            'wide-only',
        );
        this.invite = button(
            'invite',
            'link',
            words.invite,
            () => actions.invite(),
            'wide-only',
        );
        const leave = button('leave', 'leave', words.leave, () => actions.leave(), 'danger');
        const more = new Menu('more', words.more, () => actions.more(), 'round');

        this.element = el(
            'nav',
            { class: 'controls', 'aria-label': words.controls },
            this.buttons.audio,
            this.buttons.video,
            this.share,
            this.hand,
            this.react.element,
            this.chat,
            this.people,
            this.invite,
            this.stats,
            more.element,
            leave,
        );
    }

    update(client: KcsClient, shows: Shows): void {
        const { unread, lobby } = client.room.value;

        this.updateKind(client, 'audio', 'mic', words.microphone);
        this.updateKind(client, 'video', 'camera', words.camera);
        this.share.disabled = !client.own.canShare();
        press(this.share, client.own.sharing);
        face(this.share, 'screen', client.own.sharing ? words.stopShare : words.share);
        this.hand.hidden = !shows.hand;
        press(this.hand, client.talk.handUp);
        face(this.hand, 'hand', client.talk.handUp ? words.lower : words.raise);
        this.react.element.hidden = !shows.react;
        this.chat.hidden = !shows.chat;
        press(this.chat, shows.panel === 'chat');
        face(this.chat, 'chat', words.chat.unread(unread));
        this.unread.hidden = unread === 0;
        this.unread.textContent = unread > 99 ? '99+' : String(unread);
        press(this.people, shows.panel === 'people');
        face(this.people, 'people', words.peopleButton(lobby.length));
        this.waiting.hidden = lobby.length === 0;
        this.waiting.textContent = String(lobby.length);
        this.invite.hidden = !client.own.may('moderate');
        press(this.stats, shows.stats);
    }

    private updateKind(client: KcsClient, kind: Kind, iconName: string, word: string): void {
        const off = client.own.muted[kind];
        const button = this.buttons[kind];

        button.disabled = !client.own.canSwitch(kind);
        button.classList.toggle('off', off);
        press(button, off);
        face(
            button,
            off ? `${iconName}-off` : iconName,
            off ? words.turnOn(word) : words.turnOff(word),
        );
    }
}

function press(button: HTMLButtonElement, pressed: boolean): void {
    button.setAttribute('aria-pressed', String(pressed));
}
