/* The screen of a running call: puts the parts together, redraws them on every change, and
 * says what happens. */
import type { Features } from '../api.gen';
import type { KcsClient, Layout, Room } from '../client';
import { linkFor } from '../meetings';
import { inWords, words } from '../words';
import { BoardPanel } from './board';
import { BreakoutPanel } from './breakout';
import { ChatPanel } from './chat';
import { Controls } from './controls';
import { DevicePanel } from './devicepanel';
import { copyText, el, textButton } from './dom';
import type { Command } from './menu';
import { Notices } from './notices';
import { Overlay } from './overlay';
import { SideColumn } from './panel';
import { PeoplePanel } from './people';
import { PollPanel } from './polls';
import { Stage } from './stage';
import { StatsLine } from './statsline';
import { TapeStrip } from './tapestrip';

/* Does what may be refused; a refusal is told in words. Resolves with whether it worked. */
export type Attempt = (act: () => Promise<void> | undefined) => Promise<boolean>;

const COPIED_MS = 4_000;
const MODES: Layout[] = ['grid', 'speaker', 'presentation'];

export class CallView {
    readonly element: HTMLElement;
    private client: KcsClient | undefined;
    private readonly title = el('h1', { class: 'meeting' });
    private readonly count = el('span', { class: 'count' });
    private readonly sound = el(
        'button',
        { type: 'button', class: 'primary sound', hidden: true },
        words.sound,
    );
    private readonly copied = el('span', { class: 'copied', role: 'status' });
    private readonly notices = new Notices({
        lobby: { text: words.roster.look, act: () => this.showPanel('people') },
        poll: { text: words.poll.look, act: () => this.showPanel('polls') },
        'asked:audio': {
            text: words.turnOn(words.microphone),
            act: () => void this.client?.own.setMuted('audio', false),
        },
        'asked:video': {
            text: words.turnOn(words.camera),
            act: () => void this.client?.own.setMuted('video', false),
        },
    });
    private readonly sharing = el(
        'p',
        { class: 'banner sharing', hidden: true },
        words.tile.ownScreen,
        textButton(words.stopShare, () => void this.client?.own.setSharing(false)),
    );
    private waiting = 0; /* in the lobby, as far as was told */
    private readonly stats = new StatsLine();
    private readonly overlay = new Overlay();
    private readonly tape = new TapeStrip(() => this.client?.leave());
    private readonly stage = new Stage(() => {
        this.sound.hidden = false;
    });
    private readonly attempt: Attempt = async (act) => {
        try {
            await act();
            return true;
        } catch (error) {
            const { code = '', message } = error as { code?: string; message: string };
            this.tell(inWords({ code, detail: message }));
            return false;
        }
    };
    private readonly chat = new ChatPanel(this.attempt);
    private readonly column = new SideColumn(
        {
            chat: this.chat,
            people: new PeoplePanel(this.attempt, {
                pinned: (id) => this.stage.pin === id,
                pin: (id) => this.stage.togglePin(id),
                write: (userId) => this.write(userId),
            }),
            polls: new PollPanel(this.attempt),
            board: new BoardPanel(this.attempt),
            breakouts: new BreakoutPanel(this.attempt),
            devices: new DevicePanel((id) => this.stage.setSpeaker(id)),
        },
        () => this.redraw(),
    );
    private readonly controls: Controls;

    /* speaker: the device that sounds, if one was chosen. */
    constructor(speaker?: string) {
        this.controls = this.makeControls();
        this.stage.setSpeaker(speaker ?? '');
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
                el('span', { class: 'brand' }, words.brand),
                this.title,
                this.count,
                this.tape.marks,
            ),
            this.tape.consent,
            this.notices.banner,
            this.sharing,
            this.notices.list,
            this.notices.spoken,
            el(
                'div',
                { class: 'middle' },
                el(
                    'div',
                    { class: 'stage-column' },
                    this.stage.element,
                    this.overlay.captions,
                    this.overlay.reactions,
                ),
                this.column.element,
            ),
            this.sound,
            this.stats.element,
            this.copied,
            this.controls.element,
        );
    }

    /* Listens to what passes; once, before join(). */
    attach(client: KcsClient): void {
        const say = (text: string): void => this.notices.say(text);

        this.client = client;
        client.on('joined', ({ name }) => say(words.came(name)));
        client.on('left', ({ name }) => say(words.went(name)));
        client.on('hand', ({ name }) => say(words.hand(name)));
        client.on('message', ({ name, text }) => {
            if (this.column.open !== 'chat') {
                say(words.wrote(name, text));
            }
        });
        client.on('reaction', ({ emoji, name }) => {
            this.overlay.react(emoji, name);
            say(words.reacted(name ?? words.someone, words.emojis[emoji] ?? emoji));
        });
        client.on('muted', ({ kind, name }) => this.tell(words.mutedByHost(kind, name)));
        client.on('unmuteRequested', ({ kind, name }) =>
            this.tell(words.unmuteAsked(kind, name), `asked:${kind}`),
        );
        client.on('poll', ({ question }) => {
            if (this.column.open !== 'polls') {
                this.tell(words.poll.told(question), 'poll');
            }
        });
        client.on('screen', ({ name }) => say(words.shares(name)));
        client.on('moved', ({ breakoutId }) =>
            this.tell(breakoutId === null ? words.breakout.back : words.breakout.moved),
        );
        client.on('breakoutMessage', ({ name, text }) =>
            this.tell(words.breakout.said(name ?? words.someone, text)),
        );
        client.on('tapeFailed', ({ reason }) => this.tell(words.tape.failed(reason)));
        this.update(client);
    }

    update(client: KcsClient): void {
        const room = client.room.value;

        this.client = client;
        this.title.textContent = [room.title, breakoutOf(room)].filter(Boolean).join(' · ');
        this.count.textContent = words.people(Math.max(room.count, room.people.size + 1));
        this.tellWaiting(room);
        this.forgetAsked(client);
        this.sharing.hidden = !client.own.sharing;
        this.notices.update(client);
        this.stage.update(client);
        this.overlay.update(client);
        this.tape.update(client);
        this.column.update(client);
        this.controls.update(client, {
            stats: this.stats.shown,
            panel: this.column.open,
            chat: this.offers('chat', 'chat_enabled', 'chat'),
            hand: this.offers('hand', 'hand_raise_enabled', 'raise_hand'),
            react: this.offers('reaction', 'hand_raise_enabled', 'react'),
        });
    }

    close(): void {
        this.stats.stop();
        this.stage.close();
        this.element.remove();
    }

    private redraw(): void {
        if (this.client !== undefined) {
            this.update(this.client);
        }
    }

    /* One notice of who waits, while it is not seen in the panel. */
    private tellWaiting(room: Room): void {
        const n = room.lobby.length;
        const known = room.notices.findIndex(({ code }) => code === 'lobby');
        const told = { code: 'lobby', detail: words.admittedMore(n) };

        if (n === 0 || this.column.open === 'people') {
            room.notices.splice(known, known < 0 ? 0 : 1);
        } else if (n > this.waiting || (known >= 0 && n < this.waiting)) {
            room.notices.splice(known < 0 ? room.notices.length : known, 1, told);
        }
        this.waiting = n;
    }

    /* Nobody need be asked to turn on what is on. */
    private forgetAsked({ room, own }: KcsClient): void {
        const { notices } = room.value;

        for (const kind of ['audio', 'video'] as const) {
            const at = notices.findIndex(({ code }) => code === `asked:${kind}`);

            notices.splice(at, at >= 0 && !own.muted[kind] ? 1 : 0);
        }
    }

    private showPanel(name: 'people' | 'polls'): void {
        if (this.column.open !== name) {
            this.openPanel(name);
        }
    }

    /* Another code than 'said' has a button, if Notices has one for it. */
    private tell(text: string, code = 'said'): void {
        const notices = this.client?.room.value.notices;

        if (notices?.some(({ detail }) => detail === text) === false) {
            notices.push({ code, detail: text });
        }
        this.redraw();
    }

    /* Whether the meeting has something, and this person may use it. Nodes that tell no
     * settings have none of it. */
    private offers(family: string, feature: keyof Features, permission: string): boolean {
        const room: Room | undefined = this.client?.room.value;

        return (
            this.client !== undefined &&
            room?.settings !== undefined &&
            room.settings.features?.[feature] !== false &&
            this.client.own.may(permission) &&
            !this.client.lacks(family)
        );
    }

    private makeControls(): Controls {
        return new Controls({
            toggle: (kind) => {
                const own = this.client?.own;
                void own?.setMuted(kind, !own.muted[kind]);
            },
            share: () => void this.client?.own.setSharing(!this.client.own.sharing),
            hand: () =>
                void this.attempt(() => this.client?.talk.raiseHand(!this.client.talk.handUp)),
            react: (emoji) => void this.attempt(() => this.client?.talk.reaction(emoji)),
            panel: (name) => this.openPanel(name),
            toggleStats: () => {
                if (this.client !== undefined) {
                    this.stats.toggle(this.client);
                    this.redraw();
                }
            },
            invite: () => void this.copyLink('attendee'),
            leave: () => this.client?.leave(),
            more: () => this.commands(),
        });
    }

    private openPanel(name: 'chat' | 'people' | 'polls' | 'board' | 'breakouts' | 'devices'): void {
        if (this.client !== undefined) {
            this.column.toggle(name, this.client);
            this.redraw();
        }
    }

    private write(userId: string): void {
        if (this.column.open !== 'chat') {
            this.openPanel('chat');
        }
        this.chat.writeTo(userId);
    }

    /* What stands under More. */
    private commands(): Command[] {
        const { client } = this;
        if (client === undefined) {
            return [];
        }
        const room = client.room.value;
        const mode = this.stage.effectiveMode(room);
        const hosts = room.settings !== undefined && client.own.may('moderate');
        const list: Command[] = MODES.map((each) => ({
            text: `${words.layoutTitle}: ${words.layouts[each]}`,
            pressed: mode === each,
            act: () => {
                this.stage.mode = each;
                this.redraw();
            },
        }));
        const add = (on: boolean, text: string, act: () => void, pressed?: boolean): void => {
            if (on) {
                list.push({ text, act, pressed });
            }
        };

        add(hosts, words.layoutForAll, () => void this.attempt(() => client.talk.changeLayout(mode)));
        add(client.own.canShare(), client.own.sharing ? words.stopShare : words.share, () =>
            void client.own.setSharing(!client.own.sharing),
        );
        add(this.offers('poll', 'chat_enabled', 'view'), words.polls, () => this.openPanel('polls'));
        add(this.offers('whiteboard', 'whiteboard_enabled', 'view'), words.board, () =>
            this.openPanel('board'),
        );
        add(
            (hosts || room.breakouts !== undefined) &&
                this.offers('breakout', 'breakout_rooms_enabled', 'view'),
            words.breakouts,
            () => this.openPanel('breakouts'),
        );
        add(
            room.settings !== undefined,
            words.captions,
            () => {
                this.overlay.captionsOn = !this.overlay.captionsOn;
                this.redraw();
            },
            this.overlay.captionsOn,
        );
        this.addTape(add);
        add(true, words.settings, () => this.openPanel('devices'));
        add(hosts, words.invite, () => void this.copyLink('attendee'));
        add(hosts, words.invitePresenters, () => void this.copyLink('presenter'));
        add(
            true,
            words.statistics,
            () => {
                this.stats.toggle(client);
                this.redraw();
            },
            this.stats.shown,
        );
        add(room.settings !== undefined && client.own.may('end_meeting'), words.endForAll, () => {
            if (window.confirm(words.endSure)) {
                void this.attempt(() => client.host.endMeeting());
            }
        });
        return list;
    }

    private addTape(
        add: (on: boolean, text: string, act: () => void, pressed?: boolean) => void,
    ): void {
        const { client } = this;
        if (client === undefined) {
            return;
        }
        const { recording, live } = client.room.value;
        const may = (family: string): boolean =>
            this.offers(family, 'recording_enabled', 'record');

        add(
            may('recording'),
            recording === null ? words.tape.record : words.tape.stopRecord,
            () => void this.attempt(() => client.tape.record(recording === null)),
            recording !== null,
        );
        add(
            may('stream'),
            live === null ? words.tape.live : words.tape.stopLive,
            () => void this.attempt(() => client.tape.goLive(live === null)),
            live !== null,
        );
        add(live !== null, words.tape.liveLink, () => void this.copyLiveLink(live ?? ''));
    }

    private async copyLiveLink(stream: string): Promise<void> {
        const link = new URL('watch.html', location.href);

        link.hash = '';
        link.search = new URLSearchParams({ stream }).toString();
        await this.copy(link.href, words.tape.linkCopied);
    }

    /* A link for others, which makes nobody what I am. */
    private async copyLink(role: 'attendee' | 'presenter'): Promise<void> {
        const { client } = this;

        if (client !== undefined) {
            await this.attempt(async () => {
                const link = await linkFor(client.options.meeting, role, client.token);

                await this.copy(link, words.copied(words.roster.roles[role] ?? role));
            });
        }
    }

    private async copy(text: string, done: string): Promise<void> {
        if (await copyText(text)) {
            this.copied.textContent = done;
        }
        window.setTimeout(() => (this.copied.textContent = ''), COPIED_MS);
    }
}

/* The name of the breakout room that one is in. */
function breakoutOf(room: Room): string {
    return (
        room.breakouts?.rooms.find(
            ({ breakout_id }) => breakout_id !== undefined && breakout_id === room.breakoutId,
        )?.name ?? ''
    );
}
